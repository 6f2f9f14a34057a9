//! Noticing that a document moved.

use serde_json::Value;

/// 32 hexadecimal digits that change when the document does (FNV-1a, 128 bits, over its JSON text).
///
/// For drift in a plan, where a document's secrets are tokens anyway; no protection against somebody who
/// looks for two documents with the same digits. Compare documents before writing.
pub fn fingerprint(document: &Value) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let text = document.to_string();
    let hash = text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_the_content_and_not_the_order_of_keys() {
        let parsed: Value = serde_json::from_str(r#"{"b":1,"a":"x"}"#).expect("a document");
        assert_eq!(fingerprint(&parsed), fingerprint(&json!({"a": "x", "b": 1})));
        assert_ne!(fingerprint(&json!("1")), fingerprint(&json!(1)));
    }
}
