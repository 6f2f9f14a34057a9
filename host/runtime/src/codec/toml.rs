//! TOML as far as JSON can hold it. Floats keep their text; integers become decimal.

use serde_json::{Map, Value};
use toml_edit::{Array, Document, InlineTable, Item, Table, Value as Toml};

use super::{CodecError, MAX_DEPTH, RESERVED_KEY, number};
use crate::hook::Form;

pub(super) fn parse(text: &str) -> Result<Value, CodecError> {
    let document = Document::parse(text).map_err(|problem| match problem.span() {
        Some(span) => CodecError::at(Form::Toml, text, span.start, "this is no TOML, or a key occurs twice"),
        None => error("this is no TOML"),
    })?;
    table(text, document.as_table(), 1)
}

fn table(text: &str, table: &Table, depth: usize) -> Result<Value, CodecError> {
    object(table.iter().map(|(key, item)| (key, self::item(text, item, depth))), depth)
}

fn inline_table(text: &str, table: &InlineTable, depth: usize) -> Result<Value, CodecError> {
    object(table.iter().map(|(key, item)| (key, value(text, item, depth))), depth)
}

fn object<'k>(entries: impl Iterator<Item = (&'k str, Result<Value, CodecError>)>, depth: usize) -> Result<Value, CodecError> {
    if depth > MAX_DEPTH {
        return Err(error("it nests deeper than 64"));
    }
    let mut map = Map::new();
    for (key, value) in entries {
        if key == RESERVED_KEY {
            return Err(error("a key is reserved"));
        }
        map.insert(key.to_owned(), value?);
    }
    Ok(Value::Object(map))
}

fn array(text: &str, items: &Array, depth: usize) -> Result<Value, CodecError> {
    if depth > MAX_DEPTH { Err(error("it nests deeper than 64")) } else { items.iter().map(|item| value(text, item, depth)).collect() }
}

fn item(text: &str, item: &Item, depth: usize) -> Result<Value, CodecError> {
    match item {
        Item::None => Ok(Value::Null),
        Item::Value(value) => self::value(text, value, depth),
        Item::Table(table) => self::table(text, table, depth + 1),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| self::table(text, table, depth + 2)).collect(),
    }
}

fn value(text: &str, value: &Toml, depth: usize) -> Result<Value, CodecError> {
    let refuse = |problem| match value.span() {
        Some(span) => Err(CodecError::at(Form::Toml, text, span.start, problem)),
        None => Err(error(problem)),
    };
    match value {
        Toml::String(text) => Ok(Value::from(text.value().as_str())),
        Toml::Boolean(flag) => Ok(Value::from(*flag.value())),
        Toml::Integer(integer) => Ok(number(&written(text, value)).unwrap_or_else(|| Value::from(*integer.value()))),
        Toml::Float(float) if !float.value().is_finite() => refuse("a number beyond all bounds has no JSON form"),
        Toml::Float(_) => number(&written(text, value)).map_or_else(|| refuse("this number has no JSON form"), Ok),
        Toml::Datetime(_) => refuse("a date has no JSON form; quote it"),
        Toml::Array(items) => array(text, items, depth + 1),
        Toml::InlineTable(table) => inline_table(text, table, depth + 1),
    }
}

/// A number as it stands in the text, without what JSON does not know.
fn written(text: &str, value: &Toml) -> String {
    let raw = value.span().and_then(|span| text.get(span)).unwrap_or_default();
    raw.trim().trim_start_matches('+').replace('_', "")
}

fn error(problem: &'static str) -> CodecError {
    CodecError::new(Form::Toml, problem)
}

pub(super) fn render(document: &Value) -> Result<String, CodecError> {
    let map = document.as_object().ok_or_else(|| error("an object is expected"))?;
    let mut out = String::new();
    write_table(map, &mut String::new(), &mut out)?;
    Ok(out)
}

/// Values first: after a header every line belongs to that table.
fn write_table(map: &Map<String, Value>, path: &mut String, out: &mut String) -> Result<(), CodecError> {
    for (key, value) in map.iter().filter(|(_, value)| !value.is_object()) {
        write_key(key, out);
        out.push_str(" = ");
        write_value(value, out)?;
        out.push('\n');
    }
    for (key, value) in map {
        let Some(map) = value.as_object() else { continue };
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        write_key(key, path);
        if !out.is_empty() {
            out.push('\n');
        }
        out.extend(["[", path, "]\n"]);
        write_table(map, path, out)?;
        path.truncate(length);
    }
    Ok(())
}

fn write_value(value: &Value, out: &mut String) -> Result<(), CodecError> {
    match value {
        Value::Null => return Err(error("toml has no null")),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&checked(number.to_string())?),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_value(item, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { " " });
                write_key(key, out);
                out.push_str(" = ");
                write_value(item, out)?;
            }
            out.push_str(if map.is_empty() { "}" } else { " }" });
        }
    }
    Ok(())
}

fn checked(text: String) -> Result<String, CodecError> {
    let fits = if text.contains(['.', 'e', 'E']) { text.parse::<f64>().is_ok_and(f64::is_finite) } else { text.parse::<i64>().is_ok() };
    if fits { Ok(text) } else { Err(error("a number does not fit into 64 bits")) }
}

fn write_key(key: &str, out: &mut String) {
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        out.push_str(key);
    } else {
        write_string(key, out);
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_tables_and_refuses_dates() {
        assert_eq!(
            parse("a.b = 1\n[c]\nd = [{e = 'x'}]\n[[f]]\ng = true\n[[f]]\n"),
            Ok(json!({"a": {"b": 1}, "c": {"d": [{"e": "x"}]}, "f": [{"g": true}, {}]}))
        );
        assert_eq!(parse("a = 1\nb = 2024-01-01").map_err(|error| error.place), Err(Some((2, 5))));
        assert!(parse("a = inf").is_err() && parse("a = nan").is_err() && parse("a = 9223372036854775808").is_err());
    }

    #[test]
    fn says_that_there_is_no_null() {
        assert_eq!(render(&json!({"a": null})).map_err(|error| error.to_string()), Err("toml: toml has no null".to_owned()));
        assert!(render(&json!([1])).is_err() && render(&json!({"a": 9_223_372_036_854_775_808_u64})).is_err());
    }

    #[test]
    fn writes_headers() {
        let text = render(&json!({"a": {"b": {"c": 1}, "d e": []}, "z": "x"})).expect("TOML");
        assert_eq!(text, "z = \"x\"\n\n[a]\n\"d e\" = []\n\n[a.b]\nc = 1\n");
    }
}
