//! What a command works with, and the way from arguments to an exit code.

use std::ffi::OsString;

use clap::{Parser as _, error::ErrorKind};
use cutover_runtime::sandbox::{Compiler, Limits, Sandbox, compile_child};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::{self, Cli, Command, GuessedForm},
    bug, command,
    console::Console,
    environment::Environment,
    error::{CommandError, code},
    exit_code::ExitCode,
    logging,
    settings::Settings,
};

/// What a command works with.
pub struct Program {
    /// The global options.
    pub settings: Settings,
    /// Variables, folders and terminals.
    pub environment: Environment,
    /// Where text goes.
    pub console: Console,
}

impl Program {
    /// Runs a future to its end on threads of its own.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, CommandError> {
        Ok(Self::threads()?.block_on(future))
    }

    /// Threads for a future that needs the program itself.
    pub fn threads() -> Result<tokio::runtime::Runtime, CommandError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CommandError::no(code::MACHINE, "cannot start threads").because(&error))?;
        // Who asks where a run stands before it is listened for, while it is planned say, must not end it: from the first
        // listener on the signal has lost its default action.
        let inside = runtime.enter();
        let listener = signal(SignalKind::user_defined1());
        drop(listener.map_err(|error| CommandError::no(code::MACHINE, "cannot listen for signals").because(&error))?);
        drop(inside);
        Ok(runtime)
    }

    /// How components are compiled: by this program, started again with limits.
    pub fn compiler(&self) -> Result<Compiler, CommandError> {
        let program =
            self.environment.program.clone().ok_or_else(|| CommandError::no(code::MACHINE, "cannot find the program's own file"))?;
        Ok(Compiler::ChildProcess { command: vec![program.into(), "__compile".into()] })
    }

    /// A sandbox that keeps no compiled code.
    pub fn sandbox(&self) -> Result<Sandbox, CommandError> {
        Sandbox::new(Limits::default(), self.compiler()?, None)
            .map_err(|error| CommandError::no(code::MACHINE, "cannot set up the sandbox").because(&error))
    }
}

/// The whole program: `args` begin with its name. Never panics, never exits by itself. Its codes are those of
/// [`ExitCode`], apart from the hidden `__compile`, which speaks with the sandbox that started it.
pub fn main_impl(args: impl IntoIterator<Item = OsString>, environment: &Environment) -> std::process::ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let form = GuessedForm::of(&args);
    bug::install_hook();
    match bug::caught(|| perform(&args, environment, form)) {
        Ok(code) => code,
        Err(error) => {
            Console::early(form, environment).fail(&error);
            error.exit().into()
        }
    }
}

fn perform(args: &[OsString], environment: &Environment, form: GuessedForm) -> Result<std::process::ExitCode, CommandError> {
    leave_no_core_file()?;
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // Help is an answer: on stdout, exit code 0. It is text whatever the form, since only people read it.
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Console::early(form, environment).data(&error.render().ansi().to_string())?;
            return Ok(ExitCode::Done.into());
        }
        Err(error) => {
            let words: Vec<String> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
            return Err(args::refusal(&error, &words));
        }
    };
    if let Some(Command::Compile) = cli.command {
        return Ok(compile_child(std::io::stdin().lock(), std::io::stdout().lock()));
    }
    cli.global.output.check(cli.command.as_ref())?;
    let settings = Settings::resolve(&cli.global, environment)?;
    logging::install(&settings, environment);
    let console = Console::new(&settings);
    let mut program = Program { settings, environment: environment.clone(), console };
    command::perform(&mut program, cli.command.as_ref()).map(Into::into)
}

/// A core file would hold secrets in clear. The limit is not enough: a program that takes core files from the kernel gets
/// them whatever it is (core(5)). And what may not be dumped may not be traced by other processes of its user either.
fn leave_no_core_file() -> Result<(), CommandError> {
    let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    limited
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| CommandError::no(code::MACHINE, "cannot switch core files off").because(&std::io::Error::from(error)))
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn a_signal_that_asks_ends_nothing() {
        let threads = Program::threads().expect("threads");
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).expect("a signal");
        drop(threads);
        // It is here before the kill returns; by default it would have ended this process.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).expect("a signal");
    }

    #[test]
    fn the_kernel_may_dump_nothing() {
        leave_no_core_file().expect("any process may ask for less");
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
        assert_eq!(dumpable_behavior().expect("told"), DumpableBehavior::NotDumpable);
    }
}
