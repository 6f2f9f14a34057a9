//! What a workflow is told from outside: `[inputs]` and `--var`.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};
use toml::{Spanned, de::DeValue};

use super::{Workflow, dual_run, length::Length, reader::Reader};
use crate::{
    diagnostic::{Diagnostic, Place, Placed},
    expression::Type,
    name::is_identifier,
    reference::{Scope, Segment, Template},
    timestamp::Span,
};

/// The declared type of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputType {
    /// Text.
    String,
    /// A whole number of any length.
    Integer,
    /// Any JSON number.
    Number,
    /// True or false.
    Boolean,
    /// Text such as `90s`; bound values are in the form of [`Span::exact`].
    Duration,
    /// `list<T>`.
    List(Box<InputType>),
    /// `map<T>`, with string keys.
    Map(Box<InputType>),
}

/// One entry of `[inputs]`.
#[derive(Debug, Clone)]
pub struct Input {
    /// Where its name is.
    pub place: Place,
    /// The type.
    pub kind: InputType,
    /// The value if none is given; an input without one is required.
    pub default: Option<Value>,
    /// For help.
    pub description: Option<String>,
}

impl InputType {
    /// Reads `string`, `list<string>`, `map<list<integer>>`.
    ///
    /// # Errors
    /// If it is none of the types.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_at(text.trim(), 4).ok_or_else(|| {
            format!(
                "`{}` is no type; there is `string`, `integer`, `number`, `boolean`, `duration`, `list<T>` and `map<T>`",
                text.escape_debug()
            )
        })
    }

    fn parse_at(text: &str, depth: usize) -> Option<Self> {
        let inner = |prefix: &str| {
            text.strip_prefix(prefix)?.strip_suffix('>').and_then(|inner| Self::parse_at(inner.trim(), depth.checked_sub(1)?)).map(Box::new)
        };
        match text {
            "string" => Some(Self::String),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Boolean),
            "duration" => Some(Self::Duration),
            _ => inner("list<").map(Self::List).or_else(|| inner("map<").map(Self::Map)),
        }
    }

    /// The value in its bound form, if it has this type.
    fn admit(&self, value: Value) -> Result<Value, String> {
        let is_integer = |value: &Value| value.as_number().is_some_and(|number| !number.to_string().contains(['.', 'e', 'E']));
        match (self, value) {
            (Self::String, value @ Value::String(_))
            | (Self::Boolean, value @ Value::Bool(_))
            | (Self::Number, value @ Value::Number(_)) => Ok(value),
            (Self::Integer, value) if is_integer(&value) => Ok(value),
            (Self::Duration, Value::String(text)) => Span::parse(&text).map(|span| Value::String(span.exact())),
            (Self::List(item), Value::Array(items)) => {
                items.into_iter().map(|value| item.admit(value)).collect::<Result<_, _>>().map(Value::Array)
            }
            (Self::Map(item), Value::Object(map)) => {
                map.into_iter().map(|(key, value)| Ok((key, item.admit(value)?))).collect::<Result<_, _>>().map(Value::Object)
            }
            (wanted, value) => Err(format!("this is {}, but the input's type is `{wanted}`", Type::of_value(&value))),
        }
    }

    /// The value that a `--var` means: text for strings and durations, JSON for everything else.
    fn read(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::String | Self::Duration => self.admit(Value::String(text.to_owned())),
            _ => serde_json::from_str(text)
                .map_err(|_| format!("this is no JSON, but the input's type is `{self}`"))
                .and_then(|value| self.admit(value)),
        }
    }

    pub(crate) fn known(&self) -> Type {
        match self {
            Self::String => Type::Text,
            Self::Integer => Type::Integer,
            Self::Number => Type::Number,
            Self::Boolean => Type::Boolean,
            Self::Duration => Type::Duration,
            Self::List(item) => Type::List(Box::new(item.known())),
            Self::Map(item) => Type::Map(Box::new(item.known())),
        }
    }
}

impl fmt::Display for InputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Integer => f.write_str("integer"),
            Self::Number => f.write_str("number"),
            Self::Boolean => f.write_str("boolean"),
            Self::Duration => f.write_str("duration"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Map(item) => write!(f, "map<{item}>"),
        }
    }
}

impl Workflow {
    /// The values of all inputs: those of `vars`, else the defaults.
    ///
    /// # Errors
    /// Every unknown variable, value of the wrong type and required input without a value; values are not repeated.
    /// Else every length of time that does not fit the others with these values.
    pub fn bind(&self, vars: &BTreeMap<String, String>) -> Result<Map<String, Value>, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        for name in vars.keys().filter(|name| !self.inputs.contains_key(name.as_str())) {
            let problem = Diagnostic::error("CUT0210", None, format!("the workflow has no input `{}`", name.escape_debug()));
            problems.push(problem.suggest(name, self.inputs.keys().map(String::as_str)));
        }
        let mut bound = Map::new();
        for (name, input) in &self.inputs {
            let value = match (vars.get(name), &input.default) {
                (Some(text), _) => {
                    input.kind.read(text).map_err(|message| Diagnostic::error("CUT0317", None, format!("input `{name}`: {message}")))
                }
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err(Diagnostic::error("CUT0317", input.place, format!("input `{name}` has no value and no default"))
                    .help(format!("give it with `--var {name}=...`"))),
            };
            match value {
                Ok(value) => drop(bound.insert(name.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            let scope = Scope::default().with_inputs(bound.clone());
            let missing = |length: &Placed<Length>| {
                let Length::Reference(reference) = &length.value else { return None };
                let Some(Segment::Field(name)) = reference.segments.first() else { return None };
                // What is no input at all was reported with the file.
                self.inputs.get(name)?;
                let missing = reference.lookup(&scope).err()?;
                Some(Diagnostic::error("CUT0217", length.place, missing.to_string()))
            };
            problems = self.lengths().filter_map(missing).collect();
            let told = dual_run::misfits(self, Length::literal);
            let is_new = |problem: &Diagnostic| !told.iter().any(|told| (told.code, told.place) == (problem.code, problem.place));
            problems.extend(dual_run::misfits(self, |length| length.resolve(&scope).ok()).into_iter().filter(is_new));
        }
        if problems.is_empty() { Ok(bound) } else { Err(problems) }
    }

    /// The scope of a run with these inputs, before any step has an output.
    #[must_use]
    pub fn scope(&self, inputs: Map<String, Value>) -> Scope {
        let owner = self.owner.as_ref().map_or_else(String::new, |owner| owner.value.clone());
        Scope::default().with_inputs(inputs).with_run(serde_json::json!({ "name": self.name.value.as_str(), "owner": owner }))
    }
}

/// Reads one entry of `[inputs]`.
pub(super) fn read(reader: &mut Reader<'_>, name: &Placed<String>, value: &Spanned<DeValue<'_>>) -> Option<Input> {
    if let Err(rule) = is_identifier(&name.value) {
        reader.error("CUT0108", name.place, format!("`{}` is no input name: {rule}", name.value.escape_debug()));
    }
    let mut fields = reader.fields(&name.value, value, "an input")?;
    fields.require(reader, "type");
    let kind = fields.text(reader, "type").and_then(|text| reader.keep("CUT0107", text.place(), InputType::parse(&text.value)));
    let description = fields.string(reader, "description").map(|text| text.value);
    let default = fields.template(reader, "default");
    fields.finish(reader);
    let kind = kind?;
    let default = default.and_then(|template| constant(reader, &kind, &template));
    Some(Input { place: name.place, kind, default, description })
}

fn constant(reader: &mut Reader<'_>, kind: &InputType, template: &Template) -> Option<Value> {
    if let Some((_, place)) = template.references().first() {
        reader.error("CUT0211", *place, "a default cannot refer to other values");
        return None;
    }
    let value = template.resolve(&Scope::default()).ok()?;
    reader.keep("CUT0317", template.place(), kind.admit(value))
}
