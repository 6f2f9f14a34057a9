//! `cutover plugin pack` and `cutover plugin inspect`; the other commands for authors have a file each.

pub(super) mod build;
pub(super) mod dev;
pub(super) mod new;
pub(super) mod test;

use std::path::{Path, PathBuf};

use cutover_runtime::sandbox;
use serde::Serialize;

use crate::{
    args::Output,
    component,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    program::Program,
    report::{palette, plugin::PluginView, printable},
};

/// Makes a packed component of a module or component.
pub(super) fn pack(program: &mut Program, module: &Path, out: &Path) -> Outcome {
    let packed = packed(program, module)?;
    let inspection = sandbox::inspect(&packed)
        .map_err(|error| CommandError::no(error.code(), format!("`{}` does not fit after packing", module.display())).because(&error))?;
    replace(out, &packed)?;

    let (good, view) = (palette::GOOD, PluginView::new(out.display().to_string(), &inspection));
    program.console.answer(&format!("{good}packed{good:#} {}\n", printable::line(&view.headline())))?;
    program.console.document(&Document { packed: out.to_owned(), plugin: view, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

/// Shows what a component offers and asks for.
pub(super) fn inspect(program: &mut Program, file: &Path) -> Outcome {
    let inspection = component::inspect(file)?;
    let view = PluginView::new(file.display().to_string(), &inspection);
    match program.console.output() {
        Output::Markdown => program.console.data(&view.markdown())?,
        _ => program.console.answer(&view.text())?,
    }
    program.console.document(&Inspected { plugin: view, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Inspected<'a> {
    #[serde(flatten)]
    plugin: PluginView<'a>,
    exit: ExitCode,
}

#[derive(Serialize)]
struct Document<'a> {
    packed: PathBuf,
    plugin: PluginView<'a>,
    exit: ExitCode,
}

/// The packed component of a module or component.
fn packed(program: &mut Program, module: &Path) -> Result<Vec<u8>, CommandError> {
    let bytes = component::bytes(module)?;
    let sandbox = program.sandbox()?;
    let packed = program.block_on(sandbox.pack(&bytes))?;
    packed.map_err(|error| CommandError::no(error.code(), format!("cannot pack `{}`", module.display())).because(&error))
}

/// A reader sees the old file or the new one, never a half.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error)
    })
}
