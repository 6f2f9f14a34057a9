//! The values that predicates compute with, and how they are decided.

use std::{cmp::Ordering, ops::Range};

use serde_json::{Number, Value};

use super::{Kind, Node, Operator, Problem};
use crate::{reference::Scope, timestamp::Span};

/// A value in the middle of a predicate.
#[derive(Debug)]
pub(super) enum Datum<'s> {
    /// A value of the scope.
    Json(&'s Value),
    /// A value that was computed.
    Made(Value),
    /// Milliseconds; a difference may be negative.
    Duration(i128),
    List(Vec<Datum<'s>>),
}

/// A number without rounding where it is whole.
enum Quantity {
    Whole(i128),
    Real(f64),
}

/// The value of a node.
pub(super) fn evaluate<'s>(node: &'s Node, scope: &'s Scope) -> Result<Datum<'s>, Problem> {
    match &node.kind {
        Kind::Literal(value) => Ok(Datum::Json(value)),
        Kind::Duration(span) => Ok(Datum::Duration(i128::from(span.0))),
        Kind::List(items) => items.iter().map(|item| evaluate(item, scope)).collect::<Result<_, _>>().map(Datum::List),
        Kind::Path(reference) => reference.lookup(scope).map(Datum::Json).map_err(|missing| Problem::missing(&node.range, missing.0)),
        Kind::Has(reference) => Ok(Datum::Made(Value::Bool(reference.lookup(scope).is_ok()))),
        Kind::Len(inner) => evaluate(inner, scope)?.length(&inner.range),
        Kind::Not(inner) => Ok(Datum::Made(Value::Bool(!evaluate(inner, scope)?.truth(&inner.range)?))),
        Kind::Negative(inner) => add(&Datum::Made(Value::from(0)), &evaluate(inner, scope)?, -1, &node.range),
        Kind::Binary(operator, left, right) => binary(*operator, left, right, scope, &node.range),
    }
}

fn binary<'s>(operator: Operator, left: &'s Node, right: &'s Node, scope: &'s Scope, range: &Range<usize>) -> Result<Datum<'s>, Problem> {
    let first = evaluate(left, scope)?;
    // The right side of a decided `&&` or `||` may be about something that is not there.
    if let (Operator::And, false) | (Operator::Or, true) =
        (operator, matches!(operator, Operator::And | Operator::Or) && first.truth(&left.range)?)
    {
        return Ok(Datum::Made(Value::Bool(operator == Operator::Or)));
    }
    let second = evaluate(right, scope)?;
    let truth = match operator {
        Operator::And | Operator::Or => second.truth(&right.range)?,
        Operator::Equal => first.equals(&second, range)?,
        Operator::Unequal => !first.equals(&second, range)?,
        Operator::Less => first.order(&second, range)?.is_lt(),
        Operator::AtMost => first.order(&second, range)?.is_le(),
        Operator::Greater => first.order(&second, range)?.is_gt(),
        Operator::AtLeast => first.order(&second, range)?.is_ge(),
        Operator::In => second.contains(&first, range)?,
        Operator::Plus => return add(&first, &second, 1, range),
        Operator::Minus => return add(&first, &second, -1, range),
    };
    Ok(Datum::Made(Value::Bool(truth)))
}

impl Datum<'_> {
    fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Made(value) => Some(value),
            Self::Duration(_) | Self::List(_) => None,
        }
    }

    /// As a boolean; nothing else counts as true or false.
    pub(super) fn truth(&self, range: &Range<usize>) -> Result<bool, Problem> {
        self.json().and_then(Value::as_bool).ok_or_else(|| Problem::types(range, "this is no boolean"))
    }

    fn length(&self, range: &Range<usize>) -> Result<Self, Problem> {
        let count = match (self, self.json()) {
            (Self::List(items), _) => items.len(),
            (_, Some(Value::Array(items))) => items.len(),
            (_, Some(Value::Object(map))) => map.len(),
            (_, Some(Value::String(text))) => text.chars().count(),
            _ => return Err(Problem::types(range, "only strings, lists and maps have a length")),
        };
        Ok(Datum::Made(Value::from(count)))
    }

    /// As a duration; outside predicates durations travel as text.
    fn duration(&self) -> Option<i128> {
        match (self, self.json()) {
            (Self::Duration(millis), _) => Some(*millis),
            (_, Some(Value::String(text))) => Span::parse(text).ok().map(|span| i128::from(span.0)),
            _ => None,
        }
    }

    fn quantity(&self) -> Option<Quantity> {
        self.json().and_then(Value::as_number).and_then(quantity)
    }

    fn equals(&self, other: &Self, range: &Range<usize>) -> Result<bool, Problem> {
        if matches!(self, Self::Duration(_)) || matches!(other, Self::Duration(_)) {
            return self.order(other, range).map(Ordering::is_eq);
        }
        match (self, other, self.json(), other.json()) {
            (_, _, Some(left), Some(right)) => Ok(equal(left, right)),
            (Self::List(left), Self::List(right), ..) => Ok(left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .map(|(left, right)| left.equals(right, range))
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .all(|same| same)),
            (Self::List(items), _, _, Some(Value::Array(values))) | (_, Self::List(items), Some(Value::Array(values)), _) => {
                let same =
                    items.iter().zip(values).map(|(item, value)| item.equals(&Datum::Json(value), range)).collect::<Result<Vec<_>, _>>()?;
                Ok(items.len() == values.len() && same.into_iter().all(|same| same))
            }
            _ => Ok(false),
        }
    }

    fn order(&self, other: &Self, range: &Range<usize>) -> Result<Ordering, Problem> {
        let numbers = self.quantity().zip(other.quantity()).and_then(|(left, right)| match (left, right) {
            (Quantity::Whole(left), Quantity::Whole(right)) => Some(left.cmp(&right)),
            (left, right) => left.real().partial_cmp(&right.real()),
        });
        let durations = || self.duration().zip(other.duration()).map(|(left, right)| left.cmp(&right));
        numbers.or_else(durations).ok_or_else(|| Problem::types(range, "only two numbers or two durations can be compared so"))
    }

    fn contains(&self, wanted: &Self, range: &Range<usize>) -> Result<bool, Problem> {
        match (self, self.json()) {
            (Self::List(items), _) => {
                Ok(items.iter().map(|item| item.equals(wanted, range)).collect::<Result<Vec<_>, _>>()?.contains(&true))
            }
            (_, Some(Value::Array(values))) => {
                Ok(values.iter().map(|value| Datum::Json(value).equals(wanted, range)).collect::<Result<Vec<_>, _>>()?.contains(&true))
            }
            (_, Some(Value::Object(map))) => match wanted.json() {
                Some(Value::String(key)) => Ok(map.contains_key(key)),
                _ => Err(Problem::types(range, "the keys of a map are strings")),
            },
            _ => Err(Problem::types(range, "`in` needs a list or a map on its right")),
        }
    }
}

impl Quantity {
    #[expect(clippy::cast_precision_loss, reason = "a comparison with a real number is as exact as that number")]
    fn real(&self) -> f64 {
        match self {
            Self::Whole(whole) => *whole as f64,
            Self::Real(real) => *real,
        }
    }
}

/// A number whose text is beyond both ranges is none.
fn quantity(number: &Number) -> Option<Quantity> {
    let text = number.to_string();
    text.parse().map(Quantity::Whole).ok().or_else(|| text.parse().ok().filter(|real: &f64| real.is_finite()).map(Quantity::Real))
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (quantity(left), quantity(right)) {
            (Some(Quantity::Whole(left)), Some(Quantity::Whole(right))) => left == right,
            (Some(left), Some(right)) => left.real().total_cmp(&right.real()).is_eq() || (left.real() == 0.0 && right.real() == 0.0),
            _ => left == right,
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => left == right,
    }
}

fn add<'s>(left: &Datum<'_>, right: &Datum<'_>, sign: i128, range: &Range<usize>) -> Result<Datum<'s>, Problem> {
    let too_large = || Problem::types(range, "the result is too large");
    let numbers = left.quantity().zip(right.quantity());
    if let Some((Quantity::Whole(left), Quantity::Whole(right))) = numbers {
        let sum = right.checked_mul(sign).and_then(|right| left.checked_add(right)).ok_or_else(too_large)?;
        return serde_json::from_str(&sum.to_string()).map(Datum::Made).map_err(|_| too_large());
    }
    if let Some((left, right)) = numbers {
        let sum = if sign < 0 { left.real() - right.real() } else { left.real() + right.real() };
        return Number::from_f64(sum).map(|number| Datum::Made(Value::Number(number))).ok_or_else(too_large);
    }
    let zero = left.quantity().is_some_and(|zero| matches!(zero, Quantity::Whole(0)));
    let first = left.duration().or_else(|| zero.then_some(0));
    match first.zip(right.duration()) {
        Some((left, right)) => right.checked_mul(sign).and_then(|right| left.checked_add(right)).map(Datum::Duration).ok_or_else(too_large),
        None => Err(Problem::types(range, "only two numbers or two durations can be added")),
    }
}
