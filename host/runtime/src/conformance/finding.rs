//! What was found about each rule.

use std::collections::BTreeMap;

use cutover_engine::Failure;
use serde::Serialize;

use super::{bench::Bench, rule::Rule};

/// What was found about one rule in one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// In words.
    pub title: &'static str,
    /// What was found.
    pub found: Found,
    /// What happened where it is broken; why not where it was not looked at. Without values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do where it is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It is kept.
    Kept,
    /// It is broken.
    Broken,
    /// It was not looked at.
    Unseen,
}

/// What was found so far. Of several reasons the first counts: later ones often follow from it.
#[derive(Default)]
pub(super) struct Findings {
    kept: Vec<Rule>,
    broken: BTreeMap<Rule, String>,
    unseen: BTreeMap<Rule, &'static str>,
}

impl Findings {
    /// The rule was looked at and kept.
    pub(super) fn kept(&mut self, rule: Rule) {
        self.kept.push(rule);
    }

    /// The rule is broken.
    pub(super) fn broken(&mut self, rule: Rule, reason: impl Into<String>) {
        self.broken.entry(rule).or_insert_with(|| reason.into());
    }

    /// The rule cannot be looked at in this operation.
    pub(super) fn unseen(&mut self, rule: Rule, why: &'static str) {
        self.unseen.insert(rule, why);
    }

    /// What a hook returned; a failure breaks a rule: one that the host found, or else `otherwise`.
    pub(super) fn of<T>(&mut self, hook: &str, result: Result<T, Failure>, otherwise: Rule) -> Option<T> {
        result.map_err(|failure| self.broken(Rule::broken_by(&failure, otherwise), format!("{hook}: {failure}"))).ok()
    }

    /// One finding for each rule that binds the bench's operation.
    pub(super) fn close(mut self, bench: &Bench) -> Vec<Finding> {
        for leak in bench.canaries.leaks() {
            self.broken(Rule::KeepsSecrets, leak);
        }
        let rules = Rule::ALL.into_iter().filter(|rule| rule.binds(bench.operation.purpose));
        rules.map(|rule| self.finding(rule)).collect()
    }

    fn finding(&self, rule: Rule) -> Finding {
        // These two are looked at with every call.
        let always = matches!(rule, Rule::KeepsSecrets | Rule::AsksWhatItSaid);
        let (found, reason, next) = match self.broken.get(&rule) {
            Some(reason) => (Found::Broken, Some(reason.clone()), Some(rule.advice())),
            None if always || self.kept.contains(&rule) => (Found::Kept, None, None),
            None => (Found::Unseen, Some(self.unseen.get(&rule).copied().unwrap_or("what is broken above hides it").to_owned()), None),
        };
        Finding { rule, title: rule.title(), found, reason, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_broken_once_stays_broken() {
        let mut findings = Findings::default();
        findings.kept(Rule::ApplyTwice);
        findings.broken(Rule::ApplyTwice, "first");
        findings.broken(Rule::ApplyTwice, "second");
        findings.kept(Rule::ApplyTwice);
        let finding = findings.finding(Rule::ApplyTwice);
        assert_eq!((finding.found, finding.reason.as_deref()), (Found::Broken, Some("first")));
        assert_eq!(finding.next, Some(Rule::ApplyTwice.advice()));
    }

    #[test]
    fn a_rule_that_nobody_looked_at_is_not_kept() {
        let mut findings = Findings::default();
        assert_eq!(findings.finding(Rule::RollbackInverts).found, Found::Unseen);
        findings.unseen(Rule::RollbackInverts, "the operation is irreversible");
        assert_eq!(findings.finding(Rule::RollbackInverts).reason.as_deref(), Some("the operation is irreversible"));
    }
}
