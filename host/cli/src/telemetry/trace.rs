//! The trace of a drive: a fold of its events. One span for the drive, one for each step, and one for each change and
//! direction: a change that goes forward and then back has two.

use std::collections::{BTreeMap, HashMap, VecDeque};

use cutover_engine::{
    ChangeNo, Ending, Event, Failure, LineLevel, Outcome, Phase, Plan, Purpose, Run, RunId, Span as Length, StepNo, Timestamp, Verdict,
};
use serde::Serialize;

use super::{
    span::{Attribute, Span, SpanEvent},
    trace_context::TraceContext,
};
use crate::report::event::step_of;

/// How long the span of a change at rest stays open for what may still come, such as its proof.
const SETTLES_WITHIN: Length = Length::seconds(5);

/// The spans of one process that drives a run.
pub struct Trace {
    context: TraceContext,
    run: String,
    /// The number of the drive's first record: other processes have other spans.
    first: u64,
    root: Span,
    steps: BTreeMap<StepNo, Span>,
    changes: HashMap<ChangeNo, Leg>,
    /// Changes at rest, by the time when they came there.
    settled: VecDeque<(Timestamp, ChangeNo)>,
    legs: u64,
    done: Vec<Span>,
}

/// A change on its way.
struct Leg {
    span: Span,
    back: bool,
}

impl Trace {
    /// Begins the trace of a drive that a command such as `run` began, after the journal's record `seq`.
    #[must_use]
    pub fn new(context: TraceContext, command: &str, run: &RunId, plan: &Plan, seq: u64, at: Timestamp) -> Self {
        let id = context.span_id(&format!("{run} {seq}"));
        let mut root = Span::new(id, context.parent.clone(), format!("cutover {command}"), at);
        root.set("cutover.run", run.as_str().into());
        root.set("cutover.workflow", plan.header.name.as_str().into());
        root.set("cutover.owner", plan.header.owner.as_str().into());
        root.set("cutover.plan", plan.digest.to_string().into());
        // Until the run says how it ends.
        root.error = Some("the drive broke off".to_owned());
        Self {
            context,
            run: run.to_string(),
            first: seq,
            root,
            steps: BTreeMap::new(),
            changes: HashMap::new(),
            settled: VecDeque::new(),
            legs: 0,
            done: Vec::new(),
        }
    }

    /// Where the run belongs.
    #[must_use]
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Takes note of one event; `run` is what the run is after it.
    pub fn see(&mut self, run: &Run, at: Timestamp, event: &Event) {
        let plan = run.plan();
        self.root.ended = at;
        if let Some(step) = step_of(plan, event) {
            self.open_step(plan, step, at).ended = at;
        }
        match event {
            Event::Ended { ending } => self.end(run, *ending),
            Event::Observed { step, probe, verdict, detail, .. } => {
                let span = self.open_step(plan, *step, at);
                span.count("cutover.samples");
                if *verdict != Verdict::Pass {
                    let attributes = vec![
                        ("cutover.probe", Attribute::Number(u64::from(*probe))),
                        ("cutover.verdict", word(verdict).into()),
                        ("cutover.detail", detail.as_str().into()),
                    ];
                    span.happened(SpanEvent { at, name: "observed", attributes });
                }
            }
            Event::Logged { step, change: None, hook, level, text } => {
                let event = line(at, hook.word(), *level, text);
                self.open_step(plan, *step, at).happened(event);
            }
            Event::DualRunExpired {} => self.root.happened(SpanEvent { at, name: "dual-run-expired", attributes: Vec::new() }),
            other => {
                if let Some(change) = other.change() {
                    self.of_change(run, at, change, other);
                }
            }
        }
        while self.settled.front().is_some_and(|(since, _)| at >= since.after(SETTLES_WITHIN)) {
            if let Some((_, change)) = self.settled.pop_front() {
                self.close_if_at_rest(run, change);
            }
        }
    }

    /// The spans that ended since the last call.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.done)
    }

    /// How many of them wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.done.len()
    }

    /// Ends everything, and gives what was not taken yet; the drive's own span comes last.
    #[must_use]
    pub fn finish(mut self) -> Vec<Span> {
        let mut open: Vec<(ChangeNo, Leg)> = self.changes.drain().collect();
        open.sort_by_key(|(change, _)| *change);
        self.done.extend(open.into_iter().map(|(_, leg)| leg.span));
        self.done.extend(self.steps.into_values());
        self.done.push(self.root);
        self.done
    }

    fn open_step(&mut self, plan: &Plan, step: StepNo, at: Timestamp) -> &mut Span {
        let Self { steps, context, root, run, first, .. } = self;
        steps.entry(step).or_insert_with(|| {
            let planned = plan.step(step);
            let id = context.span_id(&format!("{run} {first} step {}", planned.id));
            let mut span = Span::new(id, Some(root.id.clone()), planned.id.clone(), at);
            span.set("cutover.run", run.as_str().into());
            span.set("cutover.step", planned.id.as_str().into());
            if let Some(operation) = planned.operation() {
                span.set("cutover.operation", format!("{}.{}", operation.plugin, operation.operation).into());
            }
            span
        })
    }

    fn of_change(&mut self, run: &Run, at: Timestamp, change: ChangeNo, event: &Event) {
        let back = match event {
            Event::BackLooked { .. }
            | Event::RollbackStarted { .. }
            | Event::RollbackEnded { .. }
            | Event::BackCompared { .. }
            | Event::BackChecked { .. } => true,
            Event::Captured { .. }
            | Event::ApplyStarted { .. }
            | Event::ApplyEnded { .. }
            | Event::Compared { .. }
            | Event::Checked { .. } => false,
            // What may be either belongs to the way that is open.
            _ => self.changes.get(&change).map_or_else(|| run.goes_backward(), |leg| leg.back),
        };
        if self.changes.get(&change).is_some_and(|leg| leg.back != back) {
            self.close(change);
        }
        let leg = self.open_change(run, at, change, back);
        let span = &mut leg.span;
        span.ended = at;
        note(span, at, event);
        let phase = run.phase(change);
        span.set("cutover.change.state", word(&phase).into());
        span.error = matches!(phase, Phase::Failed | Phase::Stuck)
            .then(|| run.failure(change).map_or_else(|| format!("it is {}", word(&phase)), ToString::to_string));
        if is_at_rest(run, change) {
            self.settled.push_back((at, change));
        }
        if let Some(error) = self.changes.get(&change).and_then(|leg| leg.span.error.clone()) {
            self.open_step(run.plan(), run.plan().change(change).step, at).error.get_or_insert(error);
        }
    }

    fn open_change(&mut self, run: &Run, at: Timestamp, change: ChangeNo, back: bool) -> &mut Leg {
        let Self { changes, steps, context, legs, run: id, first, .. } = self;
        changes.entry(change).or_insert_with(|| {
            *legs += 1;
            let plan = run.plan();
            let (name, planned) = (plan.name_of(change), plan.change(change));
            let parent = steps.get(&planned.step).map(|step| step.id.clone());
            let own = context.span_id(&format!("{id} {first} change {name} {legs}"));
            let mut span = Span::new(own, parent, name, at);
            span.set("cutover.run", id.as_str().into());
            span.set("cutover.step", plan.step(planned.step).id.as_str().into());
            span.set("cutover.change", planned.id.to_string().into());
            span.set("cutover.action", word(&planned.action).into());
            span.set("cutover.direction", if back { "back" } else { "forward" }.into());
            Leg { span, back }
        })
    }

    fn close_if_at_rest(&mut self, run: &Run, change: ChangeNo) {
        if is_at_rest(run, change) {
            self.close(change);
        }
    }

    fn close(&mut self, change: ChangeNo) {
        self.done.extend(self.changes.remove(&change).map(|leg| leg.span));
    }

    fn end(&mut self, run: &Run, ending: Ending) {
        let word = match ending {
            Ending::Completed => "completed",
            Ending::RolledBack => "rolled-back",
            Ending::Stuck => "stuck",
            Ending::Paused => "paused",
            Ending::Interrupted => "interrupted",
            Ending::Waiting { .. } => "waiting",
        };
        self.root.set("cutover.ending", word.into());
        let asked = matches!(run.cause(), Some(cutover_engine::Cause::Requested));
        self.root.error = match ending {
            Ending::Completed | Ending::Waiting { .. } | Ending::Interrupted => None,
            Ending::RolledBack if asked => None,
            Ending::RolledBack | Ending::Stuck | Ending::Paused => Some(format!("the run is {word}")),
        };
        if let Some(cutover_engine::Cause::Probe { step, detail, .. }) = run.cause() {
            let at = self.root.ended;
            self.open_step(run.plan(), *step, at).error.get_or_insert_with(|| format!("a probe failed: {detail}"));
        }
    }
}

/// Whether nothing more is expected of a change: a retirement is not over before it is proven.
fn is_at_rest(run: &Run, change: ChangeNo) -> bool {
    match run.phase(change) {
        Phase::Verified => run.plan().operation_of(change).purpose != Purpose::Retire,
        Phase::Proven | Phase::Failed | Phase::RolledBack | Phase::Stuck | Phase::Deferred => true,
        Phase::Planned | Phase::Captured | Phase::Applied | Phase::Unknown | Phase::GoingBack => false,
    }
}

/// What an event tells of its change.
fn note(span: &mut Span, at: Timestamp, event: &Event) {
    match event {
        Event::WriteSent { .. } => span.count("cutover.writes"),
        Event::ApplyStarted { attempt, .. } | Event::RollbackStarted { attempt, .. } => {
            span.set("cutover.attempts", Attribute::Number(u64::from(*attempt)));
        }
        Event::HookFailed { failure, .. } => span.happened(failed(at, "hook-failed", failure)),
        Event::ApplyEnded { outcome: Outcome::Failed(failure) | Outcome::Unknown(failure), .. } => {
            span.happened(failed(at, "apply-failed", failure));
        }
        Event::RollbackEnded { outcome: Outcome::Failed(failure) | Outcome::Unknown(failure), .. } => {
            span.happened(failed(at, "rollback-failed", failure));
        }
        Event::Checked { verdict, .. } | Event::BackChecked { verdict, .. } if *verdict != Verdict::Pass => {
            span.happened(SpanEvent { at, name: "checked", attributes: vec![("cutover.verdict", word(verdict).into())] });
        }
        Event::Logged { hook, level, text, .. } => span.happened(line(at, hook.word(), *level, text)),
        _ => {}
    }
}

fn failed(at: Timestamp, name: &'static str, failure: &Failure) -> SpanEvent {
    let mut attributes = vec![("exception.message", failure.to_string().into())];
    attributes.extend(failure.code.as_ref().map(|code| ("exception.type", code.as_str().into())));
    SpanEvent { at, name, attributes }
}

fn line(at: Timestamp, hook: &str, level: LineLevel, text: &str) -> SpanEvent {
    let attributes = vec![("cutover.hook", hook.into()), ("log.severity", word(&level).into()), ("log.message", text.into())];
    SpanEvent { at, name: "log", attributes }
}

/// The stored word of a state.
fn word(state: &impl Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
