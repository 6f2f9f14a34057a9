//! Why the host could not plan, start, resume or roll back.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

use std::{borrow::Cow, path::PathBuf};

use cutover_engine::{Ending, Failure, IllegalEvent, Plan, PlanTextError, PlannedPlugin, RunId};
use thiserror::Error;

use crate::{
    bodies::BodyError,
    connection::OpenError,
    disk::DiskError,
    drive::DriveError,
    journal::JournalError,
    key::KeyError,
    lock::LockError,
    planner::{Drift, PlanningError},
    sandbox::{ComponentError, LoadError},
    state::StateError,
};

/// Everything that can stand in the way of a run. Each variant's text names the next thing to do, or its cause does.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// There is no plan.
    #[error(transparent)]
    Planning(#[from] PlanningError),
    /// A stored plan cannot be read.
    #[error("the plan `{}` cannot be used: {source}", .path.display())]
    Plan { path: PathBuf, source: PlanTextError },
    /// The last net: the plan was not written.
    #[error("a secret stood in {place}; the plan was withheld")]
    Leak { place: String },
    /// A stored plan has no sealing key.
    #[error("the plan `{}` has no sealing key; make it again with `cutover plan --out`", .path.display())]
    PlanWithoutKey { path: PathBuf },
    /// The run's plan is not the one its journal was begun with.
    #[error("run {run} was begun with another plan than the one in its folder")]
    ForeignPlan { run: RunId },
    /// A plugin is not the one that was planned with.
    #[error("plugin `{alias}` must be {} {} with the digest {}, which is not to be found", .plugin.name, .plugin.version, .plugin.digest)]
    OtherPlugin { alias: String, plugin: PlannedPlugin },
    /// A plugin cannot be loaded.
    #[error("plugin `{alias}`: {source}")]
    Load { alias: String, source: LoadError },
    /// A component's manifest cannot be read.
    #[error("plugin `{alias}`: {source}")]
    Component { alias: String, source: ComponentError },
    /// A connection cannot be opened.
    #[error(transparent)]
    Connection(#[from] OpenError),
    /// A connection leads elsewhere than planned.
    #[error("connection `{name}` has other members or another authority than when the plan was made; plan again")]
    ConnectionMoved { name: String },
    /// The world moved between plan and run.
    #[error(transparent)]
    Drift(#[from] DriftError),
    /// Somebody else holds the run or a target.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A key is missing, wrong or destroyed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A change's body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The drive broke off.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// A defect of this program.
    #[error("a defect of cutover: {0}")]
    Illegal(#[from] IllegalEvent),
    /// The run is over.
    #[error("run {run} is at rest: {ending:?}; there is nothing to go on with")]
    AtRest { run: RunId, ending: Ending },
    /// The sealed log cannot be read.
    #[error("{text}")]
    Damaged { text: String },
    /// No change has that name.
    #[error("there is no change `{name}`; `cutover runs show` lists them as `step/id`")]
    NoChange { name: String },
}

/// What moved between plan and run. Nothing was written.
#[derive(Debug, Error)]
#[error("{}; nothing was written; plan again", drifted(.moved, .new, .refused.as_ref()))]
pub struct DriftError {
    /// Names of changes of the plan, and how they moved.
    pub moved: Vec<(String, Cow<'static, str>)>,
    /// Names of changes that the plan does not have.
    pub new: Vec<String>,
    /// A step that cannot be planned any more, and why: something is in its way now, or gone.
    pub refused: Option<(String, Failure)>,
}

impl DriftError {
    pub(super) fn new(plan: &Plan, drift: Drift) -> Self {
        Self { moved: drift.moved.into_iter().map(|(change, how)| (plan.name_of(change), how)).collect(), new: drift.new, refused: None }
    }

    pub(super) const fn refused(step: String, failure: Failure) -> Self {
        Self { moved: Vec::new(), new: Vec::new(), refused: Some((step, failure)) }
    }
}

fn drifted(moved: &[(String, Cow<'static, str>)], new: &[String], refused: Option<&(String, Failure)>) -> String {
    match refused {
        Some((step, failure)) => format!("step `{step}` can no longer be planned: {failure}"),
        None => format!("{} of the plan's changes no longer fit the world and {} are new", moved.len(), new.len()),
    }
}
