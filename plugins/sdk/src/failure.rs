//! Why a hook ended without a result.

use std::fmt;

/// Why a hook ended without a result. The host decides retries from the case, never from the text.
/// Texts are for people, without values: lower case, no full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The input or the plan is wrong; trying again cannot help.
    InvalidInput(String),
    /// The backend or the host refused: rights, policy, sealed-value rules.
    Denied(String),
    /// Something that must exist does not.
    NotFound(String),
    /// Somebody else wrote: an expected prior state did not hold.
    Conflict(String),
    /// The backend asks to wait at least this many seconds.
    RateLimited(u32),
    /// No usable answer: connection lost, 5xx, sealed.
    Unavailable(String),
    /// The backend cannot do this.
    Unsupported(String),
    /// A defect of the plugin. The last resort.
    Internal(String),
}

impl Failure {
    /// [`Failure::InvalidInput`] with this text; the other constructors are alike.
    pub fn invalid_input(text: impl Into<String>) -> Self {
        Self::InvalidInput(text.into())
    }

    /// [`Failure::Denied`].
    pub fn denied(text: impl Into<String>) -> Self {
        Self::Denied(text.into())
    }

    /// [`Failure::NotFound`].
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::NotFound(text.into())
    }

    /// [`Failure::Conflict`].
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::Conflict(text.into())
    }

    /// [`Failure::Unavailable`].
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::Unavailable(text.into())
    }

    /// [`Failure::Unsupported`].
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }

    /// [`Failure::Internal`].
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput(text) => write!(f, "invalid input: {text}"),
            Self::Denied(text) => write!(f, "denied: {text}"),
            Self::NotFound(text) => write!(f, "not found: {text}"),
            Self::Conflict(text) => write!(f, "conflict: {text}"),
            Self::RateLimited(seconds) => write!(f, "rate limited: wait {seconds} s"),
            Self::Unavailable(text) => write!(f, "unavailable: {text}"),
            Self::Unsupported(text) => write!(f, "unsupported: {text}"),
            Self::Internal(text) => write!(f, "internal: {text}"),
        }
    }
}

impl std::error::Error for Failure {}
