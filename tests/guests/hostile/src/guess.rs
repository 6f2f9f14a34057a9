//! Guesses a secret and looks for a token that tells whether the guess is right.
//!
//! The plugin is given the right guess: whatever way makes its token equal to the secret's would be an oracle. It says what
//! it found in the public field `note` of the object.

use cutover_plugin::{
    Failure, Object, Request,
    sealed::{Form, parse, render},
};
use serde_json::{Value, json};

use crate::attack::{put, secret};

/// The right guess.
const GUESS: &str = "correct horse battery staple";

pub(crate) fn apply(object: &Object) -> Result<(), Failure> {
    let wanted = secret()?;
    let mut found: Vec<&str> = Vec::new();
    for (way, token) in ways()? {
        if token == wanted {
            found.push(way);
        }
    }
    // A literal at a public place, read again where it is sealed: beside the secret, and alone.
    put(&object.path, &json!({ "password": wanted, "note": GUESS }))?;
    let again = Request::get(&format!("sealed/{}", object.path)).send("target")?.body.unwrap_or_default();
    if again["note"] == wanted || again["note"] == again["password"] {
        found.push("written beside it");
    }
    if again["password"] != wanted {
        found.push("the secret's token changed");
    }
    put(&object.path, &json!({ "note": GUESS }))?;
    let again = Request::get(&format!("sealed/{}", object.path)).send("target")?.body.unwrap_or_default();
    if again["note"] == wanted {
        found.push("literal read back");
    }
    put(&object.path, &json!({ "password": wanted, "note": format!("found: {}", found.join(", ")) }))
}

/// Every way to make a token of a literal.
fn ways() -> Result<Vec<(&'static str, String)>, Failure> {
    let field = |document: &Value| document["a"].as_str().unwrap_or_default().to_owned();
    let dotenv = render(&json!({ "a": GUESS }), Form::Dotenv)?;
    let document = render(&json!({ "a": GUESS }), Form::Json)?;
    let yaml = render(&json!({ "a": GUESS }), Form::Yaml)?;
    let toml = render(&json!({ "a": GUESS }), Form::Toml)?;
    let base64 = render(&json!(GUESS), Form::Base64)?;
    let hex = render(&json!(GUESS), Form::Hex)?;
    Ok(vec![
        ("concat", render(&json!([GUESS]), Form::Concat)?),
        ("concat of parts", render(&json!([&GUESS[..4], &GUESS[4..]]), Form::Concat)?),
        ("json", field(&parse(&document, Form::Json)?)),
        ("dotenv", field(&parse(&dotenv, Form::Dotenv)?)),
        ("yaml", field(&parse(&yaml, Form::Yaml)?)),
        ("toml", field(&parse(&toml, Form::Toml)?)),
        ("base64", parse(&base64, Form::Base64)?.as_str().unwrap_or_default().to_owned()),
        ("hex", parse(&hex, Form::Hex)?.as_str().unwrap_or_default().to_owned()),
    ])
}
