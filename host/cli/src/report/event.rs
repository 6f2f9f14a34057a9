//! The events of a run as lines of JSON: names instead of numbers, and nothing that the journal does not say.

use cutover_engine::{ChangeNo, Event, Plan, RunId, StepNo, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The version of the lines; the first line of a stream says it.
pub const VERSION: u32 = 1;

/// The first line: `{"cutover_events": 1, "run", "workflow", "plan"}`.
#[derive(Debug, Serialize)]
pub struct EventHeader<'a> {
    /// [`VERSION`].
    pub cutover_events: u32,
    /// The run's id.
    pub run: &'a str,
    /// The workflow's name.
    pub workflow: &'a str,
    /// The plan's digest.
    pub plan: String,
}

/// One event: `{"seq", "ts", "run", "type", "step"?, "change"?, …}`.
#[derive(Debug, Serialize)]
pub struct EventLine {
    /// The number of its record in the journal.
    pub seq: u64,
    /// RFC 3339 in UTC with milliseconds.
    pub ts: String,
    /// The run's id.
    pub run: String,
    /// What happened, as the journal calls it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whatever else belongs to it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl<'a> EventHeader<'a> {
    /// The header of a run of this plan.
    #[must_use]
    pub fn new(run: &'a RunId, plan: &'a Plan) -> Self {
        Self { cutover_events: VERSION, run: run.as_str(), workflow: &plan.header.name, plan: plan.digest.to_string() }
    }
}

impl EventLine {
    /// The line of one event.
    #[must_use]
    pub fn new(run: &RunId, plan: &Plan, seq: u64, at: Timestamp, event: &Event) -> Self {
        let mut rest = match serde_json::to_value(event) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let kind = rest.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        name_everything(plan, &mut rest);
        Self { seq, ts: time(at), run: run.to_string(), kind, rest }
    }
}

/// The step that an event belongs to; nothing if it belongs to the run as a whole.
#[must_use]
pub fn step_of(plan: &Plan, event: &Event) -> Option<StepNo> {
    match event {
        Event::Observed { step, .. } | Event::GatePassed { step } | Event::Logged { step, .. } => Some(*step),
        other => other.change().map(|change| plan.change(change).step),
    }
}

fn name_everything(plan: &Plan, fields: &mut Map<String, Value>) {
    if let Some(change) = fields.get("change").and_then(number).map(ChangeNo).filter(|change| change.index() < plan.changes.len()) {
        fields.insert("step".to_owned(), json!(plan.step(plan.change(change).step).id));
        fields.insert("change".to_owned(), json!(plan.name_of(change)));
    } else if let Some(step) = fields.get("step").and_then(number).map(StepNo).filter(|step| step.index() < plan.header.steps.len()) {
        fields.insert("step".to_owned(), json!(plan.step(step).id));
    }
    for list in ["deferred", "over"] {
        if let Some(Value::Array(changes)) = fields.get_mut(list) {
            changes.iter_mut().for_each(|change| *change = name(plan, change));
        }
    }
    if let Some(scope) = fields.get_mut("scope").and_then(|scope| scope.get_mut("change")) {
        *scope = name(plan, scope);
    }
}

fn name(plan: &Plan, number_of: &Value) -> Value {
    let change = number(number_of).map(ChangeNo).filter(|change| change.index() < plan.changes.len());
    change.map_or(Value::Null, |change| json!(plan.name_of(change)))
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| at.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time(Timestamp(1_795_000_000_007)), "2026-11-18T11:06:40.007Z");
    }
}
