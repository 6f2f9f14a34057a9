//! What changed from one plan to another. Holds names, settings and counts, as plans do: never values of secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use cutover_engine::{Plan, PlannedChange, PlannedStep, StepNo, Work};
use serde::Serialize;
use serde_json::{Value, json};

use super::{palette, printable};
use crate::exit_code::ExitCode;

/// The difference of two plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanDiff {
    /// The digest of the older plan.
    pub older: String,
    /// The digest of the newer plan.
    pub newer: String,
    /// What is set for the whole plan, such as `inputs.prefix`.
    pub settings: Vec<Moved>,
    /// What is set for one step, such as `copy.rollout`; a whole step that came or went has no setting after its id.
    pub steps: Vec<Moved>,
    /// Changes by name.
    pub changes: Vec<Moved>,
    /// How many changes are in both plans and certainly equal.
    pub same: u64,
    /// How many changes have the same words, objects and losses in both plans, but bodies that differ. Most are equal:
    /// bodies name secrets by tokens, and each plan has its own.
    pub alike: u64,
    /// Counts of losses by step and code, such as `copy: file-comments`.
    pub losses: Vec<Moved>,
}

/// Something that is not the same in both plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// What.
    pub what: String,
    /// In the older plan; nothing if it is new.
    pub before: Option<String>,
    /// In the newer plan; nothing if it is gone.
    pub after: Option<String>,
}

/// More lines of one sort are counted, not listed.
const LISTED: usize = 50;

impl PlanDiff {
    /// Compares two plans.
    #[must_use]
    pub fn of(older: &Plan, newer: &Plan) -> Self {
        let (before, after) = (changes(older), changes(newer));
        let both = || before.iter().filter_map(|(name, change)| Some((*change, *after.get(name)?)));
        Self {
            older: older.digest.to_string(),
            newer: newer.digest.to_string(),
            settings: moved(&settings(older), &settings(newer)),
            steps: moved(&steps(older), &steps(newer)),
            same: both().filter(|(older, newer)| older.body == newer.body).count() as u64,
            alike: both().filter(|(older, newer)| older.body != newer.body && facts(older) == facts(newer)).count() as u64,
            changes: changes_moved(&before, &after),
            losses: moved(&losses(older), &losses(newer)),
        }
    }

    /// Whether the plans would do the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.settings, &self.steps, &self.changes, &self.losses].iter().all(|part| part.is_empty())
    }

    /// For people. With ANSI styles.
    #[must_use]
    pub fn text(&self) -> String {
        let strong = palette::STRONG;
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let mut out = format!("{strong}Plan {} -> {}{strong:#}\n", short(&self.older), short(&self.newer));
        match (self.is_empty(), self.alike) {
            (true, 0) => out.push_str("Both plans do the same.\n"),
            (true, _) => out.push_str("Both plans do the same, as far as can be seen without the secrets.\n"),
            _ => {}
        }
        for (label, part) in [("Settings", &self.settings), ("Steps", &self.steps), ("Changes", &self.changes), ("Losses", &self.losses)] {
            if part.is_empty() {
                continue;
            }
            let others = self.same + self.alike;
            let same = if label == "Changes" { format!(", {others} the same as far as can be seen") } else { String::new() };
            let _ = writeln!(out, "{strong}{label}{strong:#}  {}{same}", sums(part));
            part.iter().take(LISTED).for_each(|moved| out.push_str(&moved.line()));
            if part.len() > LISTED {
                let _ = writeln!(out, "  and {} more", part.len() - LISTED);
            }
        }
        out
    }

    /// For a pull request or ticket: the text as a block of code.
    #[must_use]
    pub fn markdown(&self) -> String {
        let text = anstream::adapter::strip_str(&self.text()).to_string();
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        format!("{fence}text\n{text}{fence}\n")
    }

    /// For programs: the difference itself, with `exit`.
    #[must_use]
    pub fn document(&self, exit: ExitCode) -> impl Serialize + '_ {
        Document { diff: self, exit }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    diff: &'a PlanDiff,
    exit: ExitCode,
}

impl Moved {
    fn line(&self) -> String {
        let what = printable::line(&self.what);
        let short = |text: &str| {
            let line: String = printable::line(text).chars().take(200).collect();
            line
        };
        match (&self.before, &self.after) {
            (None, Some(after)) => format!("  + {what}  {}\n", short(after)),
            (Some(before), None) => format!("  - {what}  {}\n", short(before)),
            (Some(before), Some(after)) => format!("  ~ {what}  {} -> {}\n", short(before), short(after)),
            (None, None) => String::new(),
        }
    }
}

fn sums(part: &[Moved]) -> String {
    let count = |test: fn(&Moved) -> bool| part.iter().filter(|moved| test(moved)).count();
    let sums = [
        (count(|moved| moved.before.is_none()), "added"),
        (count(|moved| moved.after.is_none()), "removed"),
        (count(|moved| moved.before.is_some() && moved.after.is_some()), "moved"),
    ];
    sums.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn moved(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Moved> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let pairs = names.into_iter().map(|name| (name, before.get(name), after.get(name)));
    let moved = pairs.filter(|(_, before, after)| before != after);
    moved.map(|(name, before, after)| Moved { what: name.clone(), before: before.cloned(), after: after.cloned() }).collect()
}

/// Everything of the header but the steps and the workflow's text, as `path: value`.
fn settings(plan: &Plan) -> BTreeMap<String, String> {
    let header = &plan.header;
    let mut out = BTreeMap::new();
    let span = |span: cutover_engine::Span| Value::from(span.exact());
    let dual_run = header
        .dual_run
        .as_ref()
        .map(|dual| json!({"from": ids(plan, &dual.from), "until": ids(plan, &dual.until), "min": span(dual.min), "max": span(dual.max)}));
    let whole = json!({
        "name": header.name,
        "owner": header.owner,
        "inputs": header.inputs,
        "on_failure": header.on_failure,
        "on_drift": header.on_drift,
        "keep_pre_images": span(header.keep_pre_images),
        "dual_run": dual_run,
        "connections": header.connections,
        "plugins": header.plugins,
    });
    flatten("", &whole, &mut out);
    out
}

/// Each step's own settings, and each step itself.
fn steps(plan: &Plan) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for step in &plan.header.steps {
        let (word, mut settings) = describe(step);
        out.insert(step.id.clone(), word);
        settings["needs"] = ids(plan, &step.needs);
        settings["changes"] = ids(plan, &step.linked);
        flatten(&step.id, &settings, &mut out);
    }
    out
}

/// The step in a word or two, and what is set for it. What follows from its changes, its place in the file and its
/// output is left out: changes have lines of their own.
fn describe(step: &PlannedStep) -> (String, Value) {
    let operation = match &step.work {
        Work::Operation(operation) => operation,
        Work::Wait { span, until } => {
            return ("gate".to_owned(), json!({"for": span.map(cutover_engine::Span::exact), "until": until.map(|time| time.to_string())}));
        }
    };
    let mut settings = json!(operation);
    if let Some(fields) = settings.as_object_mut() {
        for derived in ["changes", "output", "residue", "server_chosen"] {
            fields.remove(derived);
        }
        for (name, span) in [("timeout", operation.timeout), ("deadline", operation.deadline), ("backoff", operation.backoff)] {
            fields.insert(name.to_owned(), Value::from(span.exact()));
        }
        for probe in fields.get_mut("probes").and_then(Value::as_array_mut).into_iter().flatten() {
            probe.as_object_mut().map(|probe| probe.remove("place"));
        }
    }
    (format!("{}.{}", operation.plugin, operation.operation), settings)
}

fn ids(plan: &Plan, steps: &[StepNo]) -> Value {
    Value::from(steps.iter().map(|step| plan.step(*step).id.clone()).collect::<Vec<_>>().join(", "))
}

/// `path: value` for each leaf; lists are leaves.
fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, out);
            }
        }
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        Value::Array(list) if list.is_empty() => {}
        Value::String(text) => {
            out.insert(path.to_owned(), text.clone());
        }
        other => {
            out.insert(path.to_owned(), other.to_string());
        }
    }
}

fn changes(plan: &Plan) -> BTreeMap<String, &PlannedChange> {
    plan.changes.iter().map(|change| (format!("{}/{}", plan.step(change.step).id, change.id), change)).collect()
}

fn changes_moved(before: &BTreeMap<String, &PlannedChange>, after: &BTreeMap<String, &PlannedChange>) -> Vec<Moved> {
    let mut out = Vec::new();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (older, newer) = (before.get(name).copied(), after.get(name).copied());
        let (before, after) = match (older, newer) {
            (Some(older), Some(newer)) if older.body == newer.body || facts(older) == facts(newer) => continue,
            // Equal words about different objects would look like a mistake.
            (Some(older), Some(newer)) if words(older) == words(newer) => (Some(details(older)), Some(details(newer))),
            _ => (older.map(words), newer.map(words)),
        };
        out.push(Moved { what: name.clone(), before, after });
    }
    out
}

fn words(change: &PlannedChange) -> String {
    let action = serde_json::to_value(change.action).ok();
    format!("{}: {}", action.as_ref().and_then(Value::as_str).unwrap_or_default(), change.summary)
}

/// What can be compared without the plan's sealing key.
fn facts(change: &PlannedChange) -> (String, String) {
    (words(change), details(change))
}

/// What it writes and loses.
fn details(change: &PlannedChange) -> String {
    let objects: Vec<String> = change.subject.iter().map(ToString::to_string).collect();
    let losses: Vec<String> = change.losses.iter().map(|loss| format!("{} ({}): {}", loss.code, loss.count, loss.detail)).collect();
    let group = change.group.iter().map(|group| format!("group {group}"));
    std::iter::once(format!("writes {}", objects.join(", "))).chain(group).chain(losses).collect::<Vec<_>>().join("; ")
}

fn losses(plan: &Plan) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for change in &plan.changes {
        for loss in &change.losses {
            *sums.entry(format!("{}: {}", plan.step(change.step).id, loss.code)).or_default() += u64::from(loss.count);
        }
    }
    sums.into_iter().map(|(name, count)| (name, count.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(what: &str, before: Option<&str>, after: Option<&str>) -> Moved {
        Moved { what: what.into(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    fn example() -> PlanDiff {
        PlanDiff {
            older: "9c41e2aa01ff".repeat(5),
            newer: "5be0a1b2c3d4".repeat(5),
            settings: vec![one("inputs.prefix", Some("payments/"), Some("pay/"))],
            steps: vec![one("check", None, Some("vault.copy-files")), one("copy.max_failed", Some("0"), Some("2"))],
            changes: vec![
                one("copy/a", Some("create: copy a"), None),
                one("copy/b", Some("writes target:a"), Some("writes target:b")),
                one("copy/c", None, Some("create: copy \u{1b}[31mc")),
            ],
            same: 300,
            alike: 9,
            losses: vec![one("copy: file-comments", Some("3"), Some("4"))],
        }
    }

    #[test]
    fn text_counts_and_lists() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&example().text()), @r"
        Plan 9c41e2aa01ff -> 5be0a1b2c3d4
        Settings  1 moved
          ~ inputs.prefix  payments/ -> pay/
        Steps  1 added, 1 moved
          + check  vault.copy-files
          ~ copy.max_failed  0 -> 2
        Changes  1 added, 1 removed, 1 moved, 309 the same as far as can be seen
          - copy/a  create: copy a
          ~ copy/b  writes target:a -> writes target:b
          + copy/c  create: copy \u{1b}[31mc
        Losses  1 moved
          ~ copy: file-comments  3 -> 4
        ");
    }

    #[test]
    fn long_lists_are_counted() {
        let changes = (0..20_000).map(|number| one(&format!("copy/{number}"), None, Some("create: x"))).collect();
        let text = PlanDiff { changes, ..example() }.text();
        assert!(text.lines().count() < 70 && text.contains("20000 added") && text.contains("and 19950 more"), "{text}");
    }

    #[test]
    fn leaves_are_named_by_their_path() {
        let mut out = BTreeMap::new();
        flatten("", &json!({"a": {"b": 1, "c": [1, 2], "d": null, "e": []}, "f": "x"}), &mut out);
        let expected = [("a.b", "1"), ("a.c", "[1,2]"), ("f", "x")].map(|(path, value)| (path.to_owned(), value.to_owned()));
        assert_eq!(out, BTreeMap::from(expected));
    }
}
