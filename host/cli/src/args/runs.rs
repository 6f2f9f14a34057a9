//! The commands about runs as typed. Doc comments are the help text.

#![expect(clippy::doc_markdown, reason = "the comments are help text, read on a terminal")]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AnchorArgs, examples};

/// Options of `runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub command: RunsCommand,
}

/// Commands about runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List the runs of the state folder, newest last
    #[command(after_long_help = examples::RUNS_LIST)]
    List,
    /// Show where a run stands, with each step and what is open
    ///
    /// Exits as the run itself would have: 12 if its process ended before it came to rest, 13 if it is under way, and 1
    /// if a dual run is past its deadline.
    #[command(after_long_help = examples::RUNS_SHOW)]
    Show {
        /// The run's id, its beginning, its last part, or `last`
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
        anchor: AnchorArgs,
    },
    /// Show or save what was there before a change
    ///
    /// The last resort when a plugin cannot take its change back. On the terminal secrets stay sealed; the values
    /// themselves go only into a new file that nobody else can read.
    #[command(after_long_help = examples::RUNS_PRE_IMAGE)]
    PreImage {
        /// The run's id, its beginning, its last part, or `last`
        #[arg(value_name = "RUN")]
        run: String,
        /// The change, as `runs show` lists it
        #[arg(value_name = "CHANGE")]
        change: String,
        /// Write the values, secrets included, to this new file (mode 0600)
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Watch a run that another process drives
    ///
    /// Shows what `run` would show, made of the run's journal, until the run comes to rest; then exits as `runs show` does.
    /// Of a run at rest it shows the end. Ctrl-C ends the watching, never the run. With `-o jsonl`: each event as a line.
    #[command(after_long_help = examples::RUNS_WATCH)]
    Watch {
        /// The run's id, its beginning, its last part, or `last`
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Show what happened in a run, and what its plugins logged
    ///
    /// Everything that its journal holds, in order; plugins' lines stand where they were written. A run keeps 8 MiB of
    /// lines and 8 MiB of warnings; lines for a plugin's author are not kept, `-vv` shows them while they are written.
    #[command(after_long_help = examples::RUNS_LOGS)]
    Logs(LogsArgs),
    /// Print the metrics of a run, or of all runs, in the form that Prometheus reads
    ///
    /// For the textfile collector of node_exporter. `run --metrics FILE` writes the same while a run is driven.
    #[command(after_long_help = examples::RUNS_METRICS)]
    Metrics {
        /// The run's id, its beginning, its last part, or `last`; without it, all runs
        #[arg(value_name = "RUN")]
        run: Option<String>,
    },
}

/// Options of `runs logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run's id, its beginning, its last part, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Only what happened in this step
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
    /// Only what happened to this change, as `runs logs` names it: `step/change`
    #[arg(long, value_name = "CHANGE")]
    pub change: Option<String>,
    /// Go on until the run comes to rest
    #[arg(long)]
    pub follow: bool,
}
