//! The span in which the old and the new way both work: `[dual_run]`.

use super::{
    Workflow,
    length::Length,
    reader::{Fields, Reader},
    step::StepId,
};
use crate::{
    diagnostic::{Diagnostic, Place, Placed},
    timestamp::Span,
};

/// `[dual_run]`.
#[derive(Debug, Clone)]
pub struct DualRun {
    /// The step that begins it.
    pub from: Placed<StepId>,
    /// The step that ends it, and that is held to fail if it lasts too long.
    pub until: Placed<StepId>,
    /// The soak: `until` does not begin earlier than this after `from`.
    pub min: Placed<Length>,
    /// The deadline.
    pub max: Placed<Length>,
}

pub(super) fn read(reader: &mut Reader<'_>, mut fields: Fields<'_>) -> Option<DualRun> {
    for key in ["from", "until", "max"] {
        fields.require(reader, key);
    }
    let from = fields.name(reader, "from", StepId::new);
    let until = fields.name(reader, "until", StepId::new);
    let nothing = Placed { value: Length::Literal(Span(0)), place: Place::default() };
    let min = fields.length(reader, "min", false).unwrap_or(nothing);
    let max = fields.length(reader, "max", true);
    fields.finish(reader);
    Some(DualRun { from: from?, until: until?, min, max: max? })
}

/// What is wrong with the lengths of gates and dual run, as far as `span` knows them.
pub(super) fn misfits(workflow: &Workflow, span: impl Fn(&Length) -> Option<Span>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let gates = workflow.steps.iter().filter_map(|step| step.wait().map(|length| ("for", length)));
    for (key, length) in gates.chain(workflow.dual_run.iter().map(|dual_run| ("max", &dual_run.max))) {
        if span(&length.value) == Some(Span(0)) {
            problems.push(Diagnostic::error("CUT0319", length.place, format!("`{key}` must be longer than zero")));
        }
    }
    let Some(dual_run) = &workflow.dual_run else { return problems };
    let Some(max) = span(&dual_run.max.value) else { return problems };
    if let Some(min) = span(&dual_run.min.value).filter(|min| *min > max) {
        problems.push(Diagnostic::error("CUT0305", dual_run.max.place, format!("`max` ({max}) is shorter than `min` ({min})")));
        return problems;
    }
    // Waits side by side are counted once each: that is a bound for the usual case of one after the other.
    let waits = between(workflow, dual_run).into_iter().filter_map(|index| span(&workflow.steps[index].wait()?.value));
    let waited = Span(waits.map(|span| span.0).fold(0, u64::saturating_add));
    if waited > max {
        let message =
            format!("the gates between `{}` and `{}` wait {waited}, longer than `max`", dual_run.from.value, dual_run.until.value);
        problems.push(Diagnostic::error("CUT0305", dual_run.max.place, message));
    }
    problems
}

/// The steps that come after the one and before the other.
fn between(workflow: &Workflow, dual_run: &DualRun) -> Vec<usize> {
    let (Some(from), Some(until)) = (workflow.position(&dual_run.from.value), workflow.position(&dual_run.until.value)) else {
        return Vec::new();
    };
    let before = workflow.ancestors(until);
    before.into_iter().filter(|index| workflow.ancestors(*index).contains(&from)).collect()
}
