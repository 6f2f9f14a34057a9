//! What a scope knows of a token, in memory and in the encrypted log.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cutover_engine::Object;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{Origins, Salt, Written};
use crate::secret::Secret;

/// One record of the encrypted log. Its serialized form holds plaintext and goes nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SealedEntry {
    /// A token and its value.
    Value {
        /// The token.
        token: String,
        /// What is behind it.
        entry: Entry,
    },
    /// A label of `generate` was used.
    Generated {
        /// The plugin's label.
        label: String,
        /// What was asked for, as text.
        request: String,
        /// The token.
        token: String,
        /// The public key, for a key pair.
        public: Option<String>,
    },
    /// Values that were written to an object, accepted or without an answer.
    Written {
        /// The object.
        object: Object,
        /// The values.
        values: Vec<Written>,
    },
    /// Values of a write that was refused.
    Withdrawn {
        /// The object.
        object: Object,
        /// Place and unsalted token of each.
        values: Vec<(String, String)>,
    },
}

/// What is behind a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub(super) value: SealedValue,
    pub(super) origins: Origins,
    pub(super) salt: Option<Salt>,
    pub(super) made: Made,
    /// Whether anything inside a rendered text was made by the plugin.
    pub(super) parts_made: bool,
    /// The tokens that were put into a rendered text with literals, by place: there the text holds no guess.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) leaves: Vec<(String, String)>,
    /// The form of a whole file's text, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) whole: Option<String>,
}

/// What the plugin did to a text. It decides as what the text may be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Made {
    /// Read from a backend or generated.
    No,
    /// Rendered in the form of that name, which escapes what is put in.
    Rendered(String),
    /// Joined, or taken out of something that was made: it can pose as anything.
    Joined,
    /// Written in plain and read back: as free as what was joined, and no secret.
    Literal,
}

impl Made {
    /// Whether the text can pose as anything.
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Joined | Self::Literal)
    }
}

impl Entry {
    pub(super) fn read(value: SealedValue, role: &str) -> Self {
        Self {
            value,
            origins: [[role.to_owned()].into()].into(),
            salt: None,
            made: Made::No,
            parts_made: false,
            leaves: Vec::new(),
            whole: None,
        }
    }

    /// The same value came here another way.
    pub(super) fn merge(&mut self, other: Self) {
        self.origins.extend(other.origins);
        self.whole = self.whole.take().or(other.whole);
        match (&self.made, other.made) {
            (Made::No, _) => {}
            (_, Made::No) => (self.made, self.parts_made) = (Made::No, false),
            (Made::Literal, theirs) => self.made = theirs,
            (_, Made::Literal) => {}
            (mine, theirs) if *mine == theirs => self.parts_made |= other.parts_made,
            _ => self.made = Made::Joined,
        }
    }
}

/// A scalar as canonical JSON text, or bytes that are not UTF-8.
#[derive(Debug, Clone)]
pub(super) enum SealedValue {
    Scalar(Arc<Secret>),
    Bytes(Arc<Secret>),
}

impl SealedValue {
    pub(super) fn scalar(value: &Value) -> Self {
        Self::Scalar(Secret::text(cutover_engine::canonical(value)).into())
    }

    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::scalar(&Value::from(text)),
            Err(error) => Self::Bytes(Secret::bytes(error.into_bytes()).into()),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        if matches!(self, Self::Scalar(_)) { "json" } else { "bytes" }
    }

    pub(super) fn canonical(&self) -> &[u8] {
        let (Self::Scalar(secret) | Self::Bytes(secret)) = self;
        secret.expose()
    }

    /// The scalar; none for bytes.
    pub(super) fn to_json(&self) -> Option<Value> {
        let Self::Scalar(secret) = self else { return None };
        secret.expose_text().and_then(|text| serde_json::from_str(text).ok())
    }

    /// The content as it goes into a file or a header: a string without its quotes, else as JSON writes it.
    pub(super) fn to_secret(&self) -> Secret {
        match (self, self.to_json()) {
            (Self::Scalar(_), Some(Value::String(text))) => Secret::text(text),
            (Self::Scalar(_), Some(other)) => Secret::text(other.to_string()),
            _ => Secret::bytes(self.canonical().to_vec()),
        }
    }
}

impl Serialize for SealedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Scalar(secret) => secret.expose_text().unwrap_or_default().to_owned(),
            Self::Bytes(secret) => STANDARD.encode(secret.expose()),
        };
        (self.kind(), text).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SealedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, text) = <(String, String)>::deserialize(deserializer)?;
        match kind.as_str() {
            "json" => Ok(Self::Scalar(Secret::text(text).into())),
            "bytes" => STANDARD
                .decode(text)
                .map(|bytes| Self::Bytes(Secret::bytes(bytes).into()))
                .map_err(|_| de::Error::custom("a sealed value is damaged")),
            _ => Err(de::Error::custom("a sealed value has an unknown kind")),
        }
    }
}
