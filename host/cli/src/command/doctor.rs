//! `cutover doctor`: whether the folders of runs are in order, and the credentials of a workflow fit what its steps do.

use std::path::{Path, PathBuf};

use cutover_engine::Span;
use cutover_runtime::{
    doctor::{self, Fault, Finding},
    lock::LockFolder,
    runs::Prepared,
    upkeep::{self, Ailment},
};
use serde::Serialize;

use super::{plan, schema};
use crate::{
    args::{DoctorArgs, VariableArgs},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    program::Program,
    report::{palette, printable, table::Table},
    spectator::Stops,
    workflow_file::{self, Mistakes},
};

/// Looks at folders, sets them right if asked to, then looks at the credentials of a workflow if one is named.
pub(super) fn perform(program: &mut Program, args: &DoctorArgs) -> Outcome {
    let mut folders = Folders::look(program, args.file.as_deref())?;
    if args.fix {
        folders.mend(program)?;
    }
    // What is open to others is refused by everything that would come now.
    let findings = match &args.file {
        Some(file) if folders.are_well() => match credentials(program, file, &args.variables)? {
            Ok(findings) => Some(findings),
            Err(mistakes) => return mistakes.show(&mut program.console),
        },
        _ => None,
    };
    let is_wrong = findings.iter().flatten().any(|finding| finding.fault != Fault::Excess);
    let exit = if is_wrong || !folders.are_well() { ExitCode::No } else { ExitCode::Done };
    let file = args.file.as_ref().map(|file| file.display().to_string());
    program.console.answer(&text(&folders, findings.as_deref(), file.as_deref()))?;
    program.console.document(&Report { folders: &folders.0, findings: findings.as_deref().unwrap_or_default(), exit })?;
    Ok(exit)
}

/// Plans a workflow and asks what its credentials can do.
fn credentials(program: &Program, file: &Path, variables: &VariableArgs) -> Result<Result<Vec<Finding>, Mistakes>, CommandError> {
    let file = match workflow_file::read(program, file, variables)? {
        Ok(file) => file,
        Err(mistakes) => return Ok(Err(mistakes)),
    };
    let host = host::driving(program, Span::default())?;
    Program::threads()?.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        let examine = async {
            let prepared = match plan::prepare(&host, &file, program.settings.progress).await? {
                Ok(prepared) => prepared,
                Err(mistakes) => return Ok(Err(mistakes)),
            };
            let findings = doctor::examine(&prepared.plan, &prepared.equipment).await;
            prepared.equipment.close().await;
            findings.map(Ok).map_err(|failure| {
                let code = failure.code.clone().unwrap_or_else(|| code::WORKFLOW.to_owned());
                CommandError::no(code, "the credentials could not be examined").because_of(failure.to_string())
            })
        };
        stops.unless_stopped(examine).await?
    })
}

/// The findings as notes of a plan. A credential that cannot be examined is one.
pub(super) async fn warnings(prepared: &Prepared) -> Vec<String> {
    match doctor::examine(&prepared.plan, &prepared.equipment).await {
        Ok(findings) => findings
            .iter()
            .map(|finding| format!("{}: the credential of `{}` ({}): {}", finding.step, finding.connection, finding.role, finding.text))
            .collect(),
        Err(failure) => vec![format!("what the credentials can do was not examined: {failure}")],
    }
}

/// What is wrong with folders, and whether it has been set right.
struct Folders(Vec<Fixable>);

/// Something that can be set right, in words.
#[derive(Serialize)]
struct Fixable {
    what: String,
    fix: String,
    fixed: bool,
    #[serde(skip)]
    cure: Cure,
}

enum Cure {
    Folder(Ailment),
    /// Of this workflow.
    Schema(PathBuf),
}

impl Folders {
    /// The state folder, the folders of locks, and the schema that the first line of a workflow names.
    fn look(program: &Program, file: Option<&Path>) -> Result<Self, CommandError> {
        let state = &program.settings.state;
        let found = upkeep::examine(state, &LockFolder::places());
        let found =
            found.map_err(|error| CommandError::no(code::FILE_READ, format!("cannot look into `{}`", state.display())).because(&error))?;
        let fixable =
            |ailment: Ailment| Fixable { what: ailment.to_string(), fix: ailment.remedy(), fixed: false, cure: Cure::Folder(ailment) };
        let mut folders: Vec<Fixable> = found.into_iter().map(fixable).collect();
        let file = file.filter(|file| schema::is_missed_by(file, state));
        folders.extend(file.map(|file| Fixable {
            what: format!("the schema that the first line of `{}` names is not there", file.display()),
            fix: format!("cutover schema {} --write", file.display()),
            fixed: false,
            cure: Cure::Schema(file.to_owned()),
        }));
        Ok(Self(folders))
    }

    fn mend(&mut self, program: &Program) -> Result<(), CommandError> {
        for fixable in &mut self.0 {
            match &fixable.cure {
                Cure::Folder(ailment) => ailment.mend().map_err(|error| {
                    CommandError::no(code::FILE_WRITE, format!("could not be set right: {}", fixable.what))
                        .because(&error)
                        .hint(&fixable.fix)
                })?,
                Cure::Schema(file) => {
                    schema::write_for(program, file)?;
                }
            }
            fixable.fixed = true;
        }
        Ok(())
    }

    fn are_well(&self) -> bool {
        self.0.iter().all(|fixable| fixable.fixed)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    folders: &'a [Fixable],
    findings: &'a [Finding],
    exit: ExitCode,
}

fn text(folders: &Folders, findings: Option<&[Finding]>, file: Option<&str>) -> String {
    let (strong, good) = (palette::STRONG, palette::GOOD);
    let mut out = String::new();
    for Fixable { what, fix, fixed, .. } in &folders.0 {
        let (what, fix) = (printable::line(what), printable::line(fix));
        out.push_str(&if *fixed { format!("{good}fixed{good:#}  {what}\n") } else { format!("wrong  {what}\n   fix  {fix}\n") });
    }
    if !folders.are_well() {
        let file = file.map(|file| format!(" {}", printable::line(file))).unwrap_or_default();
        out.push_str(&format!("{strong}Next{strong:#}   cutover doctor{file} --fix\n"));
    } else if folders.0.is_empty() {
        out.push_str("Nothing is wrong with the folders of runs and locks.\n");
    }
    out + &findings.zip(file).map(|(findings, file)| of_credentials(findings, file)).unwrap_or_default()
}

fn of_credentials(findings: &[Finding], file: &str) -> String {
    let strong = palette::STRONG;
    if findings.is_empty() {
        return format!("No credential has too little or too much.\n{strong}Next{strong:#}  cutover plan {file}\n");
    }
    let mut table = Table::new(&["fault", "step", "role", "connection", "what"]);
    for finding in findings {
        let fault = match finding.fault {
            Fault::Missing => "missing",
            Fault::Short => "short",
            Fault::Unknown => "unknown",
            Fault::Excess => "excess",
            Fault::Clock => "clock",
        };
        table.row([fault, &finding.step, &finding.role, &finding.connection, &finding.text]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_by_step_and_role() {
        let finding = Finding {
            fault: Fault::Missing,
            step: "copy".to_owned(),
            role: "target".to_owned(),
            connection: "bao".to_owned(),
            text: "it cannot read `kv/data/a`".to_owned(),
        };
        let text = of_credentials(&[finding], "x.toml");
        assert!(text.contains("missing") && text.contains("copy") && text.contains("it cannot read `kv/data/a`"), "{text}");
        assert!(of_credentials(&[], "x.toml").contains("cutover plan x.toml"));
    }
}
