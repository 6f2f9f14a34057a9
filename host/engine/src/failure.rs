//! Why a hook ended without a result.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure that is journaled and read again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The case; retries are decided from it alone.
    pub case: FailureCase,
    /// The diagnostic code that `cutover explain` knows, such as `CUT3102`; none for what the plugin itself reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For people; no values.
    pub text: String,
}

/// The cases of `failure` in `wit/types.wit`, and those that only the host can find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCase {
    /// Input or plan is wrong.
    InvalidInput,
    /// A backend refused.
    Denied,
    /// Something that must exist does not.
    NotFound,
    /// Somebody else wrote.
    Conflict,
    /// The backend asks to wait that many seconds.
    RateLimited(u32),
    /// No usable answer.
    Unavailable,
    /// The backend cannot do this.
    Unsupported,
    /// A defect of the plugin: its own word, a trap, an answer that breaks the contract.
    Internal,
    /// The plugin asked for something it has no right to; the step fails and the run goes back.
    Refused,
    /// The host's own limits ended the call: time, memory, requests.
    Exhausted,
    /// The host found the world otherwise than the plugin said.
    Mismatch,
}

impl FailureCase {
    /// Whether another attempt can help without anybody doing anything.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Unavailable)
    }
}

impl fmt::Display for FailureCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput => f.write_str("invalid input"),
            Self::Denied => f.write_str("denied"),
            Self::NotFound => f.write_str("not found"),
            Self::Conflict => f.write_str("conflict"),
            Self::RateLimited(seconds) => write!(f, "rate limited for {seconds}s"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Unsupported => f.write_str("unsupported"),
            Self::Internal => f.write_str("plugin defect"),
            Self::Refused => f.write_str("refused by the host"),
            Self::Exhausted => f.write_str("limit reached"),
            Self::Mismatch => f.write_str("not as the plugin said"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.text)
    }
}
