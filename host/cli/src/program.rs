//! What a command works with, and the way from arguments to an exit code.

use std::ffi::OsString;

use clap::{Parser as _, error::ErrorKind};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    args::{self, Cli, GuessedForm},
    bug, command,
    console::Console,
    environment::Environment,
    error::{CommandError, Outcome, code},
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

/// The whole program: `args` begin with its name. Never panics, never exits by itself.
pub fn main_impl(args: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let form = GuessedForm::of(&args);
    bug::install_hook();
    match bug::caught(|| perform(&args, &environment, form)) {
        Ok(code) => code,
        Err(error) => {
            Console::early(form, &environment).fail(&error);
            error.exit()
        }
    }
}

fn perform(args: &[OsString], environment: &Environment, form: GuessedForm) -> Outcome {
    leave_no_core_file()?;
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // Help is an answer: on stdout, exit code 0. It is text whatever the form, since only people read it.
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Console::early(form, environment).data(&error.render().ansi().to_string())?;
            return Ok(ExitCode::Done);
        }
        Err(error) => {
            let words: Vec<String> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
            return Err(args::refusal(&error, &words));
        }
    };
    let settings = Settings::resolve(&cli.global, environment)?;
    logging::install(&settings, environment);
    let console = Console::new(&settings);
    command::perform(&mut Program { settings, environment: environment.clone(), console }, cli.command.as_ref())
}

/// A core file would hold secrets in clear.
fn leave_no_core_file() -> Result<(), CommandError> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| CommandError::no(code::MACHINE, "cannot switch core files off").because(&std::io::Error::from(error)))
}
