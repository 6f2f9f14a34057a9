//! What a plugin offers and asks for.

use serde_json::{Value, json};

/// The plugin's whole offer: the same on every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) operations: Vec<Operation>,
    pub(crate) losses: Vec<LossCode>,
}

impl Manifest {
    /// `name` is `namespace:name`, `version` a semantic version, `summary` one line.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), summary: summary.to_owned(), operations: Vec::new(), losses: Vec::new() }
    }

    /// One more thing that steps can use.
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// One more code of the closed list of losses.
    pub fn loss(mut self, loss: LossCode) -> Self {
        self.losses.push(loss);
        self
    }
}

/// One code of the closed list of losses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossCode {
    pub(crate) code: String,
    pub(crate) material: bool,
    pub(crate) description: String,
    pub(crate) residue: Vec<String>,
}

impl LossCode {
    /// In the nature of the move: listed.
    pub fn inherent(code: &str, description: &str) -> Self {
        Self { code: code.to_owned(), material: false, description: description.to_owned(), residue: Vec::new() }
    }

    /// Must be accepted by name in the workflow.
    pub fn material(code: &str, description: &str) -> Self {
        Self { material: true, ..Self::inherent(code, description) }
    }

    /// A JSON pointer of the state that a rollback may leave different where this loss was listed.
    pub fn residue(mut self, pointer: &str) -> Self {
        self.residue.push(pointer.to_owned());
        self
    }
}

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Migrate,
    Retire,
    Observe,
}

/// One operation that a step can use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the contract has four independent yes-or-no answers")]
pub struct Operation {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) purpose: Purpose,
    pub(crate) input: Value,
    pub(crate) output: Value,
    pub(crate) roles: Vec<Role>,
    pub(crate) flows: Vec<(String, String)>,
    pub(crate) server_chosen: Vec<String>,
    pub(crate) resumable: bool,
    pub(crate) collapses: bool,
    pub(crate) irreversible: bool,
    pub(crate) self_checking: bool,
}

impl Operation {
    /// Makes or changes something.
    pub fn migrate(name: &str, summary: &str) -> Self {
        Self::new(name, summary, Purpose::Migrate)
    }

    /// Ends an old path: verified last, then proven dead.
    pub fn retire(name: &str, summary: &str) -> Self {
        Self::new(name, summary, Purpose::Retire)
    }

    /// Only looks.
    pub fn observe(name: &str, summary: &str) -> Self {
        Self::new(name, summary, Purpose::Observe)
    }

    fn new(name: &str, summary: &str, purpose: Purpose) -> Self {
        Self {
            name: name.to_owned(),
            summary: summary.to_owned(),
            purpose,
            input: json!({ "type": "object", "additionalProperties": false }),
            output: json!({}),
            roles: Vec::new(),
            flows: Vec::new(),
            server_chosen: Vec::new(),
            resumable: true,
            collapses: false,
            irreversible: false,
            self_checking: false,
        }
    }

    /// JSON Schema 2020-12 of `with`; without it a step gives no input. A property may name, under `x-routes` and by role, the
    /// writes (`PUT /v1/{+path}`) that only steps with that input send: others need no credential that is good for them.
    pub fn input(mut self, schema: Value) -> Self {
        self.input = schema;
        self
    }

    /// JSON Schema 2020-12 of the step's output, or of `result` for a probe.
    pub fn output(mut self, schema: Value) -> Self {
        self.output = schema;
        self
    }

    /// One more connection it needs.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Secrets read from one role may be written to the other.
    pub fn flow(mut self, from: &str, to: &str) -> Self {
        self.flows.push((from.to_owned(), to.to_owned()));
        self
    }

    /// A JSON pointer of the state whose value the server chooses.
    pub fn server_chosen(mut self, pointer: &str) -> Self {
        self.server_chosen.push(pointer.to_owned());
        self
    }

    /// A change that ended without an answer must not be applied again.
    pub fn not_resumable(mut self) -> Self {
        self.resumable = false;
        self
    }

    /// A chain of changes on one subject goes back as one, to the oldest pre-image.
    pub fn collapses(mut self) -> Self {
        self.collapses = true;
        self
    }

    /// Nothing of it can be undone.
    pub fn irreversible(mut self) -> Self {
        self.irreversible = true;
        self
    }

    /// Its own checks can carry a change for which there is nothing to compare.
    pub fn self_checking(mut self) -> Self {
        self.self_checking = true;
        self
    }
}

/// A part that a connection plays in an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub(crate) name: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) many: bool,
    pub(crate) routes: Vec<Route>,
}

impl Role {
    /// Exactly one connection.
    pub fn one(name: &str) -> Self {
        Self { name: name.to_owned(), kinds: Vec::new(), many: false, routes: Vec::new() }
    }

    /// A set with members.
    pub fn many(name: &str) -> Self {
        Self { many: true, ..Self::one(name) }
    }

    /// One more connection kind that can play it.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kinds.push(kind.to_owned());
        self
    }

    /// One more request it may get.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }
}

/// What a request to a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteClass {
    Read,
    Login,
    Add,
    Write,
}

/// What the plugin gets to see of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseRule {
    Status,
    Json,
    Opaque,
}

/// One form of request that a role may send. Its path is a template: `{name}` is one segment, `{+name}` any number.
/// Of a response it gets the JSON document, every scalar sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) class: RouteClass,
    pub(crate) object: Option<String>,
    pub(crate) response: ResponseRule,
    pub(crate) public_response: Vec<String>,
    pub(crate) public_request: Vec<String>,
}

impl Route {
    /// Changes nothing.
    pub fn read(method: &str, path: &str) -> Self {
        Self::new(method, path, RouteClass::Read)
    }

    /// Trades a credential for a short-lived one, which the host seals. It ends by its own time to live.
    pub fn login(method: &str, path: &str) -> Self {
        Self::new(method, path, RouteClass::Login)
    }

    /// Makes something new that replaces nothing, such as an order or a signature.
    pub fn add(method: &str, path: &str) -> Self {
        Self::new(method, path, RouteClass::Add)
    }

    /// Changes an object; the object must be in the change's subject.
    pub fn write(method: &str, path: &str) -> Self {
        Self::new(method, path, RouteClass::Write)
    }

    fn new(method: &str, path: &str, class: RouteClass) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            class,
            object: None,
            response: ResponseRule::Json,
            public_response: Vec::new(),
            public_request: Vec::new(),
        }
    }

    /// The path of the object that is read or written, made of the template's variables; without it, the whole path.
    pub fn object(mut self, path: &str) -> Self {
        self.object = Some(path.to_owned());
        self
    }

    /// Of a response only the status and the public headers come back.
    pub fn status_only(mut self) -> Self {
        self.response = ResponseRule::Status;
        self
    }

    /// A response's whole body comes back as one sealed value.
    pub fn opaque(mut self) -> Self {
        self.response = ResponseRule::Opaque;
        self
    }

    /// A JSON pointer (`*` stands for one segment) of a response whose values are no secrets.
    pub fn public_response(mut self, pointer: &str) -> Self {
        self.public_response.push(pointer.to_owned());
        self
    }

    /// A JSON pointer of a request body that may hold plain values; everything else takes only sealed ones.
    pub fn public_request(mut self, pointer: &str) -> Self {
        self.public_request.push(pointer.to_owned());
        self
    }
}
