//! Takes a probe's samples and judges them with its predicate.

use std::{collections::HashSet, sync::Arc, time::Duration};

use cutover_engine::{
    ChangeBody, Event, Expression, Failure, HookKind, Operation, Plan, PlannedProbe, Scope as Values, StepNo, Verdict, Watched,
};
use serde_json::Value;

use super::{
    Outfit,
    lines::Lines,
    perform::{Performer, defect},
};
use crate::{
    equipment::Seats,
    hook::{Answer, Call, HookContext},
    planner::probe_scope,
    policy::Hook,
    sandbox::Plugin,
    sealing::Scope,
    session::{Rights, Session},
};

/// One probe, ready to look.
pub(super) struct Prober {
    planned: PlannedProbe,
    plugin: Arc<Plugin>,
    operation: Arc<Operation>,
    seats: Arc<Seats>,
    expect: Expression,
    values: Values,
}

impl Prober {
    pub(super) fn new(outfit: &Outfit, planned: &PlannedProbe, plan: &Plan) -> Result<Self, Failure> {
        let expect = Expression::parse(&planned.expect, cutover_engine::Anchor::default())
            .map_err(|error| defect(format!("the plan's predicate `{}` cannot be read: {}", planned.expect, error.message)))?;
        Ok(Self {
            plugin: outfit.equipment.plugins[&planned.plugin].clone(),
            operation: Arc::new(outfit.equipment.operation(&planned.plugin, &planned.operation)?.clone()),
            seats: Arc::new(outfit.equipment.probe_seats(planned)?),
            values: probe_scope(&plan.header, planned),
            planned: planned.clone(),
            expect,
        })
    }
}

impl Performer {
    /// One sample.
    pub(super) async fn observe(&self, step: StepNo, probe: u32, scope: Watched, sample: u32) -> Event {
        let body = match scope {
            Watched::Change(change) => self.outfit.bodies.read(change).map(Some).map_err(|error| defect(error.to_string())),
            _ => Ok(None),
        };
        let prober = &self.probers[step.index()][probe as usize];
        let result = match body {
            Ok(body) => self.sample(prober, (step, scope), sample, body).await,
            Err(failure) => Err(failure),
        };
        let (verdict, detail) = match result {
            Ok(result) => judge(prober, result),
            // What cannot be looked at is no failure of what is looked at.
            Err(failure) => (Verdict::Inconclusive, failure.to_string()),
        };
        Event::Observed { step, probe, scope, verdict, detail }
    }

    async fn sample(
        &self,
        prober: &Prober,
        (step, watched): (StepNo, Watched),
        sample: u32,
        change: Option<ChangeBody>,
    ) -> Result<Value, Failure> {
        let watched = match watched {
            Watched::Change(change) => Some(change),
            Watched::Cohort(_) | Watched::Step => None,
        };
        let label = format!("{} probe {}", self.plan.step(step).id, prober.operation.name);
        let rights = Rights {
            operation: prober.operation.clone(),
            seats: prober.seats.clone(),
            hook: Hook::Looking,
            subject: Vec::new(),
            captured: HashSet::new(),
            keep_raw: false,
        };
        let scope = Scope::new(self.outfit.key.clone(), label.clone());
        let lines = Lines {
            answers: self.answers.clone(),
            plan: self.plan.clone(),
            step,
            change: watched,
            hook: HookKind::Observe,
            scanner: self.outfit.key.scanner().clone(),
        };
        let session = Session::new(rights, scope, None, self.outfit.entropy.clone(), self.outfit.limits, label);
        let session = Arc::new(session.noting(Arc::new(lines)));
        let now = self.outfit.clock.now();
        let context = HookContext {
            run: self.outfit.id.to_string(),
            change: change.as_ref().map(|change| change.id.to_string()).unwrap_or_default(),
            attempt: sample,
            now,
            deadline: now.after(prober.planned.timeout),
            idempotency_key: String::new(),
        };
        let call = Call::Observe { context, operation: prober.planned.operation.clone(), input: prober.planned.input.clone(), change };
        let answer = prober.plugin.call(session.clone(), call, Duration::from_millis(prober.planned.timeout.0)).await;
        match session.report().verdict(answer)? {
            Answer::Observation(result) => Ok(result),
            _ => Err(defect("the sandbox gave another answer than asked for".to_owned())),
        }
    }
}

fn judge(prober: &Prober, result: Value) -> (Verdict, String) {
    let seen = shown(&result);
    match prober.expect.evaluate(&prober.values.clone().with_result(result)) {
        Ok(true) => (Verdict::Pass, seen),
        Ok(false) => (Verdict::Fail, format!("`{}` was false; seen: {seen}", prober.planned.expect)),
        Err(undecided) => (Verdict::Inconclusive, format!("`{}` could not be decided: {undecided}; seen: {seen}", prober.planned.expect)),
    }
}

/// The public scalars of an observation, shortened.
fn shown(result: &Value) -> String {
    let scalars = result.as_object().into_iter().flatten().filter_map(|(name, value)| match value {
        Value::String(text) if text.starts_with("sealed:v1:") => None,
        Value::String(text) => Some(format!("{name}={}", text.chars().take(40).collect::<String>().escape_debug())),
        Value::Number(_) | Value::Bool(_) | Value::Null => Some(format!("{name}={value}")),
        Value::Array(_) | Value::Object(_) => None,
    });
    scalars.take(12).collect::<Vec<_>>().join(" ")
}
