//! What looks at a step's outcome: `[[step.verify]]`.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use super::{
    reader::Reader,
    step::{Binding, Uses, read_bindings, read_uses},
};
use crate::{diagnostic::Placed, expression::Expression, plan::Per, pointer::Pointer, reference::Template, timestamp::Span};

/// One `[[step.verify]]`.
#[derive(Debug, Clone)]
pub struct Probe {
    /// `plugin.operation`; the operation observes.
    pub uses: Placed<Uses>,
    /// Role → connection.
    pub connections: BTreeMap<String, Binding>,
    /// The operation's input.
    pub with: Template,
    /// Places of what it sees that are no secrets.
    pub public: Vec<Pointer>,
    /// How often it looks.
    pub per: Per,
    /// The time between two samples. Default 10s.
    pub every: Span,
    /// How long it goes on looking; zero means one sample.
    pub window: Span,
    /// How many samples may fail.
    pub max_failures: u32,
    /// What a sample that passes looks like; its root is `result`.
    pub expect: Expression,
    /// Longest call. Default 60s.
    pub timeout: Span,
}

pub(super) fn read(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Probe> {
    let mut fields = reader.fields("verify", value, "a verification")?;
    fields.require(reader, "uses");
    fields.require(reader, "expect");
    let uses = fields.text(reader, "uses").and_then(|text| read_uses(reader, text.placed()));
    let connections = read_bindings(reader, &mut fields, "connections");
    let with = fields.template(reader, "with").unwrap_or_default();
    let public = fields.pointers(reader, "public");
    let per = fields.choice(reader, "per", &[("change", Per::Change), ("cohort", Per::Cohort), ("step", Per::Step)]);
    let every = fields.positive_span(reader, "every").map_or(Span::seconds(10), |span| span.value);
    let window = fields.span(reader, "for");
    let max_failures = fields.integer(reader, "max_failures", 0..=100_000).map_or(0, |count| count.value);
    let timeout = fields.positive_span(reader, "timeout").map_or(Span::seconds(60), |span| span.value);
    let expect = fields.predicate(reader, "expect");
    if let Some(window) = window.as_ref().filter(|window| window.value > Span(0) && window.value < every) {
        reader.error("CUT0319", window.place, format!("`for` ({}) is shorter than `every` ({every})", window.value));
    }
    fields.finish(reader);
    let window = window.map_or(Span(0), |span| span.value);
    Some(Probe {
        uses: uses?,
        connections,
        with,
        public,
        per: per.unwrap_or(Per::Step),
        every,
        window,
        max_failures,
        expect: expect?,
        timeout,
    })
}
