//! Numbers that a KV v2 mount does not keep as they are.
//!
//! KV v2 decodes a stored document into binary64 before it answers: integers beyond 2^53 come back rounded, and forms such
//! as `1.10` or `1e3` come back as another text, although the stored bytes are exact. A plugin sees tokens only, so the
//! kinds look for it, and tell where these numbers are.

use std::fmt::Display;

use serde_json::Value;

/// Where in the document of a read such numbers are: a JSON array of pointers (RFC 6901); absent if there is none. Of a read
/// of KV v2 these are the numbers that may not be what was stored, of any other read those that KV v2 would change.
pub(super) const INEXACT_HEADER: &str = "cutover-inexact-numbers";

/// Beyond this an integer has neighbours that binary64 does not tell apart.
const EXACT: u64 = 1 << 53;
/// As many significant digits survive the way to binary64 and back (`DBL_DIG`).
const DIGITS: usize = 15;

/// The header for a document that KV v2 answered with.
pub(super) fn after_kv2(document: &Value) -> Option<(String, String)> {
    header(document, may_be_changed)
}

/// The header for a document that came with all its digits.
pub(super) fn before_kv2(document: &Value) -> Option<(String, String)> {
    header(document, |text| kv2(text).as_deref() != Some(text))
}

fn header(document: &Value, is_met: fn(&str) -> bool) -> Option<(String, String)> {
    let mut found = Vec::new();
    search(document, is_met, &mut found);
    (!found.is_empty()).then(|| (INEXACT_HEADER.to_owned(), Value::from(found).to_string()))
}

/// Adds the pointers of these numbers. They are written from the inside out: most documents have none.
fn search(document: &Value, is_met: fn(&str) -> bool, found: &mut Vec<String>) {
    let mut below = |name: &dyn Display, value: &Value| {
        let first = found.len();
        search(value, is_met, found);
        for pointer in &mut found[first..] {
            let name = name.to_string().replace('~', "~0").replace('/', "~1");
            *pointer = format!("/{name}{pointer}");
        }
    };
    match document {
        Value::Number(number) if is_met(number.as_str()) => found.push(String::new()),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| below(&index, item)),
        Value::Object(map) => map.iter().for_each(|(name, value)| below(name, value)),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Whether a number that KV v2 answered with may be another than was stored: integers of 2^53 and more, exponents, fractions
/// of more than 15 digits or with zeros at the end, and `-0`.
fn may_be_changed(text: &str) -> bool {
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

/// What KV v2 answers after this number was written: the shortest digits that name the same binary64, in the form of Go's
/// `encoding/json`. None if binary64 has no such number: the server refuses it.
fn kv2(text: &str) -> Option<String> {
    let float: f64 = text.parse().ok().filter(|float: &f64| float.is_finite())?;
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let form = format!("{float:e}");
        return Some(if form.contains("e-") { form } else { form.replace('e', "e+") });
    }
    Some(float.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number; whether a read of KV v2 may have changed it; what KV v2 makes of it (`tests/vault/keys.rs` asks a server).
    const NUMBERS: [(&str, bool, &str); 20] = [
        ("0", false, "0"),
        ("-17", false, "-17"),
        ("9007199254740991", false, "9007199254740991"),
        ("9007199254740992", true, "9007199254740992"),
        ("-9007199254740993", true, "-9007199254740992"),
        ("18446744073709551616", true, "18446744073709552000"),
        ("12345678901234567890123", true, "1.2345678901234568e+22"),
        ("1.2345678901234568e+22", true, "1.2345678901234568e+22"),
        ("0.1", false, "0.1"),
        ("-3.25", false, "-3.25"),
        ("1.10", true, "1.1"),
        ("1.0", true, "1"),
        ("0.123456789012345", false, "0.123456789012345"),
        ("0.1234567890123456", true, "0.1234567890123456"),
        ("0.12345678901234567890", true, "0.12345678901234568"),
        ("1e3", true, "1000"),
        ("1.5e-9", true, "1.5e-9"),
        ("1e-7", true, "1e-7"),
        ("0.000001", false, "0.000001"),
        ("-0", true, "-0"),
    ];

    #[test]
    fn what_binary64_changes_or_may_have_changed_is_told() {
        for (text, may_be, made) in NUMBERS {
            let document: Value = serde_json::from_str(&format!("[{text}]")).expect("a number");
            assert_eq!(after_kv2(&document).is_some(), may_be, "{text}");
            assert_eq!(kv2(text).as_deref(), Some(made), "{text}");
            assert_eq!(before_kv2(&document).is_some(), text != made, "{text}");
        }
        assert_eq!(kv2("1e400"), None);
    }

    #[test]
    fn numbers_are_told_by_their_places() {
        let document: Value =
            serde_json::from_str(r#"{"a":[9007199254740993,{"b/~":1e2}],"c":"9007199254740993","d":null,"e":5}"#).expect("JSON");
        let (name, value) = before_kv2(&document).expect("a header");
        assert_eq!((name.as_str(), value.as_str()), (INEXACT_HEADER, r#"["/a/0","/a/1/b~1~0"]"#));
    }
}
