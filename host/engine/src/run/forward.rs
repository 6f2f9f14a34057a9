//! The life of a change on the way forward.

use super::{
    IllegalEvent, Mode, Run,
    outage::asked,
    outlook::Cause,
    stage::{CameBack, Stage},
};
use crate::{
    change::ChangeNo,
    command::Effect,
    event::{CheckResult, Event, Outcome, Proof, Relation},
    failure::{Failure, FailureCase},
    manifest::Purpose,
    timestamp::{Span, Timestamp},
    verdict::Verdict,
};

impl Run {
    /// Every pair of stage and event that may follow each other on the way forward; all others are illegal.
    pub(super) fn apply_forward(&mut self, at: Timestamp, change: ChangeNo, event: &Event) -> Result<(), IllegalEvent> {
        let stage = self.changes[change.index()].stage;
        match (stage, event) {
            (Stage::Recheck { link, attempt }, Event::Rechecked { link: seen, relation, .. }) if link == *seen => {
                self.rechecked(at, change, (link, attempt), relation);
            }
            (Stage::Capture { .. }, Event::Captured { present, moved, .. }) => self.captured(at, change, *present, *moved),
            (Stage::Apply { attempt }, Event::ApplyStarted { attempt: started, .. }) if attempt == *started => {
                let state = &mut self.changes[change.index()];
                state.calling_since.get_or_insert(at);
                state.goes_on = None;
                self.set_off(change, Stage::Applying { attempt, sent: false });
            }
            (Stage::Applying { attempt, .. }, Event::WriteSent { .. }) => {
                self.changes[change.index()].note_sent();
                self.set_off(change, Stage::Applying { attempt, sent: true });
            }
            (Stage::Applying { .. }, Event::WriteAnswered { status, .. }) => self.changes[change.index()].note_answer(*status),
            (Stage::Applying { attempt, .. }, Event::ApplyEnded { outcome, .. }) => self.apply_ended(at, change, attempt, outcome),
            (Stage::Compare { attempt, came_back, look }, Event::Compared { relation, .. }) => {
                if look > 1 {
                    self.hurry(change);
                }
                self.compared(at, change, attempt, came_back, *relation);
            }
            (Stage::Check { attempt }, Event::Checked { verdict, checks, .. }) => self.checked(at, change, attempt, *verdict, checks),
            (Stage::Prove { attempt }, Event::Proved { proof, checks, .. }) => self.proved(at, change, attempt, *proof, checks),
            (
                Stage::Recheck { .. } | Stage::Capture { .. } | Stage::Compare { .. } | Stage::Check { .. } | Stage::Prove { .. },
                Event::HookFailed { failure, .. },
            ) => self.look_failed(at, change, stage, failure),
            _ => return Err(self.illegal(event)),
        }
        Ok(())
    }

    fn captured(&mut self, at: Timestamp, change: ChangeNo, present: bool, moved: bool) {
        let state = &mut self.changes[change.index()];
        state.captured = true;
        if moved {
            let text = "somebody else wrote to it since its pre-image was taken".to_owned();
            return self.fail(at, change, host_failure(FailureCase::Conflict, "CUT3503", text));
        }
        match (present, state.written) {
            (true, false) => {
                state.present = true;
                state.goes_on = None;
                self.verified(at, change);
            }
            (true, true) => self.schedule(change, at, Stage::Check { attempt: 1 }),
            (false, _) => {
                let attempt = state.goes_on.unwrap_or(1);
                self.schedule(change, at, Stage::Apply { attempt });
            }
        }
    }

    fn apply_ended(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, outcome: &Outcome) {
        self.changes[change.index()].end_hook();
        let operation = self.plan.operation_of(change);
        let came_back = match outcome {
            Outcome::Done => CameBack::Done,
            Outcome::Again { after, note } => {
                let since = self.changes[change.index()].calling_since.unwrap_or(at);
                if after.since(since) <= operation.deadline {
                    return self.call_again(change, *after, attempt);
                }
                let text = format!("it would wait longer than the step's deadline of {} for: {note}", operation.deadline);
                self.changes[change.index()].failure = Some(Box::new(host_failure(FailureCase::Exhausted, "CUT3504", text)));
                CameBack::Final
            }
            Outcome::Failed(failure) => {
                self.changes[change.index()].failure = Some(Box::new(failure.clone()));
                if failure.case.is_retryable() { CameBack::Retryable } else { CameBack::Final }
            }
            Outcome::Unknown(failure) => {
                self.changes[change.index()].failure = Some(Box::new(failure.clone()));
                let state = &mut self.changes[change.index()];
                (state.written, state.unknown, state.effective, state.effect) = (true, true, true, Effect::Unknown);
                CameBack::Unknown
            }
        };
        self.schedule(change, at, Stage::Compare { attempt, look: 1, came_back });
    }

    fn compared(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, came_back: CameBack, relation: Relation) {
        let next =
            if matches!(relation, Relation::PreImage | Relation::Other) { self.apply_again(at, change, attempt, came_back) } else { None };
        let state = &mut self.changes[change.index()];
        // The look has settled it: what is there is known now. A write without an answer may still arrive, though.
        state.unknown = false;
        state.effect = Effect::None;
        state.effective &= relation != Relation::PreImage || came_back == CameBack::Unknown;
        state.written = state.effective;
        state.mixed |= relation == Relation::Other && state.failed_as(FailureCase::Conflict);
        match relation {
            Relation::Foreign => {
                let text = "somebody else wrote to it since its pre-image was taken".to_owned();
                let failure = state.failure.take().filter(|failure| failure.case == FailureCase::Conflict);
                let failure = failure.map_or_else(|| host_failure(FailureCase::Conflict, "CUT3503", text), |failure| *failure);
                self.fail(at, change, failure);
            }
            // The world is as wanted, but the plugin reached for what is not its own: it is not trusted any further.
            Relation::Expected if came_back == CameBack::Final && state.failed_as(FailureCase::Refused) => {
                let failure = state.failure.take().map(|failure| *failure);
                failure.into_iter().for_each(|failure| self.fail(at, change, failure));
            }
            Relation::Expected => {
                state.failure = None;
                state.stale = false;
                self.note_exposure(change, at);
                self.schedule(change, at, Stage::Check { attempt: 1 });
            }
            Relation::NewExpected => {
                state.stale = true;
                state.calling_since = None;
                self.schedule(change, at, Stage::Capture { attempt: 1 });
            }
            Relation::PreImage | Relation::Other => {
                if let Some((due, attempt)) = next {
                    return self.call_again(change, due, attempt);
                }
                let failure = match (came_back, state.failure.take()) {
                    (CameBack::Done, _) | (_, None) => {
                        let found = if relation == Relation::PreImage { "nothing changed" } else { "its subject is not as expected" };
                        host_failure(FailureCase::Mismatch, "CUT3505", format!("the plugin says that it applied the change, but {found}"))
                    }
                    (_, Some(failure)) => *failure,
                };
                self.fail(at, change, failure);
            }
        }
    }

    /// When apply is to be called again after it came back without a result, and as which attempt.
    fn apply_again(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, came_back: CameBack) -> Option<(Timestamp, u32)> {
        let operation = self.plan.operation_of(change);
        let may = match came_back {
            CameBack::Retryable => true,
            CameBack::Unknown => operation.resumable,
            CameBack::Done | CameBack::Final => false,
        };
        let failure = self.changes[change.index()].failure.clone();
        if may && attempt < operation.attempts {
            let floor = failure.as_deref().map_or(Span::default(), asked);
            return Some((at.after(self.backoff(change, attempt + 1, floor)), attempt + 1));
        }
        failure.filter(|_| may).and_then(|failure| Some((self.wait_out(at, change, &failure)?, attempt)))
    }

    fn checked(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, verdict: Verdict, checks: &[CheckResult]) {
        match verdict {
            Verdict::Pass => {
                if self.open_change_probes(at, change) {
                    self.rest(change, Stage::Probe);
                } else {
                    self.verified(at, change);
                }
            }
            Verdict::Inconclusive if attempt < self.plan.operation_of(change).attempts => {
                self.schedule(change, at.after(self.backoff(change, attempt + 1, Span::default())), Stage::Check { attempt: attempt + 1 });
            }
            Verdict::Inconclusive | Verdict::Fail => self.fail(at, change, unpassed(verdict, checks, "CUT3506")),
        }
    }

    /// All checks of the change passed.
    pub(super) fn verified(&mut self, at: Timestamp, change: ChangeNo) {
        if self.plan.operation_of(change).purpose == Purpose::Retire {
            self.schedule(change, at, Stage::Prove { attempt: 1 });
        } else {
            self.settle(at, change, Stage::Settled);
        }
    }

    fn proved(&mut self, at: Timestamp, change: ChangeNo, attempt: u32, proof: Proof, checks: &[CheckResult]) {
        let state = &mut self.changes[change.index()];
        match proof {
            Proof::Refused => {
                state.proven = true;
                self.settle(at, change, Stage::Settled);
            }
            Proof::NotProvable => {
                state.not_provable = true;
                self.settle(at, change, Stage::Settled);
            }
            Proof::Inconclusive if attempt < self.plan.operation_of(change).attempts => {
                self.schedule(change, at.after(self.backoff(change, attempt + 1, Span::default())), Stage::Prove { attempt: attempt + 1 });
            }
            Proof::Inconclusive => self.fail(at, change, unpassed(Verdict::Inconclusive, checks, "CUT3508")),
            Proof::Open => self.fail(at, change, unpassed(Verdict::Fail, checks, "CUT3507")),
        }
    }

    /// A hook that writes nothing came to no result: again, or the change failed.
    fn look_failed(&mut self, at: Timestamp, change: ChangeNo, stage: Stage, failure: &Failure) {
        let tried = match stage {
            Stage::Recheck { attempt, .. } | Stage::Capture { attempt } | Stage::Check { attempt } | Stage::Prove { attempt } => attempt,
            // What apply sent is noted as written and unknown until it can be looked at.
            Stage::Compare { look, .. } => look,
            other => unreachable!("{other:?} is no look"),
        };
        let Some((due, attempt)) = self.another_attempt(at, change, tried, failure) else { return self.fail(at, change, failure.clone()) };
        self.changes[change.index()].look_away();
        let retires = self.plan.operation_of(change).purpose == Purpose::Retire;
        let is_outage = self.changes[change.index()].outage.is_some();
        let next = match stage {
            // What was looked at before an outage may have moved since.
            Stage::Recheck { .. } if is_outage => Stage::Recheck { link: 0, attempt },
            Stage::Capture { .. } if is_outage && retires => Stage::Recheck { link: 0, attempt },
            Stage::Recheck { link, .. } => Stage::Recheck { link, attempt },
            Stage::Capture { .. } => Stage::Capture { attempt },
            Stage::Check { .. } => Stage::Check { attempt },
            Stage::Prove { .. } => Stage::Prove { attempt },
            // One look at least is over: the next is no first one.
            Stage::Compare { attempt: applied, came_back, .. } => Stage::Compare { attempt: applied, look: attempt.max(2), came_back },
            other => unreachable!("{other:?} is no look"),
        };
        self.schedule(change, due, next);
    }

    /// The change failed on the way forward: alone if the step allows it, else the step fails with it.
    pub(super) fn fail(&mut self, at: Timestamp, change: ChangeNo, failure: Failure) {
        self.changes[change.index()].failure = Some(Box::new(failure));
        self.changes[change.index()].outage = None;
        let step = self.plan.change(change).step;
        let tolerated = self.count_failure(step) && self.can_go_back_alone(change);
        if !tolerated {
            self.rest(change, Stage::Failed);
            return self.turn(Cause::Change { change });
        }
        if self.changes[change.index()].written {
            self.changes[change.index()].alone = true;
            self.changes[change.index()].calling_since = None;
            self.schedule(change, at, Stage::BackLook { attempt: 1, round: 1 });
        } else {
            self.settle(at, change, Stage::Failed);
        }
    }

    /// Whether a failed change can go back while the step goes on: not through a wall, and not beneath what depends on it.
    fn can_go_back_alone(&self, change: ChangeNo) -> bool {
        let state = &self.changes[change.index()];
        let mut dependents = self.chains.after[change.index()].iter().chain(&self.chains.linked_by[change.index()]);
        let depended_on = dependents.any(|dependent| self.changes[dependent.index()].written);
        !state.unknown && (!state.written || (!self.plan.operation_of(change).irreversible && !depended_on))
    }

    /// The process died, or stopped, while this change was under way.
    pub(super) fn forget_flight(&mut self, at: Timestamp, index: usize) {
        let state = &mut self.changes[index];
        state.resume();
        match state.stage {
            Stage::Applying { attempt, sent: false } => {
                state.stage = Stage::Apply { attempt };
                state.due = at;
            }
            Stage::Applying { attempt, sent: true } => {
                state.written = true;
                state.unknown = true;
                // That the process ended is no fault of the attempt: if it is made again, it has the same number.
                state.stage = Stage::Compare { attempt: attempt.saturating_sub(1), look: 1, came_back: CameBack::Unknown };
                state.due = at;
            }
            Stage::GoingBack { attempt, sent: false } => {
                state.stage = Stage::Back { attempt };
                state.due = at;
            }
            Stage::GoingBack { sent: true, .. } => {
                state.unknown = true;
                state.stage = Stage::BackLook { attempt: 1, round: 1 };
                state.due = at;
            }
            _ => {}
        }
    }

    /// After a pause: what failed is tried again. Only a plugin that reached for what is not its own is not trusted again.
    pub(super) fn retry_failed(&mut self, at: Timestamp) {
        self.cause = None;
        let mut refused = None;
        for change in (0u32..).map(ChangeNo).take(self.changes.len()) {
            let state = &mut self.changes[change.index()];
            if state.stage == Stage::Stuck {
                // It went back alone and stayed: the same again.
                state.calling_since = None;
                state.alone = true;
                state.stuck = None;
                state.stage = Stage::BackLook { attempt: 1, round: 1 };
                state.due = at;
                continue;
            }
            // One that failed within `max_failed` stays as it is: the step went on without it.
            if state.stage != Stage::Failed || self.steps[self.plan.change(change).step.index()].has_settled(change) {
                continue;
            }
            if state.failure.as_ref().is_some_and(|failure| failure.case == FailureCase::Refused) {
                refused.get_or_insert(change);
                continue;
            }
            state.calling_since = None;
            state.effect = if state.unknown { Effect::Unknown } else { Effect::None };
            state.stage = if state.written {
                Stage::Compare { attempt: 0, look: 1, came_back: CameBack::Unknown }
            } else {
                Stage::Capture { attempt: 1 }
            };
            state.due = at;
            state.failure = None;
            self.steps[self.plan.change(change).step.index()].forgive_failure();
        }
        match refused {
            Some(change) => {
                self.cause = Some(Cause::Change { change });
                self.mode = Mode::Draining(super::Turn::Pause);
            }
            None => self.retry_series(at),
        }
    }
}

/// A failure that the host found.
pub(super) fn host_failure(case: FailureCase, code: &str, text: String) -> Failure {
    Failure { case, code: Some(code.to_owned()), text }
}

/// The first check that did not pass, as a failure.
pub(super) fn unpassed(verdict: Verdict, checks: &[CheckResult], code: &str) -> Failure {
    let what = if verdict == Verdict::Fail { "failed" } else { "stayed inconclusive" };
    let text = match checks.iter().find(|check| check.verdict == verdict) {
        Some(check) => format!("check `{}` {what}: {}", check.name, check.detail),
        None => format!("verification {what}: no check gave a result"),
    };
    host_failure(FailureCase::Mismatch, code, text)
}
