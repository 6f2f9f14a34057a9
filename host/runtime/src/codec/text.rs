//! Encodings of one text (RFC 4648) and joining of several.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::CodecError;
use crate::hook::Form;

pub(super) fn decode(form: Form, text: &str) -> Result<Vec<u8>, CodecError> {
    let text = text.trim_ascii();
    match form {
        Form::Base64 => STANDARD.decode(text).map_err(|_| CodecError::new(form, "this is no base64")),
        Form::Hex => hex::decode(text).map_err(|_| CodecError::new(form, "this is no hexadecimal text")),
        _ => Err(CodecError::new(form, "this form holds no bytes")),
    }
}

pub(super) fn encode(form: Form, bytes: &[u8]) -> String {
    if matches!(form, Form::Base64) { STANDARD.encode(bytes) } else { hex::encode(bytes) }
}

/// Joins a list of strings; numbers and booleans join as JSON writes them.
pub(super) fn concat(document: &Value) -> Result<String, CodecError> {
    let refuse = CodecError::new(Form::Concat, "only a list of strings, numbers and booleans can be joined");
    let parts = document.as_array().ok_or_else(|| refuse.clone())?.iter().map(|part| match part {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(part.to_string()),
        _ => Err(refuse.clone()),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn joins_scalars_only() {
        assert_eq!(concat(&json!(["a", 1.10, true])).as_deref().ok(), Some("a1.1true"));
        assert!(concat(&json!(["a", null])).is_err() && concat(&json!([["a"]])).is_err() && concat(&json!("a")).is_err());
    }

    #[test]
    fn refuses_other_alphabets() {
        assert!(decode(Form::Base64, "_-8=").is_err() && decode(Form::Hex, "0g").is_err() && decode(Form::Hex, "abc").is_err());
        assert_eq!(decode(Form::Hex, " 00FF\n"), Ok(vec![0, 255]));
    }
}
