//! JSON with `${path}` in it: the values of `with` and `for_each`.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{Reference, Scope};
use crate::{
    diagnostic::{Anchor, Place},
    expression::SyntaxError,
};

/// A JSON document whose strings may refer to other values.
#[derive(Debug, Clone)]
pub struct Template {
    pub(crate) root: Node,
}

/// One value of a template and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) place: Place,
}

/// What a value is made of.
#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    /// A scalar as it is.
    Constant(Value),
    /// One reference alone: the value keeps its type.
    Reference(Reference, Anchor),
    /// Text with references in it.
    Text(Vec<Piece>, Anchor),
    List(Vec<Node>),
    /// In file order; the place is that of the key.
    Map(Vec<(String, Place, Node)>),
}

/// A part of a text.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Literal(String),
    Reference(Reference),
}

/// A reference that could not be followed, or not be put into text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    /// What is wrong.
    pub message: String,
    /// Where the reference is written.
    pub place: Place,
}

impl Default for Template {
    /// The empty object, as if `with` were `{}`.
    fn default() -> Self {
        Self { root: Node { kind: NodeKind::Map(Vec::new()), place: Place::default() } }
    }
}

impl Template {
    /// All references in it, with the place of each in the file.
    #[must_use]
    pub fn references(&self) -> Vec<(&Reference, Place)> {
        let mut found = Vec::new();
        self.root.collect(&mut found);
        found
    }

    /// Where the whole was written.
    #[must_use]
    pub fn place(&self) -> Place {
        self.root.place
    }

    /// The document with every reference replaced.
    ///
    /// # Errors
    /// The first reference that leads nowhere, or to a list, an object or null inside a longer text.
    pub fn resolve(&self, scope: &Scope) -> Result<Value, ResolveError> {
        self.root.resolve(scope)
    }
}

impl Node {
    /// A string of the file: `$${` is a literal `${`.
    pub(crate) fn text(text: &str, anchor: Anchor) -> Result<Self, SyntaxError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
            literal.push_str(&text[at..dollar]);
            if text[dollar..].starts_with("$${") {
                literal.push_str("${");
                at = dollar + 3;
            } else if text[dollar..].starts_with("${") {
                let (reference, end) = read_reference(text, dollar)?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Reference(reference));
                at = end;
            } else {
                literal.push('$');
                at = dollar + 1;
            }
        }
        literal.push_str(&text[at..]);
        let kind = match (pieces.as_slice(), literal.is_empty()) {
            ([], _) => NodeKind::Constant(Value::String(literal)),
            ([Piece::Reference(reference)], true) => NodeKind::Reference(reference.clone(), anchor),
            (_, true) => NodeKind::Text(pieces, anchor),
            (_, false) => NodeKind::Text(pieces.into_iter().chain([Piece::Literal(literal)]).collect(), anchor),
        };
        Ok(Self { kind, place: anchor.place })
    }

    fn collect<'n>(&'n self, found: &mut Vec<(&'n Reference, Place)>) {
        match &self.kind {
            NodeKind::Constant(_) => {}
            NodeKind::Reference(reference, anchor) => found.push((reference, anchor.part(&reference.range))),
            NodeKind::Text(pieces, anchor) => found.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Literal(_) => None,
                Piece::Reference(reference) => Some((reference, anchor.part(&reference.range))),
            })),
            NodeKind::List(items) => items.iter().for_each(|item| item.collect(found)),
            NodeKind::Map(entries) => entries.iter().for_each(|(_, _, node)| node.collect(found)),
        }
    }

    fn resolve(&self, scope: &Scope) -> Result<Value, ResolveError> {
        match &self.kind {
            NodeKind::Constant(value) => Ok(value.clone()),
            NodeKind::Reference(reference, anchor) => lookup(reference, *anchor, scope).cloned(),
            NodeKind::Text(pieces, anchor) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(literal),
                        Piece::Reference(reference) => text.push_str(&scalar(reference, *anchor, scope)?),
                    }
                }
                Ok(Value::String(text))
            }
            NodeKind::List(items) => items.iter().map(|item| item.resolve(scope)).collect::<Result<_, _>>().map(Value::Array),
            NodeKind::Map(entries) => {
                let resolved = entries.iter().map(|(key, _, node)| Ok((key.clone(), node.resolve(scope)?)));
                resolved.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }
}

fn lookup<'s>(reference: &Reference, anchor: Anchor, scope: &'s Scope) -> Result<&'s Value, ResolveError> {
    reference.lookup(scope).map_err(|missing| ResolveError { message: missing.0, place: anchor.part(&reference.range) })
}

fn scalar(reference: &Reference, anchor: Anchor, scope: &Scope) -> Result<String, ResolveError> {
    match lookup(reference, anchor, scope)? {
        Value::String(text) => Ok(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
        _ => Err(ResolveError {
            message: format!("`{reference}` is no string, number or boolean and cannot stand inside a text"),
            place: anchor.part(&reference.range),
        }),
    }
}

/// The reference that begins with the `${` at `start`, and where it ends.
fn read_reference(text: &str, start: usize) -> Result<(Reference, usize), SyntaxError> {
    let inner = start + 2;
    let length = closing(&text[inner..])
        .ok_or_else(|| SyntaxError::new(start..text.len(), "this `${` has no `}`; a literal one is written `$${`"))?;
    let shift = |range: Range<usize>| range.start + inner..range.end + inner;
    let mut reference =
        Reference::parse(&text[inner..inner + length]).map_err(|error| SyntaxError { range: shift(error.range), ..error })?;
    reference.range = shift(reference.range);
    Ok((reference, inner + length + 1))
}

/// Where the first `}` outside quotes is.
fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut escaped) = (None, false);
    text.find(|c| {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => return c == '}',
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(text: &str) -> Result<Value, String> {
        let Value::Object(inputs) = json!({"list": [1, 2], "n": 9_007_199_254_740_993_u64, "s": "x", "a}b": true}) else { unreachable!() };
        let node = Node::text(text, Anchor::default()).map_err(|error| error.message)?;
        Template { root: node }.resolve(&Scope::default().with_inputs(inputs)).map_err(|error| error.message)
    }

    #[test]
    fn alone_a_reference_keeps_its_type() {
        assert_eq!(resolve("${inputs.list}"), Ok(json!([1, 2])));
        assert_eq!(resolve("${ inputs[\"a}b\"] }"), Ok(json!(true)));
    }

    #[test]
    fn in_text_only_scalars_fit_and_digits_stay() {
        assert_eq!(resolve("a-${inputs.n}-${inputs.s}"), Ok(json!("a-9007199254740993-x")));
        assert!(resolve("a${inputs.list}").is_err_and(|message| message.contains("inside a text")));
    }

    #[test]
    fn a_doubled_dollar_escapes() {
        assert_eq!(resolve("$${inputs.s} costs 5$ or $$5"), Ok(json!("${inputs.s} costs 5$ or $$5")));
    }

    #[test]
    fn refuses_what_is_no_path() {
        for wrong in ["${", "${}", "${inputs.s | upper}", "${env.HOME}", "${inputs.s"] {
            assert!(resolve(wrong).is_err(), "{wrong}");
        }
        assert_eq!(resolve("${inputs.t}"), Err("`inputs` has no field `t`".into()));
    }
}
