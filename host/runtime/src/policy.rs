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
    /// Method and template of the route: the kind's own where it has one. Templates of a manifest may fit in several ways.
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
        self.judge_at(request, RequestPath::parse(&request.path)?, ground)
    }

    /// [`Self::judge`] for a request whose path was read already.
    ///
    /// # Errors
    /// The same.
    pub fn judge_at(&self, request: &Request, path: RequestPath, ground: Option<&Ground>) -> Result<Matched, Failure> {
        if !is_method(&request.method) {
            return Err(Code::METHOD.refused(format!("`{}` is no method that a connection takes", shown(&request.method))));
        }
        header::check(&request.headers, self.table.owned_headers)?;
        let fitting = self.routes.iter().filter(|route| route.method == request.method && route.path.fits(&path));
        let Some(route) = fitting.max_by_key(|route| (route.path.specificity(), route.class)) else {
            let quoted = quoted(&request.method, &path);
            let text = format!("{quoted} to `{}` is on no route of role `{}` in the plugin's manifest", self.connection, self.role);
            return Err(Code::NO_ROUTE.refused(text));
        };
        let known = self.table.route(&request.method, &path, ground);
        let class = self.class(route, known, &request.method, &path)?;
        let mut objects = objects(route, known.map(|known| (known, ground)), &path);
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
            route: format!("{} {}", request.method, known.map_or(&route.path, |known| &known.path).as_str()),
            class,
            objects,
            response: route.response,
            known_response: known.is_some(),
            public_response: known.map_or_else(|| route.public_response.clone(), |known| known.public_response.clone()),
            public_request: known.and_then(|known| known.public_request.clone()).unwrap_or_else(|| route.public_request.clone()),
            public_headers: self.table.public_headers,
        })
    }

    fn class(&self, route: &Asked, known: Option<&KindRoute>, method: &str, path: &RequestPath) -> Result<RouteClass, Failure> {
        if let Some(known) = known {
            return Ok(route.class.max(known.class));
        }
        match self.table.unlisted {
            Unlisted::Refused => {
                let quoted = quoted(method, path);
                Err(Code::NOT_OF_KIND.refused(format!("a connection of kind `{}` has no request {quoted}", self.table.kind)))
            }
            Unlisted::ByMethod if route.class > RouteClass::Login || matches!(method, "GET" | "HEAD" | "LIST") => Ok(route.class),
            Unlisted::ByMethod if self.reads.iter().any(|(name, template)| name == method && template.fits(path)) => Ok(route.class),
            Unlisted::ByMethod => Err(self.unnamed_read(route, &quoted(method, path))),
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
        quoted(&self.method, &self.path)
    }
}

/// A request as messages show it.
fn quoted(method: &str, path: &RequestPath) -> String {
    format!("`{method} {}`", shown(&path.wire()))
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
        check_object(&path, object, class, unlisted)?;
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
fn check_object(path: &Template, object: &Template, class: RouteClass, unlisted: Unlisted) -> Result<(), String> {
    let has = |name: &str| path.variables().any(|(other, _)| other == name);
    if let Some((name, _)) = object.variables().find(|(name, _)| !has(name)) {
        return Err(format!("the object `{}` uses `{name}`, which the path `{}` does not have", object.as_str(), path.as_str()));
    }
    let uses = |name: &str| object.variables().any(|(other, _)| other == name);
    // Where a kind knows its requests, its own object counts as well.
    let by_method = unlisted == Unlisted::ByMethod;
    let missing = path.variables().any(|(name, many)| (many || by_method) && !uses(name));
    let constant = path.variables().next().is_some() && object.variables().next().is_none();
    let writes = class == RouteClass::Write;
    if (writes && missing) || (constant && (writes || by_method)) {
        return Err(format!("the object `{}` must name what the path `{}` varies in", object.as_str(), path.as_str()));
    }
    Ok(())
}

fn objects(route: &Asked, known: Option<(&KindRoute, Option<&Ground>)>, path: &RequestPath) -> Vec<String> {
    if let Some((known, ground)) = known {
        return match &known.object {
            Some(object) => known.readings(path, ground).iter().map(|variables| object.expand(variables)).collect(),
            None => vec![path.object()],
        };
    }
    match &route.object {
        Some(object) => route.path.matches(path).iter().map(|variables| object.expand(variables)).collect(),
        None => vec![path.object()],
    }
}

#[cfg(test)]
mod tests;
