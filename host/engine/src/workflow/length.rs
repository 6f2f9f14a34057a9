//! A length of time as a workflow says it: `"72h"`, or `"${inputs.soak}"` for what an input of type `duration` holds.

use std::fmt;

use serde_json::Value;

use crate::{
    reference::{Reference, Scope},
    timestamp::Span,
};

/// A length of time, known when the inputs are.
#[derive(Debug, Clone)]
pub enum Length {
    /// Written out.
    Literal(Span),
    /// Where it stands.
    Reference(Reference),
}

impl Length {
    /// The span, if no input is needed to know it.
    #[must_use]
    pub const fn literal(&self) -> Option<Span> {
        match self {
            Self::Literal(span) => Some(*span),
            Self::Reference(_) => None,
        }
    }

    /// The span with the inputs of `scope`.
    ///
    /// # Errors
    /// If the reference leads nowhere or to no duration.
    pub fn resolve(&self, scope: &Scope) -> Result<Span, String> {
        match self {
            Self::Literal(span) => Ok(*span),
            Self::Reference(reference) => match reference.lookup(scope) {
                Ok(Value::String(text)) => Span::parse(text),
                Ok(_) => Err(format!("`{reference}` is no duration")),
                Err(missing) => Err(missing.to_string()),
            },
        }
    }
}

impl fmt::Display for Length {
    /// `72h`, or `${inputs.soak}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(span) => f.write_str(&span.exact()),
            Self::Reference(reference) => write!(f, "${{{reference}}}"),
        }
    }
}
