//! `cutover man`: manual pages, made from the same definitions as the help.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory as _;
use clap_mangen::Man;
use serde::Serialize;

use crate::{
    args::{Cli, ManArgs, Output},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    program::Program,
    report::{palette, printable, reference},
};

/// Prints the page of the program, or writes a page for each command.
pub(super) fn perform(program: &mut Program, args: &ManArgs) -> Outcome {
    let mut cli = Cli::command();
    cli.build();
    if program.console.output() == Output::Markdown {
        program.console.data(&reference::commands(&cli))?;
        return Ok(ExitCode::Done);
    }
    let Some(folder) = &args.dir else {
        program.console.data(&page(&cli, folder_error(Path::new("standard output")))?)?;
        return Ok(ExitCode::Done);
    };
    fs::create_dir_all(folder).map_err(folder_error(folder))?;
    let mut written = Vec::new();
    write(&cli, folder, &mut written)?;
    let good = palette::GOOD;
    let shown = printable::line(&folder.display().to_string()).into_owned();
    program.console.answer(&format!("{good}wrote{good:#} {} pages to {shown}\nNext  man -l {shown}/cutover.1\n", written.len()))?;
    program.console.document(&Document { written, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document {
    written: Vec<PathBuf>,
    exit: ExitCode,
}

/// `cutover.1`, `cutover-plan.1`, `cutover-plan-show.1`.
fn write(command: &clap::Command, folder: &Path, written: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let file = folder.join(format!("{name}.1"));
    let text = page(command, folder_error(&file))?;
    fs::write(&file, text).map_err(folder_error(&file))?;
    written.push(file);
    command.get_subcommands().filter(|command| !command.is_hide_set()).try_for_each(|command| write(command, folder, written))
}

fn page(command: &clap::Command, failed: impl FnOnce(std::io::Error) -> CommandError) -> Result<String, CommandError> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text).map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn folder_error(path: &Path) -> impl FnOnce(std::io::Error) -> CommandError + use<> {
    let shown = path.display().to_string();
    move |error| CommandError::no(code::FILE_WRITE, format!("cannot write `{shown}`")).because(&error)
}
