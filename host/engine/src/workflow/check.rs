//! A workflow against what its plugins offer. Nothing of a plugin runs.

mod input;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Workflow,
    length::Length,
    order,
    plugin::{PluginEntry, PluginOrigin},
    step::{Binding, Body, Step, Task, Uses},
};
use crate::{
    diagnostic::{Diagnostic, Place, Placed, listed},
    expression::{Expression, Type, Types},
    manifest::{Cardinality, Catalog, LossWeight, Manifest, Offer, Operation, Purpose},
    reference::{Root, Template},
};

impl Workflow {
    /// Everything that the plugins' manifests forbid, and warnings. Complements what `parse` reported.
    #[must_use]
    pub fn check(&self, catalog: &Catalog) -> Vec<Diagnostic> {
        let mut check = Check { workflow: self, catalog, problems: Vec::new(), schemas: input::Schemas::default() };
        for (alias, entry) in &self.plugins {
            check.plugin(alias, entry);
        }
        for (position, step) in self.steps.iter().enumerate() {
            if let Body::Task(task) = &step.body {
                check.task(position, step, task);
            }
        }
        check.lengths();
        let mut problems = check.problems;
        super::sort(&mut problems);
        problems
    }
}

struct Check<'w> {
    workflow: &'w Workflow,
    catalog: &'w Catalog,
    problems: Vec<Diagnostic>,
    schemas: input::Schemas<'w>,
}

impl<'w> Check<'w> {
    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    fn plugin(&mut self, alias: &str, entry: &PluginEntry) {
        let Some(offer) = self.catalog.plugins.get(alias) else {
            let (what, help) = match &entry.origin {
                PluginOrigin::Package { name, version } => (
                    format!("the plugin `{name}` {version} was not found"),
                    "put its component into a folder of `--plugin-path` or CUTOVER_PLUGIN_PATH",
                ),
                PluginOrigin::Path(path) => (
                    format!("the plugin `{}` was not found", path.escape_debug()),
                    "build it, or correct `path`; it is relative to the workflow file",
                ),
            };
            return self.report(Diagnostic::error("CUT0215", entry.place, what).help(help));
        };
        let manifest = &offer.manifest;
        if let PluginOrigin::Package { name, version } = &entry.origin
            && (*name != manifest.name || !PluginOrigin::admits_version(version, &manifest.version))
        {
            let message = format!("`{name}` {version} was asked for, but `{}` {} was found", manifest.name, manifest.version);
            self.report(Diagnostic::error("CUT0219", entry.place, message));
        }
        if let Some(digest) = entry.digest.as_ref().filter(|digest| digest.value != offer.digest) {
            let message = format!("the component found has the digest sha256:{}", offer.digest);
            self.report(Diagnostic::error("CUT0219", digest.place, message).help("if you expected that, correct `digest`"));
        }
    }

    /// The operation, if plugin and operation are there.
    fn operation(&mut self, uses: &Placed<Uses>) -> Option<(&'w Manifest, &'w Operation)> {
        let Offer { manifest, .. } = self.catalog.plugins.get(&uses.value.plugin)?;
        let found = manifest.operation(&uses.value.operation);
        if found.is_none() {
            let problem =
                Diagnostic::error("CUT0202", uses.place, format!("`{}` has no operation `{}`", manifest.name, uses.value.operation));
            self.report(problem.suggest(&uses.value.operation, manifest.operations.iter().map(|operation| operation.name.as_str())));
        }
        found.map(|operation| (manifest, operation))
    }

    fn task(&mut self, position: usize, step: &Step, task: &'w Task) {
        let types = self.types(position, task);
        let found = self.operation(&task.uses);
        if let Some((manifest, operation)) = found {
            self.purpose(task, operation);
            self.roles(operation, &task.connections, task.uses.place);
            self.stand_ins(task, operation);
            self.accepted(task, manifest);
            self.role_names(task, operation);
            input::check(&mut self.problems, &mut self.schemas, &task.with, operation, &types, &task.uses);
        } else {
            input::check_text(&mut self.problems, &task.with, &types);
        }
        if let Some(for_each) = &task.for_each {
            self.fan(for_each, &types);
        }
        self.predicate(task.when.as_ref(), &types);
        for probe in &task.probes {
            let found = self.operation(&probe.uses);
            if let Some((_, operation)) = found {
                if operation.purpose != Purpose::Observe {
                    self.report(Diagnostic::error("CUT0310", probe.uses.place, format!("`{}` does not only look", operation.name)));
                }
                self.roles(operation, &probe.connections, probe.uses.place);
                input::check(&mut self.problems, &mut self.schemas, &probe.with, operation, &types, &probe.uses);
            }
            let result = found.map(|(_, operation)| Type::of_schema(&operation.output_schema));
            self.predicate(Some(&probe.expect), &Types { result, ..types.clone() });
        }
        let changes_something = found.is_some_and(|(_, operation)| operation.purpose == Purpose::Migrate);
        if changes_something && task.probes.is_empty() {
            let problem =
                Diagnostic::warning("CUT0311", step.id.place, format!("nothing in this workflow looks at what `{}` did", step.id.value));
            self.report(problem.help("add a `[[step.verify]]`; the plugin's own check and the host's comparison run in any case"));
        }
    }

    /// Lengths of time that come from inputs come from durations.
    fn lengths(&mut self) {
        let types = Types { inputs: Some(self.input_types()), ..Types::default() };
        for length in self.workflow.lengths() {
            let Length::Reference(reference) = &length.value else { continue };
            // Out of reach is reported already.
            if reference.all().iter().any(|part| part.root != Root::Inputs) {
                continue;
            }
            match types.of(reference) {
                Ok(Type::Duration | Type::Unknown) => {}
                Ok(found) => {
                    let message = format!("`{reference}` is {found}, but {} is wanted here", Type::Duration);
                    self.report(Diagnostic::error("CUT0213", length.place, message));
                }
                Err((message, help)) => {
                    let problem = Diagnostic::error("CUT0217", length.place, format!("`{reference}`: {message}"));
                    self.report(Diagnostic { help, ..problem });
                }
            }
        }
    }

    fn input_types(&self) -> Type {
        let fields = self.workflow.inputs.iter().map(|(name, input)| (name.clone(), input.kind.known())).collect();
        // Broken inputs are reported already; nothing follows from their absence here.
        Type::Record { fields, open: true }
    }

    /// What is known of the values that a step can reach.
    fn types(&self, position: usize, task: &Task) -> Types {
        // Steps that nothing here names can stay unknown: of a long workflow, each step reads few.
        let read = task.steps_read();
        let before = if read.is_empty() { BTreeSet::new() } else { order::ancestors(&self.workflow.steps, position) };
        let steps = before.into_iter().map(|index| &self.workflow.steps[index]).filter(|step| read.contains(&step.id.value));
        let steps = steps.filter_map(|step| {
            let task = step.task()?;
            let operation = self.catalog.plugins.get(&task.uses.value.plugin)?.manifest.operation(&task.uses.value.operation)?;
            let output = Type::of_schema(&operation.output_schema);
            let whole = if task.for_each.is_some() { Type::Map(Box::new(output)) } else { output };
            Some((step.id.value.to_string(), whole))
        });
        let run = ["name", "owner"].map(|name| (name.to_owned(), Type::Text)).into();
        let types = Types {
            inputs: Some(self.input_types()),
            // As broken inputs, so broken steps.
            steps: Some(Type::Record { fields: steps.collect(), open: true }),
            run: Some(Type::Record { fields: run, open: false }),
            ..Types::default()
        };
        let each = task.for_each.as_ref().map(|for_each| {
            let value = match input::type_of(for_each, &types) {
                Type::List(item) | Type::Map(item) => *item,
                _ => Type::Unknown,
            };
            Type::Record { fields: [("key".to_owned(), Type::Text), ("value".to_owned(), value)].into(), open: false }
        });
        Types { each, ..types }
    }

    fn predicate(&mut self, predicate: Option<&Expression>, types: &Types) {
        for (problem, place) in predicate.map(|predicate| predicate.check(types)).unwrap_or_default() {
            let diagnostic = Diagnostic::error(problem.code, place, problem.message);
            self.report(Diagnostic { help: problem.help, ..diagnostic });
        }
    }

    fn fan(&mut self, for_each: &Template, types: &Types) {
        input::check_text(&mut self.problems, for_each, types);
        let found = input::type_of(for_each, types);
        if !matches!(found, Type::Unknown | Type::List(_) | Type::Map(_) | Type::Record { .. }) {
            self.report(Diagnostic::error(
                "CUT0318",
                for_each.place(),
                format!("`for_each` goes over a list or a map, but this is {found}"),
            ));
        }
    }

    fn purpose(&mut self, task: &Task, operation: &Operation) {
        match (operation.purpose, &task.changes) {
            (Purpose::Observe, _) => {
                let problem = Diagnostic::error("CUT0313", task.uses.place, format!("`{}` only looks and changes nothing", operation.name));
                self.report(problem.help("use it in a `[[step.verify]]`"));
            }
            (Purpose::Retire, None) => {
                let problem = Diagnostic::error(
                    "CUT0303",
                    task.uses.place,
                    format!("`{}` ends an old path: say which step opened the new one", operation.name),
                );
                self.report(problem.help("add `changes = \"steps.ID\"`"));
            }
            (Purpose::Migrate, Some(changes)) => {
                let problem =
                    Diagnostic::error("CUT0303", changes.place, format!("`{}` retires nothing, so it has no `changes`", operation.name));
                self.report(problem.help("use `needs` to order steps"));
            }
            _ => {}
        }
    }

    fn roles(&mut self, operation: &Operation, bindings: &BTreeMap<String, Binding>, place: Place) {
        for (name, binding) in bindings {
            let Some(role) = operation.role(name) else {
                self.unknown_role(operation, name, binding.role_place);
                continue;
            };
            let Some(connection) = self.workflow.connections.get(&binding.connection.value) else { continue };
            let place = binding.connection.place;
            if !role.kinds.iter().any(|kind| kind == connection.kind_name()) {
                let kinds: Vec<&str> = role.kinds.iter().map(String::as_str).collect();
                let message = format!(
                    "role `{name}` needs a connection of kind {}, but `{}` is of kind `{}`",
                    listed(&kinds),
                    binding.connection.value,
                    connection.kind_name()
                );
                self.report(Diagnostic::error("CUT0206", place, message));
            }
            let message = match (role.cardinality, connection.is_set()) {
                (Cardinality::One, true) => {
                    format!("role `{name}` takes one connection, but `{}` is a set with members", binding.connection.value)
                }
                (Cardinality::Many, false) => format!("role `{name}` takes a set, but `{}` has no `members`", binding.connection.value),
                _ => continue,
            };
            self.report(Diagnostic::error("CUT0207", place, message));
        }
        for role in operation.roles.iter().filter(|role| !bindings.contains_key(&role.name)) {
            let problem = Diagnostic::error("CUT0205", place, format!("role `{}` of `{}` has no connection", role.name, operation.name));
            self.report(problem.help(format!("add `{} = \"...\"` to `connections`", role.name)));
        }
    }

    fn unknown_role(&mut self, operation: &Operation, name: &str, place: Place) {
        let problem = Diagnostic::error("CUT0204", place, format!("`{}` has no role `{}`", operation.name, name.escape_debug()));
        self.report(problem.suggest(name, operation.roles.iter().map(|role| role.name.as_str())));
    }

    /// `verify_with` swaps credentials, not places.
    fn stand_ins(&mut self, task: &Task, operation: &Operation) {
        for (role, binding) in &task.verify_with {
            if operation.role(role).is_none() {
                self.unknown_role(operation, role, binding.role_place);
            }
            let original = task.connections.get(role).and_then(|original| self.workflow.connections.get(&original.connection.value));
            let stand_in = self.workflow.connections.get(&binding.connection.value);
            if let Some((original, stand_in)) = original.zip(stand_in)
                && !original.same_authority(stand_in)
            {
                let message = format!("`{}` leads elsewhere than the connection of role `{role}`", binding.connection.value);
                self.report(
                    Diagnostic::error("CUT0309", binding.connection.place, message)
                        .help("use the same kind, URL and namespace with another credential"),
                );
            }
        }
    }

    fn accepted(&mut self, task: &Task, manifest: &Manifest) {
        for code in &task.accept {
            let known = manifest.losses.iter().find(|loss| loss.code == code.value);
            if known.is_none() {
                let problem =
                    Diagnostic::error("CUT0216", code.place, format!("`{}` knows no loss `{}`", manifest.name, code.value.escape_debug()));
                let material = manifest.losses.iter().filter(|loss| loss.weight == LossWeight::Material);
                self.report(problem.suggest(&code.value, material.map(|loss| loss.code.as_str())));
            } else if known.is_some_and(|loss| loss.weight == LossWeight::Inherent) {
                let problem =
                    Diagnostic::warning("CUT0216", code.place, format!("the loss `{}` is inherent and need not be accepted", code.value));
                self.report(problem.help("remove it from `accept`"));
            }
        }
    }

    /// Roles that are named outside `connections`.
    fn role_names(&mut self, task: &Task, operation: &Operation) {
        for grant in task.plaintext.iter().filter(|grant| operation.role(&grant.role.value).is_none()) {
            self.unknown_role(operation, &grant.role.value, grant.role.place);
        }
        for role in task.public.keys().filter(|role| operation.role(role).is_none()) {
            self.unknown_role(operation, role, task.uses.place);
        }
    }
}
