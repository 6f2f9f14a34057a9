//! One file a command: what it does with its arguments.

mod completions;
mod config;
mod demo_app;
mod doctor;
mod drive;
mod explain;
mod fmt;
mod graph;
mod home;
mod init;
mod man;
mod plan;
mod plan_diff;
mod plugin;
mod resume;
mod rollback;
mod run;
mod runs;
mod schema;
mod validate;

use crate::{
    args::{Command, ConfigCommand, PanicArgs, PlanCommand, PluginCommand, RunsCommand},
    error::{CommandError, Outcome},
    program::Program,
};

/// Performs a command; without one, says what is here.
pub(crate) fn perform(program: &mut Program, command: Option<&Command>) -> Outcome {
    match command {
        None => home::perform(program),
        Some(Command::Init(args)) => init::perform(program, args),
        Some(Command::Completions(args)) => completions::perform(program, args),
        Some(Command::Complete(args)) => completions::complete(program, args),
        Some(Command::Validate(args)) => validate::perform(program, args),
        Some(Command::Fmt(args)) => fmt::perform(program, args),
        Some(Command::Graph(args)) => graph::perform(program, args),
        Some(Command::Explain(args)) => explain::perform(program, args),
        Some(Command::Man(args)) => man::perform(program, args),
        Some(Command::Config(args)) => match args.command {
            ConfigCommand::Show { origin } => config::show(program, origin),
        },
        Some(Command::Schema(args)) => schema::perform(program, args),
        Some(Command::Plugin(args)) => match &args.command {
            PluginCommand::New { folder, lang, world } => plugin::new::perform(program, folder, *lang, *world),
            PluginCommand::Build { folder } => plugin::build::perform(program, folder),
            PluginCommand::Test { target, fixture } => plugin::test::perform(program, target, fixture.as_deref()),
            PluginCommand::Dev { folder } => plugin::dev::perform(program, folder),
            PluginCommand::Pack { module, out } => plugin::pack(program, module, out),
            PluginCommand::Inspect { component } => plugin::inspect(program, component),
        },
        Some(Command::Plan(args)) => match &args.command {
            None => plan::perform(program, args),
            Some(PlanCommand::Show { plan }) => plan::show_saved(program, plan),
            Some(PlanCommand::Diff { older, newer }) => plan_diff::perform(program, older, newer),
        },
        Some(Command::Doctor(args)) => doctor::perform(program, args),
        Some(Command::Run(args)) => run::perform(program, args),
        Some(Command::Resume(args)) => resume::perform(program, args),
        Some(Command::Rollback(args)) => rollback::perform(program, args),
        Some(Command::Runs(args)) => match &args.command {
            RunsCommand::List => runs::list(program),
            RunsCommand::Show { run, anchor } => runs::show(program, run, anchor),
            RunsCommand::Watch { run } => runs::watch::perform(program, run),
            RunsCommand::Logs(args) => runs::logs::perform(program, args),
            RunsCommand::Metrics { run } => runs::metrics::perform(program, run.as_deref()),
            RunsCommand::PreImage { run, change, out } => runs::pre_image(program, run, change, out.as_deref()),
        },
        Some(Command::DemoApp(args)) => demo_app::perform(program, args),
        Some(Command::Panic(PanicArgs { payload })) => panic!("{payload}"),
        // `main_impl` takes it before there is a console: it speaks with the sandbox that started it.
        Some(Command::Compile) => Err(CommandError::defect("`__compile` came too late")),
    }
}
