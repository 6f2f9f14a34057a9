//! What a plugin may ask a connection for: pure, decided before anything is sent.
//!
//! A [`Policy`] joins what the plugin's manifest asks for, what the connection's kind knows and what the
//! operator adds. [`Policy::judge`] finds the route of a request; its class, not the HTTP method, says which
//! hooks may send it ([`allows`]) and whether its objects must be the change's own ([`Matched::check_write`]).

mod budget;
mod code;
mod header;
mod path;
mod remedy;
mod table;
mod template;

use std::{collections::HashSet, sync::Arc};

use cutover_engine::{Failure, FailureCase, Object, Pointer, ResponseRule, Role, RouteClass};

use crate::hook::{Call, Request};

pub use budget::{Budget, CallLimits, Permit};
pub use code::Code;
pub use path::{RequestPath, escape_into, shown};
pub(crate) use remedy::one_more;
pub use table::{Ground, KindRoute, KindTable, PUBLIC_HEADERS, Unlisted};
pub use template::{Template, Variables};

/// The rules of one role played by one connection.
#[derive(Debug, Clone)]
pub struct Policy {
    connection: String,
    role: String,
    table: Arc<KindTable>,
    routes: Vec<Asked>,
    reads: Vec<(String, Template)>,
    reads_as_written: Vec<String>,
}

/// A route that the manifest asks for.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    path: Template,
    class: RouteClass,
    object: Option<Template>,
    response: ResponseRule,
    public_response: Vec<Pointer>,
    public_request: Vec<Pointer>,
}

/// A request that has a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// In capitals.
    pub method: String,
    /// The path to send: [`RequestPath::wire`].
    pub path: RequestPath,
    /// The route's template, for the journal.
    pub route: String,
    /// What the request does.
    pub class: RouteClass,
    /// The paths of every object that the request may be about; more than one for a move.
    pub objects: Vec<String>,
    /// What the plugin gets to see.
    pub response: ResponseRule,
    /// Places of the response that are no secrets.
    pub public_response: Vec<Pointer>,
    /// Whether the connection's kind named those places: there the server shows only what was written at the same place.
    pub known_response: bool,
    /// Places of the request's body that may hold plain values.
    pub public_request: Vec<Pointer>,
    /// Response headers (lower case) that are no secrets.
    pub public_headers: &'static [&'static str],
}

impl Policy {
    /// The rules for `role` when `connection`, of the kind that `table` belongs to, plays it. `reads` are the operator's
    /// additions, such as `POST /search`.
    ///
    /// # Errors
    /// If the kind cannot play the role, or a template, or one of `reads`, is malformed.
    pub fn new(connection: &str, role: &Role, table: &Arc<KindTable>, reads: &[String]) -> Result<Self, Failure> {
        let invalid = |text: String| Code::BAD_ROUTE.failure(FailureCase::InvalidInput, text);
        if !role.kinds.iter().any(|kind| kind == table.kind) {
            let kinds = role.kinds.join("`, `");
            return Err(invalid(format!(
                "connection `{connection}` is of kind `{}`, but role `{}` takes `{kinds}`",
                table.kind, role.name
            )));
        }
        let routes = role
            .routes
            .iter()
            .map(|route| asked(route, table.unlisted))
            .collect::<Result<_, _>>()
            .map_err(|text| invalid(format!("role `{}`: {text}", role.name)))?;
        let named = |text: &String| {
            let (method, path) =
                text.split_once(' ').ok_or_else(|| format!("`{text}` is no read: write a method and a path, such as `POST /search`"))?;
            is_method(method).then_some(()).ok_or_else(|| format!("`{text}` is no read: `{method}` is no method"))?;
            Ok((method.to_owned(), Template::parse(path.trim())?))
        };
        let reads_as_written = reads.to_vec();
        let reads = reads
            .iter()
            .map(named)
            .collect::<Result<_, String>>()
            .map_err(|text| invalid(format!("`reads` of connection `{connection}`: {text}")))?;
        Ok(Self { connection: connection.to_owned(), role: role.name.clone(), table: Arc::clone(table), routes, reads, reads_as_written })
    }

    /// Finds the request's route. Checks method, path and headers; says nothing of the hook or the change. `ground` is where
    /// the path leads, for kinds that must ask; without it a request to such a place is refused as [`Code::NOT_OF_KIND`].
    ///
    /// Of several routes that fit the most specific counts, of equals the one of the highest class. The class is never
    /// below what the kind's own table says.
    ///
    /// # Errors
    /// A refusal that quotes method and path (never query values or headers) and, where a line of the workflow can help,
    /// that line.
    pub fn judge(&self, request: &Request, ground: Option<&Ground>) -> Result<Matched, Failure> {
        if !is_method(&request.method) {
            return Err(Code::METHOD.refused(format!("`{}` is no method that a connection takes", shown(&request.method))));
        }
        let path = RequestPath::parse(&request.path)?;
        header::check(&request.headers, self.table.owned_headers)?;
        let quoted = format!("`{} {}`", request.method, shown(&path.wire()));
        let fitting = self.routes.iter().filter(|route| route.method == request.method);
        let fitting = fitting.map(|route| (route, route.path.matches(&path))).filter(|(_, readings)| !readings.is_empty());
        let best = fitting.max_by_key(|(route, _)| (route.path.specificity(), route.class));
        let Some((route, readings)) = best else {
            let text = format!("{quoted} to `{}` is on no route of role `{}` in the plugin's manifest", self.connection, self.role);
            return Err(Code::NO_ROUTE.refused(text));
        };
        let known = self.table.route(&request.method, &path, ground);
        let class = self.class(route, known, &request.method, &path, &quoted)?;
        let mut objects = objects(route, known.map(|known| (known, ground)), &path, &readings);
        if let Some(name) = known.and_then(|known| known.object_query) {
            for (_, value) in request.query.iter().filter(|(key, _)| key == name) {
                objects.push(RequestPath::of_object(value)?.object());
            }
        }
        objects.sort_unstable();
        objects.dedup();
        Ok(Matched {
            method: request.method.clone(),
            path,
            route: format!("{} {}", route.method, route.path.as_str()),
            class,
            objects,
            response: route.response,
            known_response: known.is_some(),
            public_response: known.map_or_else(|| route.public_response.clone(), |known| known.public_response.clone()),
            public_request: known.and_then(|known| known.public_request.clone()).unwrap_or_else(|| route.public_request.clone()),
            public_headers: self.table.public_headers,
        })
    }

    fn class(
        &self,
        route: &Asked,
        known: Option<&KindRoute>,
        method: &str,
        path: &RequestPath,
        quoted: &str,
    ) -> Result<RouteClass, Failure> {
        if let Some(known) = known {
            return Ok(route.class.max(known.class));
        }
        match self.table.unlisted {
            Unlisted::Refused => {
                Err(Code::NOT_OF_KIND.refused(format!("a connection of kind `{}` has no request {quoted}", self.table.kind)))
            }
            Unlisted::ByMethod if route.class > RouteClass::Login || matches!(method, "GET" | "HEAD" | "LIST") => Ok(route.class),
            Unlisted::ByMethod if self.reads.iter().any(|(name, template)| name == method && !template.matches(path).is_empty()) => {
                Ok(route.class)
            }
            Unlisted::ByMethod => Err(self.unnamed_read(route, quoted)),
        }
    }

    fn unnamed_read(&self, route: &Asked, quoted: &str) -> Failure {
        let remedy = one_more(&self.connection, "reads", &self.reads_as_written, &format!("{} {}", route.method, route.path.as_str()));
        Code::UNNAMED_READ.refused(format!(
            "the plugin calls {quoted} a read, but only GET, HEAD and LIST are by themselves; if it changes nothing, {remedy}"
        ))
    }
}

/// Which kind of hook is running, as far as rights go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `plan`, `capture`, `verify` and `observe`: they change nothing.
    Looking,
    /// `apply` and `rollback`.
    Writing,
}

impl From<&Call> for Hook {
    fn from(call: &Call) -> Self {
        match call {
            Call::Apply { .. } | Call::Rollback { .. } => Self::Writing,
            Call::Plan { .. } | Call::Capture { .. } | Call::Verify { .. } | Call::Observe { .. } => Self::Looking,
        }
    }
}

/// Whether a hook may send requests of this class.
#[must_use]
pub fn allows(class: RouteClass, hook: Hook) -> bool {
    match class {
        RouteClass::Read | RouteClass::Login => true,
        RouteClass::Add | RouteClass::Write => hook == Hook::Writing,
    }
}

impl Matched {
    /// Whether `hook` may send it.
    ///
    /// # Errors
    /// A refusal that quotes method and path.
    pub fn check_hook(&self, hook: Hook) -> Result<(), Failure> {
        if allows(self.class, hook) {
            return Ok(());
        }
        Err(Code::WRONG_HOOK.refused(format!("{} changes something, but this hook may only look", self.quoted())))
    }

    /// Whether the request may be sent for a change with this subject, of which capture read `captured`. Only writes are
    /// bound: a read changes nothing and an `add` replaces nothing.
    ///
    /// # Errors
    /// A refusal that names the first object that is not the change's, or that was not read.
    pub fn check_write(&self, role: &str, member: Option<&str>, subject: &[Object], captured: &HashSet<Object>) -> Result<(), Failure> {
        if self.class != RouteClass::Write {
            return Ok(());
        }
        for path in &self.objects {
            let object = Object { role: role.to_owned(), member: member.map(str::to_owned), path: path.clone() };
            if !subject.contains(&object) {
                return Err(
                    Code::OUTSIDE_SUBJECT.refused(format!("{} writes `{object}`, which is not in the change's subject", self.quoted()))
                );
            }
            if !captured.contains(&object) {
                return Err(
                    Code::NOT_CAPTURED.refused(format!("{} writes `{object}`, which this change's capture did not read", self.quoted()))
                );
            }
        }
        Ok(())
    }

    fn quoted(&self) -> String {
        format!("`{} {}`", self.method, shown(&self.path.wire()))
    }
}

fn is_method(text: &str) -> bool {
    // CONNECT opens a tunnel and TRACE returns the credential.
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase()) && !matches!(text, "CONNECT" | "TRACE")
}

fn asked(route: &cutover_engine::Route, unlisted: Unlisted) -> Result<Asked, String> {
    if !is_method(&route.method) {
        return Err(format!("`{}` is no method", shown(&route.method)));
    }
    if !route.path.starts_with('/') {
        return Err(format!("the path `{}` must begin with `/`", shown(&route.path)));
    }
    // Only POST makes something new (RFC 9110 section 9.3.3); a kind that knows its requests says itself which ones add.
    let replaces = route.class == RouteClass::Add && unlisted == Unlisted::ByMethod && route.method != "POST";
    let class = if replaces { RouteClass::Write } else { route.class };
    let path = Template::parse(&route.path)?;
    let object = route.object.as_deref().map(Template::parse).transpose()?;
    if let Some(object) = &object {
        check_object(&path, object, class)?;
    }
    Ok(Asked {
        method: route.method.clone(),
        path,
        class,
        object,
        response: route.response,
        public_response: route.public_response.clone(),
        public_request: route.public_request.clone(),
    })
}

/// An object that leaves out what the path can vary in would let one captured object stand for all.
fn check_object(path: &Template, object: &Template, class: RouteClass) -> Result<(), String> {
    let has = |name: &str| path.variables().any(|(other, _)| other == name);
    if let Some((name, _)) = object.variables().find(|(name, _)| !has(name)) {
        return Err(format!("the object `{}` uses `{name}`, which the path `{}` does not have", object.as_str(), path.as_str()));
    }
    let uses = |name: &str| object.variables().any(|(other, _)| other == name);
    let missing = path.variables().find(|(name, many)| *many && !uses(name));
    let constant = path.variables().next().is_some() && object.variables().next().is_none();
    if class == RouteClass::Write && (missing.is_some() || constant) {
        return Err(format!("the object `{}` of a write must name what the path `{}` varies in", object.as_str(), path.as_str()));
    }
    Ok(())
}

fn objects(route: &Asked, known: Option<(&KindRoute, Option<&Ground>)>, path: &RequestPath, readings: &[Variables]) -> Vec<String> {
    if let Some((known, ground)) = known {
        return match &known.object {
            Some(object) => known.readings(path, ground).iter().map(|variables| object.expand(variables)).collect(),
            None => vec![path.object()],
        };
    }
    match &route.object {
        Some(object) => readings.iter().map(|variables| object.expand(variables)).collect(),
        None => vec![path.object()],
    }
}

#[cfg(test)]
mod tests {
    use cutover_engine::{Cardinality, Route};

    use super::*;

    fn route(text: &str) -> Route {
        let words: Vec<&str> = text.split(' ').collect();
        let class = match words[0] {
            "read" => RouteClass::Read,
            "login" => RouteClass::Login,
            "add" => RouteClass::Add,
            _ => RouteClass::Write,
        };
        Route {
            method: words[1].to_owned(),
            path: words[2].to_owned(),
            class,
            object: words.get(3).map(|&object| object.to_owned()),
            response: ResponseRule::Json,
            public_response: vec![Pointer::parse("/plain").expect("a pointer")],
            public_request: Vec::new(),
        }
    }

    fn role(routes: &[&str]) -> Role {
        let kinds = vec!["http".to_owned(), "vault".to_owned()];
        Role { name: "target".to_owned(), kinds, cardinality: Cardinality::One, routes: routes.iter().map(|text| route(text)).collect() }
    }

    fn http() -> Arc<KindTable> {
        Arc::new(KindTable {
            kind: "http",
            routes: Vec::new(),
            unlisted: Unlisted::ByMethod,
            owned_headers: &[],
            public_headers: PUBLIC_HEADERS,
        })
    }

    fn vault() -> Arc<KindTable> {
        let object = |text: &str| Some(Template::parse(text).expect("a template"));
        let mut read = KindRoute::new("GET", "/v1/{mount}/data/{+path}", RouteClass::Read).public(&["/data/metadata/*"]);
        read.object = object("{mount}/{+path}");
        let mut write = KindRoute::new("POST", "/v1/{mount}/data/{+path}", RouteClass::Write);
        write.object = object("{mount}/{+path}");
        let mut moving = KindRoute::new("MOVE", "/v1/{+path}", RouteClass::Write);
        moving.object_query = Some("to");
        let credentials = KindRoute::new("GET", "/v1/{mount}/creds/{role}", RouteClass::Write);
        let routes = vec![read, write, moving, credentials];
        Arc::new(KindTable {
            kind: "vault",
            routes,
            unlisted: Unlisted::Refused,
            owned_headers: &["x-vault-token"],
            public_headers: PUBLIC_HEADERS,
        })
    }

    fn judge(table: &Arc<KindTable>, routes: &[&str], reads: &[&str], request: &str) -> Result<Matched, Failure> {
        let reads: Vec<String> = reads.iter().map(|&read| read.to_owned()).collect();
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let (path, to) = path.split_once('>').map_or((path, None), |(path, to)| (path, Some(to)));
        let query = to.map(|to| ("to".to_owned(), to.to_owned())).into_iter().chain([("q".to_owned(), "hush".to_owned())]).collect();
        let request = Request { method: method.to_owned(), path: path.to_owned(), query, ..Request::default() };
        Policy::new("app", &role(routes), table, &reads).expect("a policy").judge(&request, None)
    }

    fn verdict(result: &Result<Matched, Failure>) -> String {
        match result {
            Ok(matched) => format!("{:?} {}", matched.class, matched.objects.join("+")),
            Err(failure) => failure.code.clone().unwrap_or_default(),
        }
    }

    #[test]
    fn requests_of_an_http_connection() {
        let routes = [
            "read GET /users/{id}",
            "write PUT /users/{id}",
            "read POST /search",
            "read POST /reports/{+name}",
            "login POST /login",
            "add POST /orders",
            "write DELETE /{+all}",
            "read GET /{+all} fixed",
            "write POST /users/{id}/keys/{key} users/{id}",
            "read LIST /users",
            "write GET /logout",
        ];
        let cases = [
            ("GET /users/7", "Read users/7"),
            ("PUT /users/7", "Write users/7"),
            ("PUT /users/7/", "CUT3203"),
            ("put /users/7", "CUT3202"),
            ("PATCH /users/7", "CUT3203"),
            ("PUT /users/7/admin", "CUT3203"),
            ("PUT /users/../x", "CUT3201"),
            ("PUT /users/%2e%2e", "CUT3201"),
            ("PUT /users/7%2fadmin", "CUT3201"),
            ("PUT //users/7", "CUT3201"),
            ("PUT /Users/7", "CUT3203"),
            ("POST /search", "Read search"),
            ("POST /search/", "CUT3203"),
            ("POST /reports/a", "CUT3204"),
            ("POST /login", "CUT3204"),
            ("POST /orders", "Add orders"),
            ("DELETE /a/b", "Write a/b"),
            ("GET /other", "Read fixed"),
            ("POST /users/7/keys/9", "Write users/7"),
            ("LIST /users", "Read users"),
            ("GET /logout", "Write logout"),
            ("CONNECT /users/7", "CUT3202"),
            ("TRACE /users/7", "CUT3202"),
            ("GET\r\nX /users/7", "CUT3202"),
            (" /users/7", "CUT3202"),
            ("HEAD /users/7", "CUT3203"),
        ];
        for (request, expected) in cases {
            let result = judge(&http(), &routes, &["POST /search"], request);
            assert_eq!(verdict(&result), expected, "{request}");
            assert!(!format!("{result:?}").contains("hush"), "query values are never quoted");
        }
    }

    #[test]
    fn a_manifest_cannot_lower_a_kind() {
        let routes = ["read GET /{+all}", "read POST /{+all}", "write GET /v1/{mount}/data/{+path} {+path}", "write MOVE /{+all}"];
        let cases = [
            ("GET /v1/kv/data/a/b", "Write kv/a/b"),
            ("POST /v1/kv/data/a/b", "Write kv/a/b"),
            ("GET /v1/aws/creds/x", "Write v1/aws/creds/x"),
            ("GET /v1/sys/raw/x", "CUT3210"),
            ("POST /v1/sys/seal", "CUT3210"),
            ("MOVE /v1/a>/v1/b", "Write v1/a+v1/b"),
            ("MOVE /v1/a>../b", "CUT3201"),
            ("MOVE /v1/a>b%2f..", "Write b%2f..+v1/a"),
        ];
        for (request, expected) in cases {
            assert_eq!(verdict(&judge(&vault(), &routes, &["POST /{+all}"], request)), expected, "{request}");
        }
    }

    #[test]
    fn only_a_post_adds_where_the_kind_knows_nothing() {
        for method in ["PUT", "PATCH", "DELETE", "GET"] {
            let matched = judge(&http(), &[&format!("add {method} /orders/{{id}}")], &[], &format!("{method} /orders/7")).expect("a route");
            assert_eq!(matched.class, RouteClass::Write, "{method}");
            let open = matched.check_write("target", None, &[], &HashSet::new());
            assert_eq!(open.expect_err("not in the subject").code.as_deref(), Some("CUT3206"), "{method}");
            let vague = Policy::new("app", &role(&[&format!("add {method} /{{+path}} fixed")]), &http(), &[]);
            assert!(vague.is_err(), "{method}: one captured object must not stand for all");
        }
        let matched = judge(&http(), &["add POST /orders"], &[], "POST /orders").expect("a route");
        assert_eq!(matched.class, RouteClass::Add);
    }

    #[test]
    fn public_places_of_a_known_kind_are_its_own() {
        let matched = judge(&vault(), &["read GET /{+all}"], &[], "GET /v1/kv/data/a").expect("a route");
        assert_eq!(matched.public_response, [Pointer::parse("/data/metadata/*").expect("a pointer")]);
        let matched = judge(&http(), &["read GET /{+all}"], &[], "GET /a").expect("a route");
        assert_eq!(matched.public_response, [Pointer::parse("/plain").expect("a pointer")]);
    }

    #[test]
    fn the_most_specific_route_wins_and_equals_take_the_higher_class() {
        let routes = ["write GET /{+all}", "read GET /users/{id}", "write GET /users/{other}", "read GET /users/me"];
        for (request, expected) in [("GET /users/me", "Read users/me"), ("GET /users/7", "Write users/7"), ("GET /x", "Write x")] {
            assert_eq!(verdict(&judge(&http(), &routes, &[], request)), expected, "{request}");
        }
    }

    #[test]
    fn a_path_with_two_readings_is_about_both_objects() {
        let matched = judge(&http(), &["write PUT /{+mount}/meta/{+path} {+mount}/x/{+path}"], &[], "PUT /a/meta/meta/b").expect("a route");
        assert_eq!(matched.objects, ["a/meta/x/b", "a/x/meta/b"]);
    }

    #[test]
    fn an_unnamed_read_says_the_line_to_add() {
        let failure = judge(&http(), &["read POST /find/{kind}"], &["POST /search"], "POST /find/x").expect_err("not named");
        assert!(failure.text.contains("`POST /find/x`"), "{}", failure.text);
        assert!(
            failure.text.ends_with("put `reads = [\"POST /search\", \"POST /find/{kind}\"]` in place of the `reads` of connection `app`"),
            "{}",
            failure.text
        );
    }

    #[test]
    fn objects_of_writes_must_vary_with_the_path() {
        for bad in [
            "write PUT /{+path} fixed",
            "write PUT /{a}/{+path} {a}",
            "write PUT /a {b}",
            "write PUT /{a",
            "write put /a",
            "write PUT a",
            "write PUT /{a} x",
        ] {
            assert!(Policy::new("app", &role(&[bad]), &http(), &[]).is_err(), "{bad}");
        }
        for bad in ["GET", "get /a", "POST {", "CONNECT /a"] {
            assert!(Policy::new("app", &role(&[]), &http(), &[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kind_that_the_role_does_not_take_is_an_error() {
        let mut role = role(&[]);
        role.kinds = vec!["file".to_owned()];
        assert_eq!(Policy::new("app", &role, &http(), &[]).expect_err("wrong kind").code.as_deref(), Some("CUT3211"));
    }

    #[test]
    fn only_writing_hooks_change_anything() {
        for (class, looking) in [(RouteClass::Read, true), (RouteClass::Login, true), (RouteClass::Add, false), (RouteClass::Write, false)]
        {
            assert!(allows(class, Hook::Writing));
            assert_eq!(allows(class, Hook::Looking), looking, "{class:?}");
        }
        let matched = judge(&http(), &["write PUT /{+all}"], &[], "PUT /a").expect("a route");
        assert_eq!(matched.check_hook(Hook::Looking).expect_err("a write").code.as_deref(), Some("CUT3205"));
    }

    #[test]
    fn writes_stay_within_subject_and_capture() {
        let object = |role: &str, member: Option<&str>, path: &str| Object {
            role: role.to_owned(),
            member: member.map(str::to_owned),
            path: path.to_owned(),
        };
        let matched = judge(&vault(), &["write MOVE /{+all}"], &[], "MOVE /v1/a>/v1/b").expect("a route");
        let both = [object("target", None, "v1/a"), object("target", None, "v1/b")];
        let code = |role: &str, member: Option<&str>, subject: &[Object], captured: &[Object]| {
            matched.check_write(role, member, subject, &captured.iter().cloned().collect()).err().and_then(|failure| failure.code)
        };
        assert_eq!(code("target", None, &both, &both), None);
        assert_eq!(code("target", None, &both[..1], &both).as_deref(), Some("CUT3206"));
        assert_eq!(code("target", None, &both, &both[..1]).as_deref(), Some("CUT3207"));
        assert_eq!(code("source", None, &both, &both).as_deref(), Some("CUT3206"));
        assert_eq!(code("target", Some("m1"), &both, &both).as_deref(), Some("CUT3206"));
        let added = judge(&http(), &["add POST /orders"], &[], "POST /orders").expect("a route");
        assert_eq!(added.check_write("target", None, &[], &HashSet::new()), Ok(()));
    }
}
