//! What `run`, `resume` and `rollback` share: a drive is watched, and its end is shown.

use cutover_engine::Span;
use cutover_runtime::{
    journal::Anchor,
    runs::{Host, Rested},
};

use crate::{
    args::{AnchorArgs, WaitArgs},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    program::Program,
    report::{ending::EndingWord, standing::Standing},
    sieve::Sieve,
    spectator::Stops,
};

/// Which command brought the run to its end: going back is a success only if it was asked for here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Forward.
    Forward,
    /// Back.
    Back,
}

/// `--max-wait`.
pub(super) fn longest_wait(args: &WaitArgs) -> Result<Span, CommandError> {
    Span::parse(&args.max_wait).map_err(|problem| CommandError::usage(code::SETTING, format!("`--max-wait`: {problem}")))
}

/// `--anchor`.
pub(super) fn anchor(args: &AnchorArgs) -> Result<Option<Anchor>, CommandError> {
    let parse =
        |text: &String| text.parse().map_err(|problem: String| CommandError::usage(code::SETTING, format!("`--anchor`: {problem}")));
    args.anchor.as_ref().map(parse).transpose()
}

/// Ends when the run should stop: a signal came, or a secret was about to leave.
pub(super) async fn stop(stops: Stops, sieve: Sieve) {
    tokio::select! {
        () = stops.stopped() => {}
        () = sieve.caught() => {}
    }
}

/// Shows how a run came to rest.
pub(super) fn rested(program: &mut Program, host: &Host, rested: &Rested, stops: &Stops, (sieve, wish): (&Sieve, Wish)) -> Outcome {
    let standing =
        Standing { id: &rested.id, run: &rested.run, head: rested.head.to_string(), began: None, now: host.clock.now(), is_driven: false };
    let bodies = host.bodies(&rested.id, &standing.open()).unwrap_or_default();
    let mut view = standing.view(&bodies);
    view.exit = match (view.ending, wish) {
        (EndingWord::RolledBack, Wish::Back) => ExitCode::Done,
        (EndingWord::Interrupted, _) => stops.signal().map_or(ExitCode::Paused, |signal| signal.exit()),
        _ => view.exit,
    };
    if (view.ending, wish) == (EndingWord::RolledBack, Wish::Back) {
        // Whoever asked for this has nothing left to mend.
        view.next = Some(format!("cutover runs show {}", rested.id));
    }
    for (change, how) in &rested.drift.moved {
        program.console.note(&format!("left out, because it drifted: {}: {how}", rested.run.plan().name_of(*change)));
    }
    for name in &rested.drift.new {
        program.console.note(&format!("not part of the plan: {name}"));
    }
    program.console.answer(&view.text())?;
    program.console.document(&view)?;
    if sieve.has_caught() {
        program.console.note("output was withheld because it held a secret, and the run was asked to stop: please report this");
    }
    Ok(view.exit)
}
