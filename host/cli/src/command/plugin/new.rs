//! `cutover plugin new`: a plugin that builds and conforms, to start from.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    args::{PluginLanguage, PluginWorld},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    plugin_template::{self, NewFile},
    program::Program,
    report::{palette, printable},
};

/// Writes the files and says what to do next.
pub(crate) fn perform(program: &mut Program, folder: &Path, language: PluginLanguage, world: PluginWorld) -> Outcome {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    plugin_template::check_name(name).map_err(|problem| CommandError::usage(code::SETTING, problem))?;
    let files = plugin_template::files(name, language, world);
    refuse_present(folder, &files)?;
    for (path, text) in &files {
        write_new(&folder.join(path), text)?;
    }

    let next = match language {
        PluginLanguage::Rust => format!("cutover plugin build {}", folder.display()),
        PluginLanguage::Js => format!("npm install --ignore-scripts --prefix {0} && cutover plugin build {0}", folder.display()),
        PluginLanguage::Python => {
            let folder = folder.display();
            format!(
                "python3 -m venv {folder}/.venv && {folder}/.venv/bin/pip install -r {folder}/requirements.txt && cutover plugin build {folder}"
            )
        }
    };
    let (good, strong) = (palette::GOOD, palette::STRONG);
    program.console.answer(&format!(
        "{good}wrote{good:#} {}: {} files; begin with {}\n{strong}Next{strong:#}  {}\n",
        printable::line(&folder.display().to_string()),
        files.len(),
        files.iter().map(|(path, _)| path.as_str()).find(|path| path.contains("lib.rs") || path.starts_with("app.")).unwrap_or("README.md"),
        printable::line(&next)
    ))?;
    let written = files.iter().map(|(path, _)| folder.join(path)).collect();
    program.console.document(&Document { written, next, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document {
    written: Vec<PathBuf>,
    next: String,
    exit: ExitCode,
}

/// Before anything is written, so that nothing is left half done.
fn refuse_present(folder: &Path, files: &[NewFile]) -> Result<(), CommandError> {
    let present = files.iter().map(|(path, _)| folder.join(path)).find(|path| path.symlink_metadata().is_ok());
    present.map_or(Ok(()), |path| Err(there_already(&path)))
}

fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let unwritable =
        |error: &std::io::Error| CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(error);
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| unwritable(&error))?;
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| if error.kind() == ErrorKind::AlreadyExists { there_already(path) } else { unwritable(&error) })?;
    file.write_all(text.as_bytes()).map_err(|error| unwritable(&error))
}

fn there_already(path: &Path) -> CommandError {
    CommandError::no(code::FILE_EXISTS, format!("`{}` is there already; it was left as it is", path.display()))
        .hint("choose another name: `cutover plugin new NAME --lang rust`")
}
