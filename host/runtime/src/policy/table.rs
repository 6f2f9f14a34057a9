//! What a connection's kind knows of its own requests. No manifest can lower it.

use cutover_engine::{Pointer, RouteClass};

use super::{
    path::RequestPath,
    template::{Template, Variables},
};

/// A kind's class table.
#[derive(Debug, Clone)]
pub struct KindTable {
    /// The kind's name.
    pub kind: &'static str,
    /// The requests it knows; the most specific one that fits counts.
    pub routes: Vec<KindRoute>,
    /// What a request that no route fits is.
    pub unlisted: Unlisted,
    /// Request headers (lower case) that belong to the kind, on top of those that belong to the host.
    pub owned_headers: &'static [&'static str],
    /// Response headers (lower case) that are no secrets.
    pub public_headers: &'static [&'static str],
}

/// One request of a kind.
#[derive(Debug, Clone)]
pub struct KindRoute {
    /// In capitals.
    pub method: &'static str,
    /// The path.
    pub path: Template,
    /// The least class.
    pub class: RouteClass,
    /// The object; none is the whole path. Either replaces what the manifest says.
    pub object: Option<Template>,
    /// The name of a query pair whose value is a second object, such as where something is moved to.
    pub object_query: Option<&'static str>,
    /// Places of the response that are no secrets. They replace what the manifest proposes.
    pub public_response: Vec<Pointer>,
    /// Places of the request's body that may hold plain values. They replace what the manifest proposes; none leaves it.
    pub public_request: Option<Vec<Pointer>>,
    /// The sort of ground that the route is for; a route without one is for every path.
    pub ground: Option<&'static str>,
}

/// Where a path leads, found out by the backend before a request is judged. What looks like one request can be another
/// elsewhere: below one mount of Vault `config` is a setting, below another a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The sort, as the kind's routes name it.
    pub sort: &'static str,
    /// What the variable `mount` of a route must be: a path without slashes around it.
    pub mount: String,
}

/// How a kind treats what its table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    /// There is no such request.
    Refused,
    /// The kind knows nothing of what is behind it: GET, HEAD and LIST may be reads; any other read or login is named by the operator.
    ByMethod,
}

/// Response headers that carry no secrets, whatever the kind.
pub const PUBLIC_HEADERS: &[&str] = &["content-type", "etag", "last-modified", "retry-after"];

impl KindTable {
    /// The route that fits best; of two that say equally much the one of the higher class.
    #[must_use]
    pub fn route(&self, method: &str, path: &RequestPath, ground: Option<&Ground>) -> Option<&KindRoute> {
        let fitting = self.routes.iter().filter(|route| route.method == method && route.fits(path, ground));
        fitting.max_by_key(|route| (route.path.specificity(), route.class))
    }
}

impl KindRoute {
    /// A route whose object is its whole path and whose response has no public places.
    ///
    /// # Panics
    /// If `path` is no template: kinds are part of this program.
    #[must_use]
    pub fn new(method: &'static str, path: &str, class: RouteClass) -> Self {
        let path = Template::parse(path).expect("a kind's path is a template");
        let public_response = Vec::new();
        Self { method, path, class, object: None, object_query: None, public_response, public_request: None, ground: None }
    }

    fn fits(&self, path: &RequestPath, ground: Option<&Ground>) -> bool {
        let is_on = self.ground.is_none_or(|sort| ground.is_some_and(|ground| ground.sort == sort));
        is_on && self.path.fits(path) && (self.ground.is_none() || !self.readings(path, ground).is_empty())
    }

    /// Every way in which the path fits on this ground.
    #[must_use]
    pub fn readings(&self, path: &RequestPath, ground: Option<&Ground>) -> Vec<Variables> {
        let mut readings = self.path.matches(path);
        match (self.ground, ground) {
            (None, _) => {}
            (Some(sort), Some(ground)) if sort == ground.sort => {
                readings.retain(|variables| variables.get("mount").is_none_or(|mount| mount == ground.mount));
            }
            (Some(_), _) => readings.clear(),
        }
        readings
    }

    /// For this sort of ground only.
    #[must_use]
    pub fn on(mut self, sort: &'static str) -> Self {
        self.ground = Some(sort);
        self
    }

    /// About this object.
    ///
    /// # Panics
    /// If `object` is no template: kinds are part of this program.
    #[must_use]
    pub fn about(mut self, object: &str) -> Self {
        self.object = Some(Template::parse(object).expect("a kind's object is a template"));
        self
    }

    /// With plain values allowed at these places of the request only.
    ///
    /// # Panics
    /// If one is no JSON pointer: kinds are part of this program.
    #[must_use]
    pub fn taking(mut self, pointers: &[&str]) -> Self {
        self.public_request = Some(pointers.iter().map(|text| Pointer::parse(text).expect("a kind's pointer is a pointer")).collect());
        self
    }

    /// With these public places.
    ///
    /// # Panics
    /// If one is no JSON pointer: kinds are part of this program.
    #[must_use]
    pub fn public(mut self, pointers: &[&str]) -> Self {
        self.public_response = pointers.iter().map(|text| Pointer::parse(text).expect("a kind's pointer is a pointer")).collect();
        self
    }
}
