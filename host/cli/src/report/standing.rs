//! Where a run stands, as its views show it.

use std::collections::BTreeMap;

use cutover_engine::{Cause, ChangeBody, ChangeNo, Ending, Open, Phase, Run, RunId, Span, StepOutlook, StepPhase, StuckReason, Timestamp};
use serde::Serialize;

use super::{
    ending::{CauseView, DualRunView, EndingView, EndingWord, LossEnding, OpenChange, OutageView, StepEnding},
    progress::{Snapshot, StepProgress, StepState},
};
use crate::error::code;

/// A run and what is known of it besides its events.
pub struct Standing<'r> {
    /// Its id.
    pub id: &'r RunId,
    /// The fold of its events.
    pub run: &'r Run,
    /// The end of its journal, as an anchor is written.
    pub head: String,
    /// When its first event was, or the first that this process saw.
    pub began: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
    /// Whether a process drives it right now.
    pub is_driven: bool,
}

impl Standing<'_> {
    /// How it ended, or that it has not.
    #[must_use]
    pub fn word(&self) -> EndingWord {
        match self.run.ending() {
            Some(Ending::Completed) => EndingWord::Completed,
            Some(Ending::RolledBack) => EndingWord::RolledBack,
            Some(Ending::Stuck) => EndingWord::Stuck,
            Some(Ending::Paused) => EndingWord::Paused,
            Some(Ending::Interrupted) => EndingWord::Interrupted,
            Some(Ending::Waiting { .. }) => EndingWord::Waiting,
            None if self.is_driven => EndingWord::Running,
            None => EndingWord::BrokenOff,
        }
    }

    /// Whether going back is what somebody asked for, not what a failure brought.
    #[must_use]
    pub fn was_asked_back(&self) -> bool {
        matches!(self.run.cause(), Some(Cause::Requested))
    }

    /// The changes for which a person is needed: their bodies tell what to do by hand.
    #[must_use]
    pub fn open(&self) -> Vec<ChangeNo> {
        self.run.open().map(|open| open.change).collect()
    }

    /// The whole view. `bodies` are those of [`Self::open`], as far as they could be read.
    #[must_use]
    pub fn view(&self, bodies: &[ChangeBody]) -> EndingView {
        let word = self.word();
        let mut exit = word.exit();
        if word == EndingWord::RolledBack && self.was_asked_back() {
            exit = crate::exit_code::ExitCode::Done;
        }
        EndingView {
            run: self.id.to_string(),
            workflow: self.run.plan().header.name.clone(),
            ending: word,
            exit,
            cause: self.cause(),
            steps: self.run.steps().map(|step| self.step_ending(&step)).collect(),
            losses: self.losses(),
            open: self.run.open().enumerate().map(|(index, open)| self.open_change(&open, bodies.get(index))).collect(),
            outages: self.outages(),
            dual_run: self.dual_run(),
            head: self.head.clone(),
            next: self.next(word),
        }
    }

    /// Each step with its counts, for a run under way.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let elapsed = self.now.since(self.began.unwrap_or(self.now));
        let cause = self.cause().map(|cause| cause.line());
        Snapshot { steps: self.run.steps().map(|step| self.step_progress(&step)).collect(), elapsed, cause }
    }

    /// Why it does not go on as planned; nothing if it does.
    #[must_use]
    pub fn cause(&self) -> Option<CauseView> {
        let plan = self.run.plan();
        let at = |(line, column): (u32, u32)| Some(format!("{}:{line}:{column}", plan.header.file));
        match self.run.cause()? {
            Cause::Change { change } => {
                let failure = self.run.failure(*change);
                Some(self.cause_of(*change, failure.and_then(|failure| failure.code.clone()), self.failure_text(*change)))
            }
            Cause::Stale { change } => {
                let message = "its source got another value after it was verified".to_owned();
                Some(self.cause_of(*change, Some(code::SOURCE_MOVED.to_owned()), message))
            }
            Cause::Probe { step, probe, detail } => {
                let planned = plan.step(*step);
                let probe = planned.operation().and_then(|operation| operation.probes.get(*probe as usize));
                let check =
                    probe.map_or_else(String::new, |probe| format!("check `{}.{}` (`{}`): ", probe.plugin, probe.operation, probe.expect));
                Some(CauseView {
                    code: Some(code::PROBE.to_owned()),
                    step: planned.id.clone(),
                    change: None,
                    message: format!("{check}{detail}"),
                    place: at(probe.map_or(planned.place, |probe| probe.place)),
                })
            }
            Cause::DualRun { step } => {
                let max = plan.header.dual_run.as_ref().map_or_else(String::new, |dual| dual.max.exact());
                Some(CauseView {
                    code: Some(code::DUAL_RUN.to_owned()),
                    step: plan.step(*step).id.clone(),
                    change: None,
                    message: format!("old and new have both worked for longer than {max}"),
                    place: at(plan.step(*step).place),
                })
            }
            // Nothing failed; but if something stays, that is what the person must know first.
            Cause::Requested => {
                let first = self.run.open().find(|open| open.reason != StuckReason::Needed)?;
                let code = first.failure.as_ref().and_then(|failure| failure.code.clone());
                Some(self.cause_of(first.change, code, reason(&first)))
            }
        }
    }

    fn cause_of(&self, change: ChangeNo, code: Option<String>, message: String) -> CauseView {
        let plan = self.run.plan();
        let planned = plan.change(change);
        let step = plan.step(planned.step);
        let (line, column) = step.place;
        let place = Some(format!("{}:{line}:{column}", plan.header.file));
        CauseView { code, step: step.id.clone(), change: Some(planned.id.to_string()), message, place }
    }

    fn failure_text(&self, change: ChangeNo) -> String {
        self.run.failure(change).map_or_else(|| "it failed without a reason".to_owned(), ToString::to_string)
    }

    fn step_ending(&self, step: &StepOutlook) -> StepEnding {
        let mut counts = counts(step);
        if step.present > 0 {
            counts.insert("of-them-present-before".to_owned(), u64::from(step.present));
        }
        if step.unchecked > 0 {
            counts.insert("of-them-seen-by-the-host-only".to_owned(), u64::from(step.unchecked));
        }
        if step.not_provable > 0 {
            counts.insert("of-them-not-provable".to_owned(), u64::from(step.not_provable));
        }
        if step.waiting > 0 {
            counts.insert("of-them-waiting".to_owned(), u64::from(step.waiting));
        }
        StepEnding { id: self.run.plan().step(step.step).id.clone(), state: word(&step.phase), counts }
    }

    /// Losses of what stands, and of what came back otherwise than it was.
    fn losses(&self) -> Vec<LossEnding> {
        let plan = self.run.plan();
        let mut sums: BTreeMap<(u32, &str), (u64, &str, usize)> = BTreeMap::new();
        for change in (0u32..).map(ChangeNo).take(plan.changes.len()) {
            let phase = self.run.phase(change);
            let stands = self.run.is_written(change) || matches!(phase, Phase::Verified | Phase::Proven | Phase::Unknown);
            let planned = plan.change(change);
            let residue = &plan.operation_of(change).residue;
            for loss in &planned.losses {
                let came_back_otherwise = phase == Phase::RolledBack && residue.contains_key(&loss.code);
                if (stands && !self.run.is_present(change)) || came_back_otherwise {
                    let sum = sums.entry((planned.step.0, &loss.code)).or_insert((0, &loss.detail, 0));
                    sum.0 += u64::from(loss.count);
                    sum.2 += 1;
                }
            }
        }
        let ending = |((step, code), (count, detail, changes)): ((u32, &str), (u64, &str, usize))| LossEnding {
            step: plan.header.steps[step as usize].id.clone(),
            code: code.to_owned(),
            count,
            detail: if changes > 1 { format!("{detail} (and {} more changes)", changes - 1) } else { detail.to_owned() },
        };
        sums.into_iter().map(ending).collect()
    }

    fn open_change(&self, open: &Open, body: Option<&ChangeBody>) -> OpenChange {
        let change = self.run.plan().name_of(open.change);
        let mut commands: Vec<String> = body.iter().flat_map(|body| body.by_hand.lines()).map(str::to_owned).collect();
        if open.reason == StuckReason::Conflict {
            commands.push(format!("cutover rollback {} --over '{change}'", self.id));
        }
        OpenChange { change, reason: reason(open), commands }
    }

    /// What cannot be reached, each thing that was said once.
    fn outages(&self) -> Vec<OutageView> {
        let mut views: Vec<OutageView> = Vec::new();
        for (change, since, failure) in self.run.outages() {
            let message = failure.to_string();
            match views.iter_mut().find(|view| view.message == message) {
                Some(view) => view.changes += 1,
                None => {
                    views.push(OutageView { change: self.run.plan().name_of(change), changes: 1, since: since.to_string(), message });
                }
            }
        }
        views
    }

    fn dual_run(&self) -> Option<DualRunView> {
        let max = self.run.plan().header.dual_run.as_ref()?.max;
        if matches!(self.run.ending(), Some(Ending::Completed | Ending::RolledBack)) {
            return None;
        }
        let (elapsed, expired) = self.run.dual_run(self.now)?;
        Some(DualRunView { elapsed: elapsed.to_string(), max: max.exact(), expired })
    }

    fn next(&self, word: EndingWord) -> Option<String> {
        let id = self.id;
        match word {
            EndingWord::Completed if self.run.has_no_way_back() => Some(format!("cutover runs show {id}")),
            EndingWord::Completed => Some(format!("cutover runs show {id}  |  cutover rollback {id}")),
            EndingWord::RolledBack if self.was_asked_back() => Some(format!("cutover runs show {id}")),
            EndingWord::RolledBack if self.has_moved_on() => Some(format!("cutover runs show {id}  |  plan again")),
            EndingWord::RolledBack => Some(format!("cutover runs show {id}  |  mend the cause, then plan again")),
            EndingWord::Stuck if self.is_cut_off() => Some(format!("cutover rollback {id}, when it answers again")),
            EndingWord::Stuck => Some(format!("settle what is open, then: cutover rollback {id}")),
            EndingWord::Paused | EndingWord::Interrupted | EndingWord::BrokenOff => {
                Some(format!("cutover resume {id}  |  cutover rollback {id}"))
            }
            EndingWord::Waiting if self.run.outages().next().is_some() => {
                Some(format!("cutover resume {id}, when it answers again  |  cutover rollback {id}"))
            }
            EndingWord::Waiting => {
                let until = match self.run.ending() {
                    Some(Ending::Waiting { until }) => format!(", not before {until}"),
                    _ => String::new(),
                };
                Some(format!("cutover resume {id}{until}"))
            }
            EndingWord::Running => None,
        }
    }

    /// Whether nothing was wrong that could be mended: the world or the time moved on.
    fn has_moved_on(&self) -> bool {
        matches!(self.run.cause(), None | Some(Cause::Stale { .. } | Cause::DualRun { .. }))
    }

    /// Whether all that stays does so because something cannot be reached.
    fn is_cut_off(&self) -> bool {
        let cut_off = |open: &Open| open.failure.as_ref().is_some_and(|failure| failure.case.is_retryable());
        let mut reasons = self.run.open().filter(|open| open.reason != StuckReason::Needed).peekable();
        reasons.peek().is_some() && reasons.all(|open| open.reason != StuckReason::Conflict && cut_off(&open))
    }

    fn step_progress(&self, step: &StepOutlook) -> StepProgress {
        let going_back = step.counts.iter().any(|(phase, _)| *phase == Phase::GoingBack);
        let state = match step.phase {
            StepPhase::Waiting => StepState::Waiting,
            StepPhase::Running if step.waiting > 0 => StepState::Held,
            StepPhase::Running => StepState::Running,
            StepPhase::Done => StepState::Done,
            StepPhase::Skipped => StepState::Skipped,
            StepPhase::Failed => StepState::Failed,
            StepPhase::RolledBack if going_back || self.still_stands(step) => StepState::RollingBack,
            StepPhase::RolledBack => StepState::RolledBack,
            StepPhase::Stuck => StepState::Stuck,
        };
        let at_goal = |phase: Phase| {
            if self.run.goes_backward() { phase == Phase::RolledBack } else { matches!(phase, Phase::Verified | Phase::Proven) }
        };
        let done = step.counts.iter().filter(|(phase, _)| at_goal(*phase)).map(|(_, count)| u64::from(*count)).sum();
        let (cohort, cohorts) = step.cohort;
        let elapsed: Option<Span> = step.span.0.map(|since| step.span.1.unwrap_or(self.now).since(since));
        StepProgress {
            id: self.run.plan().step(step.step).id.clone(),
            state,
            counts: counts(step),
            done,
            note: match state {
                StepState::Held => {
                    let outage = self.run.outages().find(|(change, ..)| self.run.plan().change(*change).step == step.step);
                    outage.map(|(_, _, failure)| format!("{} waiting: {failure}", step.waiting))
                }
                StepState::Running => (cohorts > 1).then(|| format!("cohort {cohort} of {cohorts}")),
                _ => None,
            },
            elapsed,
        }
    }

    /// Whether a step on its way back has changes that are not back yet.
    fn still_stands(&self, step: &StepOutlook) -> bool {
        self.run.ending().is_none() && self.run.plan().changes_of(step.step).any(|change| self.run.is_written(change))
    }
}

fn counts(step: &StepOutlook) -> BTreeMap<String, u64> {
    step.counts.iter().map(|(phase, count)| (word(phase), u64::from(*count))).collect()
}

/// Why a change stays.
#[must_use]
pub fn reason(open: &Open) -> String {
    let reason = match open.reason {
        StuckReason::Conflict => "somebody else wrote to it since; it was left alone",
        StuckReason::Irreversible => "its step is irreversible",
        StuckReason::Needed => "something that depends on it stays",
        StuckReason::NotRestored => "it was to go back, but it is not as it was before",
        StuckReason::Unreadable => "it could not be looked at",
    };
    match &open.failure {
        Some(failure) => format!("{reason}: {failure}"),
        None => reason.to_owned(),
    }
}

/// The stored word of a state.
#[must_use]
pub fn word(state: &impl Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
