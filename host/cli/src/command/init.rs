//! `cutover init`: a first workflow.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    args::{InitArgs, Template},
    demo_files,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    program::Program,
    report::{palette, printable},
};

const WORKFLOW: &str = "workflow.toml";
const IGNORED: [&str; 2] = [".cutover/", "*.cutplan"];

/// Writes the files and says what to do next.
pub(super) fn perform(program: &mut Program, args: &InitArgs) -> Outcome {
    let folder = &args.folder;
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let workflow = folder.join(WORKFLOW);
    write_new(&workflow, args.template.text(), 0o666)?;
    let ignore = folder.join(".gitignore");
    ignore_state(&ignore)?;
    let mut written = vec![workflow.clone(), ignore];
    if args.template == Template::Demo {
        written.extend(demo(folder)?);
    }

    let shown = |path: &Path| printable::line(&path.display().to_string()).into_owned();
    let next = match args.template {
        Template::Files | Template::Blank => format!("cutover validate {}", shown(&workflow)),
        Template::Demo => format!("cd {} && cutover validate workflow.toml", shown(folder)),
    };
    let before = if args.template == Template::Demo { String::new() } else { format!("edit {}, then: ", shown(&workflow)) };
    let (good, strong) = (palette::GOOD, palette::STRONG);
    let files: String = written.iter().map(|file| format!("{good}wrote{good:#} {}\n", shown(file))).collect();
    program.console.answer(&format!("{files}{strong}Next{strong:#}  {before}{next}\n"))?;
    program.console.document(&Document { written, next, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document {
    written: Vec<PathBuf>,
    next: String,
    exit: ExitCode,
}

impl Template {
    const fn text(self) -> &'static str {
        match self {
            Self::Files => include_str!("init/files.toml"),
            Self::Blank => include_str!("init/blank.toml"),
            Self::Demo => include_str!("../../../../workflows/dotenv-to-age.toml"),
        }
    }
}

/// What the demo's workflow names, but for its application.
fn demo(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let files = demo_files::LEGACY.map(|(name, text)| (Path::new("legacy").join(name), text));
    let mut written = Vec::new();
    for (name, text) in files.into_iter().chain([(PathBuf::from("store.agekey"), demo_files::IDENTITY)]) {
        let file = folder.join(name);
        let above = file.parent().unwrap_or(folder);
        fs::create_dir_all(above).map_err(|error| unwritable(above, &error))?;
        write_new(&file, text, 0o600)?;
        written.push(file);
    }
    let store = folder.join("store");
    fs::create_dir_all(&store).map_err(|error| unwritable(&store, &error))?;
    Ok(written)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CommandError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CommandError::no(code::FILE_EXISTS, format!("`{}` is there already; nothing was written", path.display()))
                .hint("choose another folder: `cutover init DIR`")
        }
        _ => unwritable(path, &error),
    })?;
    file.write_all(text.as_bytes()).map_err(|error| unwritable(path, &error))
}

/// Adds the lines that are missing; what is there stays.
fn ignore_state(path: &Path) -> Result<(), CommandError> {
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(CommandError::no(code::FILE_READ, format!("cannot read `{}`", path.display())).because(&error)),
    };
    let mut added = String::new();
    for line in IGNORED.iter().filter(|wanted| !before.lines().any(|line| line.trim() == **wanted)) {
        if added.is_empty() && !before.is_empty() && !before.ends_with('\n') {
            added.push('\n');
        }
        added.push_str(line);
        added.push('\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(|error| unwritable(path, &error))?;
    file.write_all(added.as_bytes()).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_gitignore_keeps_its_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".gitignore");
        fs::write(&path, "node_modules\n*.cutplan\nlast").expect("written");
        ignore_state(&path).expect("added");
        assert_eq!(fs::read_to_string(&path).expect("read"), "node_modules\n*.cutplan\nlast\n.cutover/\n");
        ignore_state(&path).expect("nothing to add");
        assert_eq!(fs::read_to_string(&path).expect("read"), "node_modules\n*.cutplan\nlast\n.cutover/\n");
    }

    #[test]
    fn templates_are_toml_of_edition_one() {
        for template in [Template::Files, Template::Blank, Template::Demo] {
            let table: toml::Table = template.text().parse().expect("TOML");
            assert_eq!(table["cutover"].as_integer(), Some(1));
        }
    }
}
