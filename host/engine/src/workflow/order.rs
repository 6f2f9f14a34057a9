//! Which step comes after which, and whether names of steps, inputs and roots are in reach.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Workflow,
    length::Length,
    reader::Reader,
    step::{Step, StepId},
};
use crate::{
    diagnostic::{Diagnostic, Place, Placed},
    expression::Expression,
    reference::{Reference, Root, Segment, Template},
};

/// What is known by name, broken or not, so that one mistake is reported once.
pub(super) struct Names<'n> {
    pub(super) steps: &'n [Placed<StepId>],
    pub(super) inputs: &'n BTreeSet<String>,
}

impl Names<'_> {
    /// Reports a step that nobody wrote.
    fn step(&self, reader: &mut Reader<'_>, id: &str, place: Place) -> bool {
        let known = self.steps.iter().any(|step| step.value.as_str() == id);
        if !known {
            let problem = Diagnostic::error("CUT0208", place, format!("there is no step `{}`", id.escape_debug()));
            reader.report(problem.suggest(id, self.steps.iter().map(|step| step.value.as_str())));
        }
        known
    }
}

/// Reports ids that are used twice.
pub(super) fn check_unique(reader: &mut Reader<'_>, ids: &[Placed<StepId>]) {
    let mut seen = BTreeSet::new();
    for id in ids.iter().filter(|id| !seen.insert(&id.value)) {
        reader.error("CUT0301", id.place, format!("the step id `{}` is used twice", id.value));
    }
}

/// Fills in `after` and reports circles.
pub(super) fn arrange(reader: &mut Reader<'_>, steps: &mut [Step], names: &Names<'_>) {
    let index: BTreeMap<StepId, usize> = steps.iter().enumerate().rev().map(|(index, step)| (step.id.value.clone(), index)).collect();
    for (position, step) in steps.iter_mut().enumerate() {
        step.after = match &step.needs {
            None => position.checked_sub(1).into_iter().collect(),
            Some(needs) => {
                let found = needs
                    .iter()
                    .filter(|need| names.step(reader, need.value.as_str(), need.place))
                    .filter_map(|need| index.get(&need.value).copied());
                found.collect::<BTreeSet<_>>().into_iter().collect()
            }
        };
    }
    // Steps that all come after steps above them cannot wait for themselves.
    let in_order = steps.iter().enumerate().all(|(position, step)| step.after.iter().all(|before| *before < position));
    let circle = steps.iter().enumerate().find(|(position, _)| !in_order && ancestors(steps, *position).contains(position));
    if let Some((_, step)) = circle {
        let place = step.needs.as_ref().and_then(|needs| needs.first()).map_or(step.id.place, |need| need.place);
        let problem = Diagnostic::error("CUT0302", place, format!("step `{}` waits for itself", step.id.value));
        reader.report(problem.help("a step without `needs` waits for the step above it"));
    }
}

/// All steps that a step comes after.
pub(super) fn ancestors(steps: &[Step], position: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = steps[position].after.clone();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&steps[next].after);
        }
    }
    found
}

/// Checks every name that needs no plugin to be checked.
pub(super) fn check_names(reader: &mut Reader<'_>, workflow: &Workflow, names: &Names<'_>) {
    for (position, step) in workflow.steps.iter().enumerate() {
        let Some(task) = step.task() else { continue };
        let each = task.for_each.is_some();
        let mut check = Reach { reader: &mut *reader, workflow, names, position };
        if let Some(changes) = &task.changes {
            check.step(changes.value.as_str(), changes.place);
        }
        check.template(&task.with, each);
        if let Some(for_each) = &task.for_each {
            check.template(for_each, false);
        }
        check.predicate(task.when.as_ref(), &[Root::Inputs, Root::Steps], each);
        for probe in &task.probes {
            check.template(&probe.with, each);
            check.predicate(Some(&probe.expect), &[Root::Inputs, Root::Result], each);
        }
        let bound = task
            .connections
            .values()
            .chain(task.verify_with.values())
            .chain(task.probes.iter().flat_map(|probe| probe.connections.values()));
        for connection in
            bound.map(|binding| &binding.connection).filter(|connection| !workflow.known_connections.contains(&connection.value))
        {
            let problem =
                Diagnostic::error("CUT0203", connection.place, format!("there is no connection `{}`", connection.value.escape_debug()));
            reader.report(problem.suggest(&connection.value, workflow.known_connections.iter().map(String::as_str)));
        }
        for uses in std::iter::once(&task.uses)
            .chain(task.probes.iter().map(|probe| &probe.uses))
            .filter(|uses| !workflow.known_plugins.contains(&uses.value.plugin))
        {
            let problem = Diagnostic::error("CUT0201", uses.place, format!("there is no plugin `{}`", uses.value.plugin));
            reader.report(problem.suggest(&uses.value.plugin, workflow.known_plugins.iter().map(String::as_str)));
        }
    }
    check_dual_run(reader, workflow, names);
    for length in workflow.lengths() {
        check_length(reader, &length.value, length.place, names);
    }
}

/// A length of time can come from an input only: it is known before anything is planned.
fn check_length(reader: &mut Reader<'_>, length: &Length, place: Place, names: &Names<'_>) {
    let Length::Reference(reference) = length else { return };
    for part in reference.all() {
        match (part.root, part.segments.first()) {
            (Root::Inputs, Some(Segment::Field(name))) if !names.inputs.contains(name) => {
                let problem = Diagnostic::error("CUT0210", place, format!("there is no input `{}`", name.escape_debug()));
                reader.report(problem.suggest(name, names.inputs.iter().map(String::as_str)));
            }
            (Root::Inputs, _) => {}
            (root, _) => {
                let problem = Diagnostic::error("CUT0211", place, format!("`{}` is out of reach here", root.as_str()));
                reader.report(problem.help("there is `inputs`"));
            }
        }
    }
}

/// What one step can reach.
struct Reach<'r, 's> {
    reader: &'r mut Reader<'s>,
    workflow: &'r Workflow,
    names: &'r Names<'r>,
    position: usize,
}

impl Reach<'_, '_> {
    fn template(&mut self, template: &Template, each: bool) {
        for (reference, place) in template.references() {
            self.reference(reference, place, &[Root::Inputs, Root::Steps, Root::Run], each);
        }
    }

    fn predicate(&mut self, predicate: Option<&Expression>, roots: &[Root], each: bool) {
        for (reference, place) in predicate.map(Expression::references).unwrap_or_default() {
            self.reference(reference, place, roots, each);
        }
    }

    fn reference(&mut self, reference: &Reference, place: Place, roots: &[Root], each: bool) {
        for part in reference.all() {
            if part.root == Root::Each && !each {
                self.reader.error("CUT0211", place, "`each` is there only with `for_each`");
            } else if part.root != Root::Each && !roots.contains(&part.root) {
                let message = format!("`{}` is out of reach here", part.root.as_str());
                let roots: Vec<&str> = roots.iter().map(|root| root.as_str()).chain(each.then_some("each")).collect();
                self.reader
                    .report(Diagnostic::error("CUT0211", place, message).help(format!("there is {}", crate::diagnostic::listed(&roots))));
            } else {
                self.first_name(part, place);
            }
        }
    }

    fn first_name(&mut self, reference: &Reference, place: Place) {
        match (reference.root, reference.segments.first()) {
            (Root::Steps, Some(Segment::Field(id))) => self.step(id, place),
            (Root::Steps, _) => self.reader.error("CUT0211", place, "a reference to steps names one, as `steps.copy`"),
            (Root::Inputs, Some(Segment::Field(name))) if !self.names.inputs.contains(name) => {
                let problem = Diagnostic::error("CUT0210", place, format!("there is no input `{}`", name.escape_debug()));
                self.reader.report(problem.suggest(name, self.names.inputs.iter().map(String::as_str)));
            }
            _ => {}
        }
    }

    /// The step must exist and come before this one.
    fn step(&mut self, id: &str, place: Place) {
        let (steps, own) = (&self.workflow.steps, &self.workflow.steps[self.position].id.value);
        let comes_before = || ancestors(steps, self.position).into_iter().any(|index| steps[index].id.value.as_str() == id);
        let is_broken = !steps.iter().any(|step| step.id.value.as_str() == id);
        if self.names.step(self.reader, id, place) && !is_broken && !comes_before() {
            let problem = Diagnostic::error("CUT0209", place, format!("step `{id}` does not come before `{own}`"));
            self.reader.report(problem.help(format!("move it above, or add it to `needs` of `{own}`")));
        }
    }
}

fn check_dual_run(reader: &mut Reader<'_>, workflow: &Workflow, names: &Names<'_>) {
    let Some(dual_run) = &workflow.dual_run else { return };
    let ends = [&dual_run.from, &dual_run.until].map(|id| {
        names.step(reader, id.value.as_str(), id.place);
        workflow.steps.iter().position(|step| step.id.value == id.value)
    });
    let [Some(from), Some(until)] = ends else { return };
    let before = ancestors(&workflow.steps, until);
    if !before.contains(&from) {
        let message = format!("step `{}` does not come before `{}`", dual_run.from.value, dual_run.until.value);
        reader.error("CUT0304", dual_run.from.place, message);
    }
}
