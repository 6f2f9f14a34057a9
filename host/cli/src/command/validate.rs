//! `cutover validate`: all mistakes of workflow files, without network, credentials or running a plugin.

use std::path::{Path, PathBuf};

use cutover_engine::Workflow;

use super::home;
use crate::{
    args::{Output, ValidateArgs},
    catalog::Library,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    plugin_path::PluginPath,
    program::Program,
    report::{
        annotation,
        diagnostics::{self, Checked, Problem},
        sarif,
    },
    source_file::SourceFile,
};

/// Reports on every file; the answer is no if one has an error.
pub(super) fn perform(program: &mut Program, args: &ValidateArgs) -> Outcome {
    let files = if args.files.is_empty() { of_folder(&program.environment.folder)? } else { args.files.clone() };
    let path = PluginPath::new(&program.settings, &program.environment);
    let reports: Vec<Report> = files.iter().map(|file| Report::of(file, &path)).collect();
    let checked: Vec<Checked<'_>> = reports.iter().map(Report::checked).collect();
    let failed = reports.iter().flat_map(|report| &report.problems).any(|problem| problem.is_error);
    let exit = if failed { ExitCode::No } else { ExitCode::Done };
    match program.console.output() {
        Output::Github => program.console.data(&annotation::text(&checked))?,
        Output::Sarif => program.console.data(&sarif::text(&checked))?,
        Output::Json | Output::Jsonl => program.console.document(&diagnostics::document(&checked, exit))?,
        _ => program.console.answer(&checked.iter().map(Checked::text).collect::<String>())?,
    }
    Ok(exit)
}

/// The workflows of a folder; there must be one.
pub(super) fn of_folder(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let files: Vec<PathBuf> = home::workflows(folder).into_iter().map(|entry| entry.file.into()).collect();
    if files.is_empty() {
        return Err(
            CommandError::no(code::FILE_READ, "there is no workflow in this folder").hint("write one with `cutover init`, or name a file")
        );
    }
    Ok(files)
}

struct Report {
    file: String,
    source: String,
    problems: Vec<Problem>,
}

impl Report {
    fn of(path: &Path, plugins: &PluginPath) -> Self {
        let file = path.display().to_string();
        match SourceFile::read(path) {
            Ok(source) => {
                let problems = match Workflow::parse(&source.text) {
                    (Some(workflow), parsed) => Library::of(&workflow, path, plugins).check(&workflow, &parsed).1,
                    (None, parsed) => parsed.iter().map(Problem::from).collect(),
                };
                Self { file, source: source.text, problems }
            }
            // One unreadable file does not keep the others from being checked.
            Err(error) => {
                let help = error.hints().first().cloned();
                let (code, message) = (error.code().to_owned(), error.summary());
                Self {
                    file,
                    source: String::new(),
                    problems: vec![Problem { code, is_error: true, message, place: None, help, conceals: false }],
                }
            }
        }
    }

    fn checked(&self) -> Checked<'_> {
        Checked { file: &self.file, source: &self.source, problems: &self.problems }
    }
}
