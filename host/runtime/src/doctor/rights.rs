//! What a role needs at a backend, and which writes it never does.

use std::collections::{BTreeMap, BTreeSet};

use cutover_engine::{ChangeNo, Operation, Plan, PlannedOperation, Role, Route, RouteClass};
use serde_json::Value;

use crate::{
    connection::{Backend, SendError},
    equipment::Equipment,
    policy::{Ground, KindRoute, RequestPath, Template, Variables},
};

/// Words of a policy of which one is enough.
pub(super) type Verbs = &'static [&'static str];

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All hooks but verify, and that too where no other credential verifies.
    Work,
    /// Verify: it only reads.
    Verify,
}

/// One role of one step, and what one of its credentials is for.
pub(super) struct Examined<'p> {
    pub(super) plan: &'p Plan,
    pub(super) equipment: &'p Equipment,
    pub(super) operation: &'p PlannedOperation,
    pub(super) described: &'p Operation,
    pub(super) role: &'p Role,
    pub(super) part: Part,
}

/// What is needed at one object that stands for all: a policy that tells keys of one step apart is seen by the run itself.
pub(super) struct Rights {
    pub(super) part: Part,
    needed: BTreeMap<String, BTreeSet<Verbs>>,
    /// Writes that the role may do, but need not.
    optional: BTreeSet<(String, Verbs)>,
    /// Writes that the kind has there, and that the role never does.
    pub(super) foreign: Vec<(String, Verbs)>,
}

impl Part {
    /// For sentences.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Work => "the step",
            Self::Verify => "a verification",
        }
    }
}

impl Rights {
    /// None yet.
    pub(super) fn of(part: Part) -> Self {
        Self { part, needed: BTreeMap::new(), optional: BTreeSet::new(), foreign: Vec::new() }
    }

    /// Adds one that is needed.
    pub(super) fn need(&mut self, path: &str, verbs: Verbs) {
        self.needed.entry(path.to_owned()).or_default().insert(verbs);
    }

    /// Each path with verbs of which one is needed.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&str, Verbs)> {
        self.needed.iter().flat_map(|(path, all)| all.iter().map(|verbs| (path.as_str(), *verbs)))
    }

    /// All paths that a server must be asked about.
    pub(super) fn paths(&self) -> impl Iterator<Item = String> + use<'_> {
        self.needed.keys().chain(self.foreign.iter().map(|(path, _)| path)).cloned()
    }

    fn names(&self, path: &str, verbs: Verbs) -> bool {
        self.needed.get(path).is_some_and(|needed| needed.contains(verbs)) || self.optional.contains(&(path.to_owned(), verbs))
    }
}

impl Examined<'_> {
    /// What the role's routes need at an object; nothing where none is known.
    pub(super) async fn rights(&self, backend: &dyn Backend) -> Result<Rights, SendError> {
        let mut rights = Rights::of(self.part);
        let worker = self.operation.connections.get(&self.role.name);
        let own = self.own_object();
        let Some(object) = own.or_else(|| self.equipment.met(worker?)) else { return Ok(rights) };
        let Ok(path) = RequestPath::of_object(&format!("v1/{object}")) else { return Ok(rights) };
        // Whoever worked there knows what is there, also where the other credential may not ask.
        let known = worker.and_then(|worker| self.equipment.backend(worker)).and_then(|worker| worker.known_ground(&path));
        let ground = match known {
            Some(ground) => Some(ground),
            None => backend.ground(&path).await?,
        };
        if let Some(ground) = ground {
            let place = Place { object, key: object.strip_prefix(&ground.mount).unwrap_or_default().trim_matches('/'), ground: &ground };
            self.add_needs(&mut rights, backend, &place, own.is_some());
            add_foreign(&mut rights, backend, &place);
        }
        Ok(rights)
    }

    /// An object of the role that the step's changes may write.
    fn own_object(&self) -> Option<&str> {
        let mut objects = self.operation.changes.clone().map(ChangeNo).flat_map(|change| &self.plan.change(change).subject);
        objects.find(|object| object.role == self.role.name && object.member.is_none()).map(|object| object.path.as_str())
    }

    fn add_needs(&self, rights: &mut Rights, backend: &dyn Backend, place: &Place<'_>, writes: bool) {
        for route in &self.role.routes {
            let Some((known, path)) = place.request(backend, route) else { continue };
            let Some(verbs) = verbs(&route.method) else { continue };
            let is_key = place.is_about(known, &path, place.object);
            let path = below_v1(&path);
            match (known.class > RouteClass::Read, self.part) {
                // Settings and lists are for planning.
                (false, Part::Verify) if !is_key || route.method == "LIST" => {}
                // Folders are listed, not keys.
                (false, _) if route.method == "LIST" => rights.need(&parent(&path), verbs),
                (false, _) => rights.need(&path, verbs),
                (true, Part::Verify) => {}
                // What is in no change's subject is never written.
                (true, Part::Work) if writes && !self.is_conditional(route) => rights.need(&path, verbs),
                (true, Part::Work) => drop(rights.optional.insert((path, verbs))),
            }
        }
    }

    /// Whether a route is for an input that this step does not set: the input's schema names such routes, by role, under `x-routes`.
    fn is_conditional(&self, route: &Route) -> bool {
        let named = format!("{} {}", route.method, route.path);
        let names = |schema: &Value| {
            let routes = schema["x-routes"][&self.role.name].as_array();
            routes.is_some_and(|routes| routes.iter().any(|route| route.as_str() == Some(named.as_str())))
        };
        let inputs = self.described.input_schema["properties"].as_object();
        let mut naming = inputs.into_iter().flatten().filter(|(_, schema)| names(schema)).peekable();
        let is_set = |(name, _): (&String, &Value)| !matches!(self.operation.input[name.as_str()], Value::Null | Value::Bool(false));
        naming.peek().is_some() && !naming.any(is_set)
    }
}

/// An object and where it is.
struct Place<'p> {
    object: &'p str,
    /// The object below its mount.
    key: &'p str,
    ground: &'p Ground,
}

impl Place<'_> {
    /// The request of a route that is about this object, or a setting of its mount, as the kind knows it.
    fn request<'b>(&self, backend: &'b dyn Backend, route: &Route) -> Option<(&'b KindRoute, RequestPath)> {
        let template = Template::parse(&route.path).ok()?;
        let has_mount = template.variables().any(|(name, _)| name == "mount");
        let path = if has_mount { self.key } else { self.object };
        let variables = Variables::from([("mount", self.ground.mount.clone()), ("path", path.to_owned())]);
        let path = RequestPath::of_object(&template.expand(&variables)).ok()?;
        let known = backend.table().route(&route.method, &path, Some(self.ground)).filter(|known| known.ground.is_some())?;
        let about = [self.object, &self.ground.mount].into_iter().any(|object| self.is_about(known, &path, object));
        about.then_some((known, path))
    }

    fn is_about(&self, known: &KindRoute, path: &RequestPath, object: &str) -> bool {
        let Some(template) = &known.object else { return false };
        known.readings(path, Some(self.ground)).iter().any(|variables| template.expand(variables).trim_end_matches('/') == object)
    }
}

/// The writes that the kind has at this object, and that the role does not ask for.
fn add_foreign(rights: &mut Rights, backend: &dyn Backend, place: &Place<'_>) {
    let variables = Variables::from([("mount", place.ground.mount.clone()), ("path", place.key.to_owned())]);
    let writes = backend.table().routes.iter().filter(|known| known.class == RouteClass::Write && known.ground == Some(place.ground.sort));
    for known in writes {
        let (Ok(path), Some(verbs)) = (RequestPath::of_object(&known.path.expand(&variables)), verbs(known.method)) else { continue };
        let right = (below_v1(&path), verbs);
        if !rights.names(&right.0, verbs) && !rights.foreign.contains(&right) {
            rights.foreign.push(right);
        }
    }
}

/// What a method needs; a write of what is not there is another verb than that of what is.
fn verbs(method: &str) -> Option<Verbs> {
    Some(match method {
        "GET" => &["read"],
        "LIST" => &["list"],
        "PUT" | "POST" => &["create", "update"],
        "DELETE" => &["delete"],
        "PATCH" => &["patch"],
        _ => return None,
    })
}

/// As policies write paths.
fn below_v1(path: &RequestPath) -> String {
    path.object().trim_start_matches("v1/").to_owned()
}

/// The folder of a key, as a LIST names it.
fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or_else(|| format!("{path}/"), |(folder, _)| format!("{folder}/"))
}
