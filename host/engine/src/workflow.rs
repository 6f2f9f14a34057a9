//! A workflow as it was written: text becomes a [`Workflow`] and a list of everything that is wrong with it.
//!
//! Reading goes in stages, and each goes on after a mistake: limits, TOML, shape ([`Workflow::parse`]), names,
//! then types and rules against the plugins' manifests ([`Workflow::check`]).

mod check;
mod connection;
mod dual_run;
mod input;
mod instance;
mod length;
mod limit;
mod order;
mod plugin;
mod probe;
mod reader;
mod rollout;
mod source;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

pub use connection::{
    Address, Connection, ConnectionKind, FileConnection, HttpConnection, HttpLogin, ReadRoute, Recipient, VaultConnection, VaultLogin,
    authority,
};
pub use dual_run::DualRun;
pub use input::{Input, InputType};
pub use instance::Instance;
pub use length::Length;
pub use plugin::{PluginEntry, PluginOrigin};
pub use probe::Probe;
pub use rollout::{Quota, Rollout};
pub use source::Source;
pub use step::{Binding, Body, PlaintextGrant, Retry, Step, StepId, Task, Uses, Wait};

use self::{
    order::Names,
    reader::{Fields, Reader},
};
use crate::{
    diagnostic::{Diagnostic, Place, Placed},
    name::{checked_name, is_identifier},
    plan::{OnDrift, OnFailure},
    timestamp::Span,
};

checked_name! {
    /// A workflow's name.
    WorkflowName, "workflow name", is_identifier
}

/// The edition of the language that this crate reads.
const EDITION: &str = "1";

/// One workflow file.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Its name.
    pub name: Placed<WorkflowName>,
    /// Who answers for it.
    pub owner: Option<Placed<String>>,
    /// What follows a failure. Default rollback.
    pub on_failure: OnFailure,
    /// What follows a plan that no longer fits the world. Default stop.
    pub on_drift: OnDrift,
    /// How long pre-images are kept after the end of a run. Default 72h.
    pub keep_pre_images: Span,
    /// By name.
    pub inputs: BTreeMap<String, Input>,
    /// By alias.
    pub plugins: BTreeMap<String, PluginEntry>,
    /// By name.
    pub connections: BTreeMap<String, Connection>,
    /// The bound on old and new working side by side.
    pub dual_run: Option<DualRun>,
    /// In file order; `Step::after` says what waits for what.
    pub steps: Vec<Step>,
    /// Names of `[plugins]`, those of broken entries included.
    known_plugins: BTreeSet<String>,
    /// Names of `[connections]`, those of broken entries included.
    known_connections: BTreeSet<String>,
}

impl Workflow {
    /// Reads a file. The workflow is there even with errors if its outline could be read, so that `check` can add
    /// what it finds; run it only if no diagnostic is an error.
    #[must_use]
    pub fn parse(text: &str) -> (Option<Self>, Vec<Diagnostic>) {
        if let Some(problem) = limit::broken(text) {
            return (None, vec![problem]);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader::new(text);
        let is_toml = errors.is_empty();
        for error in errors {
            let place = error.span().map(Place::from);
            reader.report(Diagnostic::error("CUT0101", place, error.message().to_owned()));
        }
        let mut fields = Fields::new(table.get_ref(), Place { start: 0, end: 0 }, "a workflow");
        if !check_edition(&mut reader, &mut fields, is_toml) {
            return (None, reader.problems);
        }
        let workflow = read(&mut reader, fields, is_toml);
        let mut problems = reader.problems;
        sort(&mut problems);
        (workflow, problems)
    }

    /// The steps, in file order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The index of a step.
    #[must_use]
    pub fn position(&self, id: &StepId) -> Option<usize> {
        self.steps.iter().position(|step| step.id.value == *id)
    }

    /// Every length of time that may come from an input.
    fn lengths(&self) -> impl Iterator<Item = &Placed<Length>> {
        let dual_run = self.dual_run.iter().flat_map(|dual_run| [&dual_run.min, &dual_run.max]);
        self.steps.iter().filter_map(Step::wait).chain(dual_run)
    }

    /// The indices of all steps that the one at `position` comes after.
    #[must_use]
    pub fn ancestors(&self, position: usize) -> BTreeSet<usize> {
        order::ancestors(&self.steps, position)
    }
}

/// In the order of the file; the same problem only once.
fn sort(problems: &mut Vec<Diagnostic>) {
    problems.sort_by(|left, right| (left.place, left.code, &left.message).cmp(&(right.place, right.code, &right.message)));
    problems.dedup();
}

/// Another edition is the only thing that is said about a file.
fn check_edition(reader: &mut Reader<'_>, fields: &mut Fields<'_>, is_toml: bool) -> bool {
    match fields.take("cutover") {
        None => {
            if is_toml {
                let problem = Diagnostic::error("CUT0106", Place::default(), "a workflow needs `cutover`");
                reader.report(problem.help("begin the file with `cutover = 1`"));
            }
            is_toml
        }
        Some(value) => match value.get_ref() {
            DeValue::Integer(edition) if edition.as_str() == EDITION => true,
            _ => {
                let problem =
                    Diagnostic::error("CUT0103", Place::from(value.span()), "this version of cutover reads the language edition 1 only");
                reader.problems = vec![problem.help("write `cutover = 1`, or use a version of cutover for that edition")];
                false
            }
        },
    }
}

/// With a break of TOML a key may be missing only because its line could not be read.
fn read(reader: &mut Reader<'_>, mut fields: Fields<'_>, is_toml: bool) -> Option<Workflow> {
    if is_toml {
        fields.require(reader, "name");
        fields.require(reader, "step");
    }
    let name = fields.name(reader, "name", WorkflowName::new);
    let owner = fields.string(reader, "owner");
    let on_failure = fields.choice(reader, "on_failure", &[("rollback", OnFailure::Rollback), ("pause", OnFailure::Pause)]);
    let on_drift = fields.choice(reader, "on_drift", &[("stop", OnDrift::Stop), ("defer", OnDrift::Defer)]);
    let keep_pre_images = fields.span(reader, "keep_pre_images").map_or(Span::seconds(72 * 3_600), |span| span.value);
    let (inputs, known_inputs) = read_entries(reader, &mut fields, "inputs", input::read);
    let (plugins, known_plugins) = read_entries(reader, &mut fields, "plugins", plugin::read);
    let (connections, known_connections) = read_entries(reader, &mut fields, "connections", connection::read);
    let dual_run = fields.table(reader, "dual_run", "`[dual_run]`").and_then(|table| dual_run::read(reader, table));
    if let Some(mut rollout) = fields.table(reader, "rollout", "`[rollout]`") {
        rollout.reserve(reader, "outer");
        rollout.finish(reader);
    }
    fields.reserve(reader, "window");
    let read: Vec<_> = fields.list(reader, "step").unwrap_or_default().iter().map(|value| step::read(reader, value)).collect();
    let ids: Vec<_> = read.iter().filter_map(|read| read.id.clone()).collect();
    let steps = read.into_iter().filter_map(|read| read.step).collect();
    fields.finish(reader);
    let mut workflow = Workflow {
        name: name.unwrap_or_else(|| Placed { value: WorkflowName("unnamed".into()), place: Place::default() }),
        owner,
        on_failure: on_failure.unwrap_or(OnFailure::Rollback),
        on_drift: on_drift.unwrap_or(OnDrift::Stop),
        keep_pre_images,
        inputs,
        plugins,
        connections,
        dual_run,
        steps,
        known_plugins,
        known_connections,
    };
    let names = Names { steps: &ids, inputs: &known_inputs };
    order::check_unique(reader, &ids);
    order::arrange(reader, &mut workflow.steps, &names);
    // After a break of TOML names may be missing for no other reason than that.
    if is_toml {
        order::check_names(reader, &workflow, &names);
        dual_run::misfits(&workflow, Length::literal).into_iter().for_each(|problem| reader.report(problem));
    }
    is_toml.then_some(workflow)
}

type Read<T> = fn(&mut Reader<'_>, &Placed<String>, &toml::Spanned<DeValue<'_>>) -> Option<T>;

/// The entries that could be read, and the names of all.
fn read_entries<T>(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
    read: Read<T>,
) -> (BTreeMap<String, T>, BTreeSet<String>) {
    let entries = fields.entries(reader, key);
    let names = entries.iter().map(|(name, _)| name.value.clone()).collect();
    let values = entries.into_iter().filter_map(|(name, value)| read(reader, &name, value).map(|entry| (name.value, entry)));
    (values.collect(), names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        Workflow::parse(text).1.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn another_edition_is_one_error() {
        assert_eq!(codes("cutover = 2\nnonsense = true\n[x"), ["CUT0103"]);
        assert_eq!(codes("cutover = \"1\""), ["CUT0103"]);
    }

    #[test]
    fn a_secret_in_the_file_is_never_repeated() {
        let text = "cutover = 1\nname = \"x\"\nstep = []\n[connections]\na = { kind = \"http\", url = \"https://u:S3CRET@h\", token = \"S3CRET\" }\nb = { kind = \"file\", path = \"p\", recipients = [\"AGE-SECRET-KEY-S3CRET\"], identity = \"S3CRET\" }\n";
        let (workflow, problems) = Workflow::parse(text);
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["CUT0315", "CUT0308", "CUT0107", "CUT0308"]);
        assert!(problems.iter().all(|problem| problem.conceals));
        assert!(!format!("{problems:?}{workflow:?}").contains("S3CRET"));
    }

    #[test]
    fn deep_and_long_files_are_refused_without_overflow() {
        assert_eq!(codes(&format!("cutover = 1\n{}x = 1", "a.".repeat(200_000))), ["CUT0102"]);
        assert_eq!(codes(&format!("cutover = 1\nx = {}", "[".repeat(200_000))), ["CUT0102"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(cutover = 1\n)?[\\[\\]{}=.\"'a-c1 ,\n#$-]{0,80}") {
            let (_, problems) = Workflow::parse(&text);
            prop_assert!(problems.iter().all(|problem| problem.place.is_none_or(|place| place.end <= text.len() + 1)));
        }
    }
}
