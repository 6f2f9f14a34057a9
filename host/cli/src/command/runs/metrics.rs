//! `cutover runs metrics`: runs in the form that Prometheus reads.

use cutover_engine::RunId;
use cutover_runtime::runs::Shown;
use serde::Serialize;

use super::standing;
use crate::{
    error::Outcome,
    exit_code::ExitCode,
    host,
    host_error::refused,
    program::Program,
    report::{metrics::Exposition, standing::Standing},
};

/// Prints the metrics of one run, or of all.
pub(crate) fn perform(program: &mut Program, run: Option<&str>) -> Outcome {
    let host = host::looking(program)?;
    let ids: Vec<RunId> = match (run, &host) {
        (Some(run), _) => vec![host::find_run(host.as_ref(), run, &program.settings.state)?],
        (None, Some(host)) => host.state.runs().map_err(|error| refused(error.into()))?,
        (None, None) => Vec::new(),
    };
    let mut shown: Vec<Shown> = Vec::new();
    for id in &ids {
        let Some(host) = &host else { break };
        match host.show(id, None, |_, _, _| {}) {
            Ok(one) => shown.push(one),
            Err(error) if run.is_some() => return Err(refused(error)),
            // One damaged run does not keep the others from being told.
            Err(error) => program.console.note(&format!("warning: run {id} is left out: {}", refused(error).summary())),
        }
    }
    let standings: Vec<Standing<'_>> = host.iter().flat_map(|host| shown.iter().map(|one| standing(host, one))).collect();
    let exposition = Exposition::of(&standings);
    program.console.answer(&exposition.text())?;
    program.console.document(&Document { exposition: &exposition, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    exposition: &'a Exposition,
    exit: ExitCode,
}
