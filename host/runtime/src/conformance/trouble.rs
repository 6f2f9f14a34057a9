//! What goes wrong with a place of the kit while a hook runs.

use serde_json::Value;

/// What goes wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// No request is ever answered.
    Silent,
    /// Every request is refused with this status, and with a body that holds a secret.
    Refuses(u16),
    /// The write of this number, from 1, takes effect and its answer is lost.
    LosesAnswer(usize),
    /// Before the first write arrives, somebody else writes this to where it goes.
    Intrudes(Value),
}
