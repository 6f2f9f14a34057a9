//! Plans for the world: steps with changes on named objects.

use std::{collections::BTreeMap, sync::Arc};

use cutover_engine::{
    Action, ChangeBody, ChangeId, Cohort, Digest, Manifest, Object, OnDrift, OnFailure, Per, Plan, PlanBuilder, PlanError, PlanHeader,
    PlannedAgain, PlannedConnection, PlannedDualRun, PlannedOperation, PlannedProbe, PlannedStep, Purpose, Span, StepNo, Work,
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
        proposed: BTreeMap::new(),
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
        proposed: BTreeMap::new(),
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
