//! `cutover rollback`: what a run did is taken back, or only shown.

use std::fmt::Write as _;

use cutover_engine::{ChangeNo, Plan, RunId};
use serde::Serialize;

use super::drive::{self, Watch, Wish};
use crate::{
    args::RollbackArgs,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    host_error::refused,
    program::Program,
    question,
    rehearsal::Rehearsal,
    report::{palette, printable, standing},
    spectator::{Drive, Stops},
};

/// Changes of each sort that people see; programs get all.
const LISTED: usize = 16;

/// Takes a run back, or with `--dry-run` shows what that would do.
pub(super) fn perform(program: &mut Program, args: &RollbackArgs) -> Outcome {
    let anchor = drive::anchor(&args.anchor)?;
    let longest_wait = drive::longest_wait(&args.waiting)?;
    let looking = host::looking(program)?;
    let id = host::find_run(looking.as_ref(), &args.run, &program.settings.state)?;
    if args.dry_run {
        return dry_run(program, &id, args);
    }
    if !args.yes && !program.settings.asks {
        return Err(CommandError::usage(code::UNCONFIRMED, "nobody can be asked here, and a rollback needs a yes")
            .hint(format!("add `--yes`; `cutover rollback {id} --dry-run` shows what it would do")));
    }
    let host = host::driving(program, longest_wait)?;
    let threads = Program::threads()?;
    threads.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        if !args.yes {
            let (plan, rehearsal) = rehearse(&host, &id, args)?;
            program.console.note(&text(&id, &plan, &rehearsal));
            question::confirmed(&stops, "Take this back?").await?;
        }
        let opened = stops.unless_stopped(host.reopen(&id, anchor)).await?.map_err(refused)?;
        let mut watch = Watch::begin(program, &Drive::of_opened("rollback", (&host, &id), &opened, &args.telemetry), &stops)?;
        let ended = host.roll_back_opened(opened, &args.over, watch.stop(), watch.observer()).await;
        let sieve = watch.end().await;
        drive::shown(program, (&host, &id), ended, &stops, (&sieve, Wish::Back))
    })
}

fn dry_run(program: &mut Program, id: &RunId, args: &RollbackArgs) -> Outcome {
    let Some(host) = host::looking(program)? else { return Ok(ExitCode::Done) };
    let (plan, rehearsal) = rehearse(&host, id, args)?;
    program.console.answer(&text(id, &plan, &rehearsal))?;
    program.console.document(&Document {
        run: id.as_str(),
        goes_back: rehearsal.goes.iter().map(|change| plan.name_of(*change)).collect(),
        stays: rehearsal.stays.iter().map(|open| Stay { change: plan.name_of(open.change), reason: standing::reason(open) }).collect(),
        exit: ExitCode::Done,
    })?;
    Ok(ExitCode::Done)
}

fn rehearse(
    host: &cutover_runtime::runs::Host,
    id: &RunId,
    args: &RollbackArgs,
) -> Result<(std::sync::Arc<Plan>, Rehearsal), CommandError> {
    let shown = host.show(id, drive::anchor(&args.anchor)?, |_, _, _| {}).map_err(refused)?;
    if let Some(ending @ cutover_engine::Ending::RolledBack) = shown.run.ending() {
        return Err(refused(cutover_runtime::runs::HostError::AtRest { run: id.clone(), ending }));
    }
    if shown.run.has_no_way_back() {
        return Err(CommandError::no(code::AT_REST, format!("the pre-images of run {id} were destroyed: there is no way back")));
    }
    let plan = shown.run.plan().clone();
    let find = |name: &String| plan.find(name).ok_or_else(|| refused(cutover_runtime::runs::HostError::NoChange { name: name.clone() }));
    let over: Vec<ChangeNo> = args.over.iter().map(find).collect::<Result<_, _>>()?;
    let now = shown.run.last_event();
    let rehearsal = Rehearsal::of(shown.run, over, now).map_err(|error| refused(error.into()))?;
    Ok((plan, rehearsal))
}

fn text(id: &RunId, plan: &Plan, rehearsal: &Rehearsal) -> String {
    let (strong, error) = (palette::STRONG, palette::ERROR);
    let mut out =
        format!("{strong}Rollback{strong:#} of run {id}: {} to go back, {} to stay\n", rehearsal.goes.len(), rehearsal.stays.len());
    for (number, change) in rehearsal.goes.iter().enumerate().take(LISTED) {
        let _ = writeln!(out, "  {:>4}  {}", number + 1, printable::line(&plan.name_of(*change)));
    }
    let more = |count: usize| count.checked_sub(LISTED).filter(|more| *more > 0);
    if let Some(more) = more(rehearsal.goes.len()) {
        let _ = writeln!(out, "   and {more} more: cutover rollback {id} --dry-run -o json");
    }
    for open in rehearsal.stays.iter().take(LISTED) {
        let line = format!("{}: {}", plan.name_of(open.change), standing::reason(open));
        let _ = writeln!(out, "  {error}stays{error:#} {}", printable::line(&line));
    }
    if let Some(more) = more(rehearsal.stays.len()) {
        let _ = writeln!(out, "   and {more} more that stay: cutover rollback {id} --dry-run -o json");
    }
    let _ = writeln!(out, "Each is looked at first; what somebody else wrote to since stays, too, unless `--over` names it.");
    let _ = writeln!(out, "{strong}Next{strong:#}  cutover rollback {id}");
    out
}

#[derive(Serialize)]
struct Document<'a> {
    run: &'a str,
    goes_back: Vec<String>,
    stays: Vec<Stay>,
    exit: ExitCode,
}

#[derive(Serialize)]
struct Stay {
    change: String,
    reason: String,
}
