//! What the host refused, as this program says it: a code, an exit code, advice.

use std::error::Error as _;

use cutover_engine::{PlanError, RunId};
use cutover_runtime::{
    drive::DriveError,
    journal::JournalError,
    key::KeyError,
    lock::LockError,
    planner::PlanningError,
    runs::{DriftError, HostError},
    sealed_log::SealedLogError,
    state::StateError,
};

use crate::error::{CommandError, ErrorKind, code};

/// The error of something that was refused before anything was written.
pub(crate) fn refused(error: HostError) -> CommandError {
    match error {
        HostError::Drift(drift) => stale(&drift),
        HostError::Planning(PlanningError::Contradiction(problems)) => contradiction(&problems),
        HostError::AtRest { run, ending } => {
            let ending = match ending {
                cutover_engine::Ending::RolledBack => "rolled back",
                _ => "completed",
            };
            CommandError::no(code::AT_REST, format!("run {run} is over: it is {ending}"))
                .hint(format!("look at it: `cutover runs show {run}`"))
        }
        HostError::Illegal(_) => CommandError::defect(error.to_string()),
        other => plain(&other),
    }
}

/// What the plugins planned cannot be done. Conflicts come one a line, so that each can be found.
fn contradiction(problems: &[PlanError]) -> CommandError {
    let is_conflict = |problem: &PlanError| matches!(problem, PlanError::Conflict { .. });
    let refusal = if problems.iter().all(is_conflict) {
        CommandError::no(code::CONFLICT, "something stands where changes were to be made; nothing was planned")
    } else {
        CommandError::no(code::WORKFLOW, "what the plugins would do cannot be one plan")
    };
    let refusal = problems.iter().fold(refusal, |refusal, problem| match problem {
        PlanError::Conflict { step, first, count } => {
            let refusal = first.iter().fold(refusal, |refusal, (id, why)| refusal.because_of(format!("{step}/{id}: {why}")));
            let more = count.saturating_sub(first.len());
            if more > 0 { refusal.because_of(format!("and {more} more of step `{step}`")) } else { refusal }
        }
        other => refusal.because_of(other.to_string()),
    });
    if problems.iter().any(is_conflict) {
        return refusal.hint("take away what is in the way, or say in the step's `with` what becomes of it; then plan again");
    }
    refusal
}

fn plain(error: &HostError) -> CommandError {
    let (kind, code) = kind_and_code(error);
    let refusal = CommandError::new(kind, code, error.to_string());
    // These tell their source themselves.
    let tells_all = matches!(error, HostError::Plan { .. } | HostError::Load { .. } | HostError::Component { .. });
    match error.source() {
        Some(source) if !tells_all => refusal.because(source),
        _ => refusal,
    }
}

fn kind_and_code(error: &HostError) -> (ErrorKind, String) {
    let no = |code: &str| (ErrorKind::No, code.to_owned());
    let untrusted = |code: &str| (ErrorKind::Untrusted, code.to_owned());
    match error {
        HostError::Planning(PlanningError::Hook { failure, .. }) => no(failure.code.as_deref().unwrap_or(code::WORKFLOW)),
        HostError::Plan { source: cutover_engine::PlanTextError::Version { .. }, .. } => no(code::PLAN),
        HostError::Plan { .. } | HostError::ForeignPlan { .. } => untrusted(code::PLAN),
        HostError::Leak { .. } => no(code::LEAK),
        HostError::PlanWithoutKey { .. } => no(code::PLAN),
        HostError::OtherPlugin { .. } => untrusted(code::OTHER_PLUGIN),
        HostError::Load { source, .. } => no(source.code()),
        HostError::Component { source, .. } => no(source.code()),
        HostError::Connection(error) => no(error.code().as_str()),
        HostError::ConnectionMoved { .. } => (ErrorKind::Stale, code::CONNECTION_MOVED.to_owned()),
        HostError::Lock(error @ LockError::Held { .. }) => (ErrorKind::Held, error.code().to_owned()),
        HostError::Lock(error) => no(error.code()),
        HostError::Key(error) => key(error),
        HostError::State(StateError::Journal(error)) | HostError::Journal(error) => journal(error),
        HostError::State(StateError::Key(error)) => key(error),
        HostError::State(StateError::SealedLog(error @ SealedLogError::Disk(_))) => no(error.code()),
        HostError::State(error @ (StateError::ForeignJournal { .. } | StateError::Unreadable { .. } | StateError::SealedLog(_))) => {
            untrusted(error.code())
        }
        HostError::State(error) => no(error.code()),
        HostError::Disk(error) => no(error.code()),
        HostError::Body(_) => untrusted(code::DAMAGED),
        HostError::Damaged { .. } => untrusted(code::DAMAGED),
        HostError::NoChange { .. } => no(code::CHANGE),
        _ => no(code::WORKFLOW),
    }
}

fn key(error: &KeyError) -> (ErrorKind, String) {
    let kind = if matches!(error, KeyError::Damaged { .. }) { ErrorKind::Untrusted } else { ErrorKind::No };
    (kind, error.code().to_owned())
}

fn journal(error: &JournalError) -> (ErrorKind, String) {
    let untrusted = matches!(error, JournalError::Corrupt { .. } | JournalError::Anchor { .. });
    (if untrusted { ErrorKind::Untrusted } else { ErrorKind::No }, error.code().to_owned())
}

fn stale(drift: &DriftError) -> CommandError {
    /// More are counted, not listed.
    const LISTED: usize = 20;
    let lines =
        drift.moved.iter().map(|(name, how)| format!("{name}: {how}")).chain(drift.new.iter().map(|name| format!("{name}: it is new")));
    let refusal = lines.take(LISTED).fold(CommandError::stale(code::DRIFT, drift.to_string()), CommandError::because_of);
    let more = (drift.moved.len() + drift.new.len()).saturating_sub(LISTED);
    let refusal = if more > 0 { refusal.because_of(format!("and {more} more")) } else { refusal };
    refusal.hint("make the plan again and look at it: `cutover plan FILE`")
}

/// The error of a run that was begun: if its drive broke off, it can be resumed.
pub(crate) fn broken_off(error: HostError, run: &RunId) -> CommandError {
    match error {
        HostError::Drive(DriveError::Journal(source)) => {
            CommandError::paused(code::BROKE_OFF, format!("run {run} broke off: its journal cannot be written"))
                .because(&source)
                .hint(format!("nothing is lost; mend the disk, then go on: `cutover resume {run}`"))
        }
        HostError::Drive(DriveError::Sealed(source)) => {
            CommandError::untrusted(source.code(), format!("run {run} broke off: its sealed log was changed"))
                .because(&source)
                .hint(format!("what is open, and how to undo it by hand: `cutover runs show {run}`"))
        }
        HostError::Drive(error) => {
            CommandError::defect(format!("run {run} broke off: {error}")).hint(format!("go on: `cutover resume {run}`"))
        }
        other => refused(other),
    }
}
