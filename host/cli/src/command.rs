//! One file a command: what it does with its arguments.

mod completions;
mod home;
mod init;
mod plugin;
mod schema;
mod validate;

use crate::{
    args::{Command, PanicArgs, PlanCommand, PluginCommand, RunsCommand},
    error::{CommandError, Outcome},
    program::Program,
};

/// Performs a command; without one, says what is here.
pub(crate) fn perform(program: &mut Program, command: Option<&Command>) -> Outcome {
    match command {
        None => home::perform(program),
        Some(Command::Init(args)) => init::perform(program, args),
        Some(Command::Completions(args)) => completions::perform(program, args),
        Some(Command::Validate(args)) => validate::perform(program, args),
        Some(Command::Schema(args)) => schema::perform(program, args),
        Some(Command::Plugin(args)) => match &args.command {
            PluginCommand::Pack { module, out } => plugin::pack(program, module, out),
            PluginCommand::Inspect { component } => plugin::inspect(program, component),
        },
        Some(Command::Panic(PanicArgs { payload })) => panic!("{payload}"),
        Some(other) => Err(CommandError::not_yet(&format!("`cutover {}`", name(other)))),
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Plan(args) => match args.command {
            None => "plan",
            Some(PlanCommand::Show { .. }) => "plan show",
        },
        Command::Run(_) => "run",
        Command::Resume(_) => "resume",
        Command::Rollback(_) => "rollback",
        Command::Runs(args) => match args.command {
            RunsCommand::List => "runs list",
            RunsCommand::Show { .. } => "runs show",
            RunsCommand::PreImage { .. } => "runs pre-image",
        },
        _ => "",
    }
}
