//! `cutover fmt`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::validate;
use crate::{
    args::FmtArgs,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    program::Program,
    report::printable,
    source_file::SourceFile,
    workflow_text,
};

/// Formats files, or with `--check` says which ones would change. Nothing is written if one of them cannot be read.
pub(super) fn perform(program: &mut Program, args: &FmtArgs) -> Outcome {
    let files = if args.files.is_empty() { validate::of_folder(&program.environment.folder)? } else { args.files.clone() };
    let mut changed = Vec::new();
    for file in files {
        let source = SourceFile::read(&file)?;
        let formatted = workflow_text::formatted(&source.text).map_err(|problem| unreadable(&file, &problem))?;
        if formatted != source.text {
            changed.push((file, formatted));
        }
    }
    let word = if args.check { "would change" } else { "formatted" };
    let mut text = String::new();
    for (file, formatted) in &changed {
        if !args.check {
            write(file, formatted)?;
        }
        let _ = writeln!(text, "{word} {}", printable::line(&file.display().to_string()));
    }
    let exit = if args.check && !changed.is_empty() { ExitCode::No } else { ExitCode::Done };
    program.console.answer(&text)?;
    program.console.note(match (changed.is_empty(), args.check) {
        (true, _) => "every file has its form already",
        (false, true) => "Next  cutover fmt",
        (false, false) => "Next  cutover validate",
    });
    program.console.document(&Document { changed: changed.into_iter().map(|(file, _)| file).collect(), exit })?;
    Ok(exit)
}

#[derive(Serialize)]
struct Document {
    changed: Vec<PathBuf>,
    exit: ExitCode,
}

fn unreadable(file: &Path, problem: &str) -> CommandError {
    let shown = file.display();
    CommandError::no("CUT0101", format!("`{shown}` is no TOML")).because_of(problem).hint(format!("run `cutover validate {shown}`"))
}

/// A reader sees the old file or the new one, never a half; the file keeps its permissions.
fn write(file: &Path, text: &str) -> Result<(), CommandError> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let written = fs::metadata(file)
        .and_then(|metadata| fs::write(&beside, text).and_then(|()| fs::set_permissions(&beside, metadata.permissions())))
        .and_then(|()| fs::rename(&beside, file));
    written.map_err(|error| {
        // What is left of a failed attempt helps nobody; the error is the one to tell.
        let _ = fs::remove_file(&beside);
        CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", file.display())).because(&error)
    })
}
