//! What `run`, `resume` and `rollback` share: a drive is watched, and its end is shown.

use cutover_engine::{RunId, Span};
use cutover_runtime::{
    drive::Observer,
    journal::Anchor,
    runs::{Host, HostError, Rested},
};

use crate::{
    args::{AnchorArgs, Output, WaitArgs},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host_error::broken_off,
    program::Program,
    report::{ending::EndingWord, standing::Standing},
    sieve::Sieve,
    spectator::{Drive, Spectator, Stops},
};

/// Changes of a drift that are named.
const NAMED: usize = 10;

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

/// The watching of a drive, from its first event to its last.
pub(super) struct Watch<'p> {
    spectator: Spectator<'p>,
    stops: Stops,
}

impl<'p> Watch<'p> {
    /// Begins to watch. Needs a Tokio runtime.
    pub(super) fn begin(program: &'p mut Program, drive: &Drive<'_>, stops: &Stops) -> Result<Self, CommandError> {
        let spectator = Spectator::new(program, drive)?;
        stops.speak_through(spectator.board());
        Ok(Self { spectator, stops: stops.clone() })
    }

    /// Ends when the run should stop: a signal came, or a secret was about to leave.
    pub(super) fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stops, sieve) = (self.stops.clone(), self.spectator.sieve());
        async move {
            tokio::select! {
                () = stops.stopped() => {}
                () = sieve.caught() => {}
            }
        }
    }

    /// Sees every event.
    pub(super) fn observer(&mut self) -> Observer<'_> {
        Box::new(|run: &_, at, event: &_| self.spectator.see(run, at, event))
    }

    /// Ends the watching. Knows afterwards whether something was withheld.
    pub(super) async fn end(self) -> Sieve {
        let sieve = self.spectator.sieve();
        self.spectator.finish().await;
        sieve
    }
}

/// Shows how a run came to rest, or why its drive broke off.
pub(super) fn shown(
    program: &mut Program,
    (host, id): (&Host, &RunId),
    ended: Result<Rested, HostError>,
    stops: &Stops,
    (sieve, wish): (&Sieve, Wish),
) -> Outcome {
    let rested = ended.map_err(|error| broken_off(error, id))?;
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
    tell_drift(program, &rested);
    if program.console.output() == Output::Text {
        // Plan and progress stand above, on the same terminal: the report begins here.
        program.console.note("");
    }
    program.console.answer(&view.text())?;
    program.console.document(&view)?;
    if sieve.has_caught() {
        program.console.note("output was withheld because it held a secret, and the run was asked to stop: please report this");
    }
    Ok(view.exit)
}

/// What the run leaves as it is, because the world is no longer as planned.
fn tell_drift(program: &mut Program, rested: &Rested) {
    let plan = rested.run.plan();
    let moved = rested.drift.moved.iter().map(|(change, how)| format!("left out, because it drifted: {}: {how}", plan.name_of(*change)));
    let lines: Vec<String> = moved.chain(rested.drift.new.iter().map(|name| format!("not part of the plan: {name}"))).collect();
    for line in lines.iter().take(NAMED) {
        program.console.note(line);
    }
    if lines.len() > NAMED {
        program.console.note(&format!("and {} more that drifted; `cutover plan diff` names them", lines.len() - NAMED));
    }
}
