//! Secrets of many shapes, to be looked for wherever they must not be.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use serde_json::Value;

/// Sixteen shapes of secrets, none shorter than 16 bytes, by name.
#[must_use]
pub fn canaries() -> Vec<(String, String)> {
    let long: String = (0..400).map(|number| format!("{:08x}", 0x9e37_79b9_u32.wrapping_mul(number + 7))).collect();
    let shapes = [
        ("sixteen", "q7Zx1Lm9Vt4Rk2Wd".to_owned()),
        ("words", "correct horse battery staple canary".to_owned()),
        ("hexadecimal", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b".to_owned()),
        ("base64", "dGhpcyBpcyBhIGNhbmFyeSBpbiBiYXNlNjQ9PQ==".to_owned()),
        ("base64url", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl".to_owned()),
        ("pem", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIKanaryKanaryKanary0123\n-----END PRIVATE KEY-----\n".to_owned()),
        ("json", r#"{"user":"canary","password":"in-a-json-string-4711"}"#.to_owned()),
        ("unicode", "пароль-канарейки-密码-🐤-über".to_owned()),
        ("quotes", "it's \"quoted\" and `ticked` 0815".to_owned()),
        ("newlines", "first canary line\nsecond canary line\r\nthird".to_owned()),
        ("url", "postgres://canary:s3cr3tP4ss@db.corp:5432/prod?sslmode=require".to_owned()),
        ("shell", "$(rm -rf /canary) && ${HOME} \\ ; | > <".to_owned()),
        ("percent", "%63%61%6e%61%72%79%20%25%2F%00".to_owned()),
        ("spaces", "   canary with blanks at both ends   ".to_owned()),
        ("digits", "00490176123456789012345678901234567890".to_owned()),
        ("long", long),
    ];
    assert!(shapes.iter().all(|(_, secret)| secret.len() >= 16) && shapes.len() == 16);
    shapes.into_iter().map(|(name, secret)| (name.to_owned(), secret)).collect()
}

/// The ways in which a secret could be written down.
#[must_use]
pub fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let quoted = Value::from(secret).to_string();
    let debugged = format!("{secret:?}");
    let mut spellings = vec![
        bytes.to_vec(),
        quoted.trim_matches('"').as_bytes().to_vec(),
        debugged[1..debugged.len() - 1].as_bytes().to_vec(),
        hex::encode(bytes).into_bytes(),
        hex::encode_upper(bytes).into_bytes(),
    ];
    for engine in [&STANDARD, &URL_SAFE] {
        for before in 0..3 {
            let text = engine.encode([&vec![0; before], bytes].concat());
            // Without the digits that neighbours take part in.
            let end = (before + bytes.len()) / 3 * 4;
            spellings.push(text.as_bytes()[(before * 8).div_ceil(6)..end].to_vec());
        }
    }
    spellings.retain(|spelling| spelling.len() >= 12);
    spellings
}
