//! The life of a change on the way back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    IllegalEvent, Mode, Run,
    forward::{host_failure, unpassed},
    outlook::Cause,
    stage::{Stage, StuckReason},
};
use crate::{
    change::ChangeNo,
    command::Effect,
    event::{BackRelation, CheckResult, Event, Outcome},
    failure::{Failure, FailureCase},
    plan::StepNo,
    timestamp::{Span, Timestamp},
    verdict::Verdict,
};

/// Who waits for whom on the way back.
#[derive(Debug, Default)]
pub(super) struct Retreat {
    /// For each change on its way back: how many that depend on it are not back yet.
    blockers: BTreeMap<ChangeNo, u32>,
    /// For each step: how many of its changes are not back yet.
    open: BTreeMap<StepNo, u32>,
    /// For the newest change of a chain that goes back as one: all its members, oldest first.
    folded: BTreeMap<ChangeNo, Vec<ChangeNo>>,
    /// For each member of such a chain its newest change.
    newest: HashMap<ChangeNo, ChangeNo>,
    /// Steps that stay as a whole, because something that reads them stays.
    held: BTreeSet<StepNo>,
}

impl Retreat {
    /// The change whose pre-image this one goes back to.
    pub(super) fn origin(&self, change: ChangeNo) -> ChangeNo {
        self.folded.get(&change).and_then(|members| members.first()).copied().unwrap_or(change)
    }
}

impl Run {
    /// Every pair of stage and event that may follow each other on the way back; all others are illegal.
    pub(super) fn apply_backward(&mut self, at: Timestamp, change: ChangeNo, event: &Event) -> Result<(), IllegalEvent> {
        let stage = self.changes[change.index()].stage;
        match (stage, event) {
            (Stage::BackLook { round, .. }, Event::BackLooked { relation, moved, .. }) => {
                self.back_looked(at, change, round, (*relation, moved.as_deref()));
            }
            (Stage::Back { attempt }, Event::RollbackStarted { attempt: started, .. }) if attempt == *started => {
                self.changes[change.index()].calling_since.get_or_insert(at);
                self.set_off(change, Stage::GoingBack { attempt, sent: false });
            }
            (Stage::GoingBack { attempt, .. }, Event::WriteSent { .. }) => {
                self.changes[change.index()].note_sent();
                self.set_off(change, Stage::GoingBack { attempt, sent: true });
            }
            (Stage::GoingBack { .. }, Event::WriteAnswered { status, .. }) => self.changes[change.index()].note_answer(*status),
            (Stage::GoingBack { attempt, .. }, Event::RollbackEnded { outcome, .. }) => self.rollback_ended(at, change, attempt, outcome),
            (Stage::BackCompare { attempt, conflict, .. }, Event::BackCompared { relation, .. }) => {
                self.back_compared(at, change, (attempt, conflict), *relation);
            }
            (Stage::BackCheck { attempt }, Event::BackChecked { verdict, checks, .. }) => {
                self.back_checked(at, change, attempt, *verdict, checks);
            }
            (Stage::BackLook { .. } | Stage::BackCompare { .. } | Stage::BackCheck { .. }, Event::HookFailed { failure, .. }) => {
                self.back_look_failed(at, change, stage, failure);
            }
            _ => return Err(self.illegal(event)),
        }
        Ok(())
    }

    fn back_looked(&mut self, at: Timestamp, change: ChangeNo, round: u32, (relation, moved): (BackRelation, Option<&str>)) {
        let state = &self.changes[change.index()];
        let own = match relation {
            BackRelation::PreImage => return self.back(at, change),
            BackRelation::After => !state.mixed,
            BackRelation::Partial => state.unknown && !state.mixed,
            BackRelation::Other => false,
        };
        if own || state.over {
            return self.schedule(change, at, Stage::Back { attempt: round });
        }
        let failure = moved.map(|moved| host_failure(FailureCase::Conflict, "CUT3512", moved.to_owned()));
        self.stuck(change, StuckReason::Conflict, failure);
    }

    fn rollback_ended(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, outcome: &Outcome) {
        self.changes[change.index()].end_hook();
        match outcome {
            Outcome::Again { after, note } => {
                let since = self.changes[change.index()].calling_since.unwrap_or(at);
                let deadline = self.plan.operation_of(change).deadline;
                if after.since(since) <= deadline {
                    return self.schedule(change, *after, Stage::Back { attempt });
                }
                let text = format!("it would wait longer than the step's deadline of {deadline} for: {note}");
                self.changes[change.index()].failure = Some(Box::new(host_failure(FailureCase::Exhausted, "CUT3504", text)));
            }
            Outcome::Done => {}
            Outcome::Failed(failure) | Outcome::Unknown(failure) => self.changes[change.index()].failure = Some(Box::new(failure.clone())),
        }
        let conflict = matches!(outcome, Outcome::Failed(failure) if failure.case == FailureCase::Conflict);
        self.schedule(change, at, Stage::BackCompare { attempt, look: 1, conflict });
    }

    fn back_compared(&mut self, at: Timestamp, change: ChangeNo, (attempt, conflict): (u32, bool), relation: BackRelation) {
        let state = &mut self.changes[change.index()];
        state.unknown = false;
        state.effect = Effect::None;
        if relation == BackRelation::PreImage {
            self.schedule(change, at, Stage::BackCheck { attempt: 1 });
        } else if conflict || relation == BackRelation::Other {
            // Another attempt would read what stands there now, and take it for what it may undo.
            self.stuck(change, StuckReason::Conflict, None);
        } else if attempt < self.plan.operation_of(change).attempts {
            let due = at.after(self.backoff(change, attempt + 1, Span::default()));
            // Looked at afresh before each attempt: in between somebody else may have written.
            self.schedule(change, due, Stage::BackLook { attempt: 1, round: attempt + 1 });
        } else {
            self.stuck(change, StuckReason::NotRestored, None);
        }
    }

    fn back_checked(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, verdict: Verdict, checks: &[CheckResult]) {
        match verdict {
            Verdict::Pass => self.back(at, change),
            Verdict::Inconclusive if attempt < self.plan.operation_of(change).attempts => {
                self.schedule(
                    change,
                    at.after(self.backoff(change, attempt + 1, Span::default())),
                    Stage::BackCheck { attempt: attempt + 1 },
                );
            }
            // The host has looked itself and found the pre-image. Checks that cannot tell are no reason to stay.
            Verdict::Inconclusive => self.back_unchecked(at, change),
            Verdict::Fail => self.stuck(change, StuckReason::NotRestored, Some(unpassed(verdict, checks, "CUT3511"))),
        }
    }

    fn back_unchecked(&mut self, at: Timestamp, change: ChangeNo) {
        self.changes[change.index()].unchecked = true;
        self.back(at, change);
    }

    fn back_look_failed(&mut self, at: Timestamp, change: ChangeNo, stage: Stage, failure: &Failure) {
        let tried = match stage {
            Stage::BackLook { attempt, .. } | Stage::BackCheck { attempt } => attempt,
            Stage::BackCompare { look, .. } => look,
            other => unreachable!("{other:?} is no look"),
        };
        self.changes[change.index()].look_away();
        match (stage, self.another_attempt(at, change, tried, failure)) {
            (Stage::BackLook { round, .. }, Some((due, attempt))) => self.schedule(change, due, Stage::BackLook { attempt, round }),
            (Stage::BackCompare { attempt, conflict, .. }, Some((due, look))) => {
                self.schedule(change, due, Stage::BackCompare { attempt, look, conflict });
            }
            (_, Some((due, attempt))) => self.schedule(change, due, Stage::BackCheck { attempt }),
            (Stage::BackCheck { .. }, None) => self.back_unchecked(at, change),
            (_, None) => self.stuck(change, StuckReason::Unreadable, Some(failure.clone())),
        }
    }

    /// A fresh look found the pre-image: the change is back.
    fn back(&mut self, at: Timestamp, change: ChangeNo) {
        for member in self.members(change) {
            let state = &mut self.changes[member.index()];
            state.written = false;
            state.unknown = false;
            state.effect = Effect::None;
            state.effective = false;
            state.mixed = false;
            state.present = false;
            state.proven = false;
            state.outage = None;
        }
        self.advanced = self.advanced.max(at);
        if self.changes[change.index()].alone {
            self.changes[change.index()].alone = false;
            return self.settle(at, change, Stage::RolledBack);
        }
        for member in self.members(change) {
            self.rest(member, Stage::RolledBack);
        }
        for member in self.members(change) {
            for dependency in self.dependencies(member) {
                if let Some(count) = self.retreat.blockers.get_mut(&dependency) {
                    *count = count.saturating_sub(1);
                    self.unblock(at, dependency);
                }
            }
            self.close_in_step(at, self.plan.change(member).step);
        }
    }

    /// The change stays: a person is needed. What it depends on stays too.
    fn stuck(&mut self, change: ChangeNo, reason: StuckReason, failure: Option<Failure>) {
        let alone = self.changes[change.index()].alone;
        let mut held = vec![(change, reason)];
        while let Some((held_change, reason)) = held.pop() {
            // The members of a chain stay together.
            if matches!(self.changes[held_change.index()].stage, Stage::Stuck | Stage::RolledBack) {
                continue;
            }
            for member in self.members(held_change) {
                let state = &mut self.changes[member.index()];
                if matches!(state.stage, Stage::Stuck | Stage::RolledBack) {
                    continue;
                }
                state.stuck = Some(reason);
                state.outage = None;
                self.rest(member, Stage::Stuck);
                if !alone {
                    held.extend(self.everything_needed_by(member).into_iter().map(|needed| (needed, StuckReason::Needed)));
                }
            }
        }
        if let Some(failure) = failure {
            self.changes[change.index()].failure = Some(Box::new(failure));
        }
        if alone {
            self.changes[change.index()].alone = false;
            self.turn(Cause::Change { change });
        }
    }

    /// Decides for every change whether and when it goes back.
    pub(super) fn begin_retreat(&mut self, at: Timestamp) {
        self.retreat = Retreat::default();
        self.series.clear();
        let goes: Vec<ChangeNo> = (0u32..).map(ChangeNo).take(self.changes.len()).filter(|change| self.goes_back(*change)).collect();
        for state in &mut self.changes {
            state.outage = None;
            if !matches!(state.stage, Stage::Back { .. } | Stage::GoingBack { .. }) {
                state.calling_since = None;
            }
        }
        for change in &goes {
            let state = &mut self.changes[change.index()];
            state.stage = Stage::Blocked;
            state.alone = false;
            state.stuck = None;
            state.dispatched = false;
            self.retreat.blockers.insert(*change, 0);
            *self.retreat.open.entry(self.plan.change(*change).step).or_default() += 1;
        }
        self.fold_chains(&goes);
        for change in &goes {
            for dependency in self.dependencies(*change) {
                if let Some(count) = self.retreat.blockers.get_mut(&dependency) {
                    *count += 1;
                }
            }
        }
        for change in &goes {
            if self.plan.operation_of(*change).irreversible && self.changes[change.index()].stage == Stage::Blocked {
                self.stuck(*change, StuckReason::Irreversible, None);
            }
        }
        for change in goes {
            self.unblock(at, change);
        }
    }

    fn goes_back(&self, change: ChangeNo) -> bool {
        let state = &self.changes[change.index()];
        let unanswered = matches!(state.stage, Stage::Applying { sent: true, .. } | Stage::GoingBack { .. });
        state.written || state.unknown || unanswered
    }

    /// Chains that go back as one: the newest member stands for all.
    fn fold_chains(&mut self, goes: &[ChangeNo]) {
        for newest in goes {
            let follows = |change: &ChangeNo| self.retreat.blockers.contains_key(change) && self.same_fold(*newest, *change);
            if !self.plan.operation_of(*newest).collapses || self.chains.after[newest.index()].iter().any(follows) {
                continue;
            }
            let mut members = vec![*newest];
            while let Some(earlier) =
                members.last().and_then(|last| self.chains.before[last.index()].iter().find(|change| follows(change)).copied())
            {
                members.push(earlier);
            }
            if members.len() > 1 {
                members.reverse();
                self.retreat.newest.extend(members.iter().map(|member| (*member, *newest)));
                self.retreat.folded.insert(*newest, members);
            }
        }
    }

    /// Two changes of one step on the very same subject.
    fn same_fold(&self, one: ChangeNo, other: ChangeNo) -> bool {
        let (one_planned, other_planned) = (self.plan.change(one), self.plan.change(other));
        one_planned.step == other_planned.step && self.plan.objects[one.index()] == self.plan.objects[other.index()]
    }

    /// The change and, if it stands for a chain, the chain's other members.
    fn members(&self, change: ChangeNo) -> Vec<ChangeNo> {
        self.retreat.folded.get(&change).cloned().unwrap_or_else(|| vec![change])
    }

    /// The change that goes back on behalf of this one.
    fn representative(&self, change: ChangeNo) -> ChangeNo {
        self.retreat.newest.get(&change).copied().unwrap_or(change)
    }

    /// What goes back too and this change depends on, besides what its step reads: links, and earlier changes on its objects.
    /// What does not go back itself is passed through.
    fn dependencies(&self, change: ChangeNo) -> Vec<ChangeNo> {
        let direct = |change: ChangeNo| self.plan.change(change).links.iter().chain(&self.chains.before[change.index()]).copied();
        let mut open: Vec<ChangeNo> = direct(change).collect();
        let (mut found, mut passed) = (Vec::new(), HashSet::new());
        while let Some(needed) = open.pop() {
            if self.retreat.blockers.contains_key(&needed) {
                found.push(needed);
            } else if passed.insert(needed) {
                open.extend(direct(needed));
            }
        }
        let itself = self.representative(change);
        found.iter_mut().for_each(|dependency| *dependency = self.representative(*dependency));
        found.retain(|dependency| *dependency != itself);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// All that stays if this change stays: its dependencies and the changes of the steps that its step reads.
    ///
    /// A step is named once: from then on all of it stays.
    fn everything_needed_by(&mut self, change: ChangeNo) -> Vec<ChangeNo> {
        let mut needed = self.dependencies(change);
        for step in &self.chains.reads[self.plan.change(change).step.index()] {
            if self.retreat.held.insert(*step) {
                needed.extend(self.plan.changes_of(*step));
            }
        }
        needed.retain(|change| self.retreat.blockers.contains_key(change));
        needed
    }

    /// Starts a change on its way if nothing that depends on it is left.
    fn unblock(&mut self, at: Timestamp, change: ChangeNo) {
        let step = self.plan.change(change).step;
        let read = self.chains.read_by[step.index()].iter().any(|reader| self.retreat.open.get(reader).is_some_and(|open| *open > 0));
        let stands_for_itself = self.representative(change) == change;
        // What depends on any member of a chain is counted at its newest.
        let free = self.retreat.blockers.get(&change).is_none_or(|count| *count == 0);
        if self.changes[change.index()].stage == Stage::Blocked && stands_for_itself && free && !read {
            self.schedule(change, at, Stage::BackLook { attempt: 1, round: 1 });
        }
    }

    /// One more change of the step is back; those that the step reads may be free now.
    fn close_in_step(&mut self, at: Timestamp, step: StepNo) {
        let Some(open) = self.retreat.open.get_mut(&step) else { return };
        *open = open.saturating_sub(1);
        if *open > 0 {
            return;
        }
        for read in self.chains.reads[step.index()].clone() {
            for change in self.plan.changes_of(read) {
                self.unblock(at, change);
            }
        }
    }

    /// Whether the run is on its way back, or came to rest on it.
    pub(super) fn is_backward(&self) -> bool {
        matches!(self.mode, Mode::Backward | Mode::Ended { backward: true, .. } | Mode::Draining(super::Turn::Stop { backward: true }))
    }
}
