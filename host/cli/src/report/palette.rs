//! The few styles in use. A word always stands beside a colour, so that nothing is said by colour alone.

use anstyle::{AnsiColor, Style};

/// Failures, and what cannot be undone.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What deserves a second look.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Advice and next commands.
pub const HELP: Style = AnsiColor::Cyan.on_default();
/// Headings.
pub const STRONG: Style = Style::new().bold();
/// What can be skipped when reading.
pub const DIM: Style = Style::new().dimmed();
