//! What people are shown of a run: read-only views of the fold.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

use serde::Serialize;

use super::{Mode, Phase, Run, StuckReason, stage::Stage};
use crate::{
    change::ChangeNo,
    event::Ending,
    failure::Failure,
    plan::StepNo,
    timestamp::{Span, Timestamp},
};

/// Why a run turned back or paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A change failed.
    Change { change: ChangeNo },
    /// A probe of a step said no, or saw too little.
    Probe { step: StepNo, probe: u32, detail: String },
    /// The dual run was not over in time; the step that should have ended it.
    DualRun { step: StepNo },
    /// The source of a verified change moved.
    Stale { change: ChangeNo },
    /// Somebody asked for a rollback.
    Requested,
}

/// What a step is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepPhase {
    /// Waits for other steps.
    Waiting,
    /// Under way.
    Running,
    /// All its changes are verified.
    Done,
    /// `when` said no.
    Skipped,
    /// It failed.
    Failed,
    /// Its changes go back, or went back.
    RolledBack,
    /// Something of it stayed.
    Stuck,
}

/// A step as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutlook {
    /// Its number.
    pub step: StepNo,
    /// What it is doing.
    pub phase: StepPhase,
    /// How many changes are in which phase.
    pub counts: Vec<(Phase, u32)>,
    /// How many were present already.
    pub present: u32,
    /// How many are stale.
    pub stale: u32,
    /// How many are back by the host's own look alone.
    pub unchecked: u32,
    /// How many are retired without a refusal seen, because nobody can have the old credential any more.
    pub not_provable: u32,
    /// How many wait for the end of an outage.
    pub waiting: u32,
    /// The cohort under way, from 1, and how many there are.
    pub cohort: (u32, u32),
    /// When it began and when it was done.
    pub span: (Option<Timestamp>, Option<Timestamp>),
}

/// A change for which a person is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The change.
    pub change: ChangeNo,
    /// Why it stays.
    pub reason: StuckReason,
    /// What was found, if something failed.
    pub failure: Option<Failure>,
}

impl Run {
    /// How the run came to rest, if it has.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        match self.mode {
            Mode::Ended { ending, .. } => Some(ending),
            _ => None,
        }
    }

    /// Whether the plan was confirmed: before that nothing can have happened.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.mode != Mode::New
    }

    /// Whether the run is on its way back, or came to rest on it.
    #[must_use]
    pub fn goes_backward(&self) -> bool {
        self.is_backward()
    }

    /// Whether the pre-images are destroyed.
    #[must_use]
    pub fn has_no_way_back(&self) -> bool {
        self.pre_images_destroyed
    }

    /// Why the run turned.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// The time of the last event.
    #[must_use]
    pub fn last_event(&self) -> Timestamp {
        self.last
    }

    /// The phase of a change.
    #[must_use]
    pub fn phase(&self, change: ChangeNo) -> Phase {
        self.changes[change.index()].phase()
    }

    /// Whether the change was equal to what is wanted at first capture.
    #[must_use]
    pub fn is_present(&self, change: ChangeNo) -> bool {
        self.changes[change.index()].present
    }

    /// Whether the source of the change moved after verification.
    #[must_use]
    pub fn is_stale(&self, change: ChangeNo) -> bool {
        self.changes[change.index()].stale
    }

    /// Whether the change is back by the host's own look alone, because the plugin's checks could not tell.
    #[must_use]
    pub fn is_unchecked(&self, change: ChangeNo) -> bool {
        self.changes[change.index()].unchecked
    }

    /// The changes that wait for the end of an outage, in plan order: since when, and what was said last.
    pub fn outages(&self) -> impl Iterator<Item = (ChangeNo, Timestamp, &Failure)> + '_ {
        let waits = (0u32..).map(ChangeNo).zip(&self.changes);
        waits.filter_map(|(change, state)| state.outage.as_ref().map(|outage| (change, outage.since, &outage.failure)))
    }

    /// Whether no old credential could exist any more to prove a retirement with.
    #[must_use]
    pub fn is_not_provable(&self, change: ChangeNo) -> bool {
        self.changes[change.index()].not_provable
    }

    /// Why a change failed or is stuck, as the hook or the host said it.
    #[must_use]
    pub fn failure(&self, change: ChangeNo) -> Option<&Failure> {
        self.changes[change.index()].failure.as_deref()
    }

    /// Whether a pre-image of the change is stored.
    #[must_use]
    pub fn is_captured(&self, change: ChangeNo) -> bool {
        self.changes[change.index()].captured
    }

    /// Whether the change may have left something in the world.
    #[must_use]
    pub fn is_written(&self, change: ChangeNo) -> bool {
        self.changes[change.index()].written
    }

    /// The changes for which a person is needed, in plan order.
    pub fn open(&self) -> impl Iterator<Item = Open> + '_ {
        (0u32..).map(ChangeNo).zip(&self.changes).filter(|(_, state)| state.stage == Stage::Stuck).map(|(change, state)| Open {
            change,
            reason: state.stuck.unwrap_or(StuckReason::NotRestored),
            failure: state.failure.as_deref().cloned(),
        })
    }

    /// How long the dual run has lasted at `now`, and whether it is past its deadline.
    #[must_use]
    pub fn dual_run(&self, now: Timestamp) -> Option<(Span, bool)> {
        let since = self.dual_run.since?;
        let deadline = self.dual_run_deadline();
        Some((now.since(since), self.dual_run.expired || deadline.is_some_and(|deadline| now >= deadline)))
    }

    /// Each step, in plan order.
    pub fn steps(&self) -> impl Iterator<Item = StepOutlook> + '_ {
        (0u32..).map(StepNo).take(self.steps.len()).map(|step| self.step_outlook(step))
    }

    fn step_outlook(&self, step: StepNo) -> StepOutlook {
        let state = &self.steps[step.index()];
        let mut counts: std::collections::BTreeMap<Phase, u32> = std::collections::BTreeMap::new();
        let (mut present, mut stale, mut unchecked, mut not_provable, mut waiting) = (0, 0, 0, 0, 0);
        for change in self.plan.changes_of(step) {
            let change = &self.changes[change.index()];
            *counts.entry(change.phase()).or_default() += 1;
            present += u32::from(change.present);
            stale += u32::from(change.stale);
            unchecked += u32::from(change.unchecked);
            not_provable += u32::from(change.not_provable);
            waiting += u32::from(change.outage.is_some());
        }
        let has = |phase: Phase| counts.contains_key(&phase);
        let skipped = self.plan.step(step).operation().is_some_and(|operation| operation.skipped);
        let failed = match &self.cause {
            Some(Cause::Change { change } | Cause::Stale { change }) => self.plan.change(*change).step == step,
            Some(Cause::Probe { step: other, .. } | Cause::DualRun { step: other }) => *other == step,
            Some(Cause::Requested) | None => false,
        };
        let phase = if skipped {
            StepPhase::Skipped
        } else if has(Phase::Stuck) {
            StepPhase::Stuck
        } else if has(Phase::GoingBack) || (self.is_backward() && (has(Phase::RolledBack) || has(Phase::Unknown))) {
            StepPhase::RolledBack
        } else if failed {
            StepPhase::Failed
        } else if state.done.is_some() {
            StepPhase::Done
        } else if state.since.is_some() && !self.is_backward() {
            StepPhase::Running
        } else {
            StepPhase::Waiting
        };
        StepOutlook {
            step,
            phase,
            counts: counts.into_iter().collect(),
            present,
            stale,
            unchecked,
            not_provable,
            waiting,
            cohort: (state.cohort + 1, state.cohort_count()),
            span: (state.since, state.done),
        }
    }
}
