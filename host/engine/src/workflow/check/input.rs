//! `with` against the operation's JSON Schema, as far as its references let it be known.

use std::collections::BTreeMap;

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::Value;

use crate::{
    diagnostic::{Anchor, Diagnostic, Place, Placed},
    expression::{Type, Types},
    manifest::Operation,
    reference::{Node, NodeKind, Piece, Reference, Template},
    workflow::step::Uses,
};

/// The input schemas of the operations, by plugin and operation, ready to validate: making one costs more than using it,
/// and many steps may use one operation.
#[derive(Default)]
pub(super) struct Schemas<'w>(BTreeMap<(&'w str, &'w str), Result<Validator, String>>);

impl<'w> Schemas<'w> {
    fn of(&mut self, plugin: &'w str, operation: &'w Operation) -> &Result<Validator, String> {
        let make = || jsonschema::draft202012::new(&operation.input_schema).map_err(|error| error.masked().to_string());
        self.0.entry((plugin, &operation.name)).or_insert_with(make)
    }
}

/// Reports what does not fit the schema or has the wrong type.
pub(super) fn check<'w>(
    problems: &mut Vec<Diagnostic>,
    schemas: &mut Schemas<'w>,
    with: &Template,
    operation: &'w Operation,
    types: &Types,
    uses: &'w Placed<Uses>,
) {
    check_text(problems, with, types);
    check_references(problems, &with.root, &operation.input_schema, types);
    let validator = match schemas.of(&uses.value.plugin, operation) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the input schema of `{}` is broken: {error}", operation.name);
            return problems.push(Diagnostic::error("CUT0218", uses.place, message));
        }
    };
    let uses = uses.place;
    let sample = sample(&with.root, &operation.input_schema);
    for error in validator.iter_errors(&sample) {
        let pointer = error.instance_path().to_string();
        let node = find(&with.root, &pointer);
        let depends = node.is_some_and(|(node, _)| depends_on_reference(node));
        if depends && !is_about_shape(error.kind()) {
            continue;
        }
        let place = node.map_or(uses, |(node, _)| if node.place == Place::default() { uses } else { node.place });
        report(problems, error.kind(), &error.masked().to_string(), node.map(|(node, _)| node), &pointer, place, &operation.input_schema);
    }
}

fn report(
    problems: &mut Vec<Diagnostic>,
    kind: &ValidationErrorKind,
    message: &str,
    node: Option<&Node>,
    pointer: &str,
    place: Place,
    schema: &Value,
) {
    let at = if pointer.is_empty() { "`with`".to_owned() } else { format!("`with{}`", pointer.replace('/', ".")) };
    match kind {
        ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let part = part(schema, pointer);
            let known: Vec<&str> = part
                .and_then(|part| part.get("properties"))
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|map| map.keys())
                .map(String::as_str)
                .collect();
            for name in unexpected {
                let key = node.and_then(|node| key_place(node, name)).unwrap_or(place);
                let problem = Diagnostic::error("CUT0214", key, format!("{at} has no key `{}`", name.escape_debug()));
                problems.push(problem.suggest(name, known.iter().copied()));
            }
        }
        ValidationErrorKind::Required { property } => {
            problems.push(Diagnostic::error("CUT0214", place, format!("{at} needs `{}`", property.as_str().unwrap_or_default())));
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let problem = Diagnostic::error("CUT0214", place, format!("{at} has a value that is not allowed"));
            let written =
                node.and_then(|node| if let NodeKind::Constant(Value::String(text)) = &node.kind { Some(text.as_str()) } else { None });
            problems.push(problem.suggest(written.unwrap_or_default(), names));
        }
        ValidationErrorKind::Type { .. } => {
            let wanted = part(schema, pointer).map(Type::of_schema).unwrap_or_default();
            let found = node.map(|node| literal_type(node)).unwrap_or_default();
            let message =
                if wanted == Type::Unknown { format!("{at}: {message}") } else { format!("{at} must be {wanted}, but this is {found}") };
            problems.push(Diagnostic::error("CUT0214", place, message));
        }
        _ => problems.push(Diagnostic::error("CUT0214", place, format!("{at}: {message}"))),
    }
}

/// Errors that no value of a reference inside could mend.
fn is_about_shape(kind: &ValidationErrorKind) -> bool {
    matches!(
        kind,
        ValidationErrorKind::AdditionalProperties { .. }
            | ValidationErrorKind::Required { .. }
            | ValidationErrorKind::MinItems { .. }
            | ValidationErrorKind::MaxItems { .. }
            | ValidationErrorKind::MinProperties { .. }
            | ValidationErrorKind::MaxProperties { .. }
    )
}

fn depends_on_reference(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Constant(_) => false,
        NodeKind::Reference(..) | NodeKind::Text(..) => true,
        NodeKind::List(items) => items.iter().any(depends_on_reference),
        NodeKind::Map(entries) => entries.iter().any(|(_, _, node)| depends_on_reference(node)),
    }
}

/// The document with something in place of every reference, of the type that is wanted there.
fn sample(node: &Node, schema: &Value) -> Value {
    match &node.kind {
        NodeKind::Constant(value) => value.clone(),
        NodeKind::Reference(..) => match Type::of_schema(schema) {
            Type::Boolean => Value::Bool(true),
            Type::Integer | Type::Number => Value::from(1),
            Type::List(_) => Value::Array(Vec::new()),
            Type::Map(_) | Type::Record { .. } => Value::Object(serde_json::Map::new()),
            _ => Value::String(String::new()),
        },
        NodeKind::Text(..) => Value::String(String::new()),
        NodeKind::List(items) => Value::Array(items.iter().map(|item| sample(item, schema.get("items").unwrap_or(&Value::Null))).collect()),
        NodeKind::Map(entries) => {
            let inner = |key: &str| schema.get("properties").and_then(|properties| properties.get(key)).unwrap_or(&Value::Null);
            Value::Object(entries.iter().map(|(key, _, node)| (key.clone(), sample(node, inner(key)))).collect())
        }
    }
}

/// The types of references that stand alone, against the schema's types.
fn check_references(problems: &mut Vec<Diagnostic>, node: &Node, schema: &Value, types: &Types) {
    match &node.kind {
        NodeKind::Reference(reference, anchor) => {
            let (wanted, found) = (Type::of_schema(schema), types.of(reference).unwrap_or_default());
            if !wanted.takes(&found) {
                let place = anchor.part(&reference.range);
                problems.push(Diagnostic::error("CUT0213", place, format!("`{reference}` is {found}, but {wanted} is wanted here")));
            }
        }
        NodeKind::List(items) => {
            let inner = schema.get("items").unwrap_or(&Value::Null);
            items.iter().for_each(|item| check_references(problems, item, inner, types));
        }
        NodeKind::Map(entries) => {
            for (key, _, node) in entries {
                let inner =
                    schema.get("properties").and_then(|properties| properties.get(key)).or_else(|| schema.get("additionalProperties"));
                check_references(problems, node, inner.unwrap_or(&Value::Null), types);
            }
        }
        NodeKind::Constant(_) | NodeKind::Text(..) => {}
    }
}

/// What needs no schema: every path leads somewhere, and only scalars stand inside texts.
pub(super) fn check_text(problems: &mut Vec<Diagnostic>, template: &Template, types: &Types) {
    walk(problems, &template.root, types);
}

fn walk(problems: &mut Vec<Diagnostic>, node: &Node, types: &Types) {
    match &node.kind {
        NodeKind::Constant(_) => {}
        NodeKind::Reference(reference, anchor) => drop(resolve(problems, reference, *anchor, types)),
        NodeKind::Text(pieces, anchor) => {
            for piece in pieces {
                let Piece::Reference(reference) = piece else { continue };
                let found = resolve(problems, reference, *anchor, types);
                if matches!(found, Type::List(_) | Type::Map(_) | Type::Record { .. } | Type::Null) {
                    let message = format!("`{reference}` is {found}; inside a text only strings, numbers and booleans fit");
                    problems.push(Diagnostic::error("CUT0213", anchor.part(&reference.range), message));
                }
            }
        }
        NodeKind::List(items) => items.iter().for_each(|item| walk(problems, item, types)),
        NodeKind::Map(entries) => entries.iter().for_each(|(_, _, node)| walk(problems, node, types)),
    }
}

fn resolve(problems: &mut Vec<Diagnostic>, reference: &Reference, anchor: Anchor, types: &Types) -> Type {
    types.of(reference).unwrap_or_else(|(message, help)| {
        let problem = Diagnostic::error("CUT0217", anchor.part(&reference.range), format!("`{reference}`: {message}"));
        problems.push(Diagnostic { help, ..problem });
        Type::Unknown
    })
}

/// The type of a whole template.
pub(super) fn type_of(template: &Template, types: &Types) -> Type {
    match &template.root.kind {
        NodeKind::Reference(reference, _) => types.of(reference).unwrap_or_default(),
        NodeKind::List(items) => Type::List(Box::new(items.first().map(literal_type).unwrap_or_default())),
        _ => literal_type(&template.root),
    }
}

fn literal_type(node: &Node) -> Type {
    match &node.kind {
        NodeKind::Constant(value) => Type::of_value(value),
        NodeKind::Reference(..) => Type::Unknown,
        NodeKind::Text(..) => Type::Text,
        NodeKind::List(_) => Type::List(Box::default()),
        NodeKind::Map(_) => Type::Map(Box::default()),
    }
}

/// The node at a JSON pointer, with the place of its key.
fn find<'n>(root: &'n Node, pointer: &str) -> Option<(&'n Node, Place)> {
    pointer.split('/').skip(1).try_fold((root, root.place), |(node, _), segment| {
        let name = segment.replace("~1", "/").replace("~0", "~");
        match &node.kind {
            NodeKind::List(items) => items.get(name.parse::<usize>().ok()?).map(|item| (item, item.place)),
            NodeKind::Map(entries) => entries.iter().find(|(key, _, _)| *key == name).map(|(_, place, node)| (node, *place)),
            _ => None,
        }
    })
}

fn key_place(node: &Node, name: &str) -> Option<Place> {
    let NodeKind::Map(entries) = &node.kind else { return None };
    entries.iter().find(|(key, _, _)| key == name).map(|(_, place, _)| *place)
}

/// The part of a schema that is about the value at a pointer, if it is told by `properties` and `items` alone.
fn part<'s>(schema: &'s Value, pointer: &str) -> Option<&'s Value> {
    pointer.split('/').skip(1).try_fold(schema, |schema, segment| {
        let property = schema.get("properties").and_then(|properties| properties.get(segment.replace("~1", "/").replace("~0", "~")));
        property.or_else(|| schema.get("items")).or_else(|| schema.get("additionalProperties"))
    })
}
