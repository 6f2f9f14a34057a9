//! `cutover plugin test`: the conformance kit.

use std::path::{Path, PathBuf};

use cutover_runtime::conformance::{ConformanceError, ConformanceReport, Fixture, examine};
use serde::Serialize;

use crate::{
    component,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    plugin_source::{FIXTURE, PluginSource},
    program::Program,
    report::{conformance, palette, printable},
    source_file::SourceFile,
};

/// Plays the fixture's cases and tells what was found.
pub(crate) fn perform(program: &mut Program, target: &Path, fixture: Option<&Path>) -> Outcome {
    let (component, beside) = place(target)?;
    let fixture = fixture.map_or_else(|| beside.join(FIXTURE), Path::to_owned);
    let report = test(program, &component, &fixture)?;
    let conforms = report.conforms();
    let next = if conforms {
        format!("cutover plugin inspect {}", component.display())
    } else if target.is_dir() {
        format!("mend the first FAIL, then: cutover plugin build {0} && cutover plugin test {0}", beside.display())
    } else {
        "mend the first FAIL, build the component anew, then this command again".to_owned()
    };
    let strong = palette::STRONG;
    program.console.answer(&format!("{}{strong}Next{strong:#}  {}\n", conformance::text(&report), printable::line(&next)))?;
    let exit = if conforms { ExitCode::Done } else { ExitCode::No };
    program.console.document(&Document { component, report: &report, conforms, next, exit })?;
    Ok(exit)
}

#[derive(Serialize)]
struct Document<'a> {
    component: PathBuf,
    #[serde(flatten)]
    report: &'a ConformanceReport,
    conforms: bool,
    next: String,
    exit: ExitCode,
}

/// Plays the cases of a fixture with a component.
pub(super) fn test(program: &mut Program, component: &Path, fixture: &Path) -> Result<ConformanceReport, CommandError> {
    let shown = fixture.display();
    if !fixture.is_file() {
        return Err(CommandError::no(code::FIXTURE, format!("there is no `{shown}`, which says what to play with the plugin"))
            .hint("`cutover plugin new` writes one to start from; `--fixture FILE` names another"));
    }
    let text = SourceFile::read(fixture)?.text;
    let wrong = |error: &dyn std::error::Error| {
        CommandError::no(code::FIXTURE, format!("`{shown}` cannot be played"))
            .because(error)
            .hint(format!("`cutover plugin inspect {}` shows operations and roles", component.display()))
    };
    let fixture = Fixture::parse(&text).map_err(|error| wrong(&error))?;
    let bytes = component::bytes(component)?;
    let sandbox = program.sandbox()?;
    let report = program.block_on(examine(&sandbox, &bytes, &fixture))?;
    report.map_err(|error| match &error {
        ConformanceError::Load(load) => CommandError::no(load.code(), format!("`{}` cannot be loaded", component.display())).because(load),
        ConformanceError::Fixture(_) => wrong(&error),
    })
}

/// The component, and the folder with its fixture.
fn place(target: &Path) -> Result<(PathBuf, PathBuf), CommandError> {
    if !target.is_dir() {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok((target.to_owned(), folder.to_owned()));
    }
    let component = PluginSource::find(target)?.component();
    if !component.is_file() {
        return Err(CommandError::no(code::FILE_READ, format!("there is no `{}` yet", component.display()))
            .hint(format!("type `cutover plugin build {}` first", target.display())));
    }
    Ok((component, target.to_owned()))
}
