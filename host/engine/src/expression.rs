//! Predicates: the only computing in a workflow file, in `when` and `expect`.
//!
//! A subset of CEL: strictly typed, without side effects, always ending. A value that is not there makes the
//! whole predicate undecided, never false.

mod datum;
mod parser;
mod token;
mod types;

use std::{fmt, ops::Range};

use serde_json::Value;

pub use token::SyntaxError;
pub(crate) use token::{Token, Tokens, name_length};
pub(crate) use types::{Problem, Type, Types};

use crate::{
    diagnostic::{Anchor, Place},
    reference::{Reference, Scope},
    timestamp::Span,
};

/// A predicate that has been parsed.
#[derive(Debug, Clone)]
pub struct Expression {
    /// As it was written.
    pub text: String,
    anchor: Anchor,
    root: Node,
}

/// A predicate that could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Undecided {
    /// Why; names fields, never values.
    pub message: String,
    /// The part of the predicate, in the file.
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    kind: Kind,
    range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Literal(Value),
    Duration(Span),
    List(Vec<Node>),
    Path(Reference),
    Has(Reference),
    Len(Box<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Plus,
    Minus,
}

impl Operator {
    const ALL: [(&'static str, Self); 10] = [
        ("||", Self::Or),
        ("&&", Self::And),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::Greater),
        (">=", Self::AtLeast),
        ("+", Self::Plus),
        ("-", Self::Minus),
    ];

    fn symbol(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).map_or("in", |(symbol, _)| symbol)
    }

    /// Larger binds tighter.
    const fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal | Self::Unequal | Self::Less | Self::AtMost | Self::Greater | Self::AtLeast | Self::In => 3,
            Self::Plus | Self::Minus => 4,
        }
    }
}

/// Comparisons do not chain.
const COMPARISON: u8 = 3;
/// How tight `!` and the sign bind.
const PREFIX: u8 = 5;
/// How tight a path or literal is.
const ATOM: u8 = 6;

impl Expression {
    /// Where it stands in the file.
    #[must_use]
    pub fn place(&self) -> Place {
        self.anchor.place
    }

    /// Parses a predicate of at most 4 KiB.
    ///
    /// # Errors
    /// The first break of the grammar.
    pub fn parse(text: &str, anchor: Anchor) -> Result<Self, SyntaxError> {
        Ok(Self { text: text.to_owned(), anchor, root: parser::parse(text)? })
    }

    /// Decides it.
    ///
    /// # Errors
    /// If a value is missing or has another type than the operator takes. Callers treat that as inconclusive.
    pub fn evaluate(&self, scope: &Scope) -> Result<bool, Undecided> {
        datum::evaluate(&self.root, scope)
            .and_then(|datum| datum.truth(&self.root.range))
            .map_err(|problem| Undecided { message: problem.message, place: self.anchor.part(&problem.range) })
    }

    /// All paths in it, with the place of each in the file.
    #[must_use]
    pub fn references(&self) -> Vec<(&Reference, Place)> {
        let mut found = Vec::new();
        self.root.collect(&mut found);
        found.into_iter().map(|reference| (reference, self.anchor.part(&reference.range))).collect()
    }

    /// What the types of its parts forbid, with places in the file.
    pub(crate) fn check(&self, types: &Types) -> Vec<(Problem, Place)> {
        let problems = types.check(&self.root);
        problems.into_iter().map(|problem| (self.anchor.part(&problem.range), problem)).map(|(place, problem)| (problem, place)).collect()
    }
}

impl fmt::Display for Expression {
    /// In a normal form: parsing it gives the same predicate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl Node {
    fn collect<'n>(&'n self, found: &mut Vec<&'n Reference>) {
        match &self.kind {
            Kind::Literal(_) | Kind::Duration(_) => {}
            Kind::List(items) => items.iter().for_each(|item| item.collect(found)),
            Kind::Path(reference) | Kind::Has(reference) => found.push(reference),
            Kind::Len(inner) | Kind::Not(inner) | Kind::Negative(inner) => inner.collect(found),
            Kind::Binary(_, left, right) => {
                left.collect(found);
                right.collect(found);
            }
        }
    }

    fn power(&self) -> u8 {
        match &self.kind {
            Kind::Binary(operator, ..) => operator.power(),
            Kind::Not(_) | Kind::Negative(_) => PREFIX,
            _ => ATOM,
        }
    }

    /// In parentheses if it binds looser than its place needs.
    fn fmt_at(&self, f: &mut fmt::Formatter<'_>, needed: u8) -> fmt::Result {
        if self.power() < needed { write!(f, "({self})") } else { fmt::Display::fmt(self, f) }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Literal(value) => value.fmt(f),
            Kind::Duration(span) => f.write_str(&span.exact()),
            Kind::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Kind::Path(reference) => reference.fmt(f),
            Kind::Has(reference) => write!(f, "has({reference})"),
            Kind::Len(inner) => write!(f, "len({inner})"),
            Kind::Not(inner) => {
                f.write_str("!")?;
                inner.fmt_at(f, PREFIX)
            }
            Kind::Negative(inner) => {
                f.write_str("-")?;
                inner.fmt_at(f, PREFIX)
            }
            Kind::Binary(operator, left, right) => {
                let power = operator.power();
                left.fmt_at(f, if power == COMPARISON { power + 1 } else { power })?;
                write!(f, " {} ", operator.symbol())?;
                right.fmt_at(f, power + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let Value::Object(inputs) = json!({"limit": "90m", "names": ["a", "b"], "n": 3, "on": true, "max": "1h"}) else { unreachable!() };
        Scope::default()
            .with_inputs(inputs)
            .with_each("a", json!("a"))
            .with_result(json!({"status": 200, "ratio": 0.5, "left": {"x-y": 1}}))
    }

    fn decide(text: &str) -> Result<bool, String> {
        Expression::parse(text, Anchor::default()).map_err(|error| error.message)?.evaluate(&scope()).map_err(|error| error.message)
    }

    #[test]
    fn decides() {
        for (text, expected) in [
            ("result.status == 200 && result.ratio < 1", true),
            ("result.status == 200.0", true),
            ("!(each.value in inputs.names)", false),
            ("\"c\" in inputs.names || inputs.on", true),
            ("inputs.limit - 30m == 1h && inputs.limit > inputs.max", true),
            ("inputs.n + 1 - 4 == -0 && len(inputs.names) == 2", true),
            ("has(result.none) && result.none > 1", false),
            ("has(result.left.x-y) && result.left[\"x-y\"] == 1", true),
            ("'status' in result && result.status in [200, 204]", true),
            ("9007199254740993 == 9007199254740992", false),
        ] {
            assert_eq!(decide(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_undecided_not_false() {
        for text in [
            "result.none == 1",
            "result.none == 1 || true",
            "result.status",
            "result.status < 'a'",
            "len(1) == 1",
            "result < 1",
            "-inputs.on == 1",
        ] {
            assert!(decide(text).is_err(), "{text}");
        }
        assert_eq!(decide("true || result.none == 1"), Ok(true));
    }

    #[test]
    fn refuses_bad_grammar() {
        for text in
            ["", "1 <", "a == 1", "1 < 2 < 3", "result.x = 1", "len()", "has(1)", "(true", "true)", "result.x ? 1", "result.x.", "foo(1)"]
        {
            assert!(Expression::parse(text, Anchor::default()).is_err(), "{text}");
        }
        assert!(Expression::parse(&"!".repeat(3_000), Anchor::default()).is_err());
        assert!(Expression::parse(&"(".repeat(3_000), Anchor::default()).is_err());
        assert!(Expression::parse(&"1 + ".repeat(3_000), Anchor::default()).is_err());
    }

    fn predicate() -> impl Strategy<Value = String> {
        let atom = prop_oneof![
            Just("result.status".to_owned()),
            Just("inputs.names[0]".to_owned()),
            Just("result[each.key]".to_owned()),
            Just("inputs.limit".to_owned()),
            "[0-9]{1,30}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
            "[1-9][0-9]{0,4}(ms|s|m|h)",
            "'[a-z\\\\]{0,3}",
            Just("has(result.left.x)".to_owned()),
            Just("true".to_owned()),
        ];
        atom.prop_recursive(5, 40, 3, |inner| {
            prop_oneof![
                (inner.clone(), prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", "+", "-"]), inner.clone())
                    .prop_map(|(left, operator, right)| format!("({left}) {operator} {right}")),
                (inner.clone(), prop::sample::select(vec!["&&", "||", "+", "-"]), inner.clone())
                    .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
                inner.clone().prop_map(|inner| format!("!{inner}")),
                inner.clone().prop_map(|inner| format!("-{inner}")),
                inner.clone().prop_map(|inner| format!("len({inner})")),
                prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse_and_deciding_never_panics(text in predicate()) {
            if let Ok(parsed) = Expression::parse(&text, Anchor::default()) {
                let printed = parsed.to_string();
                let again = Expression::parse(&printed, Anchor::default()).expect("what was printed parses");
                prop_assert_eq!(again.to_string(), printed);
                prop_assert_eq!(again.evaluate(&scope()).ok(), parsed.evaluate(&scope()).ok());
                let _ = parsed.check(&Types::default());
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
            if let Ok(parsed) = Expression::parse(&text, Anchor::default()) {
                let _ = parsed.evaluate(&scope());
            }
        }
    }
}
