//! What is looked at again before something is retired: the linked changes, and the copies behind a linked retirement.

use super::{Mode, Run, Turn, forward::host_failure, outlook::Cause, stage::Stage};
use crate::{
    change::ChangeNo,
    event::Recheck,
    failure::FailureCase,
    manifest::Purpose,
    timestamp::{Span, Timestamp},
};

/// A change that is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) target: ChangeNo,
    /// The run has retired what it was made from: only what it wrote can be compared.
    pub(super) retired: bool,
}

impl Run {
    /// The change that the look of this number is at.
    pub(super) fn looked_at(&self, change: ChangeNo, link: u32) -> Looked {
        self.behind(change)[link as usize]
    }

    /// All that the change ends the way back of: its links first, then what these have retired.
    fn behind(&self, change: ChangeNo) -> Vec<Looked> {
        let links = |of: ChangeNo, retired: bool| self.plan.change(of).links.iter().map(move |target| Looked { target: *target, retired });
        let mut found: Vec<Looked> = links(change, false).collect();
        let mut next = 0;
        while let Some(Looked { target, .. }) = found.get(next).copied() {
            if self.plan.operation_of(target).purpose == Purpose::Retire {
                found.extend(links(target, true));
            }
            next += 1;
        }
        found
    }

    /// A second look has ended. All of them must find what was verified before the change's own life begins.
    pub(super) fn rechecked(&mut self, at: Timestamp, change: ChangeNo, (link, attempt): (u32, u32), relation: &Recheck) {
        let Looked { target, .. } = self.looked_at(change, link);
        let name = self.plan.name_of(target);
        match relation {
            Recheck::Same => {
                let next = link + 1;
                let more = self.behind(change).len() > next as usize;
                self.schedule(change, at, if more { Stage::Recheck { link: next, attempt } } else { Stage::Capture { attempt } });
            }
            Recheck::SourceMoved => {
                self.give_up_turn(change);
                self.reopen(target, at);
                if self.mode == Mode::Forward {
                    self.cause = Some(Cause::Stale { change: target });
                    self.mode = Mode::Draining(Turn::Pause);
                }
            }
            Recheck::TargetMoved => {
                let text = format!("somebody else wrote to what {name} had verified; nothing was retired");
                self.fail(at, change, host_failure(FailureCase::Conflict, "CUT3501", text));
            }
            Recheck::CheckFailed(detail) => {
                let text = format!("the checks of {name} no longer pass: {detail}");
                self.fail(at, change, host_failure(FailureCase::Mismatch, "CUT3502", text));
            }
            Recheck::Inconclusive(_) if attempt < self.plan.operation_of(change).attempts => {
                let due = at.after(self.backoff(change, attempt + 1, Span::default()));
                self.schedule(change, due, Stage::Recheck { link: 0, attempt: attempt + 1 });
            }
            Recheck::Inconclusive(detail) => {
                let text = format!("the checks of {name} stayed inconclusive: {detail}");
                self.fail(at, change, host_failure(FailureCase::Mismatch, "CUT3413", text));
            }
        }
    }

    /// Apply is called again later. A retire change that has written nothing looks at everything again before that: while it
    /// waits, what it is about may move.
    pub(super) fn call_again(&mut self, change: ChangeNo, due: Timestamp, attempt: u32) {
        if self.changes[change.index()].written || self.plan.operation_of(change).purpose != Purpose::Retire {
            return self.schedule(change, due, Stage::Apply { attempt });
        }
        self.changes[change.index()].goes_on = Some(attempt);
        self.schedule(change, due, Stage::Recheck { link: 0, attempt: 1 });
    }

    /// A retire change that has written nothing starts anew when the run is resumed: its linked changes are looked at again.
    pub(super) fn take_retirements_back(&mut self) {
        for change in (0u32..).map(ChangeNo).take(self.changes.len()) {
            let settled = self.steps[self.plan.change(change).step.index()].has_settled(change);
            let state = &mut self.changes[change.index()];
            if settled || state.written || self.plan.operation_of(change).purpose != Purpose::Retire {
                continue;
            }
            match state.stage {
                // Its time may not have come yet.
                Stage::Recheck { .. } => state.stage = Stage::Recheck { link: 0, attempt: 1 },
                Stage::Capture { .. } | Stage::Apply { .. } | Stage::Compare { .. } => self.give_up_turn(change),
                Stage::Failed if !state.failed_as(FailureCase::Refused) => {
                    state.failure = None;
                    self.steps[self.plan.change(change).step.index()].forgive_failure();
                    self.give_up_turn(change);
                }
                _ => {}
            }
        }
    }
}
