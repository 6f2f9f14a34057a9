//! What a rollback would do, found out by playing it through in memory with the engine itself, as if every hook did its part.

use cutover_engine::{BackRelation, ChangeNo, Command, Ending, Event, IllegalEvent, Next, Open, Outcome, Run, Timestamp, Verdict};

/// How a rollback would go if nothing stood in its way that only a look at the world can show.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    /// The changes that would go back, in that order.
    pub(crate) goes: Vec<ChangeNo>,
    /// The changes that would stay, and why.
    pub(crate) stays: Vec<Open>,
}

impl Rehearsal {
    /// Plays the rollback of `run`, which is over afterwards. Nothing is journaled.
    pub(crate) fn of(mut run: Run, over: Vec<ChangeNo>, now: Timestamp) -> Result<Self, IllegalEvent> {
        if run.ending().is_none() {
            run.apply(now, &Event::Resumed {})?;
        }
        run.apply(now, &Event::RollbackRequested { over })?;
        let (mut now, mut goes) = (now, Vec::new());
        loop {
            match run.next(now) {
                Next::Do(command) => perform(&mut run, now, command, &mut goes)?,
                Next::Record(Event::Ended { ending: Ending::RolledBack | Ending::Stuck }) | Next::Ended(_) => break,
                Next::Record(event) => run.apply(now, &event)?,
                Next::Wait { until, .. } | Next::Busy { until: Some(until) } => now = until.max(Timestamp(now.0 + 1)),
                Next::Busy { until: None } => {
                    return Err(IllegalEvent {
                        event: "rehearsal".to_owned(),
                        state: "the run waits for an answer that nobody owes".to_owned(),
                    });
                }
            }
        }
        Ok(Self { goes, stays: run.open().collect() })
    }
}

fn perform(run: &mut Run, now: Timestamp, command: Command, goes: &mut Vec<ChangeNo>) -> Result<(), IllegalEvent> {
    match command {
        Command::BackLook { change, .. } => {
            run.apply(now, &Event::BackLooked { change, relation: BackRelation::After, state: None, moved: None })
        }
        Command::Rollback { change, attempt, over, .. } => {
            goes.push(change);
            run.apply(now, &Event::RollbackStarted { change, attempt, over })?;
            run.apply(now, &Event::RollbackEnded { change, outcome: Outcome::Done })
        }
        Command::BackCompare { change, .. } => {
            run.apply(now, &Event::BackCompared { change, relation: BackRelation::PreImage, state: None })
        }
        Command::BackCheck { change, .. } => run.apply(now, &Event::BackChecked { change, verdict: Verdict::Pass, checks: Vec::new() }),
        forward => Err(IllegalEvent { event: format!("{forward:?}"), state: "the run goes back".to_owned() }),
    }
}
