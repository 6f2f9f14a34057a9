//! From planned bodies to a plan in which everything is resolved and nothing contradicts.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use super::{Plan, PlanHeader, PlannedChange, StepNo, text};
use crate::{
    change::{ChangeBody, ChangeId, ChangeNo, Object},
    digest::Digest,
    manifest::{LossWeight, Manifest, Purpose},
};

/// Why a plan cannot be made of what a plugin planned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The plugin planned two changes with one id.
    #[error("step `{step}` planned two changes with the id `{id}`")]
    DuplicateChange { step: String, id: ChangeId },
    /// A change without objects cannot be captured.
    #[error("change `{step}/{id}` has no object in its subject")]
    EmptySubject { step: String, id: ChangeId },
    /// The subject names a role or member that the step does not have.
    #[error("change `{step}/{id}` is about `{object}`, but the step has no such {what}")]
    UnknownObject { step: String, id: ChangeId, object: String, what: &'static str },
    /// A link to a change that the linked step does not have.
    #[error("change `{step}/{id}` links `{link}`, which is no change of the step it is about")]
    UnknownLink { step: String, id: ChangeId, link: ChangeId },
    /// A retire change without a verified counterpart.
    #[error("change `{step}/{id}` retires something without linking the change that replaced it")]
    RetiresUnlinked { step: String, id: ChangeId },
    /// A loss code outside the manifest's closed list.
    #[error("change `{step}/{id}` lists the loss `{code}`, which the plugin's manifest does not know")]
    UnknownLoss { step: String, id: ChangeId, code: String },
    /// A material loss that the workflow does not accept.
    #[error("step `{step}` would lose `{code}` in {count} change(s), first in `{id}`: {detail}; accept it with `accept = [\"{code}\"]`")]
    LossNotAccepted { step: String, id: ChangeId, code: String, count: u32, detail: String },
    /// Changes that cannot be made as things are, by their plugin's own word.
    #[error("step `{step}`: {count} change(s) cannot be made as things are: {}", conflicts(.first, *.count))]
    Conflict { step: String, first: Vec<(ChangeId, String)>, count: usize },
    /// Two steps write one object and nothing orders them.
    #[error("steps `{first}` and `{second}` both change `{object}` and neither comes first; add `needs`")]
    Unordered { first: String, second: String, object: String },
}

/// What the plugins would do now, to be compared with a plan. It is no [`Plan`], so nothing runs it.
#[derive(Debug)]
pub struct PlannedAgain {
    header: PlanHeader,
    /// Among them those that cannot be made any more.
    changes: Vec<PlannedChange>,
    /// Why not, by change.
    conflicts: HashMap<ChangeNo, String>,
}

/// Conflicts of a step that an error names; it counts the others.
const NAMED_CONFLICTS: usize = 5;

/// Collects the changes of each step and puts the plan together.
#[derive(Debug)]
pub struct PlanBuilder {
    header: PlanHeader,
    changes: Vec<PlannedChange>,
    objects: ObjectTable,
    object_numbers: Vec<Vec<u32>>,
    ids: HashMap<(StepNo, ChangeId), ChangeNo>,
    conflicts: HashMap<ChangeNo, String>,
    /// None if the plan is only to be compared.
    text: Option<text::PlanWriter>,
    errors: Vec<PlanError>,
}

impl PlanBuilder {
    /// Begins with a header whose steps have no changes yet.
    #[must_use]
    pub fn new(header: PlanHeader) -> Self {
        Self {
            header,
            changes: Vec::new(),
            objects: ObjectTable::default(),
            object_numbers: Vec::new(),
            ids: HashMap::new(),
            conflicts: HashMap::new(),
            text: Some(text::PlanWriter::default()),
            errors: Vec::new(),
        }
    }

    /// The same for a plan that is only to be compared: it has no text, and ends by [`Self::finish_again`].
    #[must_use]
    pub fn again(header: PlanHeader) -> Self {
        Self { text: None, ..Self::new(header) }
    }

    /// The header as it stands: steps, connections, plugins.
    #[must_use]
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// Adds a step behind the others; its changes follow by [`Self::add_change`].
    pub fn add_step(&mut self, step: super::PlannedStep) -> StepNo {
        self.header.steps.push(step);
        let next = self.next_change();
        let number = StepNo(number(self.header.steps.len() - 1));
        if let super::Work::Operation(operation) = &mut self.header.steps[number.index()].work {
            operation.changes = next..next;
        }
        number
    }

    /// Ends the last step: its output, and how many of its changes may fail.
    pub fn close_step(&mut self, output: serde_json::Value, max_failed: impl FnOnce(usize) -> u32) {
        if let Some(super::Work::Operation(operation)) = self.header.steps.last_mut().map(|step| &mut step.work) {
            operation.max_failed = max_failed(operation.changes.len());
            operation.output = output;
        }
    }

    /// Sets the dual run, known when its steps are planned.
    pub fn set_dual_run(&mut self, dual_run: Option<super::PlannedDualRun>) {
        self.header.dual_run = dual_run;
    }

    /// The number a change of an earlier step has.
    #[must_use]
    pub fn find(&self, step: StepNo, id: &ChangeId) -> Option<ChangeNo> {
        self.ids.get(&(step, id.clone())).copied()
    }

    /// Adds a change to the last step. `manifest` is that of the step's plugin.
    ///
    /// Problems are collected and come back together from [`Self::finish`].
    pub fn add_change(&mut self, body: &ChangeBody, manifest: &Manifest) {
        let step = StepNo(number(self.header.steps.len() - 1));
        let change = ChangeNo(self.next_change());
        if self.ids.insert((step, body.id.clone()), change).is_some() {
            self.errors.push(PlanError::DuplicateChange { step: self.step_id(step), id: body.id.clone() });
            return;
        }
        let links = self.links(step, body);
        self.check_losses(step, body, manifest);
        if let Some(why) = &body.conflict {
            self.conflicts.insert(change, why.clone());
        }
        let objects = self.identities(step, body);
        if let Some(text) = &mut self.text {
            text.change(step, body);
        }
        self.object_numbers.push(objects);
        self.changes.push(planned(step, body, links, body.digest()));
        if let super::Work::Operation(operation) = &mut self.header.steps[step.index()].work {
            operation.changes.end = change.0 + 1;
        }
    }

    /// The plan and its text, or everything that is wrong with it. No change of it has a conflict.
    ///
    /// # Panics
    /// If it was begun by [`Self::again`].
    pub fn finish(mut self) -> Result<(Plan, String), Vec<PlanError>> {
        self.check_order();
        self.refuse_conflicts();
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let (digest, text) = self.text.expect("a plan that is to run has a text").finish(&self.header);
        Ok((Plan { header: self.header, changes: self.changes, objects: self.object_numbers, digest }, text))
    }

    /// What was planned only to be compared with the plan that is to run, or everything that is wrong with it.
    ///
    /// Here a conflict is no error, and neither is a loss that nobody accepted: what the plan did not have is movement
    /// of the world, and the changes concerned do not run.
    pub fn finish_again(mut self) -> Result<PlannedAgain, Vec<PlanError>> {
        self.check_order();
        self.errors.retain(|error| !matches!(error, PlanError::LossNotAccepted { .. }));
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok(PlannedAgain { header: self.header, changes: self.changes, conflicts: self.conflicts })
    }

    /// Puts a plan together again from stored lines that were found whole.
    pub(super) fn from_stored<E>(
        header: PlanHeader,
        bodies: impl Iterator<Item = Result<(StepNo, ChangeBody, Digest), E>>,
        digest: Digest,
    ) -> Result<Plan, E> {
        let mut builder = Self::again(header);
        for stored in bodies {
            let (step, body, body_digest) = stored?;
            let change = ChangeNo(builder.next_change());
            builder.ids.insert((step, body.id.clone()), change);
            let links = builder.links(step, &body);
            let objects = builder.identities(step, &body);
            builder.object_numbers.push(objects);
            builder.changes.push(planned(step, &body, links, body_digest));
        }
        Ok(Plan { header: builder.header, changes: builder.changes, objects: builder.object_numbers, digest })
    }

    fn next_change(&self) -> u32 {
        number(self.changes.len())
    }

    fn step_id(&self, step: StepNo) -> String {
        self.header.steps[step.index()].id.clone()
    }

    fn links(&mut self, step: StepNo, body: &ChangeBody) -> Vec<ChangeNo> {
        let planned = &self.header.steps[step.index()];
        let mut links = Vec::with_capacity(body.links.len());
        for link in &body.links {
            match planned.linked.iter().find_map(|linked| self.ids.get(&(*linked, link.clone()))) {
                Some(change) => links.push(*change),
                None => self.errors.push(PlanError::UnknownLink { step: planned.id.clone(), id: body.id.clone(), link: link.clone() }),
            }
        }
        let retires = planned.operation().is_some_and(|operation| operation.purpose == Purpose::Retire);
        if retires && body.links.is_empty() {
            self.errors.push(PlanError::RetiresUnlinked { step: planned.id.clone(), id: body.id.clone() });
        }
        links
    }

    fn check_losses(&mut self, step: StepNo, body: &ChangeBody, manifest: &Manifest) {
        let planned = &self.header.steps[step.index()];
        let accept = planned.operation().map_or(&[][..], |operation| &operation.accept);
        for loss in &body.losses {
            let step = planned.id.clone();
            let Some(known) = manifest.losses.iter().find(|known| known.code == loss.code) else {
                self.errors.push(PlanError::UnknownLoss { step, id: body.id.clone(), code: loss.code.clone() });
                continue;
            };
            if known.weight == LossWeight::Inherent || accept.contains(&loss.code) {
                continue;
            }
            // One error per step and code: it counts the changes and names the first.
            let same = self.errors.iter_mut().find_map(|error| match error {
                PlanError::LossNotAccepted { step: other, code, count, .. } if *other == step && *code == loss.code => Some(count),
                _ => None,
            });
            match same {
                Some(count) => *count += 1,
                None => self.errors.push(PlanError::LossNotAccepted {
                    step,
                    id: body.id.clone(),
                    code: loss.code.clone(),
                    count: 1,
                    detail: loss.detail.clone(),
                }),
            }
        }
    }

    /// One error per step that has conflicts.
    fn refuse_conflicts(&mut self) {
        let mut conflicts: Vec<(ChangeNo, String)> = std::mem::take(&mut self.conflicts).into_iter().collect();
        conflicts.sort_unstable();
        let step_of = |change: ChangeNo| self.changes[change.index()].step;
        for conflicts in conflicts.chunk_by(|one, other| step_of(one.0) == step_of(other.0)) {
            let named = conflicts.iter().take(NAMED_CONFLICTS);
            self.errors.push(PlanError::Conflict {
                step: self.step_id(step_of(conflicts[0].0)),
                first: named.map(|(change, why)| (self.changes[change.index()].id.clone(), why.clone())).collect(),
                count: conflicts.len(),
            });
        }
    }

    fn identities(&mut self, step: StepNo, body: &ChangeBody) -> Vec<u32> {
        let step_id = self.step_id(step);
        if body.subject.is_empty() {
            self.errors.push(PlanError::EmptySubject { step: step_id.clone(), id: body.id.clone() });
        }
        let mut numbers = BTreeSet::new();
        for object in &body.subject {
            match identity(&self.header, step, object) {
                Ok(identity) => drop(numbers.insert(self.objects.number_of(identity))),
                Err(what) => {
                    self.errors.push(PlanError::UnknownObject {
                        step: step_id.clone(),
                        id: body.id.clone(),
                        object: object.to_string(),
                        what,
                    });
                }
            }
        }
        numbers.into_iter().collect()
    }

    /// Two steps on one object without an order between them do not plan.
    fn check_order(&mut self) {
        let before = self.header.steps_before();
        let written = self.changes.iter().zip(&self.object_numbers);
        let mut writers: Vec<(u32, StepNo)> =
            written.flat_map(|(change, objects)| objects.iter().map(|object| (*object, change.step))).collect();
        writers.sort_unstable();
        writers.dedup();
        let mut found = BTreeSet::new();
        for steps in writers.chunk_by(|one, other| one.0 == other.0) {
            for (index, (object, first)) in steps.iter().enumerate() {
                for (_, second) in &steps[index + 1..] {
                    let ordered = before[second.index()].contains(first) || before[first.index()].contains(second);
                    if !ordered && found.insert((*first, *second)) {
                        self.errors.push(PlanError::Unordered {
                            first: self.header.steps[first.index()].id.clone(),
                            second: self.header.steps[second.index()].id.clone(),
                            object: self.objects.names[*object as usize].clone(),
                        });
                    }
                }
            }
        }
    }
}

impl PlannedAgain {
    /// The changes, all that could be planned and those with a conflict.
    pub fn changes(&self) -> impl Iterator<Item = (ChangeNo, &PlannedChange)> {
        (0..).map(ChangeNo).zip(&self.changes)
    }

    /// The change of that number.
    #[must_use]
    pub fn change(&self, change: ChangeNo) -> &PlannedChange {
        &self.changes[change.index()]
    }

    /// How people name a change: `step/id`.
    #[must_use]
    pub fn name_of(&self, change: ChangeNo) -> String {
        let planned = self.change(change);
        format!("{}/{}", self.header.steps[planned.step.index()].id, planned.id)
    }

    /// Why the change cannot be made any more; none if it can.
    #[must_use]
    pub fn conflict(&self, change: ChangeNo) -> Option<&str> {
        self.conflicts.get(&change).map(String::as_str)
    }
}

/// `a: why; b: why; and 2 more`.
fn conflicts(first: &[(ChangeId, String)], count: usize) -> String {
    let named = first.iter().map(|(id, why)| format!("`{id}`: {why}"));
    let more = (count > first.len()).then(|| format!("and {} more", count - first.len()));
    named.chain(more).collect::<Vec<_>>().join("; ")
}

impl PlanHeader {
    /// For each step all steps that are done before it begins.
    pub(crate) fn steps_before(&self) -> Vec<BTreeSet<StepNo>> {
        let mut before: Vec<BTreeSet<StepNo>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut all = BTreeSet::new();
            for need in &step.needs {
                all.insert(*need);
                all.extend(before.get(need.index()).into_iter().flatten().copied());
            }
            before.push(all);
        }
        before
    }
}

/// Where an object is: authority, namespace and path.
fn identity(header: &PlanHeader, step: StepNo, object: &Object) -> Result<String, &'static str> {
    let operation = header.steps[step.index()].operation().ok_or("operation")?;
    let connection = operation.connections.get(&object.role).and_then(|name| header.connections.get(name)).ok_or("role")?;
    let authority = match &object.member {
        None if connection.members.is_empty() => &connection.authority,
        None => return Err("member"),
        Some(member) => connection.members.iter().find(|(name, _)| name == member).map(|(_, authority)| authority).ok_or("member")?,
    };
    // Folders may lie in one another: a file has one name, whichever root leads to it.
    let gap = if authority.starts_with("file:") { '/' } else { ' ' };
    Ok(format!("{authority}{gap}{}", object.path))
}

fn planned(step: StepNo, body: &ChangeBody, links: Vec<ChangeNo>, digest: Digest) -> PlannedChange {
    PlannedChange {
        step,
        id: body.id.clone(),
        subject: body.subject.clone(),
        links,
        action: body.action,
        group: body.group.clone(),
        summary: body.summary.clone(),
        losses: body.losses.clone(),
        body: digest,
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a plan has fewer than 2^32 parts")
}

/// Objects by number, so that chains compare integers.
#[derive(Debug, Default)]
struct ObjectTable {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl ObjectTable {
    fn number_of(&mut self, identity: String) -> u32 {
        if let Some(number) = self.numbers.get(&identity) {
            return *number;
        }
        let next = number(self.names.len());
        self.names.push(identity.clone());
        self.numbers.insert(identity, next);
        next
    }
}
