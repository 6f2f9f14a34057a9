//! Compares what the credentials of a plan can do with what its steps need: too little stops a run half-way, too much is a
//! danger that nobody asked for.

mod life;
mod rights;

use std::collections::BTreeSet;

use cutover_engine::{Failure, Plan, Span};
use serde::Serialize;

use self::rights::{Examined, Part, Rights};
use crate::{
    connection::{Access, SendError},
    equipment::Equipment,
};

/// Writes that no step's credential should be able to do, each below a name that nobody uses.
const NEVER: [&str; 3] = ["sys/policies/acl/cutover-doctor", "sys/mounts/cutover-doctor", "sys/auth/cutover-doctor"];

/// How far the clocks may be apart, in milliseconds: answers carry whole seconds, and take a while.
const APART: u64 = 5_000;

/// What is wrong with a credential, or where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A right is missing: the step would fail.
    Missing,
    /// It ends before the run can.
    Short,
    /// What it can do could not be asked, or not all of it.
    Unknown,
    /// It can do more than its step needs.
    Excess,
    /// Its server's clock and this machine's are apart.
    Clock,
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

/// Looks at every connection of every step whose kind can say what a credential can do: at those that work, and at those
/// that only verify. One that cannot be asked is a finding of its own, at the first step that uses it.
///
/// # Errors
/// If the plan has an operation that no plugin of `equipment` has.
pub async fn examine(plan: &Plan, equipment: &Equipment) -> Result<Vec<Finding>, Failure> {
    let mut findings = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for (number, step) in plan.header.steps.iter().enumerate() {
        let Some(operation) = step.operation() else { continue };
        let described = equipment.operation(&operation.plugin, &operation.operation)?;
        let needed = life::needed(&plan.header.steps, plan.header.dual_run.as_ref(), number);
        for role in &described.roles {
            for (part, players) in [(Part::Work, &operation.connections), (Part::Verify, &operation.verify_with)] {
                let Some(connection) = players.get(&role.name).filter(|connection| !silent.contains(*connection)) else { continue };
                let examined = Examined { plan, equipment, operation, described, role, part };
                let found = examined.findings(connection, needed).await.unwrap_or_else(|error| {
                    silent.insert(connection.clone());
                    vec![(Fault::Unknown, format!("what it can do could not be asked: {}", text(error)))]
                });
                let finding =
                    |(fault, text)| Finding { fault, step: step.id.clone(), role: role.name.clone(), connection: connection.clone(), text };
                findings.extend(found.into_iter().map(finding));
            }
        }
    }
    Ok(findings.into_iter().collect())
}

impl Examined<'_> {
    async fn findings(&self, connection: &str, needed: Span) -> Result<Vec<(Fault, String)>, SendError> {
        let Some(backend) = self.equipment.backend(connection) else { return Ok(Vec::new()) };
        let rights = self.rights(&**backend).await?;
        let asked = rights.paths().chain(NEVER.map(str::to_owned)).collect();
        let Some(access) = backend.access(asked).await? else { return Ok(Vec::new()) };
        Ok(judged(&access, &rights, needed))
    }
}

fn judged(access: &Access, rights: &Rights, needed: Span) -> Vec<(Fault, String)> {
    let mut findings: Vec<_> = access.ahead.and_then(apart).map(|text| (Fault::Clock, text)).into_iter().collect();
    let is_root = |verbs: &Vec<String>| verbs.iter().any(|verb| verb == "root");
    if access.policies.iter().any(|policy| policy == "root") || access.verbs.values().any(is_root) {
        findings.push((Fault::Excess, "it is a root token: give the step a policy of its own".to_owned()));
        return findings;
    }
    let can =
        |path: &str, verbs: &[&str]| access.verbs.get(path).is_some_and(|held| held.iter().any(|verb| verbs.contains(&verb.as_str())));
    for (path, verbs) in rights.needed() {
        if !can(path, verbs) {
            findings.push((Fault::Missing, format!("it cannot {} `{path}`", verbs.join(" or "))));
        }
    }
    for (path, verbs) in &rights.foreign {
        if can(path, verbs) {
            findings.push((Fault::Excess, format!("it can {} `{path}`, which {} never does", verbs.join(" or "), rights.part.name())));
        }
    }
    for path in NEVER {
        if can(path, &["create", "update", "delete", "sudo"]) {
            findings.push((Fault::Excess, format!("it can change `{path}`")));
        }
    }
    if let Some(why) = &access.untold {
        findings.push((Fault::Unknown, format!("how long it lives could not be asked: {why}")));
    }
    if let Some(ttl) = access.ttl.filter(|ttl| *ttl < needed) {
        let (ttl, needed) = (ttl.0 / 1_000, needed.0 / 1_000);
        findings.push((Fault::Short, format!("it lives for {ttl} s, and the run may need it for {needed} s: waits, soak and work")));
    }
    findings
}

/// Waits and windows of a run go by this machine's clock, lives of tokens and timers by the server's.
fn apart(ahead: i64) -> Option<String> {
    let seconds = ahead.unsigned_abs().div_ceil(1_000);
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    (ahead.unsigned_abs() > APART).then(|| format!("its server's clock is {seconds} s {side} this machine's: set them right (NTP)"))
}

fn text(error: SendError) -> String {
    match error {
        SendError::NotSent { failure } => failure.to_string(),
        SendError::Lost { text } => text,
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
            untold: None,
            ahead: Some(-1_500),
        }
    }

    fn faults(access: &Access) -> Vec<(Fault, String)> {
        let write: &'static [&'static str] = &["create", "update"];
        let mut rights = Rights::of(Part::Work);
        rights.need("kv/data/a", &["read"]);
        rights.need("kv/data/a", write);
        rights.foreign.push(("kv/destroy/a".to_owned(), write));
        judged(access, &rights, Span::seconds(3_600))
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
        for policies in [&["root"][..], &[]] {
            let found = faults(&access(&[("kv/data/a", &["root"])], policies, None));
            assert!(matches!(found.as_slice(), [(Fault::Excess, text)] if text.contains("root token")), "{found:?}");
        }
    }

    #[test]
    fn clocks_that_are_apart_are_told_with_their_side() {
        let held = access(&[("kv/data/a", &["root"])], &["root"], None);
        let told = |ahead| faults(&Access { ahead: Some(ahead), ..held.clone() }).swap_remove(0);
        assert_eq!(told(73_001), (Fault::Clock, "its server's clock is 74 s ahead of this machine's: set them right (NTP)".to_owned()));
        assert!(told(-60_000).1.contains("60 s behind this machine's"));
        assert_eq!(told(5_000).0, Fault::Excess);
    }

    #[test]
    fn a_life_that_is_not_told_is_a_finding_beside_the_others() {
        let held = access(&[("kv/data/a", &["read"])], &[], None);
        let found = faults(&Access { untold: Some("403".to_owned()), ..held });
        let faults: Vec<Fault> = found.iter().map(|(fault, _)| *fault).collect();
        assert_eq!(faults, [Fault::Missing, Fault::Unknown], "{found:?}");
    }
}
