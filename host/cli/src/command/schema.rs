//! `cutover schema`: what editors need to complete and check a workflow.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Component, Path, PathBuf},
};

use cutover_engine::{Workflow, workflow_schema};
use serde::Serialize;
use serde_json::Value;

use crate::{
    args::{Output, SchemaArgs},
    catalog::Library,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    plugin_path::PluginPath,
    program::Program,
    report::{palette, printable, workflow_reference},
    source_file::SourceFile,
};

const FILE: &str = "workflow.schema.json";

/// Prints the schema, or writes it where the `#:schema` line of a workflow points.
pub(super) fn perform(program: &mut Program, args: &SchemaArgs) -> Outcome {
    let library = match &args.file {
        Some(file) => Some(library(file, &PluginPath::new(&program.settings, &program.environment))?),
        None => None,
    };
    let schema = workflow_schema(library.as_ref().map(|library| &library.catalog));
    if program.console.output() == Output::Markdown && !args.write {
        program.console.data(&workflow_reference::workflow(&schema))?;
        return Ok(ExitCode::Done);
    }
    let text = text(&schema);
    if !args.write {
        program.console.data(&text)?;
        return Ok(ExitCode::Done);
    }
    let written = write(&program.settings.state, &text)?;
    let good = palette::GOOD;
    program.console.answer(&format!("{good}wrote{good:#} {}\n", printable::line(&written.display().to_string())))?;
    program.console.document(&Document { written, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

/// Whether the first line of a workflow names the schema of the state folder, and it is not there.
pub(super) fn is_missed_by(file: &Path, state: &Path) -> bool {
    let named = SourceFile::read(file).ok().and_then(|source| {
        let schema = source.text.lines().next()?.strip_prefix("#:schema ")?.trim().to_owned();
        Some(file.parent().unwrap_or(Path::new("")).join(schema))
    });
    let parts = |path: &Path| -> PathBuf { path.components().filter(|part| *part != Component::CurDir).collect() };
    named.is_some_and(|named| parts(&named) == parts(&state.join(FILE)) && !named.exists())
}

/// Writes the schema for a workflow into the state folder.
pub(super) fn write_for(program: &Program, file: &Path) -> Result<PathBuf, CommandError> {
    let library = library(file, &PluginPath::new(&program.settings, &program.environment))?;
    write(&program.settings.state, &text(&workflow_schema(Some(&library.catalog))))
}

#[derive(Serialize)]
struct Document {
    written: PathBuf,
    exit: ExitCode,
}

fn text(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).expect("a schema has string keys only") + "\n"
}

/// The plugins of a workflow that is still being written: mistakes elsewhere in it do not matter here.
fn library(file: &Path, path: &PluginPath) -> Result<Library, CommandError> {
    let source = SourceFile::read(file)?;
    let (Some(workflow), _) = Workflow::parse(&source.text) else {
        return Err(CommandError::no(code::FILE_FORM, format!("`{}` cannot be read as a workflow", file.display()))
            .hint(format!("run `cutover validate {}`", file.display())));
    };
    let library = Library::of(&workflow, file, path);
    match library.problems.first() {
        None => Ok(library),
        Some(problem) => {
            let error = CommandError::no(problem.code.clone(), problem.message.clone());
            Err(problem.help.iter().fold(error, |error, help| error.hint(help.clone())))
        }
    }
}

fn write(state: &Path, text: &str) -> Result<PathBuf, CommandError> {
    let path = state.join(FILE);
    let told = |error: std::io::Error| CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error);
    // The folder will hold runs: nobody else may look into it.
    DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(told)?;
    fs::write(&path, text).map_err(told)?;
    Ok(path)
}
