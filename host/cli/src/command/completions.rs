//! `cutover completions SHELL`.

use clap::CommandFactory as _;

use crate::{
    args::{Cli, CompletionsArgs},
    error::Outcome,
    exit_code::ExitCode,
    program::Program,
};

/// Prints the script.
pub(super) fn perform(program: &mut Program, args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cutover", &mut script);
    program.console.data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Done)
}
