//! Outages: what a change needs cannot be reached for longer than its attempts last. On the way forward nothing fails by
//! it: the change waits, and the run with it. On the way back the attempts are all there is: then a person is needed.

use super::{Mode, Run};
use crate::{
    change::ChangeNo,
    event::{Event, Outcome, Relation},
    failure::{Failure, FailureCase},
    timestamp::{Span, Timestamp},
};

/// Longest pause between two attempts while an outage lasts, without its jitter; unless the backend asks for a longer one.
const LONGEST_PAUSE: Span = Span::seconds(30);

/// An outage, as one change sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    /// The attempts were spent.
    pub(super) since: Timestamp,
    /// Attempts since then, or since the run was last resumed.
    pub(super) tries: u32,
    /// What was said last.
    pub(super) failure: Failure,
}

impl Run {
    /// When to try again and as which attempt, if another attempt is allowed and can help.
    pub(super) fn another_attempt(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, failure: &Failure) -> Option<(Timestamp, u32)> {
        if !failure.case.is_retryable() {
            return None;
        }
        // While an outage lasts attempts are not counted, also where another look begins anew with the first.
        if attempt < self.plan.operation_of(change).attempts && self.changes[change.index()].outage.is_none() {
            return Some((at.after(self.backoff(change, attempt + 1, asked(failure))), attempt + 1));
        }
        self.wait_out(at, change, failure).map(|due| (due, attempt))
    }

    /// Takes note that the attempts are spent; when to try again nevertheless, on the way forward.
    ///
    /// Attempts during an outage are not counted: afterwards the change has as many as before.
    pub(super) fn wait_out(&mut self, at: Timestamp, change: ChangeNo, failure: &Failure) -> Option<Timestamp> {
        if self.mode == Mode::Backward || !failure.case.is_retryable() {
            return None;
        }
        let operation = self.plan.operation_of(change);
        let (attempts, longest) = (operation.attempts, LONGEST_PAUSE.max(operation.backoff));
        let end = operation.outage;
        let known = self.changes[change.index()].outage.as_ref();
        let (since, tries) = known.map_or((at, 1), |outage| (outage.since, outage.tries + 1));
        let end = end.map(|limit| since.after(limit));
        if end.is_some_and(|end| at >= end) {
            return None;
        }
        let pause = self.pause(change, attempts.saturating_add(tries), longest).max(asked(failure));
        let due = at.after(pause);
        // The last attempt is made when the time is over, not before.
        let due = end.map_or(due, |end| due.min(end).max(at.after(asked(failure))));
        self.changes[change.index()].outage = Some(Box::new(Outage { since, tries, failure: failure.clone() }));
        Some(due)
    }

    /// The backend of this change answers again: the next pause is short.
    pub(super) fn hurry(&mut self, change: ChangeNo) {
        if let Some(outage) = &mut self.changes[change.index()].outage {
            outage.tries = 0;
        }
    }

    /// After a rest nobody waits for the end of a pause: whoever resumed has reason to believe that the outage is over.
    pub(super) fn hurry_all(&mut self, at: Timestamp) {
        self.advanced = self.advanced.max(at);
        for state in &mut self.changes {
            if let Some(outage) = &mut state.outage {
                outage.tries = 0;
                state.due = at;
            }
        }
    }

    /// Since when the run has stood still for the outage that this change waits out, if it does.
    pub(super) fn stands_still_since(&self, change: ChangeNo) -> Option<Timestamp> {
        self.changes[change.index()].outage.as_ref().map(|outage| outage.since.max(self.advanced))
    }

    /// Takes note of what an event about a change says of an outage.
    pub(super) fn end_outage(&mut self, at: Timestamp, change: ChangeNo, event: &Event) {
        // A look that precedes another attempt of apply tells nothing of what apply waits for.
        let waits_to_write = self.changes[change.index()].goes_on.is_some();
        if answers(event) && !waits_to_write && self.changes[change.index()].outage.take().is_some() {
            self.advanced = self.advanced.max(at);
        }
    }
}

/// Whether this tells that the backend does what the change needs of it.
fn answers(event: &Event) -> bool {
    match event {
        Event::ApplyEnded { outcome, .. } | Event::RollbackEnded { outcome, .. } => {
            matches!(outcome, Outcome::Done | Outcome::Again { .. })
        }
        // That it can be looked at does not tell that it can be written.
        Event::Compared { relation, .. } => matches!(relation, Relation::Expected | Relation::NewExpected),
        // Of several looks one may succeed and the next meet the outage again: the capture after them all tells.
        Event::Captured { .. } | Event::Checked { .. } | Event::Proved { .. } => true,
        Event::BackLooked { .. } | Event::BackChecked { .. } => true,
        _ => false,
    }
}

/// The pause that the backend asks for.
pub(super) fn asked(failure: &Failure) -> Span {
    match failure.case {
        FailureCase::RateLimited(seconds) => Span::seconds(u64::from(seconds)),
        _ => Span::default(),
    }
}
