//! What should happen next.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

use crate::{
    change::ChangeNo,
    event::{Ending, Event, Watched},
    plan::StepNo,
    timestamp::Timestamp,
};

/// The answer of `Run::next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Perform this and answer with its event. It is handed out once.
    Do(Command),
    /// Nothing to perform: record this event.
    Record(Event),
    /// Answers are outstanding; ask again after the next one, or at that time.
    Busy { until: Option<Timestamp> },
    /// Nothing can happen before that time.
    Wait { until: Timestamp, reason: WaitReason },
    /// The run is at rest.
    Ended(Ending),
}

/// One thing to perform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Look at the subject before anything is written: `Captured`.
    Capture { change: ChangeNo, attempt: u32 },
    /// Journal `ApplyStarted`, call apply: `ApplyEnded`. `follows` is an earlier change of the run that wrote to its subject:
    /// the plan has not seen what that one left.
    Apply { change: ChangeNo, attempt: u32, follows: Option<ChangeNo> },
    /// Look at the subject after apply: `Compared`.
    Compare { change: ChangeNo, attempt: u32, effect: Effect },
    /// Call verify with stage `applied`: `Checked`.
    Check { change: ChangeNo, attempt: u32 },
    /// Call verify with stage `retired`: `Proved`.
    Prove { change: ChangeNo, attempt: u32 },
    /// Look at `target` again and verify it: `Rechecked` for `change`, which links it. One that is `retired` is linked by way of
    /// its retirement: its source is gone, so that only what it left is compared.
    Recheck { change: ChangeNo, link: u32, target: ChangeNo, retired: bool, attempt: u32 },
    /// Look at the subject before rollback: `BackLooked`. The pre-image is that of `origin`.
    BackLook { change: ChangeNo, origin: ChangeNo, attempt: u32 },
    /// Journal `RollbackStarted`, call rollback with the pre-image of `origin`: `RollbackEnded`.
    Rollback { change: ChangeNo, origin: ChangeNo, attempt: u32, over: bool },
    /// Look at the subject after rollback: `BackCompared`.
    BackCompare { change: ChangeNo, origin: ChangeNo, attempt: u32, effect: Effect },
    /// Call verify with stage `rolled-back`: `BackChecked`.
    BackCheck { change: ChangeNo, origin: ChangeNo, attempt: u32 },
    /// Take one sample: `Observed`.
    Observe { step: StepNo, probe: u32, scope: Watched, sample: u32 },
}

/// What the change's writes since the last look can have done: whose doing a state is that nobody expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: none was sent, or all were refused.
    None,
    /// A write was answered and the hook that sent it came to its end just now.
    Certain,
    /// A write may have had its effect, or time has passed since.
    Unknown,
}

/// Why nothing can happen before some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// A change waits: for something the plugin named, or before another attempt.
    Change(ChangeNo),
    /// A backend cannot be reached, or asks to wait, longer than the attempts last; the run has stood still since then.
    Outage { change: ChangeNo, since: Timestamp },
    /// A probe's next sample.
    Sample(StepNo),
    /// A gate.
    Gate(StepNo),
    /// The soak before the step that ends the dual run.
    Soak(StepNo),
}
