//! `cutover demo-app`: the application whose health the demo's workflow asks for.

use std::path::Path;

use serde::Serialize;

use crate::{
    args::DemoAppArgs,
    demo_application,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    program::Program,
};

/// Beside the workflow, as its connection `app` says.
const SOCKET: &str = "app.sock";

/// Answers until it is stopped.
pub(super) fn perform(program: &mut Program, args: &DemoAppArgs) -> Outcome {
    let listener = demo_application::listen(Path::new(SOCKET)).map_err(|error| {
        CommandError::no(code::MACHINE, format!("cannot listen at `{SOCKET}`"))
            .because(&error)
            .hint("if another `cutover demo-app` runs in this folder, stop it first")
    })?;
    let limit = args.fail_after.unwrap_or(usize::MAX);
    let told = match args.fail_after {
        Some(limit) => format!("fails once the store has more than {limit} file{}", if limit == 1 { "" } else { "s" }),
        None => "logs in".to_owned(),
    };
    program.console.answer(&format!("demo-app: answers at {SOCKET}, {told}\n"))?;
    program.console.document(&Document { socket: SOCKET, exit: ExitCode::Done })?;
    let store = program.environment.folder.join("store");
    let stored = || demo_application::files_below(&store).map_or(0, |files| files.len());
    demo_application::serve(&listener, || stored().saturating_sub(limit));
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document {
    socket: &'static str,
    exit: ExitCode,
}
