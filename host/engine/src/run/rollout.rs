//! Steps: when they begin, which of their changes are exposed, when they are done.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Mode, Run,
    chain::Chains,
    outlook::Cause,
    sampling::Subject,
    stage::{Phase, Stage},
};
use crate::{
    change::ChangeNo,
    command::{Command, WaitReason},
    event::{Event, Watched},
    manifest::Purpose,
    plan::{Cohort, Plan, StepNo, Work},
    run::IllegalEvent,
    timestamp::Timestamp,
};

/// A step in the run.
#[derive(Debug)]
pub(super) struct StepState {
    /// What it needs is done since then.
    pub(super) since: Option<Timestamp>,
    /// It is done since then.
    pub(super) done: Option<Timestamp>,
    /// The cohort under way.
    pub(super) cohort: u32,
    cohorts: u32,
    /// The cohort of each change.
    cohort_of: Vec<u32>,
    /// For each change: how many before it in its chain are not at rest.
    waits_for: Vec<u32>,
    /// Changes of the cohorts so far that may start.
    queue: VecDeque<ChangeNo>,
    /// Changes of each cohort that are not at rest.
    open: Vec<u32>,
    /// Changes that came to rest.
    settled: BTreeSet<ChangeNo>,
    /// Changes under way.
    active: u32,
    /// Changes that failed.
    failed: u32,
    first: u32,
    /// The scopes whose probes have passed.
    watched: BTreeSet<Watched>,
}

impl StepState {
    pub(super) fn all(plan: &Plan, chains: &Chains) -> Vec<Self> {
        (0u32..).map(StepNo).take(plan.header.steps.len()).map(|step| Self::new(plan, chains, step)).collect()
    }

    fn new(plan: &Plan, chains: &Chains, step: StepNo) -> Self {
        let changes: Vec<ChangeNo> = plan.changes_of(step).collect();
        let groups: Vec<Option<&str>> = changes.iter().map(|change| plan.change(*change).group.as_deref()).collect();
        let cohorts: &[Cohort] = plan.step(step).operation().map_or(&[], |operation| &operation.cohorts);
        let mut cohort_of = Cohort::assign(cohorts, &groups);
        let first = changes.first().map_or(0, |change| change.0);
        let mut waits_for = vec![0; changes.len()];
        for (index, change) in changes.iter().enumerate() {
            for before in chains.before[change.index()].iter().filter(|before| plan.change(**before).step == step) {
                waits_for[index] += 1;
                // A chain is exposed in its order.
                cohort_of[index] = cohort_of[index].max(cohort_of[(before.0 - first) as usize]);
            }
        }
        let cohorts = u32::try_from(cohorts.len()).unwrap_or(u32::MAX).max(1);
        let mut open = vec![0; cohorts as usize];
        cohort_of.iter().for_each(|cohort| open[*cohort as usize] += 1);
        Self {
            since: None,
            done: None,
            cohort: 0,
            cohorts,
            cohort_of,
            waits_for,
            queue: VecDeque::new(),
            open,
            settled: BTreeSet::new(),
            active: 0,
            failed: 0,
            first,
            watched: BTreeSet::new(),
        }
    }

    pub(super) const fn cohort_count(&self) -> u32 {
        self.cohorts
    }

    /// The probes of that scope have passed.
    pub(super) fn watched(&mut self, scope: Watched) {
        self.watched.insert(scope);
    }

    /// Whether the probes of that scope are still to be run.
    pub(super) fn unwatched(&self, scope: Watched) -> bool {
        !self.watched.contains(&scope)
    }

    /// A change that failed is tried again: it does not count any more. Those that the step went on without still do.
    pub(super) fn forgive_failure(&mut self) {
        self.failed = self.failed.saturating_sub(1);
    }

    pub(super) fn has_settled(&self, change: ChangeNo) -> bool {
        self.settled.contains(&change)
    }

    pub(super) fn cohort_of(&self, change: ChangeNo) -> u32 {
        self.cohort_of[self.index(change)]
    }

    fn index(&self, change: ChangeNo) -> usize {
        (change.0 - self.first) as usize
    }

    /// Puts the cohort's changes that wait for nothing in the queue.
    fn fill_queue(&mut self) {
        let ready = (self.first..).map(ChangeNo).zip(self.cohort_of.iter().zip(&self.waits_for));
        let ready = ready.filter(|(change, (cohort, waits))| **cohort == self.cohort && **waits == 0 && !self.settled.contains(change));
        self.queue = ready.map(|(change, _)| change).collect();
    }
}

impl Run {
    /// Opens every step whose needs are done, and closes those that have nothing to do.
    pub(super) fn open_steps(&mut self, at: Timestamp) {
        loop {
            let ready = (0u32..).map(StepNo).take(self.steps.len()).find(|step| {
                let needs = &self.plan.step(*step).needs;
                self.steps[step.index()].since.is_none() && needs.iter().all(|need| self.steps[need.index()].done.is_some())
            });
            let Some(step) = ready else { return };
            self.steps[step.index()].since = Some(at);
            self.steps[step.index()].fill_queue();
            if self.plan.step(step).operation().is_some() {
                self.advance(at, step);
            }
        }
    }

    /// Goes to the next cohort, or ends the step, as far as nothing is open.
    pub(super) fn advance(&mut self, at: Timestamp, step: StepNo) {
        loop {
            let state = &self.steps[step.index()];
            if state.done.is_some() || state.since.is_none() || state.open[..=state.cohort as usize].iter().any(|open| *open > 0) {
                return;
            }
            let cohort = Watched::Cohort(state.cohort);
            let last = state.cohort + 1 >= state.cohorts;
            if self.exposed_any(step) && (self.open_series(at, step, Subject::Cohort, cohort) || self.has_open_series(step)) {
                return;
            }
            if !last {
                let state = &mut self.steps[step.index()];
                state.cohort += 1;
                state.fill_queue();
                continue;
            }
            if self.open_series(at, step, Subject::Step, Watched::Step) || self.has_open_series(step) {
                return;
            }
            return self.finish_step(at, step);
        }
    }

    /// A cohort in which nothing happened has nothing to watch.
    fn exposed_any(&self, step: StepNo) -> bool {
        let state = &self.steps[step.index()];
        let mut members = self.plan.changes_of(step).filter(|change| state.cohort_of(*change) == state.cohort);
        members.any(|change| self.changes[change.index()].written)
    }

    fn finish_step(&mut self, at: Timestamp, step: StepNo) {
        self.steps[step.index()].done = Some(at);
        if let Some(dual) = &self.plan.header.dual_run
            && dual.from.contains(&step)
            && dual.from.iter().all(|from| self.steps[from.index()].done.is_some())
        {
            self.dual_run.since.get_or_insert(at);
            self.dual_run.soak_from = Some(at);
        }
        self.open_steps(at);
    }

    /// The first change of an opening step was applied: from now on old and new both work.
    pub(super) fn note_exposure(&mut self, change: ChangeNo, at: Timestamp) {
        let step = self.plan.change(change).step;
        if self.plan.header.dual_run.as_ref().is_some_and(|dual| dual.from.contains(&step)) {
            self.dual_run.since.get_or_insert(at);
        }
    }

    /// When the dual run must be over, while it lasts.
    #[must_use]
    pub fn dual_run_deadline(&self) -> Option<Timestamp> {
        let dual = self.plan.header.dual_run.as_ref()?;
        let over = dual.until.iter().all(|step| self.steps[step.index()].done.is_some());
        self.dual_run.since.filter(|_| !over).map(|since| since.after(dual.max))
    }

    /// When the step may begin: after the soak, if it ends the dual run.
    fn may_begin(&self, step: StepNo) -> Option<Timestamp> {
        let since = self.steps[step.index()].since?;
        let soak = self.plan.header.dual_run.as_ref().filter(|dual| dual.until.contains(&step));
        match (soak, self.dual_run.soak_from) {
            (None, _) => Some(since),
            (Some(dual), Some(from)) => Some(since.max(from.after(dual.min))),
            (Some(_), None) => None,
        }
    }

    /// A gate whose time has come.
    pub(super) fn due_gate(&self, now: Timestamp) -> Option<StepNo> {
        (0u32..).map(StepNo).take(self.steps.len()).find(|step| self.gate_time(*step).is_some_and(|time| time <= now))
    }

    fn gate_time(&self, step: StepNo) -> Option<Timestamp> {
        let state = &self.steps[step.index()];
        let since = state.since.filter(|_| state.done.is_none())?;
        match &self.plan.step(step).work {
            Work::Wait { span, until } => Some(since.max(span.map_or(since, |span| since.after(span))).max(until.unwrap_or(since))),
            Work::Operation(_) => None,
        }
    }

    pub(super) fn gate_passed(&mut self, at: Timestamp, event: &Event, step: StepNo) -> Result<(), IllegalEvent> {
        let due = (step.index() < self.steps.len()).then(|| self.gate_time(step)).flatten();
        if self.mode != Mode::Forward || due.is_none_or(|due| due > at) {
            return Err(self.illegal(event));
        }
        self.finish_step(at, step);
        Ok(())
    }

    /// Times at which a gate or a soak ends.
    pub(super) fn step_waits(&self) -> impl Iterator<Item = (Timestamp, WaitReason)> + '_ {
        let forward = self.mode == Mode::Forward;
        (0u32..).map(StepNo).take(if forward { self.steps.len() } else { 0 }).filter_map(|step| {
            if let Some(time) = self.gate_time(step) {
                return Some((time, WaitReason::Gate(step)));
            }
            let waiting = self.steps[step.index()].done.is_none() && !self.steps[step.index()].queue.is_empty();
            self.may_begin(step).filter(|_| waiting).map(|time| (time, WaitReason::Soak(step)))
        })
    }

    /// Starts one more change, if a step has room for it.
    pub(super) fn admit(&mut self, now: Timestamp) -> Option<Command> {
        for step in (0u32..).map(StepNo).take(self.steps.len()) {
            if self.steps[step.index()].queue.is_empty() || self.may_begin(step).is_none_or(|begin| begin > now) {
                continue;
            }
            let parallel = self.plan.step(step).operation().map_or(1, |operation| operation.parallel);
            while self.steps[step.index()].active < parallel {
                let Some(change) = self.steps[step.index()].queue.pop_front() else { break };
                if self.changes[change.index()].stage != Stage::Planned {
                    continue;
                }
                match self.links_ready(change) {
                    Links::Verified => {
                        self.begin(change, now);
                        self.changes[change.index()].dispatched = true;
                        self.agenda.remove(&(now, super::Item::Change(change)));
                        self.in_flight += 1;
                        return Some(self.command_for(change));
                    }
                    Links::NotYet => {
                        // A linked change is being copied again, or a person must look at it: come back later.
                        self.steps[step.index()].queue.push_back(change);
                        break;
                    }
                }
            }
        }
        None
    }

    /// An event about a change that no `next` of this process started: the fold of a journal.
    pub(super) fn admit_unasked(&mut self, change: ChangeNo) {
        if self.changes[change.index()].stage == Stage::Planned && self.mode != Mode::New {
            let at = self.changes[change.index()].due;
            self.begin(change, at);
        }
    }

    fn begin(&mut self, change: ChangeNo, at: Timestamp) {
        let operation = self.plan.operation_of(change);
        let stage =
            if operation.purpose == Purpose::Retire { Stage::Recheck { link: 0, attempt: 1 } } else { Stage::Capture { attempt: 1 } };
        self.steps[self.plan.change(change).step.index()].active += 1;
        self.changes[change.index()].goes_on = None;
        self.schedule(change, at, stage);
    }

    fn links_ready(&self, change: ChangeNo) -> Links {
        let mut ready = Links::Verified;
        for link in &self.plan.change(change).links {
            match self.changes[link.index()].phase() {
                Phase::Verified | Phase::Proven if self.changes[link.index()].stage == Stage::Settled => {}
                _ => ready = Links::NotYet,
            }
        }
        ready
    }

    /// A retire change that waited in the middle of its turn, and whose turn has not come any more: its soak began anew, or what it
    /// is about is being copied again.
    pub(super) fn must_queue_again(&self, change: ChangeNo, now: Timestamp) -> bool {
        if self.mode != Mode::Forward || !matches!(self.changes[change.index()].stage, Stage::Recheck { link: 0, .. }) {
            return false;
        }
        let step = self.plan.change(change).step;
        self.may_begin(step).is_none_or(|begin| begin > now) || matches!(self.links_ready(change), Links::NotYet)
    }

    /// Leaves a change out, and with it all that links it or follows it on an object.
    pub(super) fn defer(&mut self, change: ChangeNo) {
        let mut left_out = vec![change];
        while let Some(change) = left_out.pop() {
            if self.changes[change.index()].stage != Stage::Planned {
                continue;
            }
            left_out.extend(&self.chains.linked_by[change.index()]);
            left_out.extend(&self.chains.after[change.index()]);
            self.changes[change.index()].stage = Stage::Deferred;
            self.come_to_rest(change);
        }
        self.open_later();
    }

    /// Steps whose last open change was left out are done.
    fn open_later(&mut self) {
        let at = self.last;
        for step in (0u32..).map(StepNo).take(self.steps.len()) {
            if self.mode == Mode::Forward && self.plan.step(step).operation().is_some() {
                self.advance(at, step);
            }
        }
    }

    /// The change came to rest on the way forward.
    pub(super) fn settle(&mut self, at: Timestamp, change: ChangeNo, stage: Stage) {
        self.rest(change, stage);
        self.advanced = self.advanced.max(at);
        let step = self.plan.change(change).step;
        self.steps[step.index()].active = self.steps[step.index()].active.saturating_sub(1);
        self.come_to_rest(change);
        if stage != Stage::Settled {
            // What follows on its objects, or links it, cannot happen any more.
            let followers: Vec<_> =
                self.chains.after[change.index()].iter().chain(&self.chains.linked_by[change.index()]).copied().collect();
            followers.into_iter().for_each(|follower| self.defer(follower));
        }
        self.advance(at, step);
    }

    fn come_to_rest(&mut self, change: ChangeNo) {
        let step = self.plan.change(change).step;
        let state = &mut self.steps[step.index()];
        if !state.settled.insert(change) {
            return;
        }
        let cohort = state.cohort_of(change);
        state.open[cohort as usize] -= 1;
        for follower in self.chains.after[change.index()].iter().filter(|follower| self.plan.change(**follower).step == step) {
            let index = state.index(*follower);
            state.waits_for[index] = state.waits_for[index].saturating_sub(1);
            if state.waits_for[index] == 0
                && state.cohort_of[index] <= state.cohort
                && self.changes[follower.index()].stage == Stage::Planned
            {
                state.queue.push_back(*follower);
            }
        }
    }

    /// A verified change whose source moved: it is captured and applied again, with its first pre-image.
    pub(super) fn reopen(&mut self, change: ChangeNo, at: Timestamp) {
        let step = self.plan.change(change).step;
        let state = &mut self.steps[step.index()];
        if state.settled.remove(&change) {
            let cohort = state.cohort_of(change);
            state.open[cohort as usize] += 1;
            state.done = None;
            state.watched.clear();
            state.active += 1;
        }
        let state = &mut self.changes[change.index()];
        state.stale = true;
        state.present = false;
        state.calling_since = None;
        self.schedule(change, at, Stage::Capture { attempt: 1 });
    }

    /// A retire change that must wait for its linked change goes back to the end of the queue.
    pub(super) fn give_up_turn(&mut self, change: ChangeNo) {
        self.rest(change, Stage::Planned);
        let state = &mut self.changes[change.index()];
        state.outage = None;
        state.calling_since = None;
        let step = self.plan.change(change).step;
        let state = &mut self.steps[step.index()];
        state.active = state.active.saturating_sub(1);
        state.queue.push_back(change);
    }

    /// Counts a failed change; true if the step may go on without it.
    pub(super) fn count_failure(&mut self, step: StepNo) -> bool {
        let state = &mut self.steps[step.index()];
        state.failed += 1;
        self.mode == Mode::Forward && self.plan.step(step).operation().is_some_and(|operation| state.failed <= operation.max_failed)
    }

    pub(super) fn all_steps_done(&self) -> bool {
        self.in_flight == 0 && self.steps.iter().all(|step| step.done.is_some())
    }

    /// A probe said no: the step fails.
    pub(super) fn fail_step(&mut self, cause: Cause) {
        self.turn(cause);
    }
}

/// Whether the changes that a change is about allow it to start.
enum Links {
    Verified,
    NotYet,
}
