//! Notes for the person who watches. Control characters are escaped, long text is cut, tokens stay tokens.

use crate::wire;

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// For the operator.
    Info,
    /// Something the operator should look at.
    Warn,
}

/// A note for the plugin's author.
pub fn debug(message: &str) {
    wire::log(Level::Debug, message);
}

/// A note for the operator.
pub fn info(message: &str) {
    wire::log(Level::Info, message);
}

/// Something the operator should look at.
pub fn warn(message: &str) {
    wire::log(Level::Warn, message);
}
