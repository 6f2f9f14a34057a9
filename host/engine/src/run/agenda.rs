//! What should happen next, and when.

use super::{
    Mode, Run, Turn,
    recheck::Looked,
    sampling::SeriesKey,
    stage::{ChangeState, Stage},
};
use crate::{
    change::ChangeNo,
    command::{Command, Next, WaitReason},
    event::{Ending, Event},
    timestamp::Timestamp,
};

/// Something on the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Change(ChangeNo),
    Series(SeriesKey),
}

impl Run {
    /// What should happen next. A command is handed out once; its event is the answer.
    pub fn next(&mut self, now: Timestamp) -> Next {
        match self.mode {
            Mode::New => Next::Busy { until: None },
            Mode::Ended { ending, .. } => Next::Ended(ending),
            Mode::Draining(turn) => self.next_draining(now, turn),
            Mode::Forward => self.next_forward(now),
            Mode::Backward => self.next_backward(now),
        }
    }

    fn next_forward(&mut self, now: Timestamp) -> Next {
        if self.dual_run_deadline().is_some_and(|deadline| now >= deadline) && !self.dual_run.expired {
            return Next::Record(Event::DualRunExpired {});
        }
        if let Some(command) = self.take_due(now) {
            return Next::Do(command);
        }
        if let Some(step) = self.due_gate(now) {
            return Next::Record(Event::GatePassed { step });
        }
        if let Some(command) = self.admit(now) {
            return Next::Do(command);
        }
        if self.all_steps_done() {
            return Next::Record(Event::Ended { ending: Ending::Completed });
        }
        match self.idle(now) {
            // Nothing is under way and nothing lies ahead, yet steps are open: a person must look.
            Next::Busy { until: None } if self.in_flight == 0 => Next::Record(Event::Ended { ending: Ending::Paused }),
            next => next,
        }
    }

    /// No new work; but what a hook left in the world is looked at, while that is still certain to be its own doing.
    fn next_draining(&mut self, now: Timestamp, turn: Turn) -> Next {
        let looks = |item: &Item| match item {
            Item::Change(change) => matches!(self.changes[change.index()].stage, Stage::Compare { .. } | Stage::BackCompare { .. }),
            Item::Series(_) => false,
        };
        let due = self.agenda.iter().take_while(|(due, _)| *due <= now).find(|(_, item)| looks(item)).copied();
        match due {
            Some(due) => Next::Do(self.take(due)),
            None if self.in_flight > 0 => Next::Busy { until: None },
            None => Next::Record(match turn {
                Turn::Back => Event::RollbackBegan {},
                Turn::Pause => Event::Ended { ending: Ending::Paused },
                Turn::Stop { .. } => Event::Ended { ending: Ending::Interrupted },
            }),
        }
    }

    fn next_backward(&mut self, now: Timestamp) -> Next {
        if let Some(command) = self.take_due(now) {
            return Next::Do(command);
        }
        if self.in_flight == 0 && self.agenda.is_empty() {
            let ending = if self.changes.iter().any(|change| change.stage == Stage::Stuck) { Ending::Stuck } else { Ending::RolledBack };
            return Next::Record(Event::Ended { ending });
        }
        self.idle(now)
    }

    /// The earliest thing that lies ahead.
    fn idle(&self, now: Timestamp) -> Next {
        let items = self.agenda.first().map(|(due, item)| {
            let reason = match item {
                Item::Change(change) => match self.stands_still_since(*change) {
                    Some(since) => WaitReason::Outage { change: *change, since },
                    None => WaitReason::Change(*change),
                },
                Item::Series(key) => WaitReason::Sample(key.step),
            };
            (*due, reason)
        });
        let waits = items.into_iter().chain(self.step_waits().filter(|(time, _)| *time > now));
        let deadline = self.dual_run_deadline().filter(|_| self.mode == Mode::Forward);
        match waits.min_by_key(|(due, _)| *due) {
            Some((until, reason)) if self.in_flight == 0 => {
                Next::Wait { until: deadline.map_or(until, |deadline| until.min(deadline)), reason }
            }
            found => Next::Busy { until: found.map(|(until, _)| until).into_iter().chain(deadline).min() },
        }
    }

    /// Takes the first thing that is due and makes a command of it.
    fn take_due(&mut self, now: Timestamp) -> Option<Command> {
        loop {
            let first = *self.agenda.first()?;
            if first.0 > now {
                return None;
            }
            if let Item::Change(change) = first.1
                && self.must_queue_again(change, now)
            {
                self.give_up_turn(change);
                continue;
            }
            return Some(self.take(first));
        }
    }

    fn take(&mut self, (due, item): (Timestamp, Item)) -> Command {
        self.agenda.remove(&(due, item));
        self.in_flight += 1;
        match item {
            Item::Change(change) => {
                self.changes[change.index()].dispatched = true;
                self.command_for(change)
            }
            Item::Series(key) => self.sample(key),
        }
    }

    /// The command that a change's stage asks for.
    pub(super) fn command_for(&self, change: ChangeNo) -> Command {
        let origin = self.retreat.origin(change);
        let ChangeState { stage, effect, over, .. } = self.changes[change.index()];
        match stage {
            Stage::Recheck { link, attempt } => {
                let Some(Looked { target, retired }) = self.looked_at(change, link) else { unreachable!("a look has a target") };
                Command::Recheck { change, link, target, retired, attempt }
            }
            Stage::Capture { attempt } => Command::Capture { change, attempt },
            Stage::Apply { attempt } => {
                let follows = self.chains.before[change.index()].iter().copied().find(|before| self.changes[before.index()].written);
                Command::Apply { change, attempt, follows }
            }
            Stage::Compare { look, .. } => Command::Compare { change, attempt: look, effect },
            Stage::Check { attempt } => Command::Check { change, attempt },
            Stage::Prove { attempt } => Command::Prove { change, attempt },
            Stage::BackLook { attempt, .. } => Command::BackLook { change, origin, attempt },
            Stage::Back { attempt } => Command::Rollback { change, origin, attempt, over },
            Stage::BackCompare { look, .. } => Command::BackCompare { change, origin, attempt: look, effect },
            Stage::BackCheck { attempt } => Command::BackCheck { change, origin, attempt },
            stage => unreachable!("a change at {stage:?} is on no agenda"),
        }
    }

    /// Puts a change on the agenda.
    pub(super) fn schedule(&mut self, change: ChangeNo, due: Timestamp, stage: Stage) {
        self.land(change);
        let state = &mut self.changes[change.index()];
        self.agenda.remove(&(state.due, Item::Change(change)));
        state.stage = stage;
        state.due = due;
        self.agenda.insert((due, Item::Change(change)));
    }

    /// Takes a change off the agenda: it is at rest, or waits for an answer.
    pub(super) fn rest(&mut self, change: ChangeNo, stage: Stage) {
        self.land(change);
        let state = &mut self.changes[change.index()];
        self.agenda.remove(&(state.due, Item::Change(change)));
        state.stage = stage;
    }

    /// The answer to an outstanding command came.
    fn land(&mut self, change: ChangeNo) {
        let state = &mut self.changes[change.index()];
        if state.dispatched {
            state.dispatched = false;
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }

    /// A journaled intent: off the agenda, its answer still outstanding.
    pub(super) fn set_off(&mut self, change: ChangeNo, stage: Stage) {
        let state = &mut self.changes[change.index()];
        self.agenda.remove(&(state.due, Item::Change(change)));
        state.stage = stage;
    }

    /// After a restart nothing is in flight: everything that waits is on the agenda again.
    pub(super) fn rebuild_agenda(&mut self) {
        self.agenda.clear();
        for (number, state) in (0u32..).map(ChangeNo).zip(&self.changes) {
            let waits = match state.stage {
                Stage::Recheck { .. }
                | Stage::Capture { .. }
                | Stage::Apply { .. }
                | Stage::Compare { .. }
                | Stage::Check { .. }
                | Stage::Prove { .. } => self.mode != Mode::Backward,
                Stage::BackLook { .. } | Stage::Back { .. } | Stage::BackCompare { .. } | Stage::BackCheck { .. } => true,
                _ => false,
            };
            if waits && !state.dispatched {
                self.agenda.insert((state.due, Item::Change(number)));
            }
        }
        let series = self.series.iter().filter(|(_, series)| !series.dispatched && !series.closed);
        self.agenda.extend(series.map(|(key, series)| (series.due, Item::Series(*key))));
    }
}
