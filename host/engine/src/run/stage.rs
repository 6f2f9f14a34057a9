//! Where one change stands.

use serde::Serialize;

use super::outage::Outage;
use crate::{
    command::Effect,
    event::is_refusal,
    failure::{Failure, FailureCase},
    timestamp::Timestamp,
};

/// What is to happen next with a change. `Applying` and `GoingBack` are journaled intents; the rest is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for its turn.
    Planned,
    /// A retire change: the link of that number is looked at again.
    Recheck { link: u32, attempt: u32 },
    /// The first look.
    Capture { attempt: u32 },
    /// Apply is to be called.
    Apply { attempt: u32 },
    /// Apply was called; `sent` once a request may have left.
    Applying { attempt: u32, sent: bool },
    /// Apply came back: the look after it.
    Compare { attempt: u32, look: u32, came_back: CameBack },
    /// The plugin's own checks.
    Check { attempt: u32 },
    /// The change's own probes are running.
    Probe,
    /// The old path is to be tried.
    Prove { attempt: u32 },
    /// Nothing more to do on the way forward.
    Settled,
    /// It failed on the way forward.
    Failed,
    /// It drifted, or something that it is about did not happen.
    Deferred,
    /// On the way back: waits for what depends on it.
    Blocked,
    /// The look before rollback; `round` is the attempt of rollback that follows.
    BackLook { attempt: u32, round: u32 },
    /// Rollback is to be called.
    Back { attempt: u32 },
    /// Rollback was called.
    GoingBack { attempt: u32, sent: bool },
    /// Rollback came back: the look after it. `conflict` if it found somebody else's write and stopped.
    BackCompare { attempt: u32, look: u32, conflict: bool },
    /// The plugin's own checks of the way back.
    BackCheck { attempt: u32 },
    /// Back, and checked.
    RolledBack,
    /// A person is needed.
    Stuck,
}

/// How apply came back, for the look after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameBack {
    /// The plugin says that it is finished.
    Done,
    /// Without a result; another attempt may help.
    Retryable,
    /// Without a result; another attempt cannot help.
    Final,
    /// Nobody knows: a request may have left without an answer, or the process died.
    Unknown,
}

/// A change in the run.
#[derive(Debug, Clone)]
pub(super) struct ChangeState {
    pub(super) stage: Stage,
    /// Earliest time for what `stage` asks for.
    pub(super) due: Timestamp,
    /// Handed out by `next`, answer outstanding.
    pub(super) dispatched: bool,
    /// It may have left something in the world: it takes part in a rollback.
    pub(super) written: bool,
    /// A pre-image is stored.
    pub(super) captured: bool,
    /// Nobody knows whether the last writing hook had its effect.
    pub(super) unknown: bool,
    /// Writes of the hook that is under way without an answer yet.
    pub(super) unanswered: u32,
    /// What its writes since the last look can have done.
    pub(super) effect: Effect,
    /// A write of it may have had an effect that no look has found undone.
    pub(super) effective: bool,
    /// Its own writes and somebody else's stand side by side.
    pub(super) mixed: bool,
    /// Equal to what was wanted at first capture.
    pub(super) present: bool,
    /// Its source moved after verification.
    pub(super) stale: bool,
    /// The old path was refused.
    pub(super) proven: bool,
    /// The old path could not be tried by anybody any more.
    pub(super) not_provable: bool,
    /// The operator allowed it to go back over foreign writes.
    pub(super) over: bool,
    /// It goes back by itself, within `max_failed`.
    pub(super) alone: bool,
    /// It is back by the host's own look; the plugin's checks could not tell.
    pub(super) unchecked: bool,
    /// When apply, or on the way back rollback, was first called: for the deadline of `again`.
    pub(super) calling_since: Option<Timestamp>,
    /// A retire change that looks again at what it is about: the attempt of apply that follows.
    pub(super) goes_on: Option<u32>,
    /// Why it failed, is stuck, or waits.
    pub(super) failure: Option<Box<Failure>>,
    /// What it needs cannot be reached for longer than its attempts lasted.
    pub(super) outage: Option<Box<Outage>>,
    /// Why it stays.
    pub(super) stuck: Option<StuckReason>,
}

impl ChangeState {
    pub(super) const fn new() -> Self {
        Self {
            stage: Stage::Planned,
            due: Timestamp(0),
            dispatched: false,
            written: false,
            captured: false,
            unknown: false,
            unanswered: 0,
            effect: Effect::None,
            effective: false,
            mixed: false,
            present: false,
            stale: false,
            proven: false,
            not_provable: false,
            over: false,
            alone: false,
            unchecked: false,
            calling_since: None,
            goes_on: None,
            failure: None,
            outage: None,
            stuck: None,
        }
    }

    /// Whether it failed, and in this way.
    pub(super) fn failed_as(&self, case: FailureCase) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.case == case)
    }

    /// A write has left.
    pub(super) fn note_sent(&mut self) {
        // Until a look has told, the write may be there: it goes back whatever happens to the run.
        self.written = true;
        self.unknown = true;
        self.unanswered += 1;
    }

    /// A write was answered with this status.
    pub(super) fn note_answer(&mut self, status: u16) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if !is_refusal(status) {
            self.effect = self.effect.max(Effect::Certain);
            self.effective = true;
        }
    }

    /// The hook is over, or the process that called it: what was not answered may have had its effect.
    pub(super) fn end_hook(&mut self) {
        if self.unanswered > 0 {
            self.effect = Effect::Unknown;
            self.effective = true;
            self.unanswered = 0;
        }
    }

    /// The process that saw its answers is gone.
    pub(super) fn resume(&mut self) {
        self.dispatched = false;
        self.end_hook();
        self.look_away();
    }

    /// Time passes before the look that was to follow its writes: anybody may write meanwhile.
    pub(super) fn look_away(&mut self) {
        if self.effect == Effect::Certain {
            self.effect = Effect::Unknown;
        }
    }

    /// The phase, in the words of the design.
    pub(super) const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Planned | Stage::Recheck { .. } | Stage::Capture { .. } => {
                if self.captured {
                    Phase::Captured
                } else {
                    Phase::Planned
                }
            }
            Stage::Apply { .. } | Stage::Applying { .. } => Phase::Captured,
            Stage::Compare { came_back: CameBack::Unknown, .. } => Phase::Unknown,
            Stage::Compare { .. } => Phase::Captured,
            Stage::Check { .. } | Stage::Probe => Phase::Applied,
            Stage::Prove { .. } => Phase::Verified,
            Stage::Settled if self.proven => Phase::Proven,
            Stage::Settled => Phase::Verified,
            Stage::Failed => Phase::Failed,
            Stage::Deferred => Phase::Deferred,
            Stage::Blocked | Stage::BackLook { .. } | Stage::Back { .. } | Stage::GoingBack { .. } => {
                if self.unknown {
                    Phase::Unknown
                } else {
                    Phase::GoingBack
                }
            }
            Stage::BackCompare { .. } | Stage::BackCheck { .. } => Phase::GoingBack,
            Stage::RolledBack => Phase::RolledBack,
            Stage::Stuck => Phase::Stuck,
        }
    }
}

/// The phase of a change as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing happened yet.
    Planned,
    /// The pre-image is stored.
    Captured,
    /// The world is as expected.
    Applied,
    /// All checks passed, or it was present.
    Verified,
    /// The old path is refused.
    Proven,
    /// It failed on the way forward.
    Failed,
    /// Nobody knows yet whether a write had its effect.
    Unknown,
    /// On its way back.
    GoingBack,
    /// Back, and checked.
    RolledBack,
    /// A person is needed.
    Stuck,
    /// Left out.
    Deferred,
}

/// Why a change stays although the run goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StuckReason {
    /// Somebody else wrote to its subject.
    Conflict,
    /// Its step is irreversible.
    Irreversible,
    /// Something that depends on it stays.
    Needed,
    /// Rollback was tried as often as allowed.
    NotRestored,
    /// The world could not be read.
    Unreadable,
}
