//! What a change wrote to an object, by place: so that reading it again gives back what was written, and tells nothing
//! about anything else that stands in the same object.
//!
//! A rule that looked at values alone would answer guesses: a plugin could write its guess beside a secret and see whether
//! the secret's token changes. So a written value counts where it was written, as a whole or inside an envelope of the
//! answer. Elsewhere in the object it counts only if that value did not stand there when it was written.

use std::collections::{BTreeSet, HashMap};

use cutover_engine::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PREFIX;

/// One value of a request that writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// A JSON pointer (RFC 6901); the name of a form field is one of a single segment.
    pub place: String,
    /// A scalar as the plugin wrote it: a token, or a literal.
    pub value: Value,
}

impl Leaf {
    /// The leaves of a document in its order, without `null` and empty ones.
    #[must_use]
    pub fn of(document: &Value) -> Vec<Self> {
        let mut leaves = Vec::new();
        gather(document, &mut String::new(), &mut leaves);
        leaves
    }

    /// The value of a named field.
    #[must_use]
    pub fn field(name: &str, value: &str) -> Self {
        Self { place: format!("/{}", escape(name)), value: Value::from(value) }
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.value.as_str().filter(|text| text.starts_with(PREFIX))
    }
}

/// One written value as the log keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Where in the request.
    pub(super) place: String,
    /// The token of the value without a salt: what reading it anywhere else gives.
    pub(super) plain: String,
    /// What reading it back gives.
    pub(super) answer: Answer,
    /// Places of the object where the same value was read before.
    pub(super) seen: BTreeSet<String>,
}

impl Written {
    /// The tokens that stand for the value.
    pub(super) fn tokens(&self) -> impl Iterator<Item = String> + use<> {
        let token = if let Answer::Token(token) = &self.answer { Some(token.clone()) } else { None };
        token.into_iter().chain([self.plain.clone()])
    }
}

/// What reading a written value back gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// The token that was written.
    Token(String),
    /// A salted token, or the value itself where the answer's place is public: the plugin wrote it in plain.
    Literal,
    /// A salted token: the value stood in a text that the plugin made.
    Crafted,
}

/// What a change knows of one object.
#[derive(Default)]
pub(super) struct Writes {
    /// Per unsalted token, oldest first.
    written: HashMap<String, Vec<Written>>,
    /// Per unsalted token, the places where a read found it without this change's doing.
    seen: HashMap<String, BTreeSet<String>>,
}

impl Writes {
    pub(super) fn remember(&mut self, written: Written) {
        self.written.entry(written.plain.clone()).or_default().push(written);
    }

    /// Takes back the last write of a value at a place, because it was refused.
    pub(super) fn forget(&mut self, place: &str, plain: &str) {
        if let Some(known) = self.written.get_mut(plain)
            && let Some(at) = known.iter().rposition(|written| written.place == place)
        {
            known.remove(at);
        }
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Notes that a value stands at a place without this change's doing.
    pub(super) fn see(&mut self, place: &str, plain: &str) {
        self.seen.entry(plain.to_owned()).or_default().insert(place.to_owned());
    }

    pub(super) fn seen(&self, plain: &str) -> BTreeSet<String> {
        self.seen.get(plain).cloned().unwrap_or_default()
    }

    /// What a value at a place is answered with; none if it is not of this change. `anywhere`: also if it was written at
    /// another place.
    pub(super) fn find(&self, place: &str, plain: &str, anywhere: bool) -> Option<&Answer> {
        let known = self.written.get(plain)?;
        // The later write of two that fit equally well.
        let there = known.iter().rfind(|written| written.place == place);
        let enveloped = || known.iter().filter(|written| is_below(place, &written.place)).max_by_key(|written| written.place.len());
        let elsewhere = || known.last().filter(|_| anywhere && !known.iter().any(|written| written.seen.contains(place)));
        there.or_else(enveloped).or_else(elsewhere).map(|written| &written.answer)
    }
}

/// Whether a read place is a written one inside an envelope: `/data/data/a` of `/data/a`.
fn is_below(read: &str, written: &str) -> bool {
    written.starts_with('/') && read.len() > written.len() && read.ends_with(written)
}

/// An object as text, for a salt.
pub(super) fn name_of(object: &Object) -> String {
    format!("{}\0{}\0{}", object.role, object.member.as_deref().unwrap_or_default(), object.path)
}

/// A segment of a pointer.
pub(super) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// The pointer of a path.
pub(super) fn pointer(path: &[&str]) -> String {
    let mut pointer = String::with_capacity(path.iter().map(|segment| segment.len() + 1).sum());
    for segment in path {
        pointer.push('/');
        if segment.contains(['~', '/']) {
            pointer.push_str(&escape(segment));
        } else {
            pointer.push_str(segment);
        }
    }
    pointer
}

fn gather(document: &Value, place: &mut String, leaves: &mut Vec<Leaf>) {
    let length = place.len();
    let mut below = |segment: &str, value: &Value| {
        place.extend(["/", &escape(segment)]);
        gather(value, place, leaves);
        place.truncate(length);
    };
    match document {
        Value::Null => {}
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value)),
        scalar => leaves.push(Leaf { place: place.clone(), value: scalar.clone() }),
    }
}
