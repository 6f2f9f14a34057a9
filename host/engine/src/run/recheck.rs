//! What is looked at again before something is retired: the linked changes, and the copies behind a linked retirement.

use std::collections::HashSet;

use super::{Mode, Run, Turn, forward::host_failure, outlook::Cause, stage::Stage};
use crate::{
    change::ChangeNo,
    event::Recheck,
    failure::{Failure, FailureCase},
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
    pub(super) fn looked_at(&self, change: ChangeNo, link: u32) -> Option<Looked> {
        let links = &self.plan.change(change).links;
        match links.get(link as usize) {
            Some(target) => Some(Looked { target: *target, retired: false }),
            None => self.behind(change).get(link as usize - links.len()).map(|target| Looked { target: *target, retired: true }),
        }
    }

    /// What the links of a change have retired: it ends the way back of these, too.
    fn behind(&self, change: ChangeNo) -> Vec<ChangeNo> {
        let retires = |change: &ChangeNo| self.plan.operation_of(*change).purpose == Purpose::Retire;
        let links = &self.plan.change(change).links;
        let mut seen: HashSet<ChangeNo> = links.iter().copied().collect();
        let (mut open, mut found): (Vec<ChangeNo>, Vec<ChangeNo>) = (links.iter().copied().filter(retires).collect(), Vec::new());
        while let Some(retired) = open.pop() {
            for target in self.plan.change(retired).links.iter().filter(|target| seen.insert(**target)) {
                found.push(*target);
                open.extend(Some(*target).filter(retires));
            }
        }
        found.sort_unstable();
        found
    }

    /// A second look has ended. All of them must find what was verified before the change's own life begins.
    pub(super) fn rechecked(&mut self, at: Timestamp, change: ChangeNo, (link, attempt): (u32, u32), relation: &Recheck) {
        let Some(Looked { target, retired }) = self.looked_at(change, link) else { return };
        let name = self.plan.name_of(target);
        match relation {
            Recheck::Same => {
                let next = link + 1;
                let more = self.looked_at(change, next).is_some();
                self.schedule(change, at, if more { Stage::Recheck { link: next, attempt: 1 } } else { Stage::Capture { attempt: 1 } });
            }
            Recheck::SourceMoved => {
                self.give_up_turn(change);
                if !self.steps[self.plan.change(target).step.index()].has_settled(target) {
                    // Another change that is about it has noticed already.
                    return;
                }
                self.reopen(target, at);
                if self.mode == Mode::Forward {
                    self.cause = Some(Cause::Stale { change: target });
                    self.mode = Mode::Draining(Turn::Pause);
                }
            }
            Recheck::TargetMoved if retired => {
                // By now the new place may be the only one in use: whether that was a rotation or a mishap a person must tell.
                let text = format!("somebody else wrote to what {name} had verified, after its source was retired; nothing was given up");
                self.fail_for_a_person(change, host_failure(FailureCase::Conflict, "CUT3501", text));
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
                self.schedule(change, due, Stage::Recheck { link, attempt: attempt + 1 });
            }
            Recheck::Inconclusive(detail) => {
                let text = format!("the checks of {name} stayed inconclusive: {detail}");
                self.fail(at, change, host_failure(FailureCase::Mismatch, "CUT3413", text));
            }
        }
    }

    /// The change failed, and whatever `on_failure` says nothing goes back for it.
    fn fail_for_a_person(&mut self, change: ChangeNo, failure: Failure) {
        let state = &mut self.changes[change.index()];
        state.failure = Some(Box::new(failure));
        state.outage = None;
        let _ = self.count_failure(self.plan.change(change).step);
        self.rest(change, Stage::Failed);
        if self.mode == Mode::Forward {
            self.cause = Some(Cause::Change { change });
            self.mode = Mode::Draining(Turn::Pause);
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
