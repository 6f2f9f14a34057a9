//! One byte string per JSON value, for digests and comparison.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{digest::Digest, pointer::Pointer};

/// The canonical text: object keys sorted by code point, no white space, numbers as they were written.
///
/// Unlike RFC 8785 numbers are not converted: `1.0` and `1` differ, and integers beyond 2^53 keep their digits.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// SHA-256 of the canonical text.
#[must_use]
pub fn digest(value: &Value) -> Digest {
    Digest::of(canonical(value).as_bytes())
}

/// Whether two states are the same outside these places. Absence is a state too.
#[must_use]
pub fn equal_outside(one: Option<&Value>, other: Option<&Value>, places: &[Pointer]) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one == other || (!places.is_empty() && without(one, places) == without(other, places)),
        _ => false,
    }
}

/// The value with these places taken out.
#[must_use]
pub fn without(value: &Value, places: &[Pointer]) -> Value {
    let mut value = value.clone();
    places.iter().for_each(|place| place.remove_from(&mut value));
    value
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, value)) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_text(text: &str, out: &mut String) {
    // What needs no escape is copied: nearly all.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_bytes(Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_left_out_on_both_sides() {
        let places = [Pointer::parse("/version").expect("a pointer")];
        let (one, other) = (serde_json::json!({"v": 1, "version": 3}), serde_json::json!({"v": 1, "version": 4}));
        assert!(equal_outside(Some(&one), Some(&other), &places) && !equal_outside(Some(&one), Some(&other), &[]));
        assert!(equal_outside(None, None, &[]) && !equal_outside(Some(&one), None, &places));
    }

    #[test]
    fn keys_are_sorted_and_numbers_kept() {
        let value: Value = serde_json::from_str(r#"{"b":[1.0,1,9007199254740993],"a":{"é":null,"z":""}}"#).expect("JSON");
        assert_eq!(canonical(&value), r#"{"a":{"z":"","é":null},"b":[1.0,1,9007199254740993]}"#);
    }
}
