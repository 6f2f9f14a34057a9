//! Numbers beyond 2^53, as the host and KV v2 treat them.

use serde_json::{Map, Value};

const EXACT: f64 = 9_007_199_254_740_992.0;

/// A document as a v2 read gives it: numbers went through a 64-bit float.
pub(super) fn rounded(document: &Value) -> Value {
    match document {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), rounded(value))).collect::<Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Number(_) if is_inexact(document) => serde_json::from_str(&format!("{:.0}", float(document))).unwrap_or_default(),
        other => other.clone(),
    }
}

/// The public header that the host adds to a read of this document.
pub(super) fn header(document: &Value) -> Option<(String, String)> {
    let mut places = Vec::new();
    search(document, "", &mut places);
    (!places.is_empty()).then(|| ("cutover-inexact-numbers".to_owned(), Value::from(places).to_string()))
}

fn search(document: &Value, at: &str, places: &mut Vec<String>) {
    match document {
        Value::Object(map) => map.iter().for_each(|(name, value)| search(value, &format!("{at}/{name}"), places)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| search(item, &format!("{at}/{index}"), places)),
        Value::Number(_) if is_inexact(document) => places.push(at.to_owned()),
        _ => {}
    }
}

fn is_inexact(number: &Value) -> bool {
    float(number).abs() >= EXACT
}

fn float(number: &Value) -> f64 {
    number.to_string().parse().unwrap_or_default()
}
