//! A part of a trace: something that began and ended.

use cutover_engine::Timestamp;

/// The most events of one span, as OpenTelemetry's SDKs have it; what comes after them is counted.
const EVENTS_MAX: usize = 128;

/// Something that began and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// 16 digits of hex.
    pub id: String,
    /// The span that it is a part of.
    pub parent: Option<String>,
    /// What it is.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// When something last happened in it.
    pub ended: Timestamp,
    /// More about it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What happened in it.
    pub events: Vec<SpanEvent>,
    /// How many events more there were.
    pub dropped_events: u32,
    /// What went wrong, if something did; without values.
    pub error: Option<String>,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// Text without values.
    Text(String),
    /// A count.
    Number(u64),
}

/// Something that happened at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanEvent {
    /// When.
    pub at: Timestamp,
    /// What, as the journal calls it.
    pub name: &'static str,
    /// More about it.
    pub attributes: Vec<(&'static str, Attribute)>,
}

impl Span {
    /// One that begins now.
    #[must_use]
    pub fn new(id: String, parent: Option<String>, name: String, began: Timestamp) -> Self {
        Self { id, parent, name, began, ended: began, attributes: Vec::new(), events: Vec::new(), dropped_events: 0, error: None }
    }

    /// Adds an attribute, or replaces the one of that name.
    pub fn set(&mut self, name: &'static str, value: Attribute) {
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// Counts one more in an attribute.
    pub fn count(&mut self, name: &'static str) {
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, Attribute::Number(number))) => *number += 1,
            _ => self.set(name, Attribute::Number(1)),
        }
    }

    /// Adds an event as long as there is room.
    pub fn happened(&mut self, event: SpanEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.dropped_events += 1;
        }
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
