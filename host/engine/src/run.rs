//! The state machine of a run. [`Run::apply`] is the one transition function; live running, resuming and
//! looking all go through it.

mod agenda;
mod backward;
mod chain;
mod forward;
mod lines;
mod outage;
mod outlook;
mod recheck;
mod rollout;
mod sampling;
mod stage;

use std::{collections::BTreeSet, sync::Arc};

use thiserror::Error;

use self::{
    agenda::Item,
    backward::Retreat,
    chain::Chains,
    lines::LinesKept,
    rollout::StepState,
    sampling::Series,
    stage::{ChangeState, Stage},
};
pub use self::{
    outlook::{Cause, Open, StepOutlook, StepPhase},
    stage::{Phase, StuckReason},
};
use crate::{
    change::ChangeNo,
    event::{Ending, Event},
    plan::{OnFailure, Plan, StepNo},
    timestamp::{Span, Timestamp},
};

/// An event that cannot follow the ones before it: the journal is damaged, or this program has a defect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{event}` cannot follow here: {state}")]
pub struct IllegalEvent {
    /// The event's type.
    pub event: String,
    /// What state refused it.
    pub state: String,
}

/// A run: a plan, and all that has happened.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    chains: Chains,
    mode: Mode,
    changes: Vec<ChangeState>,
    steps: Vec<StepState>,
    /// Probe series under way.
    series: std::collections::BTreeMap<sampling::SeriesKey, Series>,
    /// Everything that is to be done, by the earliest time.
    agenda: BTreeSet<(Timestamp, Item)>,
    /// Commands handed out whose answers are outstanding.
    in_flight: u32,
    /// Why the run turned.
    cause: Option<Cause>,
    retreat: Retreat,
    dual_run: DualRunState,
    lines: LinesKept,
    pre_images_destroyed: bool,
    last: Timestamp,
    /// When a change last came to rest, or found its backend again.
    advanced: Timestamp,
}

/// What the run as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The plan is not confirmed yet.
    New,
    /// Applying.
    Forward,
    /// Waiting for hooks in flight, then turning.
    Draining(Turn),
    /// Going back.
    Backward,
    /// At rest; `backward` if it was going back.
    Ended { ending: Ending, backward: bool },
}

/// Where a draining run turns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Everything goes back.
    Back,
    /// Rest until a person resumes.
    Pause,
    /// Rest because a person asked; `backward` if it was going back.
    Stop { backward: bool },
}

/// The dual run's times.
#[derive(Debug, Clone, Copy, Default)]
struct DualRunState {
    /// The first change of an opening step was applied.
    since: Option<Timestamp>,
    /// The opening steps are done.
    soak_from: Option<Timestamp>,
    /// The deadline was noticed.
    expired: bool,
}

impl Run {
    /// A run of this plan in which nothing has happened yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let chains = Chains::new(&plan);
        let steps = StepState::all(&plan, &chains);
        Self {
            changes: vec![ChangeState::new(); plan.changes.len()],
            retreat: Retreat::default(),
            chains,
            steps,
            plan,
            mode: Mode::New,
            series: std::collections::BTreeMap::new(),
            agenda: BTreeSet::new(),
            in_flight: 0,
            cause: None,
            dual_run: DualRunState::default(),
            lines: LinesKept::default(),
            pre_images_destroyed: false,
            last: Timestamp(0),
            advanced: Timestamp(0),
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether it goes forward: neither back, nor to its rest.
    #[must_use]
    pub fn goes_forward(&self) -> bool {
        self.mode == Mode::Forward
    }

    /// The number of the cohort, from 0, in which a change of a step is exposed.
    #[must_use]
    pub fn cohort_of(&self, change: ChangeNo) -> u32 {
        self.steps[self.plan.change(change).step.index()].cohort_of(change)
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// Names the event and the state that refused it; the run is unchanged then.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), IllegalEvent> {
        self.last = self.last.max(at);
        match event {
            Event::Started { plan, deferred } => self.started(at, event, *plan, deferred),
            Event::Resumed {} => self.resumed(at, event),
            Event::StopRequested {} => self.stop_requested(event),
            Event::RollbackRequested { over } => self.rollback_requested(event, over),
            Event::RollbackBegan {} => self.rollback_began(at, event),
            Event::Ended { ending } => self.ended(event, *ending),
            Event::PreImagesDestroyed {} => self.destroyed(event),
            Event::Observed { step, probe, scope, verdict, detail } => self.observed(at, event, (*step, *probe, *scope), *verdict, detail),
            Event::GatePassed { step } => self.gate_passed(at, event, *step),
            Event::DualRunExpired {} => self.dual_run_expired(event),
            Event::Logged { step, change, level, text, .. } => self.logged(event, (*step, *change), *level, text),
            about_a_change => {
                let change = about_a_change.change().filter(|change| change.index() < self.changes.len());
                let change = change.ok_or_else(|| self.illegal(event))?;
                self.admit_unasked(change);
                let result = match self.changes[change.index()].stage {
                    Stage::Blocked
                    | Stage::BackLook { .. }
                    | Stage::Back { .. }
                    | Stage::GoingBack { .. }
                    | Stage::BackCompare { .. }
                    | Stage::BackCheck { .. } => self.apply_backward(at, change, event),
                    _ => self.apply_forward(at, change, event),
                };
                if result.is_ok() {
                    self.end_outage(at, change, event);
                }
                result
            }
        }
    }

    fn started(&mut self, at: Timestamp, event: &Event, plan: crate::Digest, deferred: &[ChangeNo]) -> Result<(), IllegalEvent> {
        if self.mode != Mode::New || plan != self.plan.digest || deferred.iter().any(|change| change.index() >= self.changes.len()) {
            return Err(self.illegal(event));
        }
        self.mode = Mode::Forward;
        for change in deferred {
            self.defer(*change);
        }
        self.open_steps(at);
        Ok(())
    }

    fn resumed(&mut self, at: Timestamp, event: &Event) -> Result<(), IllegalEvent> {
        match self.mode {
            Mode::New | Mode::Ended { ending: Ending::Completed | Ending::RolledBack, .. } => return Err(self.illegal(event)),
            Mode::Forward | Mode::Backward | Mode::Draining(Turn::Back | Turn::Pause) => {}
            Mode::Draining(Turn::Stop { backward }) | Mode::Ended { backward, .. } => {
                self.mode = if backward { Mode::Backward } else { Mode::Forward };
            }
        }
        self.in_flight = 0;
        for index in 0..self.changes.len() {
            self.forget_flight(at, index);
        }
        self.resume_series(at);
        match self.mode {
            Mode::Forward => {
                self.hurry_all(at);
                self.take_retirements_back();
                self.retry_failed(at);
            }
            Mode::Backward => self.begin_retreat(at),
            _ => {}
        }
        self.rebuild_agenda();
        if self.mode == Mode::Forward {
            self.open_steps(at);
        }
        Ok(())
    }

    fn stop_requested(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        match self.mode {
            Mode::Forward => self.mode = Mode::Draining(Turn::Stop { backward: false }),
            Mode::Backward => self.mode = Mode::Draining(Turn::Stop { backward: true }),
            // A run that was about to go back does so when it is resumed.
            Mode::Draining(Turn::Back) => self.mode = Mode::Draining(Turn::Stop { backward: true }),
            // It is coming to rest already.
            Mode::Draining(Turn::Pause | Turn::Stop { .. }) => {}
            Mode::New | Mode::Ended { .. } => return Err(self.illegal(event)),
        }
        Ok(())
    }

    fn rollback_requested(&mut self, event: &Event, over: &[ChangeNo]) -> Result<(), IllegalEvent> {
        let possible =
            !self.pre_images_destroyed && self.mode != Mode::New && over.iter().all(|change| change.index() < self.changes.len());
        if !possible {
            return Err(self.illegal(event));
        }
        // The operator's word is about what was there when it was given.
        for (number, state) in (0u32..).map(ChangeNo).zip(&mut self.changes) {
            state.over = over.contains(&number);
            state.look_away();
        }
        self.cause.get_or_insert(Cause::Requested);
        self.mode = Mode::Draining(Turn::Back);
        Ok(())
    }

    fn rollback_began(&mut self, at: Timestamp, event: &Event) -> Result<(), IllegalEvent> {
        if self.mode != Mode::Draining(Turn::Back) {
            return Err(self.illegal(event));
        }
        self.mode = Mode::Backward;
        self.begin_retreat(at);
        self.rebuild_agenda();
        Ok(())
    }

    fn ended(&mut self, event: &Event, ending: Ending) -> Result<(), IllegalEvent> {
        let backward = match (self.mode, ending) {
            (Mode::Forward, Ending::Completed | Ending::Waiting { .. } | Ending::Paused)
            | (Mode::Draining(Turn::Pause), Ending::Paused) => false,
            (Mode::Draining(Turn::Stop { backward }), Ending::Interrupted) => backward,
            (Mode::Backward, Ending::RolledBack | Ending::Stuck | Ending::Waiting { .. }) => true,
            _ => return Err(self.illegal(event)),
        };
        self.mode = Mode::Ended { ending, backward };
        if !matches!(ending, Ending::Waiting { .. } | Ending::Interrupted) {
            self.changes.iter_mut().for_each(|state| state.over = false);
        }
        Ok(())
    }

    fn destroyed(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        if !matches!(self.mode, Mode::Ended { .. }) {
            return Err(self.illegal(event));
        }
        self.pre_images_destroyed = true;
        Ok(())
    }

    fn dual_run_expired(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let Some(dual) = self.plan.header.dual_run.as_ref().filter(|_| self.mode == Mode::Forward && !self.dual_run.expired) else {
            return Err(self.illegal(event));
        };
        let step = dual.until.first().copied().unwrap_or(StepNo(0));
        self.dual_run.expired = true;
        self.turn(Cause::DualRun { step });
        Ok(())
    }

    /// A step failed: no new work, then what `on_failure` says.
    fn turn(&mut self, cause: Cause) {
        if self.mode == Mode::Forward {
            self.cause = Some(cause);
            self.mode = Mode::Draining(match self.plan.header.on_failure {
                OnFailure::Rollback => Turn::Back,
                OnFailure::Pause => Turn::Pause,
            });
        }
    }

    /// The pause before attempt number `attempt`, at least `floor`.
    fn backoff(&self, change: ChangeNo, attempt: u32, floor: Span) -> Span {
        self.pause(change, attempt, Span(u64::MAX)).max(floor)
    }

    /// The pause before attempt number `attempt`: doubling up to `longest`, with up to a quarter of jitter that is the
    /// same on replay.
    fn pause(&self, change: ChangeNo, attempt: u32, longest: Span) -> Span {
        let first = self.plan.operation_of(change).backoff.0;
        let doubled = first.saturating_mul(1 << attempt.saturating_sub(2).min(10)).min(longest.0);
        let seed =
            u64::from(change.0).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(attempt).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        let jitter = (seed >> 33) % (doubled / 4 + 1);
        Span(doubled.saturating_add(jitter))
    }

    fn illegal(&self, event: &Event) -> IllegalEvent {
        let name = serde_json::to_value(event).ok().and_then(|value| Some(value.get("type")?.as_str()?.to_owned()));
        let state = match event.change().and_then(|change| self.changes.get(change.index()).map(|state| (change, state))) {
            Some((change, state)) => format!("{} is at {:?} while the run is {:?}", self.plan.name_of(change), state.stage, self.mode),
            None => format!("the run is {:?}", self.mode),
        };
        IllegalEvent { event: name.unwrap_or_default(), state }
    }
}
