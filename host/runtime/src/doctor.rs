//! Compares what the credentials of a plan can do with what its steps need: too little stops a run half-way, too much is a
//! danger that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use cutover_engine::{Failure, Plan, PlannedOperation, PlannedStep, Role, RouteClass, Span, Work};
use serde::Serialize;

use crate::{
    connection::{Access, Backend, SendError},
    equipment::Equipment,
    policy::{Ground, RequestPath, Template, Variables},
};

/// Beyond the waits of a run, so much life should be left for the work itself.
const WORK: Span = Span::seconds(600);
/// Writes that no step's credential should be able to do, each below a name that nobody uses.
const NEVER: [&str; 3] = ["sys/policies/acl/cutover-doctor", "sys/mounts/cutover-doctor", "sys/auth/cutover-doctor"];

/// What is wrong with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A right is missing: the step would fail.
    Missing,
    /// It ends before the run can.
    Short,
    /// It can do more than its step needs.
    Excess,
}

/// One finding about the credential of a role in a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// The step.
    pub step: String,
    /// The role.
    pub role: String,
    /// The connection.
    pub connection: String,
    /// In words, without values.
    pub text: String,
}

/// Looks at every connection of every step whose kind can say what a credential can do.
///
/// # Errors
/// If a backend cannot be asked.
pub async fn examine(plan: &Plan, equipment: &Equipment) -> Result<Vec<Finding>, Failure> {
    let mut findings = BTreeSet::new();
    for step in &plan.header.steps {
        let Some(operation) = step.operation() else { continue };
        let described = equipment.operation(&operation.plugin, &operation.operation)?;
        for role in &described.roles {
            let Some(connection) = operation.connections.get(&role.name) else { continue };
            let Some(backend) = equipment.backend(connection) else { continue };
            let found = Examined { plan, step, operation, role }.findings(backend.as_ref()).await.map_err(failure)?;
            findings.extend(found.into_iter().map(|(fault, text)| Finding {
                fault,
                step: step.id.clone(),
                role: role.name.clone(),
                connection: connection.clone(),
                text,
            }));
        }
    }
    Ok(findings.into_iter().collect())
}

/// One role of one step.
struct Examined<'p> {
    plan: &'p Plan,
    step: &'p PlannedStep,
    operation: &'p PlannedOperation,
    role: &'p Role,
}

/// Path → verbs of which one is needed.
type Needs = BTreeMap<String, BTreeSet<&'static [&'static str]>>;

impl Examined<'_> {
    async fn findings(&self, backend: &dyn Backend) -> Result<Vec<(Fault, String)>, SendError> {
        // One object stands for all: a policy that tells keys of one step apart is seen by the run itself.
        let object = self.object();
        let ground = match &object {
            Some(object) => match RequestPath::of_object(&format!("v1/{object}")) {
                Ok(path) => backend.ground(&path).await?,
                Err(_) => None,
            },
            None => None,
        };
        let (needs, others) = match (&object, &ground) {
            (Some(object), Some(ground)) => self.needs(backend, object, ground),
            _ => (Needs::new(), Vec::new()),
        };
        let asked = needs.keys().cloned().chain(others.iter().map(|(path, _)| path.clone())).chain(NEVER.map(str::to_owned));
        let Some(access) = backend.access(asked.collect()).await? else { return Ok(Vec::new()) };
        Ok(judged(&access, &needs, &others, self.expected()))
    }

    /// An object of the role: of the step's own changes.
    fn object(&self) -> Option<String> {
        let changes = self.operation.changes.clone().map(cutover_engine::ChangeNo);
        let mut objects = changes.flat_map(|change| self.plan.change(change).subject.iter());
        objects.find(|object| object.role == self.role.name && object.member.is_none()).map(|object| object.path.clone())
    }

    /// What the role's routes need at the object, and the writes that the kind has there and the role does not ask for.
    fn needs(&self, backend: &dyn Backend, object: &str, ground: &Ground) -> (Needs, Vec<(String, &'static [&'static str])>) {
        let key = object.strip_prefix(&ground.mount).unwrap_or_default().trim_matches('/').to_owned();
        let variables = Variables::from([("mount", ground.mount.clone()), ("path", key)]);
        let mut needs = Needs::new();
        for route in &self.role.routes {
            let Ok(template) = Template::parse(&route.path) else { continue };
            let Ok(path) = RequestPath::of_object(&template.expand(&variables)) else { continue };
            let is_of_kind = backend.table().route(&route.method, &path, Some(ground)).is_some_and(|known| known.ground.is_some());
            if is_of_kind && let Some(verbs) = verbs(&route.method) {
                let path = below_v1(&path);
                // Folders are listed, not keys.
                let path = if route.method == "LIST" { parent(&path) } else { path };
                needs.entry(path).or_default().insert(verbs);
            }
        }
        let mut others = Vec::new();
        for known in backend.table().routes.iter().filter(|known| known.class == RouteClass::Write && known.ground == Some(ground.sort)) {
            let (Ok(path), Some(verbs)) = (RequestPath::of_object(&known.path.expand(&variables)), verbs(known.method)) else { continue };
            let path = below_v1(&path);
            if !needs.get(&path).is_some_and(|needed| needed.contains(verbs)) && !others.contains(&(path.clone(), verbs)) {
                others.push((path, verbs));
            }
        }
        (needs, others)
    }

    /// How long the run waits at least, from its start to the end of this step.
    fn expected(&self) -> Span {
        let gates = self.plan.header.steps.iter().filter_map(|step| match &step.work {
            Work::Wait { span, .. } => *span,
            Work::Operation(_) => None,
        });
        let soak = self.plan.header.dual_run.as_ref().filter(|dual| dual.until.iter().any(|step| self.plan.step(*step).id == self.step.id));
        Span(gates.map(|span| span.0).sum::<u64>() + soak.map_or(0, |dual| dual.min.0) + WORK.0)
    }
}

fn judged(access: &Access, needs: &Needs, others: &[(String, &'static [&'static str])], expected: Span) -> Vec<(Fault, String)> {
    let mut findings = Vec::new();
    if access.policies.iter().any(|policy| policy == "root") {
        return vec![(Fault::Excess, "it is a root token: give the step a policy of its own".to_owned())];
    }
    let can = |path: &str, verbs: &[&str]| {
        access.verbs.get(path).is_some_and(|held| held.iter().any(|verb| verb == "root" || verbs.contains(&verb.as_str())))
    };
    for (path, verbs) in needs.iter().flat_map(|(path, all)| all.iter().map(move |verbs| (path, verbs))) {
        if !can(path, verbs) {
            findings.push((Fault::Missing, format!("it cannot {} `{path}`", verbs.join(" or "))));
        }
    }
    for (path, verbs) in others {
        if can(path, verbs) {
            findings.push((Fault::Excess, format!("it can {} `{path}`, which the step never does", verbs.join(" or "))));
        }
    }
    for path in NEVER {
        if can(path, &["create", "update", "delete", "sudo"]) {
            findings.push((Fault::Excess, format!("it can change `{path}`")));
        }
    }
    if let Some(ttl) = access.ttl.filter(|ttl| *ttl < expected) {
        findings
            .push((Fault::Short, format!("it lives for {} s, the run may need {} s up to this step", ttl.0 / 1_000, expected.0 / 1_000)));
    }
    findings
}

/// What a method needs; a write of what is not there is another verb than that of what is.
fn verbs(method: &str) -> Option<&'static [&'static str]> {
    Some(match method {
        "GET" => &["read"],
        "LIST" => &["list"],
        "PUT" | "POST" => &["create", "update"],
        "DELETE" => &["delete"],
        // Partial writes are a convenience: whoever needs them says so when one is refused.
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

fn failure(error: SendError) -> Failure {
    match error {
        SendError::NotSent { failure } => failure,
        SendError::Lost { text } => Failure { case: cutover_engine::FailureCase::Unavailable, code: Some("CUT3405".to_owned()), text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(verbs: &[(&str, &[&str])], policies: &[&str], ttl: Option<u64>) -> Access {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Access {
            verbs: verbs.iter().map(|(path, held)| ((*path).to_owned(), words(held))).collect(),
            policies: words(policies),
            ttl: ttl.map(Span::seconds),
        }
    }

    fn faults(access: &Access) -> Vec<(Fault, String)> {
        let read: &'static [&'static str] = &["read"];
        let write: &'static [&'static str] = &["create", "update"];
        let needs = Needs::from([("kv/data/a".to_owned(), BTreeSet::from([read, write]))]);
        judged(access, &needs, &[("kv/destroy/a".to_owned(), write)], Span::seconds(3_600))
    }

    #[test]
    fn enough_and_no_more_is_no_finding() {
        assert_eq!(faults(&access(&[("kv/data/a", &["read", "update"])], &["target"], None)), []);
        assert_eq!(faults(&access(&[("kv/data/a", &["read", "create"])], &["target"], Some(3_600))), []);
    }

    #[test]
    fn each_fault_is_named_with_its_path() {
        let found = faults(&access(
            &[("kv/data/a", &["read"]), ("kv/destroy/a", &["update"]), ("sys/mounts/cutover-doctor", &["sudo"])],
            &["default"],
            Some(60),
        ));
        let faults: Vec<Fault> = found.iter().map(|(fault, _)| *fault).collect();
        assert_eq!(faults, [Fault::Missing, Fault::Excess, Fault::Excess, Fault::Short]);
        assert_eq!(found[0].1, "it cannot create or update `kv/data/a`");
        assert_eq!(found[1].1, "it can create or update `kv/destroy/a`, which the step never does");
        assert!(found[3].1.contains("60 s") && found[3].1.contains("3600 s"));
    }

    #[test]
    fn a_root_token_says_it_all() {
        let found = faults(&access(&[("kv/data/a", &["root"])], &["root"], None));
        assert!(matches!(found.as_slice(), [(Fault::Excess, text)] if text.contains("root token")), "{found:?}");
    }
}
