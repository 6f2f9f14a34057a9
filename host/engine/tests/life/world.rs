//! A world of objects with values, a plan over it, and a shell that performs commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cutover_engine::{
    Action, BackRelation, ChangeBody, ChangeId, ChangeNo, Cohort, Command, Digest, Ending, Event, Failure, FailureCase, Manifest, Next,
    Object, OnDrift, OnFailure, Outcome, Per, Plan, PlanBuilder, PlanError, PlanHeader, PlannedAgain, PlannedConnection, PlannedDualRun,
    PlannedOperation, PlannedProbe, PlannedStep, Proof, Purpose, Recheck, Relation, Run, Span, StepNo, Timestamp, Verdict, Work,
};
use serde_json::{Map, Value, json};

/// A plan under construction. Every step has one role, `store`, on one connection.
pub(crate) struct Draft {
    builder: PlanBuilder,
}

impl Draft {
    pub(crate) fn new() -> Self {
        let connection =
            PlannedConnection { kind: "memory".into(), authority: "memory:store".into(), members: Vec::new(), declaration: Value::Null };
        Self {
            builder: PlanBuilder::new(PlanHeader {
                cutover_plan: 1,
                name: "test".into(),
                owner: "nobody".into(),
                file: "test.toml".into(),
                source: String::new(),
                workflow: Digest::of(b""),
                inputs: Map::new(),
                on_failure: OnFailure::Rollback,
                on_drift: OnDrift::Stop,
                keep_pre_images: Span::seconds(72 * 3_600),
                dual_run: None,
                connections: BTreeMap::from([("store".into(), connection)]),
                plugins: BTreeMap::new(),
                steps: Vec::new(),
            }),
        }
    }

    /// Adds a step after the one before it, shaped by `shape`, with changes on these objects; `links` are `(step, id)` pairs.
    pub(crate) fn step(
        mut self,
        id: &str,
        shape: impl FnOnce(&mut PlannedStep, &mut PlannedOperation),
        changes: &[(&str, &str, &[&str])],
    ) -> Self {
        let before = self.builder.header().steps.len();
        let mut step = PlannedStep {
            id: id.into(),
            place: (1, 1),
            needs: before.checked_sub(1).map(|last| StepNo(u32::try_from(last).expect("few"))).into_iter().collect(),
            reads: Vec::new(),
            linked: Vec::new(),
            work: Work::Wait { span: None, until: None },
        };
        let mut operation = operation();
        shape(&mut step, &mut operation);
        step.work = Work::Operation(Box::new(operation));
        self.builder.add_step(step);
        for (id, object, links) in changes {
            self.builder.add_change(&body(id, object, links), &manifest());
        }
        self
    }

    /// Adds a gate after the step before it.
    pub(crate) fn gate(mut self, id: &str, seconds: u64) -> Self {
        let last = u32::try_from(self.builder.header().steps.len() - 1).expect("few");
        self.builder.add_step(PlannedStep {
            id: id.into(),
            place: (1, 1),
            needs: vec![StepNo(last)],
            reads: Vec::new(),
            linked: Vec::new(),
            work: Work::Wait { span: Some(Span::seconds(seconds)), until: None },
        });
        self
    }

    /// Gives the last step one more change that cannot be made.
    pub(crate) fn conflict(mut self, id: &str, object: &str, why: &str) -> Self {
        let body = ChangeBody { conflict: Some(why.into()), ..body(id, object, &[]) };
        self.builder.add_change(&body, &manifest());
        self
    }

    /// The plan and its text.
    pub(crate) fn text(self) -> (Plan, String) {
        self.builder.finish().expect("a plan without contradictions")
    }

    /// Only to be compared with a plan.
    pub(crate) fn again(self) -> Result<PlannedAgain, Vec<PlanError>> {
        self.builder.finish_again()
    }

    pub(crate) fn try_plan(self, shape: impl FnOnce(&mut PlanHeader)) -> Result<Plan, Vec<PlanError>> {
        let (plan, text) = self.builder.finish()?;
        let mut plan = Plan::read(&text).inspect(|read| assert_eq!(*read, plan)).unwrap_or(plan);
        shape(&mut plan.header);
        Ok(plan)
    }

    pub(crate) fn plan(self, shape: impl FnOnce(&mut PlanHeader)) -> Arc<Plan> {
        Arc::new(self.try_plan(shape).expect("a plan without contradictions"))
    }
}

pub(crate) fn pause(header: &mut PlanHeader) {
    header.on_failure = OnFailure::Pause;
}

pub(crate) fn dual_run(from: u32, until: u32, min: u64, max: u64) -> impl FnOnce(&mut PlanHeader) {
    move |header| {
        header.dual_run =
            Some(PlannedDualRun { from: vec![StepNo(from)], until: vec![StepNo(until)], min: Span::seconds(min), max: Span::seconds(max) });
    }
}

pub(crate) fn plain(_: &mut PlannedStep, _: &mut PlannedOperation) {}

pub(crate) fn retires(linked: u32) -> impl FnOnce(&mut PlannedStep, &mut PlannedOperation) {
    move |step, operation| {
        step.linked = vec![StepNo(linked)];
        operation.purpose = Purpose::Retire;
    }
}

pub(crate) fn probe(per: Per, seconds: u64, max_failures: u32) -> PlannedProbe {
    PlannedProbe {
        place: (1, 1),
        plugin: "probe".into(),
        operation: "get".into(),
        input: json!({}),
        connections: BTreeMap::new(),
        public: Vec::new(),
        per,
        every: Span::seconds(1),
        span: Span::seconds(seconds),
        max_failures,
        timeout: Span::seconds(10),
        expect: "true".into(),
        each: Value::Null,
    }
}

fn operation() -> PlannedOperation {
    PlannedOperation {
        plugin: "test".into(),
        operation: "set".into(),
        purpose: Purpose::Migrate,
        input: json!({}),
        connections: BTreeMap::from([("store".into(), "store".into())]),
        verify_with: BTreeMap::new(),
        public: BTreeMap::new(),
        plaintext: Vec::new(),
        accept: Vec::new(),
        cohorts: vec![Cohort::Percent(100)],
        parallel: 4,
        max_failed: 0,
        timeout: Span::seconds(60),
        deadline: Span::seconds(3_600),
        attempts: 3,
        backoff: Span::seconds(1),
        outage: None,
        irreversible: false,
        resumable: true,
        collapses: false,
        self_checking: false,
        server_chosen: Vec::new(),
        residue: BTreeMap::new(),
        probes: Vec::new(),
        skipped: false,
        output: Value::Null,
        changes: 0..0,
    }
}

fn manifest() -> Manifest {
    Manifest { name: "test:test".into(), version: "0.1.0".into(), summary: String::new(), operations: Vec::new(), losses: Vec::new() }
}

fn body(id: &str, object: &str, links: &[&str]) -> ChangeBody {
    ChangeBody {
        id: ChangeId::new(id).expect("an id"),
        subject: object.split('+').map(|path| Object { role: "store".into(), member: None, path: path.into() }).collect(),
        links: links.iter().map(|link| ChangeId::new(*link).expect("an id")).collect(),
        action: Action::Update,
        group: None,
        summary: format!("set {object}"),
        instruction: json!({"to": format!("{id}'s")}),
        losses: Vec::new(),
        by_hand: format!("put {object} back"),
        conflict: None,
    }
}

/// What a hook does besides its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Apply writes nothing and fails so that another attempt may help.
    Unavailable,
    /// Apply writes nothing and fails for good.
    Denied,
    /// Apply writes half and fails for good.
    Half,
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
        for _ in 0..100_000 + 20 * self.plan.changes.len() {
            match self.run.next(self.now) {
                Next::Do(command) => self.perform(command),
                Next::Record(event) => self.record(event),
                Next::Wait { until, .. } => self.now = until,
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
            Command::Apply { change, attempt } => {
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
            Command::Apply { change, attempt } => {
                self.record(Event::ApplyStarted { change, attempt });
                self.apply(change, attempt)
            }
            Command::Compare { change, .. } => self.compare(change),
            Command::Check { change, .. } => {
                let verdict = if self.has(change, Fault::CheckFails) { Verdict::Fail } else { Verdict::Pass };
                Event::Checked { change, verdict, checks: Vec::new() }
            }
            Command::Prove { change, .. } => {
                let proof = if self.has(change, Fault::StillOpen) { Proof::Open } else { Proof::Refused };
                Event::Proved { change, proof, checks: Vec::new() }
            }
            Command::Recheck { change, link, target, .. } => {
                let relation = if self.want(target) != self.expected[&target] {
                    Recheck::SourceMoved
                } else if self.state(target) == self.goal(target) {
                    Recheck::Same
                } else {
                    Recheck::TargetMoved
                };
                Event::Rechecked { change, link, relation }
            }
            Command::BackLook { change, origin, .. } => {
                Event::BackLooked { change, relation: self.back_relation(change, origin), state: None }
            }
            Command::Rollback { change, origin, attempt, over } => {
                self.record(Event::RollbackStarted { change, attempt, over });
                self.roll_back(change, origin)
            }
            Command::BackCompare { change, origin, .. } => {
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

    fn compare(&mut self, change: ChangeNo) -> Event {
        let state = self.state(change);
        self.after.insert(change, state.clone());
        let relation = if state == self.goal(change) {
            Relation::Expected
        } else if state == self.pre_images[&change] {
            Relation::PreImage
        } else if state.iter().all(|value| *value == Some(self.want(change))) {
            Relation::NewExpected
        } else {
            Relation::Other
        };
        Event::Compared { change, relation, after: None }
    }

    fn back_relation(&self, change: ChangeNo, origin: ChangeNo) -> BackRelation {
        let state = self.state(change);
        if state == self.pre_images[&origin] {
            BackRelation::PreImage
        } else if Some(&state) == self.after.get(&change) {
            BackRelation::After
        } else {
            BackRelation::Other
        }
    }

    fn roll_back(&mut self, change: ChangeNo, origin: ChangeNo) -> Event {
        self.calls.push(format!("roll back {}", self.plan.name_of(change)));
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
