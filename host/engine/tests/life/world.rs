//! A world of objects with values, and a shell that performs commands on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cutover_engine::{
    BackRelation, ChangeNo, Command, Effect, Ending, Event, Failure, FailureCase, Next, Outcome, Plan, Proof, Recheck, Relation, Run, Span,
    Timestamp, Verdict,
};

/// What a hook does besides its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Apply writes nothing and fails so that another attempt may help.
    Unavailable,
    /// Apply writes nothing and fails for good.
    Denied,
    /// Apply writes half and fails for good.
    Half,
    /// Somebody else's write is there: the server refuses apply's, and apply says so.
    Forestalled,
    /// Somebody else's write is there: the server refuses rollback's, and rollback says so.
    BackForestalled,
    /// Apply says done and writes nothing.
    Lies,
    /// Apply writes all, but no answer comes.
    Lost,
    /// The plugin's own check says no.
    CheckFails,
    /// The old path still works.
    StillOpen,
    /// Rollback writes nothing.
    RollbackStays,
    /// The first apply asks to be called again after 90 s.
    Waits,
    /// A second look at it does not reach its backend.
    Dark,
    /// Apply reaches for what is not its own, after it wrote.
    Trespasses,
    /// The plugin's own checks of the way back cannot tell.
    BackBlind,
    /// The plugin's own checks of the way back cannot be made.
    BackUnreadable,
}

/// Objects and their values, and a shell that performs commands on them.
pub(crate) struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) run: Run,
    pub(crate) now: Timestamp,
    pub(crate) values: BTreeMap<String, String>,
    /// What each change is to write, if not its own name.
    pub(crate) wanted: BTreeMap<ChangeNo, String>,
    pub(crate) faults: BTreeMap<ChangeNo, BTreeSet<Fault>>,
    /// From when to when nothing can be reached.
    pub(crate) outage: std::ops::Range<Timestamp>,
    /// Verdicts of probes, taken from the front; then pass.
    pub(crate) verdicts: Vec<Verdict>,
    /// All events so far.
    pub(crate) journal: Vec<(Timestamp, Event)>,
    /// Rollbacks and applies in order.
    pub(crate) calls: Vec<String>,
    pre_images: BTreeMap<ChangeNo, Vec<Option<String>>>,
    after: BTreeMap<ChangeNo, Vec<Option<String>>>,
    expected: BTreeMap<ChangeNo, String>,
}

impl World {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let mut world = Self {
            run: Run::new(plan.clone()),
            plan,
            now: Timestamp(1_000_000),
            values: BTreeMap::new(),
            wanted: BTreeMap::new(),
            faults: BTreeMap::new(),
            outage: Timestamp(0)..Timestamp(0),
            verdicts: Vec::new(),
            journal: Vec::new(),
            calls: Vec::new(),
            pre_images: BTreeMap::new(),
            after: BTreeMap::new(),
            expected: BTreeMap::new(),
        };
        world.record(Event::Started { plan: world.plan.digest, deferred: Vec::new() });
        world
    }

    pub(crate) fn change(&self, name: &str) -> ChangeNo {
        self.plan.find(name).expect("a change of that name")
    }

    pub(crate) fn fault(&mut self, name: &str, fault: Fault) {
        let change = self.change(name);
        self.faults.entry(change).or_default().insert(fault);
    }

    pub(crate) fn record(&mut self, event: Event) {
        self.run.apply(self.now, &event).expect("a legal event");
        self.journal.push((self.now, event));
    }

    /// Runs to the end; long waits pass at once.
    pub(crate) fn finish(&mut self) -> Ending {
        self.finish_meddling(|_| {})
    }

    /// The same, and `meddle` happens during each wait.
    pub(crate) fn finish_meddling(&mut self, mut meddle: impl FnMut(&mut Self)) -> Ending {
        for _ in 0..100_000 + 20 * self.plan.changes.len() {
            match self.run.next(self.now) {
                Next::Do(command) => self.perform(command),
                Next::Record(event) => self.record(event),
                Next::Wait { until, .. } => {
                    self.now = until;
                    meddle(self);
                }
                Next::Ended(ending) => return ending,
                Next::Busy { .. } => panic!("nothing is in flight"),
            }
        }
        panic!("the run never ends: {:?}", self.journal.iter().rev().take(8).collect::<Vec<_>>());
    }

    /// What a new process would make of the journal.
    pub(crate) fn crash(&mut self) {
        let mut run = Run::new(self.plan.clone());
        for (at, event) in &self.journal {
            run.apply(*at, event).expect("a journal that was written is legal");
        }
        self.run = run;
        if self.run.ending().is_none() || !matches!(self.run.ending(), Some(Ending::Completed | Ending::RolledBack)) {
            self.record(Event::Resumed {});
        }
    }

    /// For so long from now nothing can be reached.
    pub(crate) fn goes_away(&mut self, seconds: u64) {
        self.outage = self.now..self.now.after(Span::seconds(seconds));
    }

    fn is_away(&self) -> bool {
        self.outage.contains(&self.now)
    }

    /// What a command comes to while nothing can be reached.
    fn unreachable(&mut self, command: Command) -> Event {
        let failure = Failure { case: FailureCase::Unavailable, code: None, text: "the server is sealed".into() };
        match command {
            Command::Apply { change, attempt, .. } => {
                self.record(Event::ApplyStarted { change, attempt });
                Event::ApplyEnded { change, outcome: Outcome::Failed(failure) }
            }
            Command::Rollback { change, attempt, over, .. } => {
                self.record(Event::RollbackStarted { change, attempt, over });
                Event::RollbackEnded { change, outcome: Outcome::Failed(failure) }
            }
            Command::Observe { step, probe, scope, .. } => {
                Event::Observed { step, probe, scope, verdict: Verdict::Inconclusive, detail: failure.text }
            }
            Command::Capture { change, .. }
            | Command::Compare { change, .. }
            | Command::Check { change, .. }
            | Command::Prove { change, .. }
            | Command::Recheck { change, .. }
            | Command::BackLook { change, .. }
            | Command::BackCompare { change, .. }
            | Command::BackCheck { change, .. } => Event::HookFailed { change, failure },
        }
    }

    pub(crate) fn perform(&mut self, command: Command) {
        if self.is_away() {
            let event = self.unreachable(command);
            return self.record(event);
        }
        let event = match command {
            Command::Capture { change, .. } => self.capture(change),
            Command::Apply { change, attempt, .. } => {
                self.record(Event::ApplyStarted { change, attempt });
                self.apply(change, attempt)
            }
            Command::Compare { change, effect, .. } => self.compare(change, effect),
            Command::Check { change, .. } => {
                let verdict = if self.has(change, Fault::CheckFails) { Verdict::Fail } else { Verdict::Pass };
                Event::Checked { change, verdict, checks: Vec::new() }
            }
            Command::Prove { change, .. } => {
                let proof = if self.has(change, Fault::StillOpen) { Proof::Open } else { Proof::Refused };
                Event::Proved { change, proof, checks: Vec::new() }
            }
            Command::Recheck { change, target, .. } if self.has(target, Fault::Dark) => {
                Event::HookFailed { change, failure: Failure { case: FailureCase::Unavailable, code: None, text: "it is dark".into() } }
            }
            Command::Recheck { change, link, target, retired, .. } => {
                let relation = if !retired && self.want(target) != self.expected[&target] {
                    Recheck::SourceMoved
                } else if self.state(target) == self.goal(target) {
                    Recheck::Same
                } else {
                    Recheck::TargetMoved
                };
                Event::Rechecked { change, link, relation }
            }
            Command::BackLook { change, origin, .. } => {
                Event::BackLooked { change, relation: self.back_relation(change, origin), state: None, moved: None }
            }
            Command::Rollback { change, origin, attempt, over } => {
                self.record(Event::RollbackStarted { change, attempt, over });
                self.roll_back(change, origin)
            }
            Command::BackCompare { change, origin, effect, .. } => {
                if effect != Effect::None {
                    self.after.insert(change, self.state(change));
                }
                Event::BackCompared { change, relation: self.back_relation(change, origin), state: None }
            }
            Command::BackCheck { change, .. } if self.has(change, Fault::BackUnreadable) => {
                Event::HookFailed { change, failure: Failure { case: FailureCase::Denied, code: None, text: "as arranged".into() } }
            }
            Command::BackCheck { change, .. } => {
                let verdict = if self.has(change, Fault::BackBlind) { Verdict::Inconclusive } else { Verdict::Pass };
                Event::BackChecked { change, verdict, checks: Vec::new() }
            }
            Command::Observe { step, probe, scope, .. } => {
                let verdict = if self.verdicts.is_empty() { Verdict::Pass } else { self.verdicts.remove(0) };
                Event::Observed { step, probe, scope, verdict, detail: "said so".into() }
            }
        };
        self.record(event);
    }

    fn has(&self, change: ChangeNo, fault: Fault) -> bool {
        self.faults.get(&change).is_some_and(|faults| faults.contains(&fault))
    }

    /// True once, if the fault was there.
    fn takes(&mut self, change: ChangeNo, fault: Fault) -> bool {
        self.faults.get_mut(&change).is_some_and(|faults| faults.remove(&fault))
    }

    fn want(&self, change: ChangeNo) -> String {
        self.wanted.get(&change).cloned().unwrap_or_else(|| self.plan.name_of(change))
    }

    fn state(&self, change: ChangeNo) -> Vec<Option<String>> {
        self.plan.change(change).subject.iter().map(|object| self.values.get(&object.path).cloned()).collect()
    }

    fn goal(&self, change: ChangeNo) -> Vec<Option<String>> {
        vec![Some(self.expected[&change].clone()); self.plan.change(change).subject.len()]
    }

    fn write(&mut self, change: ChangeNo, value: Option<String>, count: usize) {
        for object in self.plan.clone().change(change).subject.iter().take(count) {
            match &value {
                Some(value) => drop(self.values.insert(object.path.clone(), value.clone())),
                None => drop(self.values.remove(&object.path)),
            }
        }
    }

    fn capture(&mut self, change: ChangeNo) -> Event {
        let state = self.state(change);
        self.expected.insert(change, self.want(change));
        let present = state == self.goal(change);
        let first = self.pre_images.entry(change).or_insert_with(|| state.clone()).clone();
        let known = state == first || Some(&state) == self.after.get(&change);
        Event::Captured { change, present, moved: !known && !present, state: None, expected: None }
    }

    fn apply(&mut self, change: ChangeNo, attempt: u32) -> Event {
        self.calls.push(format!("apply {}", self.plan.name_of(change)));
        let failure = |case| Failure { case, code: None, text: "as arranged".into() };
        let subject = self.plan.change(change).subject.len();
        if self.takes(change, Fault::Waits) {
            return Event::ApplyEnded {
                change,
                outcome: Outcome::Again { after: self.now.after(Span::seconds(90)), note: "an order".into() },
            };
        }
        let outcome = if self.has(change, Fault::Denied) {
            Outcome::Failed(failure(FailureCase::Denied))
        } else if self.has(change, Fault::Unavailable) && attempt < 3 {
            Outcome::Failed(failure(FailureCase::Unavailable))
        } else if self.has(change, Fault::Lies) {
            Outcome::Done
        } else if self.takes(change, Fault::Forestalled) {
            self.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
            self.write(change, Some("foreign".into()), 1);
            self.record(Event::WriteAnswered { change, write: 1, status: 412 });
            Outcome::Failed(failure(FailureCase::Conflict))
        } else {
            self.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
            let half = self.has(change, Fault::Half);
            let lost = self.takes(change, Fault::Lost);
            self.write(change, Some(self.want(change)), if half { subject / 2 } else { subject });
            if lost {
                Outcome::Unknown(failure(FailureCase::Unavailable))
            } else {
                self.record(Event::WriteAnswered { change, write: 1, status: 204 });
                if self.has(change, Fault::Trespasses) {
                    Outcome::Failed(failure(FailureCase::Refused))
                } else if half {
                    Outcome::Failed(failure(FailureCase::Denied))
                } else {
                    Outcome::Done
                }
            }
        };
        Event::ApplyEnded { change, outcome }
    }

    fn compare(&mut self, change: ChangeNo, effect: Effect) -> Event {
        let state = self.state(change);
        let relation = if state == self.goal(change) {
            Relation::Expected
        } else if state == self.pre_images[&change] {
            Relation::PreImage
        } else if state.iter().all(|value| *value == Some(self.want(change))) {
            Relation::NewExpected
        } else if Some(&state) == self.after.get(&change) || self.is_doing(change, &state, effect) {
            Relation::Other
        } else {
            Relation::Foreign
        };
        if relation != Relation::Foreign {
            self.after.insert(change, state);
        }
        Event::Compared { change, relation, after: None }
    }

    fn back_relation(&self, change: ChangeNo, origin: ChangeNo) -> BackRelation {
        let state = self.state(change);
        if state == self.pre_images[&origin] {
            BackRelation::PreImage
        } else if Some(&state) == self.after.get(&change) {
            BackRelation::After
        } else if state.iter().all(|value| self.is_own(change, origin, value.as_ref())) {
            BackRelation::Partial
        } else {
            BackRelation::Other
        }
    }

    fn is_doing(&self, change: ChangeNo, state: &[Option<String>], effect: Effect) -> bool {
        match effect {
            Effect::None => false,
            Effect::Certain => true,
            Effect::Unknown => state.iter().all(|value| self.is_own(change, change, value.as_ref())),
        }
    }

    /// Whether the change found or was to write that value.
    fn is_own(&self, change: ChangeNo, origin: ChangeNo, value: Option<&String>) -> bool {
        value.is_none() || value == self.expected.get(&change) || self.pre_images[&origin].iter().any(|found| found.as_ref() == value)
    }

    fn roll_back(&mut self, change: ChangeNo, origin: ChangeNo) -> Event {
        self.calls.push(format!("roll back {}", self.plan.name_of(change)));
        if self.takes(change, Fault::BackForestalled) {
            self.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
            self.write(change, Some("foreign".into()), 1);
            self.record(Event::WriteAnswered { change, write: 1, status: 412 });
            let failure = Failure { case: FailureCase::Conflict, code: None, text: "as arranged".into() };
            return Event::RollbackEnded { change, outcome: Outcome::Failed(failure) };
        }
        if !self.has(change, Fault::RollbackStays) {
            self.record(Event::WriteSent { change, write: 1, request: "PUT /x".into() });
            let before = self.pre_images[&origin].clone();
            for (object, value) in self.plan.clone().change(change).subject.iter().zip(before) {
                match value {
                    Some(value) => drop(self.values.insert(object.path.clone(), value)),
                    None => drop(self.values.remove(&object.path)),
                }
            }
            self.record(Event::WriteAnswered { change, write: 1, status: 204 });
        }
        Event::RollbackEnded { change, outcome: Outcome::Done }
    }
}
