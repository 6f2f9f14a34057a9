//! Numbers that may have lost digits on their way through the server.
//!
//! KV v2 decodes a stored document into binary64 before it answers: integers beyond 2^53 come back rounded, although the
//! stored bytes are exact. A plugin sees tokens only, so the kind counts for it.

use serde_json::Value;

/// How many numbers of the sealed part of a read may not be what was stored; absent if none.
pub(super) const INEXACT_HEADER: &str = "cutover-inexact-numbers";

/// Beyond this an integer has neighbours that binary64 does not tell apart.
const EXACT: u64 = 1 << 53;
/// As many significant digits survive the way to binary64 and back (`DBL_DIG`).
const DIGITS: usize = 15;

/// How many numbers in a document may differ from what was stored, or would be written otherwise by KV v2: integers of
/// 2^53 and more, exponents, fractions of more than 15 digits or with zeros at the end, and `-0`.
pub(super) fn inexact(document: &Value) -> usize {
    match document {
        Value::Number(number) => usize::from(is_inexact(&number.to_string())),
        Value::Array(items) => items.iter().map(inexact).sum(),
        Value::Object(map) => map.values().map(inexact).sum(),
        Value::Null | Value::Bool(_) | Value::String(_) => 0,
    }
}

fn is_inexact(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    if text.contains(['e', 'E']) || text == "-0" {
        return true;
    }
    match digits.split_once('.') {
        // The bound itself counts: it may have been the integer after it.
        None => digits.parse::<u64>().is_ok_and(|number| number >= EXACT) || digits.len() > 19,
        Some((whole, fraction)) => {
            let significant = format!("{whole}{fraction}").trim_start_matches('0').len();
            significant > DIGITS || fraction.ends_with('0')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_binary64_may_have_changed_is_counted() {
        for (text, expected) in [
            ("0", false),
            ("-17", false),
            ("9007199254740991", false),
            ("9007199254740992", true),
            ("-9007199254740993", true),
            ("18446744073709551616", true),
            ("12345678901234567890123", true),
            ("0.1", false),
            ("-3.25", false),
            ("1.10", true),
            ("1.0", true),
            ("0.123456789012345", false),
            ("0.1234567890123456", true),
            ("123456789.0123456", true),
            ("1e3", true),
            ("1.5E-9", true),
            ("-0", true),
        ] {
            let document: Value = serde_json::from_str(text).expect("a number");
            assert_eq!(inexact(&document), usize::from(expected), "{text}");
        }
    }

    #[test]
    fn numbers_are_counted_wherever_they_are() {
        let document: Value =
            serde_json::from_str(r#"{"a":[9007199254740993,{"b":1e2}],"c":"9007199254740993","d":null,"e":5}"#).expect("JSON");
        assert_eq!(inexact(&document), 2);
    }
}
