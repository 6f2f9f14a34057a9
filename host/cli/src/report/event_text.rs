//! One event as a line for people: when, where, what.

use cutover_engine::{
    BackRelation, CheckResult, Ending, Event, Failure, LineLevel, Outcome, Plan, Proof, Recheck, Relation, Timestamp, Verdict,
};

use super::{
    event::{step_of, time},
    palette, printable,
};

/// `2026-11-22T12:31:07.004Z  copy/payments/db  write 1: PUT /v1/kv/data/payments/db`, with ANSI styles and a line end.
#[must_use]
pub fn line(plan: &Plan, at: Timestamp, event: &Event) -> String {
    let place = match (event.change(), step_of(plan, event)) {
        (Some(change), _) => plan.name_of(change),
        (None, Some(step)) => plan.step(step).id.clone(),
        (None, None) => "run".to_owned(),
    };
    let (dim, style) = (palette::DIM, style(event));
    format!("{dim}{}{dim:#}  {}  {style}{}{style:#}\n", time(at), printable::line(&place), printable::line(&what(plan, event)))
}

fn style(event: &Event) -> anstyle::Style {
    match event {
        Event::HookFailed { .. }
        | Event::ApplyEnded { outcome: Outcome::Failed(_) | Outcome::Unknown(_), .. }
        | Event::RollbackEnded { outcome: Outcome::Failed(_) | Outcome::Unknown(_), .. }
        | Event::Checked { verdict: Verdict::Fail, .. }
        | Event::BackChecked { verdict: Verdict::Fail, .. }
        | Event::Observed { verdict: Verdict::Fail, .. }
        | Event::DualRunExpired {} => palette::ERROR,
        Event::Logged { level: LineLevel::Warn, .. } => palette::WARNING,
        Event::Logged { .. } => palette::HELP,
        _ => anstyle::Style::new(),
    }
}

fn what(plan: &Plan, event: &Event) -> String {
    match event {
        Event::Started { deferred, .. } if deferred.is_empty() => "begins".to_owned(),
        Event::Started { deferred, .. } => format!("begins; {} drifted and are left out", changes(deferred.len())),
        Event::Resumed {} => "a new process goes on".to_owned(),
        Event::StopRequested {} => "somebody asked to stop at the next safe point".to_owned(),
        Event::RollbackRequested { over } if over.is_empty() => "somebody asked for a rollback".to_owned(),
        Event::RollbackRequested { over } => {
            let names: Vec<String> = over.iter().map(|change| plan.name_of(*change)).collect();
            format!("somebody asked for a rollback, also over what others wrote to {}", names.join(", "))
        }
        Event::RollbackBegan {} => "goes back".to_owned(),
        Event::Ended { ending } => ended(*ending),
        Event::PreImagesDestroyed {} => "the pre-images are destroyed: there is no way back any more".to_owned(),
        Event::GatePassed { .. } => "the gate opens".to_owned(),
        Event::DualRunExpired {} => "old and new have both worked for longer than allowed".to_owned(),
        Event::Observed { probe, verdict, detail, .. } => format!("probe {}: {}: {detail}", probe + 1, word(*verdict)),
        Event::Logged { hook, level: LineLevel::Info, text, .. } => format!("{} says: {text}", hook.word()),
        Event::Logged { hook, level: LineLevel::Warn, text, .. } => format!("{} warns: {text}", hook.word()),
        about_a_change => of_change(about_a_change),
    }
}

fn of_change(event: &Event) -> String {
    match event {
        Event::Captured { present: true, .. } => "captured: it is as wanted already".to_owned(),
        Event::Captured { moved: true, .. } => "captured: it is not as an earlier look found it".to_owned(),
        Event::Captured { .. } => "captured".to_owned(),
        Event::HookFailed { failure, .. } => format!("no result: {failure}"),
        Event::ApplyStarted { attempt, .. } => format!("apply begins{}", again(*attempt)),
        Event::RollbackStarted { attempt, over, .. } => {
            format!("rollback begins{}{}", again(*attempt), if *over { ", over what somebody else wrote" } else { "" })
        }
        Event::WriteSent { write, request, .. } => format!("write {write}: {request}"),
        Event::WriteAnswered { write, status: 0, .. } => format!("write {write} never left"),
        Event::WriteAnswered { write, status, .. } => format!("write {write}: status {status}"),
        Event::ApplyEnded { outcome, .. } => came_back("apply", outcome),
        Event::RollbackEnded { outcome, .. } => came_back("rollback", outcome),
        Event::Compared { relation, .. } => match relation {
            Relation::Expected => "compared: as expected",
            Relation::PreImage => "compared: as it was before",
            Relation::NewExpected => "compared: the source moved",
            Relation::Other => "compared: not as expected",
            Relation::Foreign => "compared: somebody else wrote",
        }
        .to_owned(),
        Event::Checked { verdict, checks, .. } => checked("checks", *verdict, checks),
        Event::BackChecked { verdict, checks, .. } => checked("checks on the way back", *verdict, checks),
        Event::Proved { proof, checks, .. } => {
            let (word, bad) = match proof {
                Proof::Refused => ("the old path is refused", false),
                Proof::Open => ("the old path still works", true),
                Proof::Inconclusive => ("nobody can tell whether the old path is dead", true),
                Proof::NotProvable => ("no old credential can exist any more", false),
            };
            if bad { format!("{word}{}", details(checks)) } else { word.to_owned() }
        }
        Event::Rechecked { relation, .. } => match relation {
            Recheck::Same => "looked again at what it retires: as it was verified".to_owned(),
            Recheck::SourceMoved => "looked again at what it retires: its source moved".to_owned(),
            Recheck::TargetMoved => "looked again at what it retires: its target moved".to_owned(),
            Recheck::CheckFailed(detail) => format!("looked again at what it retires: a check fails: {detail}"),
            Recheck::Inconclusive(detail) => format!("looked again at what it retires: nobody can tell: {detail}"),
        },
        Event::BackLooked { relation, moved, .. } => {
            let moved = moved.as_deref().map_or_else(String::new, |moved| format!(" ({moved})"));
            format!("looked before going back: {}{moved}", found(*relation))
        }
        Event::BackCompared { relation, .. } => format!("looked after going back: {}", found(*relation)),
        _ => String::new(),
    }
}

fn ended(ending: Ending) -> String {
    match ending {
        Ending::Completed => "completed".to_owned(),
        Ending::RolledBack => "everything is back, checked".to_owned(),
        Ending::Stuck => "something stayed: a person is needed".to_owned(),
        Ending::Paused => "stands still by policy".to_owned(),
        Ending::Interrupted => "stopped at a safe point".to_owned(),
        Ending::Waiting { until } => format!("waits until {until}"),
    }
}

fn came_back(hook: &str, outcome: &Outcome) -> String {
    let why = |word: &str, failure: &Failure| format!("{hook} {word}: {failure}");
    match outcome {
        Outcome::Done => format!("{hook} is done"),
        Outcome::Again { after, note } => format!("{hook} goes on at {after}: {note}"),
        Outcome::Failed(failure) => why("failed", failure),
        Outcome::Unknown(failure) => why("ended, nobody knows how", failure),
    }
}

fn checked(what: &str, verdict: Verdict, checks: &[CheckResult]) -> String {
    match verdict {
        Verdict::Pass => format!("{what}: pass ({})", checks.len()),
        _ => format!("{what}: {}{}", word(verdict), details(checks)),
    }
}

/// What did not pass.
fn details(checks: &[CheckResult]) -> String {
    checks.iter().filter(|check| check.verdict != Verdict::Pass).map(|check| format!("; {}: {}", check.name, check.detail)).collect()
}

fn found(relation: BackRelation) -> &'static str {
    match relation {
        BackRelation::PreImage => "as it was before",
        BackRelation::After => "as the run left it",
        BackRelation::Partial => "as the run may have left it",
        BackRelation::Other => "somebody else wrote",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}

fn again(attempt: u32) -> String {
    if attempt > 1 { format!(", attempt {attempt}") } else { String::new() }
}

fn changes(count: usize) -> String {
    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") }
}
