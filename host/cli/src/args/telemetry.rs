//! Where a drive's metrics and trace go.

#![expect(clippy::doc_markdown, reason = "the comments are help text, read on a terminal")]

use std::path::PathBuf;

use clap::Args;

/// Where a drive's metrics and trace go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Keep the run's metrics in this file, in the form that Prometheus reads; the name should end in .prom
    ///
    /// Written anew every few seconds and at the end, each time as a whole.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write the run's trace to this file: OTLP in JSON, one request for export a line [env: TRACEPARENT]
    ///
    /// One trace for the run, a span for each step and each change. TRACEPARENT (W3C Trace Context) makes it part of the
    /// trace of whoever calls. A build with the feature `otlp` also sends it to OTEL_EXPORTER_OTLP_ENDPOINT.
    #[arg(long, value_name = "FILE")]
    pub trace_file: Option<PathBuf>,
}
