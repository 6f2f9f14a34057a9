//! What leaves the program about a drive besides its answer: metrics and a trace. Both are made of the run's events, as
//! everything that is shown; nothing here can disagree with the journal, and nothing here can stop a run.

mod exporter;
mod metrics_file;
pub mod otlp;
#[cfg(any(feature = "otlp", test))]
mod otlp_http;
pub mod span;
pub mod trace;
pub mod trace_context;

pub(crate) use exporter::{Exporter, Traced};
pub(crate) use metrics_file::MetricsFile;
