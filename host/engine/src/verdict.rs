//! What a check found.

use serde::{Deserialize, Serialize};

/// The result of one check or sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// It could not be seen; never counted as a pass.
    Inconclusive,
}
