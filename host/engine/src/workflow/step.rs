//! One step: a use of a plugin's operation, or a wait.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{
    length::Length,
    probe::{self, Probe},
    reader::{Fields, Reader},
    rollout::{self, Rollout},
};
use crate::{
    diagnostic::{Diagnostic, Place, Placed},
    expression::Expression,
    name::{checked_name, is_identifier},
    pointer::Pointer,
    reference::{Reference, Template},
    timestamp::Span,
};

checked_name! {
    /// A step's id, unique in its workflow.
    StepId, "step id", is_identifier
}

/// One `[[step]]`.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its id.
    pub id: Placed<StepId>,
    /// The ids it names in `needs`; none means the step above it.
    pub needs: Option<Vec<Placed<StepId>>>,
    /// The indices of the steps it comes after: those of `needs`, or the step above it.
    pub after: Vec<usize>,
    /// What it does.
    pub body: Body,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Body {
    /// Uses an operation.
    Task(Box<Task>),
    /// `gate = "wait"`: a journaled timer.
    Wait(Wait),
}

/// How long a gate waits.
#[derive(Debug, Clone)]
pub enum Wait {
    /// So long after it began.
    For(Placed<Length>),
    /// Until a point in time, in milliseconds since the Unix epoch.
    Until(crate::Timestamp),
}

/// A use of an operation.
#[derive(Debug, Clone)]
pub struct Task {
    /// `plugin.operation`.
    pub uses: Placed<Uses>,
    /// The operation's input.
    pub with: Template,
    /// Role → connection.
    pub connections: BTreeMap<String, Binding>,
    /// Role → connection whose credentials verification uses instead.
    pub verify_with: BTreeMap<String, Binding>,
    /// Cohorts, parallelism and tolerance.
    pub rollout: Rollout,
    /// Codes of material losses that the operator accepts.
    pub accept: Vec<Placed<String>>,
    /// Longest hook call. Default 60s.
    pub timeout: Span,
    /// Longest time that one change may wait for something its plugin named. Default 24h.
    pub deadline: Span,
    /// How often and how patiently a hook is tried.
    pub retry: Retry,
    /// The operator declares that it cannot be undone.
    pub irreversible: bool,
    /// The step whose changes this one is about.
    pub changes: Option<Placed<StepId>>,
    /// What it fans out over: a list or a map.
    pub for_each: Option<Template>,
    /// Whether an instance runs at all.
    pub when: Option<Expression>,
    /// Grants of plaintext.
    pub plaintext: Vec<PlaintextGrant>,
    /// Role → places of responses that are no secrets.
    pub public: BTreeMap<String, Vec<Pointer>>,
    /// What looks at the outcome.
    pub probes: Vec<Probe>,
}

/// A role's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the role is written.
    pub role_place: Place,
    /// The name in `[connections]`.
    pub connection: Placed<String>,
}

/// `plugin.operation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// An alias of `[plugins]`.
    pub plugin: String,
    /// An operation of its manifest.
    pub operation: String,
}

/// How a hook is tried again after a failure that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// All attempts, the first included.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles each time.
    pub backoff: Span,
    /// How long an outage may last that is still there after the attempts; without it the run waits for its end.
    pub wait: Option<Span>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: Span::seconds(1), wait: None }
    }
}

/// A field that the plugin may see in plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaintextGrant {
    /// The role whose responses it is in.
    pub role: Placed<String>,
    /// The field.
    pub pointer: Pointer,
    /// Why; stands in plan and evidence.
    pub reason: String,
}

impl Step {
    /// The operation it uses; none for a gate.
    #[must_use]
    pub fn task(&self) -> Option<&Task> {
        match &self.body {
            Body::Task(task) => Some(task),
            Body::Wait(_) => None,
        }
    }

    /// How long it waits, if it is a gate that waits for a span.
    pub(super) fn wait(&self) -> Option<&Placed<Length>> {
        match &self.body {
            Body::Wait(Wait::For(length)) => Some(length),
            Body::Wait(Wait::Until(_)) | Body::Task(_) => None,
        }
    }

    /// The steps whose outputs its input, `for_each` or `when` reads.
    #[must_use]
    pub fn reads(&self) -> BTreeSet<StepId> {
        self.task().map(|task| steps_of(&task.plan_references())).unwrap_or_default()
    }
}

impl Task {
    /// The references that are followed when the step is planned.
    pub(crate) fn plan_references(&self) -> Vec<(&Reference, Place)> {
        let fan = self.for_each.as_ref().map(Template::references).unwrap_or_default();
        let when = self.when.as_ref().map(Expression::references).unwrap_or_default();
        self.with.references().into_iter().chain(fan).chain(when).collect()
    }

    /// The steps that it names anywhere, its probes included.
    pub(crate) fn steps_read(&self) -> BTreeSet<StepId> {
        let probes = self.probes.iter().flat_map(|probe| [probe.with.references(), probe.expect.references()].concat());
        steps_of(&self.plan_references().into_iter().chain(probes).collect::<Vec<_>>())
    }
}

fn steps_of(references: &[(&Reference, Place)]) -> BTreeSet<StepId> {
    references.iter().flat_map(|(reference, _)| reference.all()).filter_map(|reference| StepId::new(reference.step()?).ok()).collect()
}

/// A step as it was read: its id is known even if the rest is broken.
pub(super) struct ReadStep {
    pub(super) id: Option<Placed<StepId>>,
    pub(super) step: Option<Step>,
}

pub(super) fn read(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> ReadStep {
    let Some(mut fields) = reader.fields("step", value, "a step") else { return ReadStep { id: None, step: None } };
    fields.require(reader, "id");
    let id = fields.name(reader, "id", StepId::new);
    let needs = fields.strings(reader, "needs").map(|names| {
        let ids = names.into_iter().filter_map(|name| {
            reader.keep("CUT0108", name.place, StepId::new(name.value)).map(|value| Placed { value, place: name.place })
        });
        ids.collect()
    });
    fields.reserve(reader, "window");
    let body = if fields.has("gate") {
        read_gate(reader, &mut fields).map(Body::Wait)
    } else {
        if !fields.has("uses") {
            reader.error("CUT0106", fields.key_place("id"), "a step needs `uses` or `gate`");
        }
        read_task(reader, &mut fields).map(|task| Body::Task(Box::new(task)))
    };
    fields.finish(reader);
    let step = id.clone().zip(body).map(|(id, body)| Step { id, needs, after: Vec::new(), body });
    ReadStep { id, step }
}

fn read_gate(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Wait> {
    let gate = fields.text(reader, "gate")?;
    match gate.value.as_str() {
        "wait" => {}
        "approval" | "window" => {
            reader.error("CUT0109", gate.place(), format!("gates of kind `{}` are not yet supported", gate.value));
            // Its other keys belong to that later version.
            for key in ["rule", "for", "until"] {
                fields.take(key);
            }
            return None;
        }
        other => {
            reader.report(
                Diagnostic::error("CUT0107", gate.place(), format!("`{}` is no gate", other.escape_debug())).suggest(other, ["wait"]),
            );
            return None;
        }
    }
    if fields.has("for") && fields.has("until") {
        reader.error("CUT0111", fields.key_place("until"), "a gate waits either `for` a span or `until` a time");
    } else if !fields.has("for") && !fields.has("until") {
        reader.error("CUT0106", gate.place(), "a gate needs `for` or `until`");
    }
    let span = fields.length(reader, "for", true).map(Wait::For);
    span.or_else(|| read_time(reader, fields).map(Wait::Until))
}

fn read_time(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<crate::Timestamp> {
    let value = fields.take("until")?;
    let place = value.span().into();
    let text = match value.get_ref() {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => String::new(),
    };
    let parsed = text.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok());
    reader.keep(
        "CUT0107",
        place,
        parsed.map(crate::Timestamp).ok_or_else(|| "`until` is a time with a zone, such as `2026-12-01T08:00:00Z`".to_owned()),
    )
}

fn read_task(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Task> {
    let uses = fields.text(reader, "uses").and_then(|text| read_uses(reader, text.placed()));
    let changes = fields.string(reader, "changes").and_then(|text| {
        let id = text.value.strip_prefix("steps.").ok_or_else(|| "`changes` names a step, as `steps.copy`".to_owned());
        reader.keep("CUT0107", text.place, id.and_then(StepId::new)).map(|value| Placed { value, place: text.place })
    });
    let with = fields.template(reader, "with").unwrap_or_default();
    if let Some(with_table) = fields.take("with").filter(|value| !matches!(value.get_ref(), DeValue::Table(_))) {
        reader.error("CUT0105", with_table.span().into(), "`with` must be a table");
    }
    let connections = read_bindings(reader, fields, "connections");
    let verify_with = read_bindings(reader, fields, "verify_with");
    let rollout = fields.table(reader, "rollout", "`rollout`").map(|table| rollout::read(reader, table)).unwrap_or_default();
    let accept = fields.strings(reader, "accept").unwrap_or_default();
    let timeout = fields.positive_span(reader, "timeout");
    let deadline = fields.positive_span(reader, "deadline").map_or(Span::seconds(86_400), |span| span.value);
    if let Some(timeout) = timeout.as_ref().filter(|timeout| timeout.value > deadline) {
        reader.error(
            "CUT0319",
            timeout.place,
            format!("one hook's timeout ({}) is longer than the step's deadline ({deadline})", timeout.value),
        );
    }
    let retry = fields.table(reader, "retry", "`retry`").map(|table| read_retry(reader, table)).unwrap_or_default();
    let irreversible = fields.boolean(reader, "irreversible");
    let for_each = fields.template(reader, "for_each");
    let when = fields.predicate(reader, "when");
    let plaintext = fields.list(reader, "plaintext").unwrap_or_default().iter().filter_map(|item| read_grant(reader, item)).collect();
    let public = fields
        .entries(reader, "public")
        .into_iter()
        .map(|(role, value)| (role.value.clone(), read_pointers(reader, &role.value, value)))
        .collect();
    let probes = fields.list(reader, "verify").unwrap_or_default().iter().filter_map(|item| probe::read(reader, item)).collect();
    let timeout = timeout.map_or(Span::seconds(60), |span| span.value);
    Some(Task {
        uses: uses?,
        with,
        connections,
        verify_with,
        rollout,
        accept,
        timeout,
        deadline,
        retry,
        irreversible,
        changes,
        for_each,
        when,
        plaintext,
        public,
        probes,
    })
}

pub(super) fn read_uses(reader: &mut Reader<'_>, text: Placed<String>) -> Option<Placed<Uses>> {
    let parts = text.value.split_once('.').filter(|(plugin, operation)| is_identifier(plugin).is_ok() && is_identifier(operation).is_ok());
    let uses = parts.map(|(plugin, operation)| Uses { plugin: plugin.to_owned(), operation: operation.to_owned() });
    if uses.is_none() {
        reader.error("CUT0107", text.place, "`uses` is a plugin's alias and an operation, as `vault.copy-kv`");
    }
    uses.map(|value| Placed { value, place: text.place })
}

pub(super) fn read_bindings(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> BTreeMap<String, Binding> {
    let entries = fields.entries(reader, key).into_iter();
    let bindings = entries.filter_map(|(role, value)| {
        let connection = reader.text(&role.value, value)?.placed();
        Some((role.value, Binding { role_place: role.place, connection }))
    });
    bindings.collect()
}

fn read_pointers(reader: &mut Reader<'_>, role: &str, value: &Spanned<DeValue<'_>>) -> Vec<Pointer> {
    let DeValue::Array(items) = value.get_ref() else {
        reader.error("CUT0105", value.span().into(), format!("`public.{role}` must be a list of JSON pointers"));
        return Vec::new();
    };
    let texts: Vec<_> = items.iter().filter_map(|item| reader.text(role, item)).collect();
    texts.into_iter().filter_map(|text| reader.keep("CUT0115", text.place(), Pointer::parse(&text.value))).collect()
}

fn read_retry(reader: &mut Reader<'_>, mut fields: Fields<'_>) -> Retry {
    let default = Retry::default();
    let attempts = fields.integer(reader, "attempts", 1..=100).map_or(default.attempts, |attempts| attempts.value);
    let backoff = fields.positive_span(reader, "backoff").map_or(default.backoff, |span| span.value);
    let wait = fields.span(reader, "wait").map(|span| span.value);
    fields.finish(reader);
    Retry { attempts, backoff, wait }
}

fn read_grant(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<PlaintextGrant> {
    let mut fields = reader.fields("plaintext", value, "a grant of plaintext")?;
    fields.require(reader, "role");
    fields.require(reader, "pointer");
    let role = fields.string(reader, "role");
    let pointer = fields.text(reader, "pointer").and_then(|text| reader.keep("CUT0115", text.place(), Pointer::parse(&text.value)));
    let reason = fields.string(reader, "reason");
    let given = reason.map(|reason| reason.value).filter(|reason| !reason.trim().is_empty());
    if given.is_none() {
        let problem = Diagnostic::error("CUT0312", fields.place, "a grant of plaintext needs a reason");
        reader.report(problem.help("add `reason = \"...\"`; it stands in the plan and in the evidence"));
    }
    fields.finish(reader);
    Some(PlaintextGrant { role: role?, pointer: pointer?, reason: given? })
}
