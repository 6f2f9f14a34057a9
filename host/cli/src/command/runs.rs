//! `cutover runs list`, `runs show` and `runs pre-image`; the others have files of their own.

pub(super) mod logs;
pub(super) mod metrics;
pub(super) mod watch;

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use cutover_engine::{RunId, Span};
use cutover_runtime::{
    lock::LockError,
    runs::{Host, Shown},
    session::RawResponse,
};
use serde::Serialize;

use super::drive;
use crate::{
    args::AnchorArgs,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    host_error::refused,
    program::Program,
    report::{ending::EndingWord, palette, standing::Standing, table::Table},
};

/// Lists every run, the newest last.
pub(super) fn list(program: &mut Program) -> Outcome {
    let host = host::looking(program)?;
    let runs = host.as_ref().map_or_else(|| Ok(Vec::new()), |host| entries(host, usize::MAX))?;
    let strong = palette::STRONG;
    let text = match runs.last() {
        None => format!("No runs in `{}`.\n{strong}Next{strong:#}  cutover plan FILE\n", program.settings.state.display()),
        Some(last) => format!("{}{strong}Next{strong:#}  cutover runs show {}\n", table(&runs, 0), last.run),
    };
    program.console.answer(&text)?;
    program.console.document(&List { runs: &runs, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct List<'a> {
    runs: &'a [Entry],
    exit: ExitCode,
}

/// One run of the list.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// Its id.
    pub(super) run: String,
    /// The workflow's name; nothing if the run cannot be read.
    pub(super) workflow: Option<String>,
    /// Where it stands, such as `completed`; `unreadable` if nobody can tell.
    pub(super) state: String,
    /// Its first event.
    pub(super) since: Option<String>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

/// The last runs, at most so many, the newest last.
pub(super) fn entries(host: &Host, most: usize) -> Result<Vec<Entry>, CommandError> {
    let ids = host.state.runs().map_err(|error| refused(error.into()))?;
    Ok(ids[ids.len().saturating_sub(most)..].iter().map(|id| entry(host, id)).collect())
}

/// One damaged run does not keep the others from being listed.
fn entry(host: &Host, id: &RunId) -> Entry {
    match host.show(id, None, |_, _, _| {}) {
        Ok(shown) => Entry {
            run: id.to_string(),
            workflow: Some(shown.run.plan().header.name.clone()),
            state: standing(host, &shown).word().name(),
            since: shown.began.map(|began| began.to_string()),
            problem: None,
        },
        Err(error) => Entry {
            run: id.to_string(),
            workflow: None,
            state: "unreadable".to_owned(),
            since: None,
            problem: Some(refused(error).summary()),
        },
    }
}

/// The rows of a list.
pub(super) fn table(runs: &[Entry], indent: usize) -> String {
    let mut table = Table::new(&[]).indented(indent);
    for entry in runs {
        let what = entry.workflow.as_deref().or(entry.problem.as_deref()).unwrap_or_default();
        table.row([entry.run.as_str(), entry.state.as_str(), entry.since.as_deref().unwrap_or("-"), what]);
    }
    table.text()
}

/// Shows where one run stands.
pub(super) fn show(program: &mut Program, run: &str, anchor: &AnchorArgs) -> Outcome {
    let host = host::looking(program)?;
    let id = host::find_run(host.as_ref(), run, &program.settings.state)?;
    let Some(host) = host else { return Err(CommandError::defect("a run was found without a state folder")) };
    let shown = host.show(&id, drive::anchor(anchor)?, |_, _, _| {}).map_err(refused)?;
    answer(program, &host, &standing(&host, &shown), None)
}

/// Says where a run stands, and exits as the run itself would have, or with `exit`.
fn answer(program: &mut Program, host: &Host, standing: &Standing<'_>, exit: Option<ExitCode>) -> Outcome {
    let bodies = host.bodies(standing.id, &standing.open()).unwrap_or_default();
    let mut view = standing.view(&bodies);
    if view.dual_run.as_ref().is_some_and(|dual_run| dual_run.expired) && view.exit != ExitCode::Stuck {
        view.exit = ExitCode::No;
    }
    view.exit = exit.unwrap_or(view.exit);
    program.console.answer(&view.text())?;
    program.console.document(&view)?;
    Ok(view.exit)
}

fn standing<'s>(host: &Host, shown: &'s Shown) -> Standing<'s> {
    let is_driven = shown.run.ending().is_none() && is_driven(host, &shown.id);
    let (run, head, now) = (&shown.run, shown.head.to_string(), host.clock.now());
    Standing { id: &shown.id, run, head, began: shown.began, now, is_driven }
}

/// Whether a process has the run. Taking the lock for a moment is the one way to know it.
fn is_driven(host: &Host, id: &RunId) -> bool {
    let locked = host.state.run(id).map(|folder| folder.lock(&host.locks, host.clock.now()));
    matches!(locked, Ok(Err(LockError::Held { .. })))
}

/// Shows what is stored of a change's pre-image, or writes the values to a new file.
pub(super) fn pre_image(program: &mut Program, run: &str, change: &str, out: Option<&Path>) -> Outcome {
    let id = host::find_run(host::looking(program)?.as_ref(), run, &program.settings.state)?;
    let host = host::driving(program, Span::default())?;
    let responses = host.raw_pre_image(&id, change).map_err(refused)?;
    let shown: Vec<Response> = responses.iter().map(Response::of).collect();
    let mut table = Table::new(&[]);
    shown.iter().for_each(|response| table.row([response.place.clone(), response.status.to_string(), format!("{} bytes", response.bytes)]));
    let strong = palette::STRONG;
    let mut text = table.text();
    match out {
        Some(out) => {
            write_new(out, &responses)?;
            text.push_str(&format!("{strong}Wrote{strong:#} {} with the values in clear; destroy it when you are done\n", out.display()));
        }
        None => text.push_str(&format!(
            "{strong}Next{strong:#}  cutover runs pre-image {id} '{change}' --out FILE  # with the values, secrets included\n"
        )),
    }
    program.console.answer(&text)?;
    program.console.document(&PreImage { run: id.as_str(), change, responses: &shown, out, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct PreImage<'a> {
    run: &'a str,
    change: &'a str,
    responses: &'a [Response],
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<&'a Path>,
    exit: ExitCode,
}

/// A response without its body.
#[derive(Serialize)]
struct Response {
    place: String,
    status: u16,
    bytes: usize,
    base64: bool,
}

impl Response {
    fn of(raw: &RawResponse) -> Self {
        Self { place: raw.place.clone(), status: raw.status, bytes: raw.body.len(), base64: raw.base64 }
    }
}

/// A file that is there is never replaced; nobody else can read the new one.
fn write_new(path: &Path, responses: &[RawResponse]) -> Result<(), CommandError> {
    let text = zeroize::Zeroizing::new(serde_json::to_string_pretty(responses).expect("responses have string keys only") + "\n");
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CommandError::no(code::FILE_EXISTS, format!("`{}` is there already", path.display())).hint("name a new file")
        }
        _ => CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error),
    })
}

impl EndingWord {
    /// The word of the documents.
    fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}
