//! What is known of a value before it is there.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde_json::Value;

use super::{Kind, Node, Operator};
use crate::reference::{Reference, Root, Segment};

/// The type of a value, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Type {
    /// Anything: nothing is checked.
    #[default]
    Unknown,
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    Duration,
    List(Box<Type>),
    Map(Box<Type>),
    /// Named fields; an open record may have others.
    Record {
        fields: BTreeMap<String, Type>,
        open: bool,
    },
}

/// Why a predicate is wrong or undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// A diagnostic code.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Bytes of the predicate.
    pub(crate) range: Range<usize>,
}

impl Problem {
    pub(super) fn types(range: &Range<usize>, message: impl Into<String>) -> Self {
        Self { code: "CUT0212", message: message.into(), help: None, range: range.clone() }
    }

    pub(super) fn missing(range: &Range<usize>, message: impl Into<String>) -> Self {
        Self { code: "CUT0217", ..Self::types(range, message) }
    }
}

/// Deepest `$ref` and nesting that is followed in a schema.
const MAX_SCHEMA_DEPTH: usize = 12;

impl Type {
    /// The type that a JSON Schema (2020-12) describes.
    pub(crate) fn of_schema(schema: &Value) -> Self {
        Self::of_part(schema, schema, MAX_SCHEMA_DEPTH)
    }

    fn of_part(schema: &Value, whole: &Value, depth: usize) -> Self {
        let Some(deeper) = depth.checked_sub(1) else { return Self::Unknown };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let part = target.strip_prefix('#').and_then(|pointer| whole.pointer(pointer));
            return part.map_or(Self::Unknown, |part| Self::of_part(part, whole, deeper));
        }
        if let Some(value) = schema.get("const") {
            return Self::of_value(value);
        }
        if let Some(Value::Array(options)) = schema.get("enum") {
            let mut types = options.iter().map(Self::of_value);
            let first = types.next().unwrap_or_default();
            return if types.all(|other| other == first) { first } else { Self::Unknown };
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("null") => Self::Null,
            Some("boolean") => Self::Boolean,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("string") if schema.get("format").and_then(Value::as_str) == Some("duration") => Self::Duration,
            Some("string") => Self::Text,
            Some("array") => Self::List(Box::new(schema.get("items").map_or(Self::Unknown, |items| Self::of_part(items, whole, deeper)))),
            Some("object") => Self::of_object(schema, whole, deeper),
            _ => Self::Unknown,
        }
    }

    fn of_object(schema: &Value, whole: &Value, depth: usize) -> Self {
        let others = schema.get("additionalProperties");
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return match others {
                Some(part @ Value::Object(_)) => Self::Map(Box::new(Self::of_part(part, whole, depth))),
                _ => Self::Map(Box::default()),
            };
        };
        let fields = properties.iter().map(|(name, part)| (name.clone(), Self::of_part(part, whole, depth))).collect();
        Self::Record { fields, open: others != Some(&Value::Bool(false)) }
    }

    pub(crate) fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.to_string().contains(['.', 'e', 'E']) => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::Text,
            Value::Array(items) => Self::List(Box::new(items.first().map_or(Self::Unknown, Self::of_value))),
            Value::Object(_) => Self::Map(Box::default()),
        }
    }

    fn is_numeric(&self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Unknown)
    }

    fn is_duration(&self) -> bool {
        matches!(self, Self::Duration | Self::Unknown)
    }

    /// Whether a value of type `other` can stand where this type is wanted.
    pub(crate) fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) | (Self::Number, Self::Integer) | (Self::Text, Self::Duration) => true,
            (Self::List(want), Self::List(have)) | (Self::Map(want), Self::Map(have)) => want.takes(have),
            (Self::Record { .. } | Self::Map(_), Self::Record { .. } | Self::Map(_)) => true,
            (want, have) => want == have,
        }
    }

    fn compares_with(&self, other: &Self) -> bool {
        self.takes(other) || other.takes(self)
    }

    /// The type one move further down.
    fn step(&self, segment: &Segment, types: &Types) -> Result<Self, (String, Option<String>)> {
        let key_type = if let Segment::Key(key) = segment { types.of(key).unwrap_or_default() } else { Self::Unknown };
        let by_name = matches!(segment, Segment::Field(_)) || matches!((segment, &key_type), (Segment::Key(_), Self::Text | Self::Unknown));
        let by_index = matches!(segment, Segment::Index(_))
            || matches!((segment, &key_type), (Segment::Key(_), Self::Integer | Self::Number | Self::Unknown));
        match self {
            Self::Unknown => Ok(Self::Unknown),
            Self::List(item) if by_index => Ok((**item).clone()),
            Self::Map(value) if by_name => Ok((**value).clone()),
            Self::Record { fields, open } if by_name => match segment {
                Segment::Field(name) => fields.get(name).cloned().or_else(|| open.then_some(Self::Unknown)).ok_or_else(|| {
                    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                    let help = crate::diagnostic::nearest(name, names.iter().copied())
                        .map(|near| format!("did you mean `{near}`?"))
                        .or_else(|| (!names.is_empty()).then(|| format!("there is {}", crate::diagnostic::listed(&names))));
                    (format!("there is no field `{name}`"), help)
                }),
                _ => Ok(Self::Unknown),
            },
            other => Err((format!("{other} has no {segment}"), None)),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("a value"),
            Self::Null => f.write_str("null"),
            Self::Boolean => f.write_str("a boolean"),
            Self::Integer => f.write_str("an integer"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("a string"),
            Self::Duration => f.write_str("a duration"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a map"),
            Self::Record { .. } => f.write_str("an object"),
        }
    }
}

/// The types behind the roots. A root that is not there has no type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Types {
    pub(crate) inputs: Option<Type>,
    pub(crate) steps: Option<Type>,
    pub(crate) each: Option<Type>,
    pub(crate) run: Option<Type>,
    pub(crate) result: Option<Type>,
}

impl Types {
    fn root(&self, root: Root) -> Type {
        let found = match root {
            Root::Inputs => &self.inputs,
            Root::Steps => &self.steps,
            Root::Each => &self.each,
            Root::Run => &self.run,
            Root::Result => &self.result,
        };
        // That a root is out of reach is reported where references are checked, not here again.
        found.clone().unwrap_or_default()
    }

    /// The type of the value at the end of a path.
    pub(crate) fn of(&self, reference: &Reference) -> Result<Type, (String, Option<String>)> {
        reference.segments.iter().try_fold(self.root(reference.root), |found, segment| found.step(segment, self))
    }

    /// All problems of a predicate.
    pub(super) fn check(&self, root: &Node) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.want(root, &Type::Boolean, &mut problems);
        problems
    }

    fn want(&self, node: &Node, wanted: &Type, problems: &mut Vec<Problem>) {
        let found = self.infer(node, problems);
        if !wanted.takes(&found) {
            problems.push(Problem::types(&node.range, format!("this must be {wanted}, but it is {found}")));
        }
    }

    fn infer(&self, node: &Node, problems: &mut Vec<Problem>) -> Type {
        match &node.kind {
            Kind::Literal(value) => Type::of_value(value),
            Kind::Duration(_) => Type::Duration,
            Kind::List(items) => self.infer_list(node, items, problems),
            Kind::Path(reference) | Kind::Has(reference) => {
                let found = self.of(reference).unwrap_or_else(|(message, help)| {
                    problems.push(Problem { help, ..Problem::missing(&reference.range, message) });
                    Type::Unknown
                });
                if matches!(node.kind, Kind::Has(_)) { Type::Boolean } else { found }
            }
            Kind::Len(inner) => {
                let found = self.infer(inner, problems);
                if !matches!(found, Type::Unknown | Type::Text | Type::List(_) | Type::Map(_) | Type::Record { .. }) {
                    problems.push(Problem::types(&inner.range, format!("{found} has no length")));
                }
                Type::Integer
            }
            Kind::Not(inner) => {
                self.want(inner, &Type::Boolean, problems);
                Type::Boolean
            }
            Kind::Negative(inner) => {
                let found = self.infer(inner, problems);
                if !found.is_numeric() && !found.is_duration() {
                    problems.push(Problem::types(&inner.range, format!("{found} has no negative")));
                }
                found
            }
            Kind::Binary(operator, left, right) => self.infer_binary(*operator, left, right, &node.range, problems),
        }
    }

    fn infer_list(&self, node: &Node, items: &[Node], problems: &mut Vec<Problem>) -> Type {
        let found: Vec<Type> = items.iter().map(|item| self.infer(item, problems)).collect();
        let first = found.first().cloned().unwrap_or_default();
        if found.iter().any(|other| !first.compares_with(other)) {
            problems.push(Problem::types(&node.range, "the elements of a list have one type"));
        }
        Type::List(Box::new(first))
    }

    fn infer_binary(&self, operator: Operator, left: &Node, right: &Node, range: &Range<usize>, problems: &mut Vec<Problem>) -> Type {
        if matches!(operator, Operator::And | Operator::Or) {
            self.want(left, &Type::Boolean, problems);
            self.want(right, &Type::Boolean, problems);
            return Type::Boolean;
        }
        let (first, second) = (self.infer(left, problems), self.infer(right, problems));
        let scalars = (first.is_numeric() && second.is_numeric()) || (first.is_duration() && second.is_duration());
        let fits = match operator {
            Operator::Equal | Operator::Unequal => strictly_comparable(&first, &second),
            Operator::In => match &second {
                Type::List(item) => item.compares_with(&first),
                Type::Map(_) | Type::Record { .. } => Type::Text.takes(&first),
                other => *other == Type::Unknown,
            },
            _ => scalars,
        };
        if !fits {
            let message = match operator {
                Operator::In => format!("`in` cannot look for {first} in {second}"),
                Operator::Equal | Operator::Unequal => format!("{first} is never equal to {second}"),
                _ => format!("`{}` takes two numbers or two durations, not {first} and {second}", operator.symbol()),
            };
            problems.push(Problem::types(range, message));
        }
        match operator {
            Operator::Plus | Operator::Minus if !fits => Type::Unknown,
            Operator::Plus | Operator::Minus if first.is_duration() && second == Type::Duration => Type::Duration,
            Operator::Plus | Operator::Minus => first,
            _ => Type::Boolean,
        }
    }
}

/// Text takes a duration where a plugin wants text, but a predicate compares them only as durations.
fn strictly_comparable(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Text, Type::Duration) | (Type::Duration, Type::Text) => false,
        _ => left.compares_with(right),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{diagnostic::Anchor, expression::Expression};

    fn problems(text: &str) -> Vec<String> {
        let result = json!({"type": "object", "additionalProperties": false, "properties": {
            "status": {"type": "integer"}, "ok": {"type": "boolean"}, "list": {"type": "array", "items": {"$ref": "#/$defs/name"}}
        }, "$defs": {"name": {"type": "string"}}});
        let types = Types { result: Some(Type::of_schema(&result)), ..Types::default() };
        Expression::parse(text, Anchor::default())
            .expect("a predicate")
            .check(&types)
            .into_iter()
            .map(|(problem, _)| problem.message)
            .collect()
    }

    #[test]
    fn well_typed_predicates_pass() {
        for text in [
            "result.ok",
            "result.status < 1.5",
            "'a' in result.list && result.list[0] == 'a'",
            "inputs.x == 1",
            "len(result.list) - 1 == 0",
            "1h > 90s",
        ] {
            assert_eq!(problems(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn there_is_no_truthiness_and_no_mixed_comparison() {
        for text in [
            "result.status",
            "!result.status",
            "result.ok == 1",
            "result.status < 90s",
            "result.list + 1 == 2",
            "1 in result.list",
            "result.statu == 1",
            "result.ok.x",
            "len(result.ok) == 1",
            "[1, 'a'] == []",
            "result.list[0] < 'b'",
        ] {
            assert_eq!(problems(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(matches!(Type::of_schema(&schema), Type::Record { .. }));
    }
}
