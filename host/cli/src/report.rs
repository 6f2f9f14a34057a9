//! How things look: a plan, the problems of a file, a plugin, a run under way, its ending. Pure: values in, text out.

pub mod annotation;
pub mod conformance;
pub mod diagnostics;
pub mod ending;
pub mod event;
pub mod event_text;
pub mod graph;
mod line_starts;
pub mod live_lines;
pub mod metrics;
pub mod page;
pub mod palette;
pub mod plan;
pub mod plan_diff;
pub mod plan_markdown;
pub mod planned;
pub mod plugin;
mod plugin_markdown;
pub mod printable;
pub mod progress;
pub mod reference;
pub mod sarif;
pub mod standing;
pub mod status;
pub mod table;
pub mod workflow_reference;

/// Stands first in pages that a test compares with what the program prints.
const GENERATED: &str = "<!-- Made by `cargo xtask book --reference`; do not edit. -->\n\n";
