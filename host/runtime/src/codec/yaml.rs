//! YAML 1.2 with the core schema, as far as JSON can hold it.
//!
//! Read from events, because a typed reader would lose the text of numbers. Aliases are refused, so nothing can multiply;
//! a plain number that JSON spells otherwise (`0x1F`, `007`, `.5`) is refused rather than changed.

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Map, Value};

use super::{CodecError, MAX_DEPTH, RESERVED_KEY, number};
use crate::hook::Form;

/// Longer keys are not simple keys (YAML 1.2.2 section 7.4) and need a `?`; less than 1024 for the escapes.
const MAX_SIMPLE_KEY: usize = 100;

pub(super) fn parse(text: &str) -> Result<Value, CodecError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut reader = Reader { parser: Parser::new_from_str_with_options(text, options) };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(document.unwrap_or_default()),
            (Event::DocumentStart(..), span) if document.is_some() => return Err(error(&span, "there is more than one document")),
            (Event::DocumentStart(..), _) => {
                let first = reader.next()?;
                document = Some(reader.value(first, 0)?);
            }
            _ => {}
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), CodecError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(problem)) => Err(CodecError {
                form: Form::Yaml,
                place: Some((problem.marker().line(), problem.marker().col() + 1)),
                problem: "this is no YAML",
            }),
            None => Err(CodecError::new(Form::Yaml, "the text ends too early")),
        }
    }

    fn value(&mut self, (event, span): (Event<'t>, Span), depth: usize) -> Result<Value, CodecError> {
        match event {
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, _, Some(_)) | Event::MappingStart(_, _, Some(_)) => {
                Err(error(&span, "a tag has no JSON form"))
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if depth >= MAX_DEPTH => Err(error(&span, "it nests deeper than 64")),
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text, &span),
            Event::Scalar(text, ..) => Ok(Value::from(text.as_ref())),
            Event::SequenceStart(..) => self.sequence(depth),
            Event::MappingStart(..) => self.mapping(depth),
            _ => Err(error(&span, "an alias has no JSON form")),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, CodecError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, CodecError> {
        let mut map = Map::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Object(map));
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let Value::String(key) = self.value((event, span), MAX_DEPTH)? else {
                return Err(error(&span, "a key that is no string must be quoted"));
            };
            match () {
                () if is_merge => return Err(error(&span, "a merge key has no JSON form")),
                () if key == RESERVED_KEY => return Err(error(&span, "a key is reserved")),
                () if map.contains_key(&key) => return Err(error(&span, "a key occurs twice")),
                () => {}
            }
            let first = self.next()?;
            map.insert(key, self.value(first, depth + 1)?);
        }
    }
}

/// YAML 1.2.2 section 10.3.2.
fn plain(text: &str, span: &Span) -> Result<Value, CodecError> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    match number(text) {
        Some(number) => Ok(number),
        None if is_number(text) => Err(error(span, "a number that JSON spells otherwise must be quoted")),
        None => Ok(Value::from(text)),
    }
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.strip_prefix("0o").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| matches!(byte, b'0'..=b'7')))
        || text.strip_prefix("0x").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || matches!(text, ".nan" | ".NaN" | ".NAN")
    {
        return true;
    }
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(text, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits =
        (whole.is_empty() || digits(whole)) && (fraction.is_empty() || digits(fraction)) && !(whole.is_empty() && fraction.is_empty());
    mantissa_fits && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

fn error(span: &Span, problem: &'static str) -> CodecError {
    CodecError { form: Form::Yaml, place: Some((span.start.line(), span.start.col() + 1)), problem }
}

pub(super) fn render(document: &Value) -> String {
    let mut out = String::new();
    block(document, 0, &mut out);
    out
}

/// Writes a value whose first line is already indented, and ends the line.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                pad(index, indent, out);
                let is_long = key.chars().count() > MAX_SIMPLE_KEY;
                if is_long {
                    out.push_str("? ");
                }
                scalar_text(key, out);
                if is_long {
                    out.push('\n');
                    pad(1, indent, out);
                }
                out.push(':');
                if is_inline(value) {
                    out.push(' ');
                } else {
                    out.push('\n');
                    pad(1, indent + 2, out);
                }
                block(value, indent + 2, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                pad(index, indent, out);
                out.push_str("- ");
                block(value, indent + 2, out);
            }
        }
        Value::String(text) => {
            scalar_text(text, out);
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

fn is_inline(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

fn pad(index: usize, indent: usize, out: &mut String) {
    if index > 0 {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Plain where every reader, also one of YAML 1.1, takes it for the same string; else double quoted.
fn scalar_text(text: &str, out: &mut String) {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' | '\u{a1}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fdcf}' => out.push(c),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_json_can_hold() {
        let text = "# comment\na: yes\nb: [1, 'x', ~]\nc: |\n  two\n  lines\nd: {e: 2024-01-01, \"f\": 1:30}\ng:\n";
        assert_eq!(
            parse(text),
            Ok(json!({"a": "yes", "b": [1, "x", null], "c": "two\nlines\n", "d": {"e": "2024-01-01", "f": "1:30"}, "g": null}))
        );
        assert_eq!(parse(""), Ok(Value::Null));
    }

    #[test]
    fn refuses_what_json_cannot_hold() {
        for text in [
            "a: !!str 1",
            "a: !x b",
            "a: &x 1\nb: *x",
            "a: 0x1F",
            "a: 0o17",
            "a: 007",
            "a: .5",
            "a: 1.",
            "a: +1",
            "a: .inf",
            "a: -.INF",
            "a: .nan",
            "1: a",
            "~: a",
            "? [a]\n: b",
            "--- a\n--- b",
            "<<: {a: 1}",
            "a: *x",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn writes_blocks_that_people_read() {
        let text = render(&json!({"a": {"b": ["x", {"c": 1, "d": []}]}, "e": "no", "f": ""}));
        assert_eq!(text, "a:\n  b:\n    - x\n    - c: 1\n      d: []\ne: \"no\"\nf: \"\"\n");
    }

    #[test]
    fn long_keys_come_back() {
        let document = json!({"k\n".repeat(2000): {"a": 1}});
        assert_eq!(parse(&render(&document)), Ok(document));
    }
}
