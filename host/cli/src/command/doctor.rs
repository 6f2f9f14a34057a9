//! `cutover doctor`: whether the credentials of a workflow fit what its steps do.

use cutover_engine::Span;
use cutover_runtime::{
    doctor::{self, Fault, Finding},
    runs::Prepared,
};
use serde::Serialize;

use super::plan;
use crate::{
    args::DoctorArgs,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    program::Program,
    report::{palette, table::Table},
    spectator::Stops,
    workflow_file,
};

/// Plans a workflow and shows what is wrong with its credentials.
pub(super) fn perform(program: &mut Program, args: &DoctorArgs) -> Outcome {
    let file = match workflow_file::read(program, &args.file, &args.variables)? {
        Ok(file) => file,
        Err(mistakes) => return mistakes.show(&mut program.console),
    };
    let host = host::driving(program, Span::default())?;
    let examined = Program::threads()?.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        let examine = async {
            let prepared = match plan::prepare(&host, &file).await? {
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
    })?;
    let findings = match examined {
        Ok(findings) => findings,
        Err(mistakes) => return mistakes.show(&mut program.console),
    };
    let exit = if findings.iter().any(|finding| finding.fault != Fault::Excess) { ExitCode::No } else { ExitCode::Done };
    program.console.answer(&text(&findings, &file.file))?;
    program.console.document(&Report { findings: &findings, exit })?;
    Ok(exit)
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

#[derive(Serialize)]
struct Report<'a> {
    findings: &'a [Finding],
    exit: ExitCode,
}

fn text(findings: &[Finding], file: &str) -> String {
    let strong = palette::STRONG;
    if findings.is_empty() {
        return format!("No credential has too little or too much.\n{strong}Next{strong:#}  cutover plan {file}\n");
    }
    let mut table = Table::new(&["fault", "step", "role", "connection", "what"]);
    for finding in findings {
        let fault = match finding.fault {
            Fault::Missing => "missing",
            Fault::Short => "short",
            Fault::Excess => "excess",
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
        let text = text(&[finding], "x.toml");
        assert!(text.contains("missing") && text.contains("copy") && text.contains("it cannot read `kv/data/a`"), "{text}");
        assert!(super::text(&[], "x.toml").contains("cutover plan x.toml"));
    }
}
