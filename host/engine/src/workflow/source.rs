//! Where a credential comes from. The credential itself never stands in a workflow file.

use std::fmt;

use super::reader::{Fields, Reader, Text};
use crate::diagnostic::Diagnostic;

/// A source of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `env:NAME`, an environment variable.
    Env(String),
    /// `file:PATH`, a file's content without its last newline.
    File(String),
    /// `exec:COMMAND`, what a command prints, without its last newline.
    Exec(String),
}

impl Source {
    /// Reads a source; none if the text is anything else, which may be a secret.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let rest = Some(rest.trim()).filter(|rest| !rest.is_empty())?.to_owned();
        match scheme {
            "env" => {
                let is_name = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !rest.as_bytes()[0].is_ascii_digit();
                is_name.then_some(Self::Env(rest))
            }
            "file" => Some(Self::File(rest)),
            "exec" => Some(Self::Exec(rest)),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(rest) => write!(f, "env:{rest}"),
            Self::File(rest) => write!(f, "file:{rest}"),
            Self::Exec(rest) => write!(f, "exec:{rest}"),
        }
    }
}

/// Reads a key that holds a source. What is none is reported without its text.
pub(super) fn read(fields: &mut Fields<'_>, reader: &mut Reader<'_>, key: &'static str) -> Option<Source> {
    let text = fields.text(reader, key)?;
    parse(reader, key, &text)
}

pub(super) fn parse(reader: &mut Reader<'_>, key: &str, text: &Text) -> Option<Source> {
    let source = Source::parse(&text.value);
    if source.is_none() {
        let problem = Diagnostic::error("CUT0308", text.place(), format!("`{key}` must say where the value comes from, not what it is"));
        reader.report(
            problem
                .help(format!("write `{key} = \"env:NAME\"`, `\"file:PATH\"` or `\"exec:COMMAND\"`; if this was a real secret, replace it"))
                .concealed(),
        );
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_are_taken() {
        assert_eq!(Source::parse("env:TOKEN_1"), Some(Source::Env("TOKEN_1".into())));
        assert_eq!(Source::parse("exec:bao-login --quiet"), Some(Source::Exec("bao-login --quiet".into())));
        for wrong in ["hvs.CAESI", "env:", "env:1A", "env:A B", "ENV:A", "s:3cret", ""] {
            assert_eq!(Source::parse(wrong), None, "{wrong}");
        }
    }
}
