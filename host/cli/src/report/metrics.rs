//! Runs as metrics, made of the same fold as everything else that is shown. The form is Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), the names follow its conventions: a prefix, base units.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use cutover_engine::{ChangeNo, Ending, Phase, Plan, Purpose, Run, StepNo};
use serde::Serialize;

use super::{ending::EndingWord, standing::Standing};

/// Every phase of a change: a series that is there once stays, with 0 if nothing is there any more.
const PHASES: [(Phase, &str); 11] = [
    (Phase::Planned, "planned"),
    (Phase::Captured, "captured"),
    (Phase::Applied, "applied"),
    (Phase::Verified, "verified"),
    (Phase::Proven, "proven"),
    (Phase::Failed, "failed"),
    (Phase::Unknown, "unknown"),
    (Phase::GoingBack, "going-back"),
    (Phase::RolledBack, "rolled-back"),
    (Phase::Stuck, "stuck"),
    (Phase::Deferred, "deferred"),
];
/// Every state of a run.
const STATES: [(EndingWord, &str); 8] = [
    (EndingWord::Completed, "completed"),
    (EndingWord::RolledBack, "rolled-back"),
    (EndingWord::Stuck, "stuck"),
    (EndingWord::Paused, "paused"),
    (EndingWord::Interrupted, "interrupted"),
    (EndingWord::Waiting, "waiting"),
    (EndingWord::Running, "running"),
    (EndingWord::BrokenOff, "broken-off"),
];

/// Metrics by name, in the order in which they are printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exposition {
    /// All samples of a metric stand together, as the format wants it.
    pub metrics: Vec<Metric>,
}

/// One metric and its samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Each is a gauge: all of them may fall.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One for each set of labels.
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// By label.
    pub labels: BTreeMap<&'static str, String>,
    /// In the metric's unit.
    pub value: f64,
}

impl Exposition {
    /// The metrics of these runs.
    #[must_use]
    pub fn of(runs: &[Standing<'_>]) -> Self {
        let mut metrics = Vec::new();
        for (name, help, samples) in FAMILIES {
            let samples: Vec<Sample> = runs.iter().flat_map(|run| samples(run)).collect();
            if !samples.is_empty() {
                metrics.push(Metric { name, help, kind: "gauge", samples });
            }
        }
        Self { metrics }
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for Metric { name, help, kind, samples } in &self.metrics {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for Sample { labels, value } in samples {
                let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
                let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
            }
        }
        out
    }
}

/// Makes the samples of one metric for one run.
type Samples = fn(&Standing<'_>) -> Vec<Sample>;

const FAMILIES: [(&str, &str, Samples); 11] = [
    ("cutover_run_info", "The run's workflow and its owner; always 1.", info),
    ("cutover_run_state", "1 for the state in which the run is, 0 for the others.", state),
    ("cutover_run_start_timestamp_seconds", "When the run began, since the epoch.", began),
    ("cutover_run_last_event_timestamp_seconds", "When something last happened in the run, since the epoch.", last_event),
    ("cutover_changes", "Changes of a step by state.", changes),
    ("cutover_changes_verified", "Changes that stand and are verified, or proven.", |run| {
        one(run, count(run.run, |phase| matches!(phase, Phase::Verified | Phase::Proven)))
    }),
    ("cutover_changes_rolled_back", "Changes that are back as they were, checked.", |run| {
        one(run, count(run.run, |phase| phase == Phase::RolledBack))
    }),
    ("cutover_overlap_open_seconds", "How long old and new have both worked; 0 unless a dual run is under way.", overlap),
    ("cutover_overlap_limit_seconds", "How long old and new may both work.", overlap_limit),
    ("cutover_standing_credentials", "Old paths that the run shall end and that are not proven dead.", |run| {
        one(run, ends_of_old_paths(run.run).filter(|change| run.run.phase(*change) != Phase::Proven).count())
    }),
    ("cutover_secrets_at_source", "Changes whose source is not proven retired: what they moved is in the old place, too.", |run| {
        one(run, at_the_source(run.run))
    }),
];

fn info(run: &Standing<'_>) -> Vec<Sample> {
    let header = &run.run.plan().header;
    vec![sample(run, &[("workflow", &header.name), ("owner", &header.owner)], 1.0)]
}

fn state(run: &Standing<'_>) -> Vec<Sample> {
    let word = run.word();
    STATES.iter().map(|(state, name)| sample(run, &[("state", name)], if *state == word { 1.0 } else { 0.0 })).collect()
}

fn began(run: &Standing<'_>) -> Vec<Sample> {
    run.began.map(|began| sample(run, &[], seconds(began.0))).into_iter().collect()
}

fn last_event(run: &Standing<'_>) -> Vec<Sample> {
    run.began.map(|_| sample(run, &[], seconds(run.run.last_event().0))).into_iter().collect()
}

fn changes(run: &Standing<'_>) -> Vec<Sample> {
    let plan = run.run.plan();
    let mut samples = Vec::new();
    for step in run.run.steps().filter(|step| plan.step(step.step).operation().is_some()) {
        for (phase, name) in PHASES {
            let count = step.counts.iter().find(|(found, _)| *found == phase).map_or(0, |(_, count)| *count);
            samples.push(sample(run, &[("step", &plan.step(step.step).id), ("state", name)], f64::from(count)));
        }
    }
    samples
}

fn overlap(run: &Standing<'_>) -> Vec<Sample> {
    if run.run.plan().header.dual_run.is_none() {
        return Vec::new();
    }
    let is_over = matches!(run.run.ending(), Some(Ending::Completed | Ending::RolledBack));
    let open = run.run.dual_run(run.now).filter(|_| !is_over).map_or(0.0, |(span, _)| seconds(span.0));
    vec![sample(run, &[], open)]
}

fn overlap_limit(run: &Standing<'_>) -> Vec<Sample> {
    run.run.plan().header.dual_run.as_ref().map(|dual_run| sample(run, &[], seconds(dual_run.max.0))).into_iter().collect()
}

fn one(run: &Standing<'_>, count: usize) -> Vec<Sample> {
    #[expect(clippy::cast_precision_loss, reason = "plans have far less than 2^52 changes")]
    let value = count as f64;
    vec![sample(run, &[], value)]
}

fn count(run: &Run, wanted: impl Fn(Phase) -> bool) -> usize {
    changes_of(run.plan()).filter(|change| wanted(run.phase(*change))).count()
}

/// The changes of steps that end old paths.
fn ends_of_old_paths(run: &Run) -> impl Iterator<Item = ChangeNo> + '_ {
    changes_of(run.plan()).filter(|change| run.plan().operation_of(*change).purpose == Purpose::Retire)
}

/// How many changes of steps that move something have no proven retirement that links them.
fn at_the_source(run: &Run) -> usize {
    let plan = run.plan();
    let proven = ends_of_old_paths(run).filter(|change| run.phase(*change) == Phase::Proven);
    let retired: BTreeSet<ChangeNo> = proven.flat_map(|change| plan.change(change).links.iter().copied()).collect();
    let moves = |change: &ChangeNo| plan.operation_of(*change).purpose == Purpose::Migrate;
    changes_of(plan).filter(|change| moves(change) && !retired.contains(change)).count()
}

fn changes_of(plan: &Plan) -> impl Iterator<Item = ChangeNo> + '_ {
    (0u32..).map(StepNo).take(plan.header.steps.len()).flat_map(|step| plan.changes_of(step))
}

fn sample(run: &Standing<'_>, labels: &[(&'static str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|(label, text)| (*label, (*text).to_owned()));
    Sample { labels: labels.chain([("run", run.id.to_string())]).collect(), value }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit into 52 bits")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Inside of a label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_line() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
