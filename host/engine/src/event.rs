//! What has happened in a run. The journal stores these; everything that is shown is a fold of them.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

use serde::{Deserialize, Serialize};

use crate::{change::ChangeNo, digest::Digest, failure::Failure, plan::StepNo, timestamp::Timestamp, verdict::Verdict};

/// One event. The journal adds the time, a number and the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The plan was confirmed against the world; `deferred` changes had drifted and are left out.
    Started { plan: Digest, deferred: Vec<ChangeNo> },
    /// A new process took over. Whatever was in flight has no outcome.
    Resumed {},
    /// Somebody asked to stop at the next safe point.
    StopRequested {},
    /// Somebody asked for everything to go back; `over` names changes whose foreign writes may be overwritten.
    RollbackRequested { over: Vec<ChangeNo> },
    /// Nothing is in flight any more: changes start to go back.
    RollbackBegan {},
    /// The run came to rest.
    Ended { ending: Ending },
    /// The key of the pre-images is destroyed: there is no way back any more.
    PreImagesDestroyed {},

    /// A first look: the pre-image is stored. `present` if the state was as wanted already; `moved` if it is
    /// neither that nor the stored pre-image of an earlier look.
    Captured { change: ChangeNo, present: bool, moved: bool, state: Option<Digest>, expected: Option<Digest> },
    /// A hook that writes nothing came to no result.
    HookFailed { change: ChangeNo, failure: Failure },
    /// Apply is about to be called.
    ApplyStarted { change: ChangeNo, attempt: u32 },
    /// A request that is not read-only is about to be sent.
    WriteSent { change: ChangeNo, write: u32, request: String },
    /// Its answer came.
    WriteAnswered { change: ChangeNo, write: u32, status: u16 },
    /// Apply came back.
    ApplyEnded { change: ChangeNo, outcome: Outcome },
    /// The look after apply.
    Compared { change: ChangeNo, relation: Relation, after: Option<Digest> },
    /// The plugin's own checks after apply, added up.
    Checked { change: ChangeNo, verdict: Verdict, checks: Vec<CheckResult> },
    /// The old path was tried.
    Proved { change: ChangeNo, proof: Proof, checks: Vec<CheckResult> },
    /// A linked change was looked at again before `change` retires what it copied.
    Rechecked { change: ChangeNo, link: u32, relation: Recheck },

    /// The look before rollback.
    BackLooked {
        change: ChangeNo,
        relation: BackRelation,
        state: Option<Digest>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved: Option<String>,
    },
    /// Rollback is about to be called.
    RollbackStarted { change: ChangeNo, attempt: u32, over: bool },
    /// Rollback came back.
    RollbackEnded { change: ChangeNo, outcome: Outcome },
    /// The look after rollback.
    BackCompared { change: ChangeNo, relation: BackRelation, state: Option<Digest> },
    /// The plugin's own checks after rollback, added up.
    BackChecked { change: ChangeNo, verdict: Verdict, checks: Vec<CheckResult> },

    /// One sample of a probe.
    Observed { step: StepNo, probe: u32, scope: Watched, verdict: Verdict, detail: String },
    /// A gate's time has come.
    GatePassed { step: StepNo },
    /// Old and new have both worked for longer than allowed.
    DualRunExpired {},

    /// A plugin wrote a line for the person who watches; it changes nothing.
    Logged {
        step: StepNo,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<ChangeNo>,
        hook: HookKind,
        level: LineLevel,
        text: String,
    },
}

/// The hooks by the names of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookKind {
    /// Looks at a change's subject.
    Capture,
    /// Writes.
    Apply,
    /// Takes a write back.
    Rollback,
    /// Checks.
    Verify,
    /// Takes a sample for a probe.
    Observe,
}

impl HookKind {
    /// Its name in the contract and in the journal.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Apply => "apply",
            Self::Rollback => "rollback",
            Self::Verify => "verify",
            Self::Observe => "observe",
        }
    }
}

/// How much a plugin's line matters. Lines for the plugin's author are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineLevel {
    /// For the operator.
    Info,
    /// Something that the operator should look at.
    Warn,
}

/// How a writing hook came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The plugin says that it is finished.
    Done,
    /// The plugin waits for something.
    Again { after: Timestamp, note: String },
    /// The plugin or the host ended it without a result.
    Failed(Failure),
    /// A request may have left without an answer, whatever the plugin says.
    Unknown(Failure),
}

/// What the look after apply found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Equal to what was expected at capture.
    Expected,
    /// Equal to the pre-image.
    PreImage,
    /// Equal to what is expected now, which is not what was expected at capture: the source moved.
    NewExpected,
    /// None of these, but what this change wrote since the last look may have made it.
    Other,
    /// None of these, and no doing of this change: somebody else wrote.
    Foreign,
}

/// What a look on the way back found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackRelation {
    /// Equal to the pre-image, outside accepted losses.
    PreImage,
    /// Equal to what the run left there.
    After,
    /// None of these, but every secret in it is one that the change found or wrote: writes of it without an answer may
    /// have made it.
    Partial,
    /// None of these: somebody else wrote.
    Other,
}

/// What a second look at a linked change found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recheck {
    /// As it was verified.
    Same,
    /// Its source has another value now.
    SourceMoved,
    /// Its target has another value now.
    TargetMoved,
    /// Its checks no longer pass.
    CheckFailed(String),
    /// Its checks could not tell.
    Inconclusive(String),
}

/// What trying the old path found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A definite refusal.
    Refused,
    /// It still works.
    Open,
    /// It could not be tried.
    Inconclusive,
    /// No old credential can exist any more.
    NotProvable,
}

/// One check's result, as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// The same in every run.
    pub name: String,
    /// What it found.
    pub verdict: Verdict,
    /// Without values.
    pub detail: String,
}

/// What a probe watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watched {
    /// One change.
    Change(ChangeNo),
    /// One cohort of the step.
    Cohort(u32),
    /// The whole step.
    Step,
}

/// How a run came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every step is done.
    Completed,
    /// Everything is back, checked.
    RolledBack,
    /// Something stayed: a person is needed.
    Stuck,
    /// A failure or a moved source under `on_failure = "pause"`; `resume` goes on.
    Paused,
    /// Stopped by a person at a safe point; `resume` goes on.
    Interrupted,
    /// A long wait; `resume` goes on after that time.
    Waiting { until: Timestamp },
}

impl Event {
    /// Calls `look` with every text that a plugin, a backend or the world may have had a hand in. All else is of the host's making.
    pub fn each_text(&mut self, look: &mut impl FnMut(&mut String)) {
        match self {
            Self::HookFailed { failure, .. } => look(&mut failure.text),
            Self::WriteSent { request, .. } => look(request),
            Self::ApplyEnded { outcome, .. } | Self::RollbackEnded { outcome, .. } => match outcome {
                Outcome::Done => {}
                Outcome::Again { note, .. } => look(note),
                Outcome::Failed(failure) | Outcome::Unknown(failure) => look(&mut failure.text),
            },
            Self::Checked { checks, .. } | Self::Proved { checks, .. } | Self::BackChecked { checks, .. } => {
                for check in checks {
                    look(&mut check.name);
                    look(&mut check.detail);
                }
            }
            Self::Rechecked { relation: Recheck::CheckFailed(detail) | Recheck::Inconclusive(detail), .. } => look(detail),
            Self::BackLooked { moved: Some(moved), .. } => look(moved),
            Self::Observed { detail, .. } => look(detail),
            Self::Logged { text, .. } => look(text),
            Self::Rechecked { relation: Recheck::Same | Recheck::SourceMoved | Recheck::TargetMoved, .. }
            | Self::BackLooked { moved: None, .. }
            | Self::Started { .. }
            | Self::Resumed {}
            | Self::StopRequested {}
            | Self::RollbackRequested { .. }
            | Self::RollbackBegan {}
            | Self::Ended { .. }
            | Self::PreImagesDestroyed {}
            | Self::Captured { .. }
            | Self::ApplyStarted { .. }
            | Self::WriteAnswered { .. }
            | Self::Compared { .. }
            | Self::RollbackStarted { .. }
            | Self::BackCompared { .. }
            | Self::GatePassed { .. }
            | Self::DualRunExpired {} => {}
        }
    }

    /// The change that this event is about, if it is about one.
    #[must_use]
    pub fn change(&self) -> Option<ChangeNo> {
        match self {
            Self::Captured { change, .. }
            | Self::HookFailed { change, .. }
            | Self::ApplyStarted { change, .. }
            | Self::WriteSent { change, .. }
            | Self::WriteAnswered { change, .. }
            | Self::ApplyEnded { change, .. }
            | Self::Compared { change, .. }
            | Self::Checked { change, .. }
            | Self::Proved { change, .. }
            | Self::Rechecked { change, .. }
            | Self::BackLooked { change, .. }
            | Self::RollbackStarted { change, .. }
            | Self::RollbackEnded { change, .. }
            | Self::BackCompared { change, .. }
            | Self::BackChecked { change, .. } => Some(*change),
            Self::Logged { change, .. } => *change,
            Self::Started { .. }
            | Self::Resumed {}
            | Self::StopRequested {}
            | Self::RollbackRequested { .. }
            | Self::RollbackBegan {}
            | Self::Ended { .. }
            | Self::PreImagesDestroyed {}
            | Self::Observed { .. }
            | Self::GatePassed { .. }
            | Self::DualRunExpired {} => None,
        }
    }
}

/// Whether a write with this status certainly had no effect: it never left (0), or the server refused it. Of the 4xx, 408
/// tells only that the answer came too soon (RFC 9110 section 15.5.9).
#[must_use]
pub const fn is_refusal(status: u16) -> bool {
    status == 0 || (status >= 400 && status < 500 && status != 408)
}
