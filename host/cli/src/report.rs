//! How things look: a plan, the problems of a file, a plugin, a run under way, its ending. Pure: values in, text out.

pub mod annotation;
pub mod conformance;
pub mod diagnostics;
pub mod ending;
pub mod event;
pub mod event_text;
pub mod graph;
mod line_starts;
pub mod metrics;
pub mod page;
pub mod palette;
pub mod plan;
pub mod plan_diff;
pub mod plan_markdown;
pub mod planned;
pub mod plugin;
pub mod printable;
pub mod progress;
pub mod sarif;
pub mod standing;
pub mod table;
