//! Text to JSON documents and back: one table of forms for `sealed.parse`, `sealed.render` and the `file` kind.
//!
//! What is read must be written back as the same value: numbers keep their text, duplicate keys are refused, and what
//! JSON cannot hold (tags, dates, infinity) is an error, never an approximation. Errors name a place, never content.

use std::fmt;

use serde_json::Value;

use crate::hook::Form;

mod dotenv;
mod json;
mod pem;
mod text;
mod toml;
mod yaml;

/// The longest text that is read or written, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// How deep lists and objects nest at most.
pub const MAX_DEPTH: usize = 64;

/// `serde_json` with arbitrary precision takes an object with this one key for a number.
const RESERVED_KEY: &str = "$serde_json::private::Number";

/// Why a text could not be read or a document not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {problem}", Form::name(*.form), Place(*.place))]
pub struct CodecError {
    /// The form that was asked for.
    pub form: Form,
    /// Line and column, both from 1, columns in characters; none when writing or where the reader does not know.
    pub place: Option<(usize, usize)>,
    /// What is wrong, without content.
    pub problem: &'static str,
}

struct Place(Option<(usize, usize)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " at {line}:{column}"),
            None => Ok(()),
        }
    }
}

impl CodecError {
    fn new(form: Form, problem: &'static str) -> Self {
        Self { form, place: None, problem }
    }

    fn at(form: Form, text: &str, offset: usize, problem: &'static str) -> Self {
        let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Self { form, place: Some((line, column)), problem }
    }
}

/// Reads `text`.
///
/// Shapes: dotenv gives an object of strings (a later duplicate wins, as every shell has it); pem a list of
/// `{label, content}` with the content as base64 in one line; base64 and hex a string, so their content must be UTF-8;
/// concat cannot be read.
///
/// # Errors
/// If the text is not of that form, is longer than [`MAX_BYTES`], nests deeper than [`MAX_DEPTH`] or holds what JSON cannot.
pub fn parse(form: Form, text: &str) -> Result<Value, CodecError> {
    if text.len() > MAX_BYTES {
        return Err(CodecError::new(form, "the text is longer than 8 MiB"));
    }
    match form {
        Form::Json => json::parse(text),
        Form::Yaml => yaml::parse(text),
        Form::Toml => toml::parse(text),
        Form::Dotenv => dotenv::parse(text),
        Form::Pem => pem::parse(text),
        Form::Base64 | Form::Hex => {
            String::from_utf8(decode(form, text)?).map(Value::from).map_err(|_| CodecError::new(form, "the content is not UTF-8"))
        }
        Form::Concat => Err(CodecError::new(form, "joined text cannot be taken apart")),
    }
}

/// Writes `document`; `parse` gives the same document again.
///
/// # Errors
/// If the form cannot hold the document: toml has no null, dotenv only strings, concat takes a list of scalars.
pub fn render(form: Form, document: &Value) -> Result<String, CodecError> {
    check(form, document, 0)?;
    let text = match form {
        Form::Json => document.to_string(),
        Form::Yaml => yaml::render(document),
        Form::Toml => toml::render(document)?,
        Form::Dotenv => dotenv::render(document)?,
        Form::Pem => pem::render(document)?,
        Form::Base64 | Form::Hex => {
            encode(form, document.as_str().ok_or(CodecError::new(form, "only a string can be encoded"))?.as_bytes())
        }
        Form::Concat => text::concat(document)?,
    };
    if text.len() > MAX_BYTES { Err(CodecError::new(form, "the text is longer than 8 MiB")) } else { Ok(text) }
}

/// The bytes behind base64 (RFC 4648 section 4) or hex (section 8) text; white space around it is left out.
///
/// # Errors
/// If the text is not of that form, or the form is another.
pub fn decode(form: Form, text: &str) -> Result<Vec<u8>, CodecError> {
    text::decode(form, text)
}

/// Bytes as base64 if that is the form, else as lower-case hex.
#[must_use]
pub fn encode(form: Form, bytes: &[u8]) -> String {
    text::encode(form, bytes)
}

impl Form {
    /// The form that a file of this name has: by its extension, or a dotenv name such as `.env`, `.env.production`, `app.env`.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name == ".env" || name.starts_with(".env.") {
            return Some(Self::Dotenv);
        }
        match name.rsplit_once('.')?.1 {
            "env" => Some(Self::Dotenv),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "pem" | "crt" | "key" => Some(Self::Pem),
            _ => None,
        }
    }

    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Dotenv => "dotenv",
            Self::Pem => "pem",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Concat => "concat",
        }
    }

    /// The form of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Yaml, Self::Toml, Self::Dotenv, Self::Pem, Self::Base64, Self::Hex, Self::Concat]
            .into_iter()
            .find(|form| form.name() == name)
    }
}

fn check(form: Form, document: &Value, depth: usize) -> Result<(), CodecError> {
    if depth > MAX_DEPTH {
        return Err(CodecError::new(form, "the document nests deeper than 64"));
    }
    match document {
        Value::Object(map) if map.contains_key(RESERVED_KEY) => Err(CodecError::new(form, "a key is reserved")),
        Value::Object(map) => map.values().try_for_each(|value| check(form, value, depth + 1)),
        Value::Array(items) => items.iter().try_for_each(|value| check(form, value, depth + 1)),
        _ => Ok(()),
    }
}

/// The number with this text if it is one by RFC 8259 section 6. An exponent is spelled `e+5`; all else stays as written.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let starts_right = matches!(digits.as_bytes(), [b'0'] | [b'0', b'.' | b'e' | b'E', ..] | [b'1'..=b'9', ..]);
    let number = starts_right.then(|| text.parse::<serde_json::Number>().ok())?;
    number.map(Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any document of numbers with long texts, odd strings and odd keys.
    pub(super) fn documents() -> impl Strategy<Value = Value> {
        let number = prop_oneof!["-?[1-9][0-9]{0,30}", "-?0\\.[0-9]{1,20}", "[1-9]\\.[0-9]{1,4}e-[1-9]"]
            .prop_map(|text| super::number(&text).expect("a number"));
        let text =
            prop_oneof![any::<String>(), "[ -~\\n\\r\\t]{0,12}", Just("true".to_owned()), Just("~".to_owned()), Just("1.0".to_owned())];
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text.clone().prop_map(Value::from)];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn json_and_yaml_come_back(document in documents()) {
            for form in [Form::Json, Form::Yaml] {
                let text = render(form, &document).expect("it can be written");
                prop_assert_eq!(parse(form, &text), Ok(document.clone()), "{}", text);
            }
        }

        #[test]
        fn toml_comes_back_or_is_refused(document in documents()) {
            if let Ok(text) = render(Form::Toml, &document) {
                prop_assert_eq!(parse(Form::Toml, &text), Ok(document), "{}", text);
            }
        }

        #[test]
        fn toml_holds_every_table_of_strings(map in prop::collection::btree_map(any::<String>(), any::<String>(), 0..6), key in any::<String>()) {
            let document = json!({key: map, "list": [{"a": [map]}, {}]});
            let text = render(Form::Toml, &document).expect("it can be written");
            prop_assert_eq!(parse(Form::Toml, &text), Ok(document), "{}", text);
        }

        #[test]
        fn dotenv_comes_back(map in prop::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,8}", prop_oneof![any::<String>(), "[ -~\\n\\r\\t]{0,12}"], 0..6)) {
            let document = json!(map);
            let text = render(Form::Dotenv, &document).expect("it can be written");
            prop_assert_eq!(parse(Form::Dotenv, &text), Ok(document), "{}", text);
        }

        #[test]
        fn encodings_come_back(text in any::<String>(), blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
            for form in [Form::Base64, Form::Hex] {
                prop_assert_eq!(parse(form, &render(form, &json!(text)).expect("text")), Ok(json!(text)));
            }
            let document = blobs.iter().map(|blob| json!({"label": "PRIVATE KEY", "content": encode(Form::Base64, blob)})).collect::<Value>();
            prop_assert_eq!(parse(Form::Pem, &render(Form::Pem, &document).expect("PEM")), Ok(document));
        }

        #[test]
        fn no_text_panics_or_is_quoted(text in any::<String>(), soup in "[-:\\[\\]{}\"'#&*!|> \\n\\ta-c0-9.=~\\\\]{0,40}") {
            for form in [Form::Json, Form::Yaml, Form::Toml, Form::Dotenv, Form::Pem, Form::Base64, Form::Hex, Form::Concat] {
                let _ = parse(form, &text);
                if let Err(error) = parse(form, &format!("hunter2hunter2{soup}")) {
                    prop_assert!(!error.to_string().contains("hunter2"));
                }
            }
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        for form in [Form::Json, Form::Yaml] {
            assert_eq!(
                parse(form, "[9007199254740993, 123456789012345678901234567890, 1.10, -0]").map(|value| value.to_string()),
                Ok("[9007199254740993,123456789012345678901234567890,1.10,-0]".to_owned())
            );
        }
        assert_eq!(
            parse(Form::Toml, "a = [9007199254740993, 1_000, 0xff]\nb = 1.10\nc = +2.50").map(|value| value.to_string()),
            Ok(r#"{"a":[9007199254740993,1000,255],"b":1.10,"c":2.50}"#.to_owned())
        );
    }

    #[test]
    fn duplicate_keys_are_refused() {
        for (form, text, place) in [(Form::Json, "{\"a\": 1,\n \"a\": 2}", Some((2, 2))), (Form::Yaml, "a: 1\na: 2", Some((2, 1)))] {
            assert_eq!(parse(form, text), Err(CodecError { form, place, problem: "a key occurs twice" }));
        }
        assert!(parse(Form::Toml, "a = 1\na = 2").is_err() && parse(Form::Yaml, "{a: 1, \"a\": 2}").is_err());
    }

    #[test]
    fn depth_is_limited() {
        for (form, open, close) in [(Form::Json, "[", "]"), (Form::Yaml, "[", "]"), (Form::Yaml, "- ", ""), (Form::Toml, "[", "]")] {
            let prefix = if matches!(form, Form::Toml) { "a=" } else { "" };
            let text = |depth: usize| format!("{prefix}{}{}", open.repeat(depth), close.repeat(depth));
            assert!(parse(form, &text(60)).is_ok(), "{form:?}");
            assert!(parse(form, &text(70)).is_err() && parse(form, &text(500_000)).is_err(), "{form:?}");
        }
        assert!(parse(Form::Toml, &vec!["a"; 100_000].join(".")).is_err());
        assert!(parse(Form::Toml, &format!("{}=1", vec!["a"; 100_000].join("."))).is_err());
        assert!(parse(Form::Toml, &format!("[{}]", vec!["a"; 100_000].join("."))).is_err());
        let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
        assert!(render(Form::Json, &deep).is_err());
    }

    #[test]
    fn size_is_limited() {
        assert!(parse(Form::Json, &format!("\"{}\"", "a".repeat(MAX_BYTES))).is_err());
        assert!(render(Form::Hex, &json!("a".repeat(MAX_BYTES))).is_err());
    }

    #[test]
    fn an_object_cannot_pose_as_a_number() {
        for form in [Form::Json, Form::Yaml] {
            assert!(parse(form, r#"{"$serde_json::private::Number": "12"}"#).is_err());
        }
        assert!(parse(Form::Toml, r#""$serde_json::private::Number" = "12""#).is_err());
        let document = Value::Object([(RESERVED_KEY.to_owned(), json!("12"))].into_iter().collect());
        assert!(render(Form::Json, &document).is_err());
    }

    #[test]
    fn names_tell_the_form() {
        for (path, form) in [
            ("a/.env", Form::Dotenv),
            (".env.production", Form::Dotenv),
            ("app.env", Form::Dotenv),
            ("x.yml", Form::Yaml),
            ("tls/server.key", Form::Pem),
        ] {
            assert_eq!(Form::of_path(path), Some(form));
        }
        assert_eq!((Form::of_path("a.json/README"), Form::of_path("json")), (None, None));
        assert_eq!(Form::of_name(Form::Yaml.name()), Some(Form::Yaml));
    }
}
