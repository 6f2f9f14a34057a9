//! From a checked workflow to a plan: resolves references and asks the plugins what they would change.

mod found;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use cutover_engine::{
    Binding, Catalog, ChangeBody, ChangeNo, Diagnostic, Digest, Failure, Instance, Length, Manifest, Operation, Placed, Plan, PlanBuilder,
    PlanError, PlanHeader, PlannedAgain, PlannedConnection, PlannedDualRun, PlannedGrant, PlannedOperation, PlannedPlugin, PlannedProbe,
    PlannedStep, Pointer, Probe, Role, Scope, Span, Step, StepNo, Task, Wait, Work, Workflow,
};
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::task::JoinSet;

use self::found::{Found, Packed};
use crate::{
    entropy::Entropy,
    equipment::{Equipment, Seats},
    hook::{Answer, Call},
    pages::{Bounds, PageOf, Paged, Pages},
    policy::{CallLimits, Hook},
    sealing::{self, SealingKey},
    session::{Rights, Session},
};

/// How many linked changes go into one call of a plugin's `plan`.
const LINKED_PAGE: usize = 100;

/// Most pages of a step's plan that are asked for at once, where the step's own `parallel` is not less.
const PAGES_AT_ONCE: usize = 16;

/// Most pages of a step's plan.
const MAX_PAGES: usize = 100_000;

/// Everything that planning works with.
pub struct Planner<'p> {
    /// The workflow, without errors.
    pub workflow: &'p Workflow,
    /// Its file, as messages name it.
    pub file: String,
    /// Its text.
    pub text: &'p str,
    /// What the plugins offer.
    pub catalog: &'p Catalog,
    /// Plugins and connections.
    pub equipment: &'p Equipment,
    /// The connections as the plan names them.
    pub connections: BTreeMap<String, PlannedConnection>,
    /// The plan's sealing key.
    pub key: Arc<SealingKey>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// For every hook call.
    pub limits: CallLimits,
}

/// Why there is no plan.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanningError {
    /// The workflow cannot be resolved.
    #[error("the workflow cannot be planned")]
    Workflow(Vec<Diagnostic>),
    /// A plugin could not say what it would change.
    #[error("step `{step}` could not be planned: {failure}")]
    Hook {
        /// The step.
        step: String,
        /// Line and column of the step.
        place: (u32, u32),
        /// What the plugin or the host said.
        failure: Failure,
    },
    /// What the plugins planned cannot be done.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Contradiction(Vec<PlanError>),
}

impl Planner<'_> {
    /// Plans every step, for a run.
    pub async fn plan(&self, inputs: Map<String, Value>) -> Result<(Plan, String), PlanningError> {
        self.build(PlanBuilder::new(self.header(inputs.clone())), inputs).await?.finish().map_err(PlanningError::Contradiction)
    }

    /// Plans every step, to be compared with the plan of a run.
    pub async fn plan_again(&self, inputs: Map<String, Value>) -> Result<PlannedAgain, PlanningError> {
        self.build(PlanBuilder::again(self.header(inputs.clone())), inputs).await?.finish_again().map_err(PlanningError::Contradiction)
    }

    async fn build(&self, mut builder: PlanBuilder, inputs: Map<String, Value>) -> Result<PlanBuilder, PlanningError> {
        let mut scope = self.workflow.scope(inputs);
        let mut outputs = Map::new();
        let mut numbers: Vec<Vec<StepNo>> = vec![Vec::new(); self.workflow.steps.len()];
        let mut bodies: BTreeMap<StepNo, Found> = BTreeMap::new();
        for index in self.in_order() {
            let step = &self.workflow.steps[index];
            let needs: Vec<StepNo> = step.after.iter().flat_map(|after| self.placed(&numbers, *after)).collect();
            let Some(task) = step.task() else {
                numbers[index] = vec![builder.add_step(self.gate(step, needs, &scope)?)];
                continue;
            };
            // A hundred thousand bodies are only kept for a step that is about them.
            let is_linked = self.is_linked(step);
            let instances = step.instances(&scope).map_err(PlanningError::Workflow)?;
            let mut keyed = Map::new();
            for instance in instances {
                let number = builder.add_step(self.planned_step(step, task, &instance, &needs, &numbers)?);
                numbers[index].push(number);
                let (changes, output) = if instance.skipped {
                    (Found::default(), Value::Null)
                } else {
                    self.ask(&mut builder, number, task, &bodies, is_linked).await?
                };
                builder.close_step(output.clone(), |total| u32::try_from(task.rollout.max_failed.of(total)).unwrap_or(u32::MAX));
                if is_linked {
                    bodies.insert(number, changes);
                }
                match &instance.key {
                    Some(key) => drop(keyed.insert(key.clone(), output)),
                    None => drop(outputs.insert(step.id.value.to_string(), output)),
                }
            }
            if task.for_each.is_some() {
                outputs.insert(step.id.value.to_string(), Value::Object(keyed));
            }
            scope = scope.with_steps(Value::Object(outputs.clone()));
        }
        builder.set_dual_run(self.dual_run(&numbers, &scope)?);
        Ok(builder)
    }

    fn header(&self, inputs: Map<String, Value>) -> PlanHeader {
        let plugins = self.catalog.plugins.iter().map(|(alias, offer)| {
            let plugin = PlannedPlugin { name: offer.manifest.name.clone(), version: offer.manifest.version.clone(), digest: offer.digest };
            (alias.clone(), plugin)
        });
        PlanHeader {
            cutover_plan: PlanHeader::VERSION,
            name: self.workflow.name.value.to_string(),
            owner: self.workflow.owner.as_ref().map(|owner| owner.value.clone()).unwrap_or_default(),
            file: self.file.clone(),
            source: self.text.to_owned(),
            workflow: Digest::of(self.text.as_bytes()),
            inputs,
            on_failure: self.workflow.on_failure,
            on_drift: self.workflow.on_drift,
            keep_pre_images: self.workflow.keep_pre_images,
            dual_run: None,
            connections: self.connections.clone(),
            plugins: plugins.collect(),
            steps: Vec::new(),
        }
    }

    /// The steps so that each comes after those it needs; else in file order.
    fn in_order(&self) -> Vec<usize> {
        let steps = &self.workflow.steps;
        let mut order: Vec<usize> = Vec::with_capacity(steps.len());
        while let Some(next) =
            (0..steps.len()).find(|index| !order.contains(index) && steps[*index].after.iter().all(|after| order.contains(after)))
        {
            order.push(next);
        }
        order
    }

    /// Whether the changes of another step are about this one's.
    fn is_linked(&self, step: &Step) -> bool {
        let linked = self.workflow.steps.iter().filter_map(|other| other.task()?.changes.as_ref());
        linked.into_iter().any(|linked| linked.value == step.id.value)
    }

    /// The plan's steps of a workflow step; a step that fanned out over nothing stands for those it needs.
    fn placed(&self, numbers: &[Vec<StepNo>], index: usize) -> Vec<StepNo> {
        if numbers[index].is_empty() {
            self.workflow.steps[index].after.iter().flat_map(|after| self.placed(numbers, *after)).collect()
        } else {
            numbers[index].clone()
        }
    }

    fn place_of(&self, place: cutover_engine::Place) -> (u32, u32) {
        let (line, column) = place.line_column(self.text);
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    fn gate(&self, step: &Step, needs: Vec<StepNo>, scope: &Scope) -> Result<PlannedStep, PlanningError> {
        let (span, until) = match &step.body {
            cutover_engine::Body::Wait(Wait::For(length)) => (Some(span(length, scope)?), None),
            cutover_engine::Body::Wait(Wait::Until(until)) => (None, Some(*until)),
            cutover_engine::Body::Task(_) => (None, None),
        };
        let place = self.place_of(step.id.place);
        let work = Work::Wait { span, until };
        Ok(PlannedStep { id: step.id.value.to_string(), place, needs, reads: Vec::new(), linked: Vec::new(), work })
    }

    fn planned_step(
        &self,
        step: &Step,
        task: &Task,
        instance: &Instance,
        needs: &[StepNo],
        numbers: &[Vec<StepNo>],
    ) -> Result<PlannedStep, PlanningError> {
        let of = |id| self.workflow.position(id).map(|index| numbers[index].clone()).unwrap_or_default();
        let reads = step.reads();
        let reads = reads.iter().flat_map(of).collect();
        let linked = task.changes.as_ref().map(|linked| of(&linked.value)).unwrap_or_default();
        let offer = &self.catalog.plugins[&task.uses.value.plugin];
        let manifest = &offer.manifest;
        let operation = manifest.operation(&task.uses.value.operation).ok_or_else(|| {
            let text = format!("plugin `{}` has no operation `{}`", manifest.name, task.uses.value.operation);
            PlanningError::Workflow(vec![Diagnostic::error("CUT0202", task.uses.place, text)])
        })?;
        let probes = task.probes.iter().map(|probe| self.planned_probe(probe, instance)).collect::<Result<_, _>>()?;
        let bound = |bindings: &BTreeMap<String, Binding>| {
            bindings.iter().map(|(role, binding)| (role.clone(), binding.connection.value.clone())).collect()
        };
        let planned = PlannedOperation {
            plugin: task.uses.value.plugin.clone(),
            operation: operation.name.clone(),
            purpose: operation.purpose,
            input: instance.input.clone(),
            connections: bound(&task.connections),
            verify_with: bound(&task.verify_with),
            public: task.public.clone(),
            proposed: self.proposed(operation, &task.connections),
            plaintext: task
                .plaintext
                .iter()
                .map(|grant| PlannedGrant { role: grant.role.value.clone(), pointer: grant.pointer.clone(), reason: grant.reason.clone() })
                .collect(),
            accept: task.accept.iter().map(|code| code.value.clone()).collect(),
            cohorts: task.rollout.cohorts.clone(),
            parallel: task.rollout.parallel,
            max_failed: 0,
            timeout: task.timeout,
            deadline: task.deadline,
            attempts: task.retry.attempts,
            backoff: task.retry.backoff,
            outage: task.retry.wait,
            irreversible: task.irreversible || operation.irreversible,
            resumable: operation.resumable,
            collapses: operation.collapses,
            self_checking: operation.self_checking,
            server_chosen: operation.server_chosen.clone(),
            residue: residue(manifest),
            probes,
            skipped: instance.skipped,
            output: Value::Null,
            changes: 0..0,
        };
        let work = Work::Operation(Box::new(planned));
        Ok(PlannedStep { id: instance.id.clone(), place: self.place_of(step.id.place), needs: needs.to_vec(), reads, linked, work })
    }

    fn planned_probe(&self, probe: &Probe, instance: &Instance) -> Result<PlannedProbe, PlanningError> {
        let input = if instance.skipped { Ok(Value::Null) } else { probe.with.resolve(&instance.scope) };
        let input = input.map_err(|error| PlanningError::Workflow(vec![Diagnostic::error("CUT0213", error.place, error.message)]))?;
        let looking = self.catalog.plugins.get(&probe.uses.value.plugin);
        let looking = looking.and_then(|offer| offer.manifest.operation(&probe.uses.value.operation));
        Ok(PlannedProbe {
            place: self.place_of(probe.expect.place()),
            plugin: probe.uses.value.plugin.clone(),
            operation: probe.uses.value.operation.clone(),
            input,
            connections: probe.connections.iter().map(|(role, binding)| (role.clone(), binding.connection.value.clone())).collect(),
            public: probe.public.clone(),
            proposed: looking.map(|operation| self.proposed(operation, &probe.connections)).unwrap_or_default(),
            per: probe.per,
            every: probe.every,
            span: probe.window,
            max_failures: probe.max_failures,
            timeout: probe.timeout,
            expect: probe.expect.text.clone(),
            each: instance.scope.each().cloned().unwrap_or(Value::Null),
        })
    }

    /// The public places of a manifest that hold at these connections: known kinds have rules of their own.
    fn proposed(&self, operation: &Operation, bound: &BTreeMap<String, Binding>) -> BTreeMap<String, Vec<Pointer>> {
        let has_rules = |name: &str| self.workflow.connections.get(name).is_some_and(|connection| connection.kind_name() != "http");
        let places = |role: &Role| -> Vec<Pointer> {
            let places: BTreeSet<_> = role.routes.iter().flat_map(|route| &route.public_response).cloned().collect();
            places.into_iter().collect()
        };
        let roles = operation.roles.iter().filter(|role| bound.get(&role.name).is_some_and(|bound| !has_rules(&bound.connection.value)));
        roles.map(|role| (role.name.clone(), places(role))).filter(|(_, places)| !places.is_empty()).collect()
    }

    fn dual_run(&self, numbers: &[Vec<StepNo>], scope: &Scope) -> Result<Option<PlannedDualRun>, PlanningError> {
        let Some(dual) = &self.workflow.dual_run else { return Ok(None) };
        let of = |id| self.workflow.position(id).map(|index| numbers[index].clone()).unwrap_or_default();
        let (min, max) = (span(&dual.min, scope)?, span(&dual.max, scope)?);
        Ok(Some(PlannedDualRun { from: of(&dual.from.value), until: of(&dual.until.value), min, max }))
    }

    /// Asks the plugin for the step's changes, page by page; they come back only to `keep` them.
    async fn ask(
        &self,
        builder: &mut PlanBuilder,
        number: StepNo,
        task: &Task,
        bodies: &BTreeMap<StepNo, Found>,
        keep: bool,
    ) -> Result<(Found, Value), PlanningError> {
        let step = builder.header().steps[number.index()].clone();
        let fail = |failure| PlanningError::Hook { step: step.id.clone(), place: step.place, failure };
        let Some(planned) = step.operation() else { return Ok((Found::default(), Value::Null)) };
        let manifest = &self.catalog.plugins[&planned.plugin].manifest;
        let operation = Arc::new(self.equipment.operation(&planned.plugin, &planned.operation).map_err(fail)?.clone());
        let seats = Arc::new(self.equipment.seats(planned, false).map_err(fail)?);
        let linked: Vec<&Packed> = step.linked.iter().filter_map(|linked| bodies.get(linked)).flat_map(Found::packed).collect();
        let lists: Vec<&[&Packed]> = if step.linked.is_empty() { vec![&[]] } else { linked.chunks(LINKED_PAGE).collect() };
        let asking = &Asking { step: &step.id, planned, task, operation, seats };
        let parallel = usize::try_from(planned.parallel).unwrap_or(usize::MAX);
        let bounds = Bounds { at_once: parallel.min(PAGES_AT_ONCE), pages: MAX_PAGES };
        let mut pages = Pages::new(lists.len(), bounds, |PageOf { list, cursor }| {
            Box::pin(self.page(asking, lists[list].iter().map(|linked| linked.body()).collect(), cursor))
        });
        let (keep, mut found, mut last_output) = (keep || !step.linked.is_empty(), Found::default(), Value::Null);
        while let Some((changes, output)) = pages.next().await.map_err(fail)? {
            if keep {
                changes.iter().for_each(|body| found.add(body));
            } else {
                changes.iter().for_each(|body| builder.add_change(body, manifest));
            }
            last_output = output.unwrap_or(last_output);
        }
        found.packed().for_each(|packed| builder.add_change(&packed.body(), manifest));
        Ok((found, last_output))
    }

    /// Asks for one page of the changes about these linked ones.
    async fn page(&self, asking: &Asking<'_>, linked: Vec<ChangeBody>, cursor: Option<String>) -> Result<Paged<Content>, Failure> {
        let Asking { step, planned, task, operation, seats } = asking;
        let call = Call::Plan { operation: planned.operation.clone(), input: planned.input.clone(), linked, cursor };
        let rights = Rights {
            operation: operation.clone(),
            seats: seats.clone(),
            hook: Hook::Looking,
            subject: Vec::new(),
            captured: HashSet::new(),
            keep_raw: false,
        };
        let scope = sealing::Scope::new(self.key.clone(), format!("plan {step}"));
        let sealing = scope.clone();
        let session = Arc::new(Session::new(rights, scope, None, self.entropy.clone(), self.limits, format!("plan {step}")));
        let (plugin, powers) = (self.equipment.plugins[&planned.plugin].clone(), session.clone());
        let timeout = Duration::from_millis(task.timeout.0);
        // A task of its own: guests compute side by side. It ends with the set, and so with this future.
        let mut calls = JoinSet::new();
        calls.spawn(async move { plugin.call(powers, call, timeout).await });
        let answer = calls.join_next().await.expect("one call is under way");
        let answer = answer.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        match session.report().verdict(answer).map_err(|failure| sealing.strained(failure))? {
            Answer::Page { changes, rest, output } => Ok(Paged { content: (changes, output), rest }),
            _ => Err(Failure {
                case: cutover_engine::FailureCase::Internal,
                code: Some("CUT3409".to_owned()),
                text: "the sandbox gave another answer than asked for".to_owned(),
            }),
        }
    }
}

/// A length of time with the inputs as bound.
fn span(length: &Placed<Length>, scope: &Scope) -> Result<Span, PlanningError> {
    let wrong = |message| PlanningError::Workflow(vec![Diagnostic::error("CUT0213", length.place, message)]);
    length.value.resolve(scope).map_err(wrong)
}

/// What a page holds: changes, and perhaps the step's output.
type Content = (Vec<ChangeBody>, Option<Value>);

/// What the calls of one step's planning have in common.
struct Asking<'a> {
    step: &'a str,
    planned: &'a PlannedOperation,
    task: &'a Task,
    operation: Arc<Operation>,
    seats: Arc<Seats>,
}

fn residue(manifest: &Manifest) -> BTreeMap<String, Vec<Pointer>> {
    manifest.losses.iter().filter(|loss| !loss.residue.is_empty()).map(|loss| (loss.code.clone(), loss.residue.clone())).collect()
}

/// What moved between two plans of the same workflow: changes of the first that the second has otherwise or no
/// more, and names of changes that only the second has.
#[must_use]
pub fn drift(planned: &Plan, again: &PlannedAgain) -> Drift {
    let mut names: HashMap<String, ChangeNo> = again.changes().map(|(change, _)| (again.name_of(change), change)).collect();
    let mut drift = Drift::default();
    for change in (0..u32::try_from(planned.changes.len()).unwrap_or(u32::MAX)).map(ChangeNo) {
        match names.remove(&planned.name_of(change)) {
            None => drift.moved.push((change, "it is not there any more".into())),
            Some(other) => match again.conflict(other) {
                Some(why) => drift.moved.push((change, format!("it cannot be made any more: {why}").into())),
                None if again.change(other).body == planned.change(change).body => {}
                None => drift.moved.push((change, "it would be changed otherwise now".into())),
            },
        }
    }
    drift.new = names.into_keys().collect();
    drift.new.sort();
    drift
}

/// What moved between plan and run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Changes of the plan that are no longer as planned or cannot be made any more, and how.
    pub moved: Vec<(ChangeNo, Cow<'static, str>)>,
    /// Names of changes that the plan does not have.
    pub new: Vec<String>,
}

impl Drift {
    /// Whether nothing moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.new.is_empty()
    }
}

/// The scope in which a probe's `expect` is evaluated, without `result`.
#[must_use]
pub fn probe_scope(header: &PlanHeader, probe: &PlannedProbe) -> Scope {
    let mut outputs = Map::new();
    for step in header.steps.iter().filter(|step| step.operation().is_some()) {
        outputs.insert(step.id.clone(), step.operation().map(|operation| operation.output.clone()).unwrap_or_default());
    }
    let scope = Scope::default().with_inputs(header.inputs.clone()).with_steps(Value::Object(outputs));
    let scope = scope.with_run(json!({ "workflow": header.name, "owner": header.owner }));
    match (probe.each.get("key").and_then(Value::as_str), probe.each.get("value")) {
        (Some(key), Some(value)) => scope.with_each(key, value.clone()),
        _ => scope,
    }
}
