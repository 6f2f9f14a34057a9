//! What a run will do, with everything resolved. The plan is the contract: runs compare the world with it.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

mod builder;
mod cohort;
mod text;

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    builder::{PlanBuilder, PlanError, PlannedAgain},
    cohort::Cohort,
    text::{PlanLine, PlanTextError},
};
use crate::{
    change::{Action, ChangeId, ChangeNo, Loss, Object},
    digest::Digest,
    manifest::Purpose,
    pointer::Pointer,
    timestamp::{Span, Timestamp},
};

/// A step's place in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepNo(pub u32);

impl StepNo {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A plan in memory. Of each change it keeps what the engine needs; bodies stay in the plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Everything but the changes.
    pub header: PlanHeader,
    /// In plan order: by step, within a step as the plugin listed them.
    pub changes: Vec<PlannedChange>,
    /// For each change the objects of its subject, as numbers shared between changes.
    pub(crate) objects: Vec<Vec<u32>>,
    /// SHA-256 over the lines of the plan's text.
    pub digest: Digest,
}

/// Everything of a plan but its changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanHeader {
    /// The version of this form.
    pub cutover_plan: u32,
    /// The workflow's name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// The file's name, for messages.
    pub file: String,
    /// The workflow's text: a run plans again with it.
    pub source: String,
    /// SHA-256 of the workflow's text.
    pub workflow: Digest,
    /// The inputs as bound.
    pub inputs: Map<String, Value>,
    /// What happens when a step fails.
    pub on_failure: OnFailure,
    /// What happens when a change has drifted.
    pub on_drift: OnDrift,
    /// How long pre-images are kept after the end.
    pub keep_pre_images: Span,
    /// The span in which old and new both work.
    pub dual_run: Option<PlannedDualRun>,
    /// By name.
    pub connections: BTreeMap<String, PlannedConnection>,
    /// By alias.
    pub plugins: BTreeMap<String, PlannedPlugin>,
    /// In order.
    pub steps: Vec<PlannedStep>,
}

/// What happens when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Everything goes back.
    Rollback,
    /// The run stops and waits for a person.
    Pause,
}

/// What happens when a change has drifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrift {
    /// Nothing is written.
    Stop,
    /// The change, and what links it, is left out.
    Defer,
}

/// The bounded span in which old and new both work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedDualRun {
    /// The steps that open it.
    pub from: Vec<StepNo>,
    /// The steps that end it.
    pub until: Vec<StepNo>,
    /// The soak: the ending steps start no earlier than this after the opening steps are done.
    pub min: Span,
    /// The deadline, from the first change that was applied.
    pub max: Span,
}

/// A connection as the plan names it: no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedConnection {
    /// Its kind.
    pub kind: String,
    /// Its identity, with the namespace.
    pub authority: String,
    /// The members of a set: name and authority.
    pub members: Vec<(String, String)>,
    /// How to open it again: where it is and where its credentials come from, never the credentials.
    pub declaration: Value,
}

/// A plugin as the plan pins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPlugin {
    /// `namespace:name`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: Digest,
}

/// One step, or one instance of a `for_each` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// `copy`, or `copy["eu"]`.
    pub id: String,
    /// Line and column of the step in the workflow file.
    pub place: (u32, u32),
    /// Steps that must be done before.
    pub needs: Vec<StepNo>,
    /// Steps whose output this one's input names.
    pub reads: Vec<StepNo>,
    /// The step whose changes this one's are about.
    pub linked: Vec<StepNo>,
    /// What it does.
    pub work: Work,
}

impl PlanHeader {
    /// The version of the plan's form that this program writes and reads.
    pub const VERSION: u32 = text::VERSION;
}

impl PlannedStep {
    /// The operation, unless the step is a gate.
    #[must_use]
    pub fn operation(&self) -> Option<&PlannedOperation> {
        match &self.work {
            Work::Operation(operation) => Some(operation),
            Work::Wait { .. } => None,
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Uses an operation of a plugin.
    Operation(Box<PlannedOperation>),
    /// Waits, that long after what it needs is done or until that time.
    Wait { span: Option<Span>, until: Option<Timestamp> },
}

/// One use of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedOperation {
    /// The plugin's alias.
    pub plugin: String,
    /// The operation.
    pub operation: String,
    /// What it is for.
    pub purpose: Purpose,
    /// `with`, resolved.
    pub input: Value,
    /// Role → connection.
    pub connections: BTreeMap<String, String>,
    /// Role → connection with the credentials for verify.
    pub verify_with: BTreeMap<String, String>,
    /// Public places that the workflow adds: role → pointers.
    pub public: BTreeMap<String, Vec<Pointer>>,
    /// Public places that the plugin's manifest proposes where the kind of the connection has no rule: role → pointers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proposed: BTreeMap<String, Vec<Pointer>>,
    /// Places whose values the plugin may see.
    pub plaintext: Vec<PlannedGrant>,
    /// Material losses that the operator accepts.
    pub accept: Vec<String>,
    /// The cohorts.
    pub cohorts: Vec<Cohort>,
    /// How many changes are under way at once.
    pub parallel: u32,
    /// How many changes may fail without failing the step.
    pub max_failed: u32,
    /// How long one hook call may take.
    pub timeout: Span,
    /// How long one change may wait in `again`.
    pub deadline: Span,
    /// How often a hook is tried.
    pub attempts: u32,
    /// The first pause between two attempts; it doubles.
    pub backoff: Span,
    /// How long an outage may last before it fails a change on its way forward; none is until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Span>,
    /// True if nothing of it can be undone, by the operator's or the manifest's word.
    pub irreversible: bool,
    /// False if a change that ended without an answer must not be applied again.
    pub resumable: bool,
    /// True if a chain on one subject goes back as one.
    pub collapses: bool,
    /// True if its own checks can carry a change for which there is nothing to compare.
    pub self_checking: bool,
    /// Places of the state whose value the server chooses.
    pub server_chosen: Vec<Pointer>,
    /// Loss code → places that a rollback may leave different.
    pub residue: BTreeMap<String, Vec<Pointer>>,
    /// Probes.
    pub probes: Vec<PlannedProbe>,
    /// True if `when` said no: the step has no changes.
    pub skipped: bool,
    /// What later steps may refer to.
    pub output: Value,
    /// Its changes.
    pub changes: Range<u32>,
}

/// A place whose value the plugin may see, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedGrant {
    /// The role whose responses hold it.
    pub role: String,
    /// Where in the response.
    pub pointer: Pointer,
    /// Why.
    pub reason: String,
}

/// One `[[step.verify]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedProbe {
    /// Line and column in the workflow file.
    pub place: (u32, u32),
    /// The plugin's alias.
    pub plugin: String,
    /// The operation.
    pub operation: String,
    /// `with`, resolved.
    pub input: Value,
    /// Role → connection.
    pub connections: BTreeMap<String, String>,
    /// Public places of the response.
    pub public: Vec<Pointer>,
    /// As for an operation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proposed: BTreeMap<String, Vec<Pointer>>,
    /// What one series of samples is about.
    pub per: Per,
    /// Between two samples.
    pub every: Span,
    /// From the first sample to the last.
    pub span: Span,
    /// How many samples may fail.
    pub max_failures: u32,
    /// How long one sample may take.
    pub timeout: Span,
    /// The predicate over `result`.
    pub expect: String,
    /// `{key, value}` of the element, in a step with `for_each`; else null.
    pub each: Value,
}

/// What one series of samples is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each change.
    Change,
    /// Each cohort.
    Cohort,
    /// The step.
    Step,
}

/// What the engine keeps of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// The step.
    pub step: StepNo,
    /// Unique within the step.
    pub id: ChangeId,
    /// Every object that it may write.
    pub subject: Vec<Object>,
    /// The changes it is about.
    pub links: Vec<ChangeNo>,
    /// What it does.
    pub action: Action,
    /// A name for cohorts.
    pub group: Option<String>,
    /// One line.
    pub summary: String,
    /// What it loses.
    pub losses: Vec<Loss>,
    /// The digest of the whole body.
    pub body: Digest,
}

impl Plan {
    /// Whether this stands in the workflow, or in what names a change or an object: then whoever sees the run knows it.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        let named = |change: &PlannedChange| {
            let subject = |object: &Object| object.path.contains(text) || object.to_string().contains(text);
            change.id.as_str().contains(text) || change.summary.contains(text) || change.subject.iter().any(subject)
        };
        self.header.source.contains(text) || self.header.file.contains(text) || self.changes.iter().any(named)
    }

    /// The step of that number.
    #[must_use]
    pub fn step(&self, step: StepNo) -> &PlannedStep {
        &self.header.steps[step.index()]
    }

    /// The change of that number.
    #[must_use]
    pub fn change(&self, change: ChangeNo) -> &PlannedChange {
        &self.changes[change.index()]
    }

    /// The operation that a change belongs to.
    ///
    /// # Panics
    /// Never for a built plan: only operations have changes.
    #[must_use]
    pub fn operation_of(&self, change: ChangeNo) -> &PlannedOperation {
        self.step(self.change(change).step).operation().expect("only operations have changes")
    }

    /// How people name a change: `step/id`.
    #[must_use]
    pub fn name_of(&self, change: ChangeNo) -> String {
        let planned = self.change(change);
        format!("{}/{}", self.step(planned.step).id, planned.id)
    }

    /// The change that people name so.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ChangeNo> {
        let numbers = 0..u32::try_from(self.changes.len()).ok()?;
        numbers.map(ChangeNo).find(|change| self.name_of(*change) == name)
    }

    /// The places that a rollback of this change may leave different, from the losses it lists.
    #[must_use]
    pub fn residue_of(&self, change: ChangeNo) -> Vec<Pointer> {
        let operation = self.operation_of(change);
        self.change(change).losses.iter().filter_map(|loss| operation.residue.get(&loss.code)).flatten().cloned().collect()
    }

    /// The numbers of a step's changes.
    pub fn changes_of(&self, step: StepNo) -> impl Iterator<Item = ChangeNo> + use<> {
        self.step(step).operation().map_or(0..0, |operation| operation.changes.clone()).map(ChangeNo)
    }
}
