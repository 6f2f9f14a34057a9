//! Reads typed values out of spanned TOML tables and goes on after every mistake.

use std::{collections::BTreeSet, ops::RangeInclusive};

use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::length::Length;
use crate::{
    diagnostic::{Anchor, Diagnostic, Place, Placed},
    expression::{Expression, SyntaxError},
    pointer::Pointer,
    reference::{Node, NodeKind, Template},
    timestamp::Span,
};

/// Collects what is wrong while a file is read.
pub(super) struct Reader<'s> {
    source: &'s str,
    pub(super) problems: Vec<Diagnostic>,
}

/// A string of the file.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) anchor: Anchor,
}

impl Text {
    pub(super) fn place(&self) -> Place {
        self.anchor.place
    }

    pub(super) fn placed(self) -> Placed<String> {
        Placed { place: self.anchor.place, value: self.value }
    }
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, problems: Vec::new() }
    }

    pub(super) fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    pub(super) fn error(&mut self, code: &'static str, place: Place, message: impl Into<String>) {
        self.report(Diagnostic::error(code, place, message));
    }

    /// Keeps a value or reports why there is none.
    pub(super) fn keep<T>(&mut self, code: &'static str, place: Place, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.error(code, place, message)).ok()
    }

    fn wrong_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let message = format!("`{key}` must be {wanted}, but this is {}", type_name(value.get_ref()));
        self.error("CUT0105", value.span().into(), message);
    }

    /// The value as a string.
    pub(super) fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(Text { value: text.to_string(), anchor: self.anchor(value.span().into(), text) });
        }
        self.wrong_type(key, value, "a string");
        None
    }

    /// The value as a table with closed keys; `what` names it in messages.
    pub(super) fn fields<'t>(&mut self, key: &str, value: &'t Spanned<DeValue<'t>>, what: &'static str) -> Option<Fields<'t>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Fields::new(table, value.span().into(), what));
        }
        self.wrong_type(key, value, "a table");
        None
    }

    fn anchor(&self, place: Place, value: &str) -> Anchor {
        let raw = self.source.get(place.range()).unwrap_or_default();
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote)).unwrap_or_default();
        let mut start = quote.len();
        if quote.len() == 3 {
            start += raw[start..].len() - raw[start..].trim_start_matches('\r').strip_prefix('\n').unwrap_or(&raw[start..]).len();
        }
        let plain = raw.get(start..raw.len().saturating_sub(quote.len()));
        Anchor { place, inner: (plain == Some(value)).then_some(place.start + start) }
    }

    /// Reports a break of a small grammar at its place inside a string.
    pub(super) fn syntax(&mut self, code: &'static str, anchor: Anchor, error: &SyntaxError) {
        self.error(code, anchor.part(&error.range), error.message.clone());
    }

    /// Any value as a template.
    pub(super) fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Node> {
        let place = value.span().into();
        let constant = |value| Some(NodeKind::Constant(value));
        let kind = match value.get_ref() {
            DeValue::String(text) => {
                let anchor = self.anchor(place, text);
                return Node::text(text, anchor).map_err(|error| self.syntax("CUT0113", anchor, &error)).ok();
            }
            DeValue::Boolean(truth) => constant(Value::Bool(*truth)),
            DeValue::Datetime(time) => constant(Value::String(time.to_string())),
            DeValue::Integer(_) | DeValue::Float(_) => match number(value.get_ref()) {
                Some(number) => constant(number),
                None => {
                    self.error("CUT0114", place, "JSON has no form for this number");
                    None
                }
            },
            DeValue::Array(items) => {
                let nodes: Vec<Option<Node>> = items.iter().map(|item| self.node(item)).collect();
                nodes.into_iter().collect::<Option<_>>().map(NodeKind::List)
            }
            DeValue::Table(table) => {
                let mut entries: Vec<_> = table.iter().collect();
                entries.sort_by_key(|(key, _)| key.span().start);
                let nodes: Vec<_> = entries
                    .into_iter()
                    .map(|(key, value)| Some((key.get_ref().to_string(), key.span().into(), self.node(value)?)))
                    .collect();
                nodes.into_iter().collect::<Option<_>>().map(NodeKind::Map)
            }
        };
        kind.map(|kind| Node { kind, place })
    }
}

/// An integer keeps its digits; a float keeps its text where JSON has it.
fn number(value: &DeValue<'_>) -> Option<Value> {
    let text = match value {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().trim_start_matches('+').to_owned(),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix()).ok()?.to_string(),
        DeValue::Float(float) => {
            let text = float.as_str().trim_start_matches('+');
            text.parse::<f64>().ok().filter(|number| number.is_finite())?;
            text.to_owned()
        }
        _ => return None,
    };
    serde_json::from_str(&text).ok()
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A table whose keys are a closed list: those that were asked for.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// The table in the file.
    pub(super) place: Place,
    what: &'static str,
    known: BTreeSet<&'static str>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, place: Place, what: &'static str) -> Self {
        Self { table, place, what, known: BTreeSet::new() }
    }

    /// The value of a key, as it is.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// Where a key is written; the table's place if it is not.
    pub(super) fn key_place(&self, key: &str) -> Place {
        self.table.get_key_value(key).map_or(self.place, |(key, _)| key.span().into())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports the key if it is missing.
    pub(super) fn require(&self, reader: &mut Reader<'_>, key: &str) {
        if !self.has(key) {
            // The whole span of a table can be many lines; its beginning is enough.
            let place = Place { start: self.place.start, end: self.place.end.min(self.place.start + 1).max(self.place.start) };
            let place = if self.place.end - self.place.start > 200 { place } else { self.place };
            reader.error("CUT0106", place, format!("{} needs `{key}`", self.what));
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        for key in self.table.keys().filter(|key| !self.known.contains(key.get_ref().as_ref())) {
            let name = key.get_ref();
            let problem =
                Diagnostic::error("CUT0104", Place::from(key.span()), format!("{} has no key `{}`", self.what, name.escape_debug()));
            reader.report(problem.suggest(name, self.known.iter().copied()));
        }
    }

    /// Refuses a word that is reserved for later.
    pub(super) fn reserve(&mut self, reader: &mut Reader<'_>, key: &'static str) {
        if self.table.contains_key(key) {
            reader.error("CUT0109", self.key_place(key), format!("`{key}` is not yet supported"));
            self.known.insert(key);
        }
    }

    pub(super) fn text(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Text> {
        self.take(key).and_then(|value| reader.text(key, value))
    }

    pub(super) fn string(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Placed<String>> {
        self.text(reader, key).map(Text::placed)
    }

    /// A checked name.
    pub(super) fn name<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        check: impl Fn(String) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let text = self.text(reader, key)?;
        let place = text.place();
        reader.keep("CUT0108", place, check(text.value)).map(|value| Placed { value, place })
    }

    pub(super) fn boolean(&mut self, reader: &mut Reader<'_>, key: &'static str) -> bool {
        match self.take(key) {
            Some(value) => match value.get_ref() {
                DeValue::Boolean(truth) => *truth,
                _ => {
                    reader.wrong_type(key, value, "a boolean");
                    false
                }
            },
            None => false,
        }
    }

    pub(super) fn integer(&mut self, reader: &mut Reader<'_>, key: &'static str, allowed: RangeInclusive<u32>) -> Option<Placed<u32>> {
        let value = self.take(key)?;
        let place = value.span().into();
        let DeValue::Integer(integer) = value.get_ref() else {
            reader.wrong_type(key, value, "an integer");
            return None;
        };
        let found = u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|found| allowed.contains(found));
        if found.is_none() {
            reader.error("CUT0107", place, format!("`{key}` must be between {} and {}", allowed.start(), allowed.end()));
        }
        found.map(|value| Placed { value, place })
    }

    pub(super) fn span(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Placed<Span>> {
        let text = self.text(reader, key)?;
        let place = text.place();
        reader.keep("CUT0110", place, Span::parse(&text.value)).map(|value| Placed { value, place })
    }

    /// A span that is longer than nothing.
    pub(super) fn positive_span(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Placed<Span>> {
        let span = self.span(reader, key)?;
        if span.value == Span(0) {
            reader.error("CUT0319", span.place, format!("`{key}` must be longer than zero"));
            return None;
        }
        Some(span)
    }

    /// A span, or one reference to it alone. A literal that is to be `positive` is longer than nothing.
    pub(super) fn length(&mut self, reader: &mut Reader<'_>, key: &'static str, positive: bool) -> Option<Placed<Length>> {
        let text = self.text(reader, key)?;
        let place = text.place();
        let node = Node::text(&text.value, text.anchor).map_err(|error| reader.syntax("CUT0113", text.anchor, &error)).ok()?;
        let value = match node.kind {
            NodeKind::Reference(reference, _) => Length::Reference(reference),
            NodeKind::Constant(_) => Length::Literal(reader.keep("CUT0110", place, Span::parse(&text.value))?),
            _ => {
                reader.error("CUT0110", place, format!("`{key}` is a duration or one reference to it, with nothing around"));
                return None;
            }
        };
        if positive && value.literal() == Some(Span(0)) {
            reader.error("CUT0319", place, format!("`{key}` must be longer than zero"));
            return None;
        }
        Some(Placed { value, place })
    }

    /// One of a closed list of words.
    pub(super) fn choice<T: Copy>(&mut self, reader: &mut Reader<'_>, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(reader, key)?;
        let found = choices.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let problem = Diagnostic::error("CUT0107", text.place(), format!("`{}` is no value of `{key}`", text.value.escape_debug()));
            reader.report(problem.suggest(&text.value, choices.iter().map(|(word, _)| *word)));
        }
        found
    }

    pub(super) fn table(&mut self, reader: &mut Reader<'_>, key: &'static str, what: &'static str) -> Option<Fields<'t>> {
        self.take(key).and_then(|value| reader.fields(key, value, what))
    }

    /// The entries of a table with free names, in file order.
    pub(super) fn entries(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<(Placed<String>, &'t Spanned<DeValue<'t>>)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            reader.wrong_type(key, value, "a table");
            return Vec::new();
        };
        let mut entries: Vec<_> =
            table.iter().map(|(name, value)| (Placed { value: name.get_ref().to_string(), place: name.span().into() }, value)).collect();
        entries.sort_by_key(|(name, _)| name.place.start);
        entries
    }

    /// The elements of a list; none if the key is missing.
    pub(super) fn list(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<&'t [Spanned<DeValue<'t>>]> {
        let value = self.take(key)?;
        if let DeValue::Array(items) = value.get_ref() {
            return Some(items);
        }
        reader.wrong_type(key, value, "a list");
        None
    }

    pub(super) fn strings(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<Placed<String>>> {
        let items = self.list(reader, key)?;
        Some(items.iter().filter_map(|item| reader.text(key, item)).map(Text::placed).collect())
    }

    pub(super) fn pointers(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<Pointer> {
        let texts = self.strings(reader, key).unwrap_or_default();
        texts.into_iter().filter_map(|text| reader.keep("CUT0115", text.place, Pointer::parse(&text.value))).collect()
    }

    pub(super) fn template(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Template> {
        let value = self.take(key)?;
        reader.node(value).map(|root| Template { root })
    }

    pub(super) fn predicate(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Expression> {
        let text = self.text(reader, key)?;
        Expression::parse(&text.value, text.anchor).map_err(|error| reader.syntax("CUT0112", text.anchor, &error)).ok()
    }
}
