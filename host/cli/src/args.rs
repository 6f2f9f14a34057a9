//! The command line as typed. Doc comments are the help text.

mod examples;
mod form;
mod global;
mod later;
mod plugin;
mod runs;
mod telemetry;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use form::Output;
pub use global::{ColorWhen, GlobalArgs, GuessedForm, LogFormat, ProgressStyle};
pub use later::refusal;
pub use plugin::{PluginArgs, PluginCommand, PluginLanguage, PluginWorld};
pub use runs::{LogsArgs, RunsArgs, RunsCommand};
pub use telemetry::TelemetryArgs;

use crate::completion::Shell;

/// Move secrets, certificates and trust from one system to another, one verified and reversible change at a time
///
/// A workflow is a TOML file. `cutover plan` shows what it would do, `cutover run` does it: each change is
/// captured, applied and verified, and goes back if something after it fails.
///
/// Without a command: the workflows of this folder and the last runs.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, max_term_width = 100, after_long_help = examples::CUTOVER, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub global: GlobalArgs,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first workflow into a folder
    ///
    /// Writes a commented workflow and a .gitignore that keeps run state out of version control. Nothing that
    /// is there already is overwritten.
    #[command(after_long_help = examples::INIT)]
    Init(InitArgs),
    /// Check workflow files without network, credentials or running a plugin
    ///
    /// All mistakes of a file are reported at once, each with its place, code and fix. Exit code 1 if there are any.
    /// Two more forms: `-o github` for annotations in GitHub Actions, `-o sarif` for code scanning.
    #[command(after_long_help = examples::VALIDATE)]
    Validate(ValidateArgs),
    /// Format workflow files
    ///
    /// Spaces, blank lines and the ends of lines become regular; comments, order and values stay. A file that is not
    /// TOML is left alone (exit code 1).
    #[command(after_long_help = examples::FMT)]
    Fmt(FmtArgs),
    /// Draw the steps of a workflow and what waits for what
    ///
    /// Reads the file and the manifests of its plugins only. Forms: text, json, `-o dot` for Graphviz, `-o mermaid`
    /// for Markdown, `-o svg` for a page.
    #[command(after_long_help = examples::GRAPH)]
    Graph(GraphArgs),
    /// Print or write the JSON Schema of workflow files
    ///
    /// An editor that knows the schema completes and checks a workflow while it is written, with the inputs of
    /// the plugins that it uses.
    #[command(after_long_help = examples::SCHEMA)]
    Schema(SchemaArgs),
    /// Show what a workflow would do; writes nothing anywhere
    ///
    /// Reads the systems that the workflow names and lists each change with its way back, its losses and its
    /// checks. A plan holds no secret: it can be attached to a ticket, with `-o markdown` to a pull request.
    #[command(after_long_help = examples::PLAN, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Plan(PlanArgs),
    /// Find what is wrong with the state folder, and with the credentials of a workflow
    ///
    /// Looks at the folders of runs and locks: what others can read, what killed processes left, a schema that an editor
    /// misses. `--fix` sets that right. With a workflow it also plans it and asks its vaults: a right that is missing, a
    /// token that ends before the run, a credential that can do more than its step does. Exit code 1 if something is
    /// still wrong.
    #[command(after_long_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Plan, ask and perform a workflow, or perform a saved plan
    ///
    /// A saved plan is planned again first; if the world moved since, nothing is written (exit code 15).
    /// Ctrl-C once stops at the next safe point, twice at once. Both can be resumed.
    #[command(after_long_help = examples::RUN)]
    Run(RunArgs),
    /// Go on with a run that was stopped, paused, killed or left waiting
    ///
    /// What was under way when the run ended is first compared with the world, then finished; no effect happens twice.
    #[command(after_long_help = examples::RESUME)]
    Resume(ResumeArgs),
    /// Take back what a run has done, newest first, each change checked
    ///
    /// A change that somebody else wrote over since is left alone and reported with both states; `--over` takes
    /// it back nevertheless. Exits with 0 if everything is back, with 11 if something stays.
    #[command(after_long_help = examples::ROLLBACK)]
    Rollback(RollbackArgs),
    /// List runs and look into them
    #[command(after_long_help = examples::RUNS)]
    Runs(RunsArgs),
    /// Write, build, test and pack plugins, and look into them
    #[command(after_long_help = examples::PLUGIN)]
    Plugin(PluginArgs),
    /// Explain the code of an error, or an exit code
    ///
    /// What happened, why, an example, and what to type next. Without a code: the list of all codes.
    #[command(after_long_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Show the settings that count
    #[command(after_long_help = examples::CONFIG)]
    Config(ConfigArgs),
    /// Print a completion script for a shell
    ///
    /// The script asks this program whenever Tab is pressed: it completes commands, options, codes, and the ids of runs, steps
    /// and changes of the state folder. `cutover completions --help` says where each shell wants it.
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands
    #[command(after_long_help = examples::MAN)]
    Man(ManArgs),
    /// What can come next on a command line; the scripts of `completions` ask it
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
    /// Answer as the application of `cutover init --template demo`
    ///
    /// Answers at app.sock whether it can log in with what lies in store/, until Ctrl-C.
    #[command(after_long_help = examples::DEMO_APP)]
    DemoApp(DemoAppArgs),
    /// Compile one component under limits; the host starts this itself
    #[command(name = "__compile", hide = true)]
    Compile,
    /// Panic on purpose, so that the report of our own bugs can be tested
    #[command(name = "__panic", hide = true)]
    Panic(PanicArgs),
}

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// What the workflow is about
    #[arg(long, value_enum, default_value_t = Template::Files)]
    pub template: Template,
}

/// Workflows that `init` can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// Secrets from a folder of dotenv, JSON, YAML or TOML files into an encrypted store
    Files,
    /// Only the frame
    Blank,
    /// Made-up secrets in files and the workflow that moves them; see also `cutover demo-app`
    Demo,
}

/// Options of `demo-app`.
#[derive(Debug, Args)]
pub struct DemoAppArgs {
    /// Fail to log in as soon as the store has more secrets than this
    #[arg(long, value_name = "COUNT")]
    pub fail_after: Option<usize>,
}

/// Options of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Workflow files; without any, those of this folder
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Options of `fmt`.
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Workflow files; without any, those of this folder
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write nothing; exit with 1 if a file would change
    #[arg(long)]
    pub check: bool,
}

/// Options of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The workflow
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A code such as CUT0104, the number of an exit code, or `exit-codes` for the list of those
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

/// Options of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub command: ConfigCommand,
}

/// Commands about settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show each setting
    #[command(after_long_help = examples::CONFIG_SHOW)]
    Show {
        /// Also where each one comes from: an option, a variable or the default
        #[arg(long)]
        origin: bool,
    },
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command to this folder; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Options of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Workflow whose plugins' inputs the schema describes; without it, the frame only
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write it to workflow.schema.json in the state folder, where the `#:schema` line of a workflow points
    #[arg(long)]
    pub write: bool,
}

/// Values for the inputs of a workflow.
#[derive(Debug, Default, Args)]
pub struct VariableArgs {
    /// Value for an input of the workflow; can be repeated. Never a secret: other users of the machine can read it
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// TOML file with values for inputs, one `name = value` a line; `--var` beats it
    #[arg(long = "var-file", value_name = "FILE")]
    pub variable_file: Option<PathBuf>,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub command: Option<PlanCommand>,
    /// The workflow
    #[arg(value_name = "FILE", required = true)]
    pub file: Option<PathBuf>,
    /// Save the plan for `cutover run`; the name should end in .cutplan
    #[arg(long, value_name = "PLAN")]
    pub out: Option<PathBuf>,
    /// Exit with 2 if there are changes and 0 if there are none
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub variables: VariableArgs,
}

/// Commands about saved plans.
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Show a saved plan, also one that can no longer be run
    #[command(after_long_help = examples::PLAN_SHOW)]
    Show {
        /// The saved plan
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Show what changed from one saved plan to another
    ///
    /// Settings, steps, changes that were added, removed or moved, and losses.
    #[command(after_long_help = examples::PLAN_DIFF)]
    Diff {
        /// The older plan
        #[arg(value_name = "A")]
        older: PathBuf,
        /// The newer plan
        #[arg(value_name = "B")]
        newer: PathBuf,
    },
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The workflow whose credentials are compared with what its steps need
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Set right what can be set right without losing anything
    #[arg(long)]
    pub fix: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub variables: VariableArgs,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A workflow file, or a plan saved by `cutover plan --out`
    #[arg(value_name = "FILE|PLAN")]
    pub file: PathBuf,
    /// Do not ask. Without a terminal a workflow file needs this; a saved plan does not
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub variables: VariableArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub waiting: WaitArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub telemetry: TelemetryArgs,
}

/// How long a process stays when a run waits.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Stay at most this long when the run waits for a gate or a slow system; then leave with 13 and let `resume` go on
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub max_wait: String,
}

/// Options of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run's id, its beginning, its last part, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub anchor: AnchorArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub waiting: WaitArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub telemetry: TelemetryArgs,
}

/// What the journal must contain.
#[derive(Debug, Args)]
pub struct AnchorArgs {
    /// A head that the run printed earlier: refuse (16) a journal that does not contain it, as a restored old copy would not
    #[arg(long, value_name = "HEAD")]
    pub anchor: Option<String>,
}

/// Options of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The run's id, its beginning, its last part, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Only show what would go back, in which order, and what would stay
    #[arg(long)]
    pub dry_run: bool,
    /// Take this change back although somebody else wrote to it since; can be repeated, is written to the journal
    #[arg(long, value_name = "CHANGE")]
    pub over: Vec<String>,
    /// Do not ask. Needed without a terminal
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub anchor: AnchorArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub waiting: WaitArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub telemetry: TelemetryArgs,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Options of the hidden `__complete`.
#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// Who asks
    #[arg(value_enum)]
    pub shell: Shell,
    /// The last word has not begun
    #[arg(long)]
    pub next: bool,
    /// What was typed after the program's name, up to the cursor
    #[arg(last = true)]
    pub words: Vec<std::ffi::OsString>,
}

/// Options of the hidden `__panic`.
#[derive(Debug, Args)]
pub struct PanicArgs {
    /// Becomes the payload, which must not be shown
    pub payload: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn every_command(command: &clap::Command, check: &mut dyn FnMut(&clap::Command)) {
        check(command);
        command.get_subcommands().filter(|command| !command.is_hide_set()).for_each(|command| every_command(command, check));
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_long_help_has_two_examples_and_every_option_a_description() {
        let mut seen = 0;
        every_command(&Cli::command(), &mut |command| {
            seen += 1;
            let examples = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.matches("\n  cutover").count() >= 2, "{}: {examples}", command.get_name());
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
        });
        assert!(seen >= 21, "{seen} commands");
    }

    #[test]
    fn every_example_parses() {
        let mut parsed = 0;
        every_command(&Cli::command(), &mut |command| {
            let examples = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            for line in examples.lines().filter_map(|line| line.strip_prefix("  cutover")) {
                // Comments and redirections are the shell's.
                let words = line.split("  #").next().and_then(|line| line.split(" > ").next()).unwrap_or(line);
                let words = words.split_whitespace().map(|word| word.trim_matches('\''));
                Cli::try_parse_from(std::iter::once("cutover").chain(words)).unwrap_or_else(|error| panic!("{line}: {error}"));
                parsed += 1;
            }
        });
        assert!(parsed >= 42, "{parsed} examples");
    }
}
