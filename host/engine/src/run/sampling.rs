//! Probes: series of samples over a change, a cohort or a step.

use super::{IllegalEvent, Mode, Run, agenda::Item, outlook::Cause, stage::Stage};
use crate::{
    change::ChangeNo,
    command::Command,
    event::{Event, Watched},
    failure::{Failure, FailureCase},
    plan::{Per, StepNo},
    timestamp::{Span, Timestamp},
    verdict::Verdict,
};

/// Which series: a probe of a step, over one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) step: StepNo,
    pub(super) probe: u32,
    pub(super) scope: Watched,
}

/// One series of samples.
#[derive(Debug, Clone)]
pub(super) struct Series {
    since: Timestamp,
    pub(super) due: Timestamp,
    pub(super) dispatched: bool,
    /// Another probe of its scope has failed: nobody waits for it any more. A sample under way may still be answered.
    pub(super) closed: bool,
    samples: u32,
    failed: u32,
    inconclusive: u32,
}

impl Series {
    /// Another process goes on. The time in which samples were due and nobody took them was not watched.
    fn resume(&mut self, at: Timestamp) {
        self.dispatched = false;
        if self.samples > 0 {
            self.since = self.since.after(at.since(self.due));
        }
        self.due = self.due.max(at);
    }
}

/// What kind of scope a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Cohort,
    Step,
}

impl Run {
    /// Opens the series of every probe of the step with that scope; false if there is none.
    ///
    /// A series that has passed already is not opened again by a second call for the same scope.
    pub(super) fn open_series(&mut self, at: Timestamp, step: StepNo, subject: Subject, scope: Watched) -> bool {
        let per = match subject {
            Subject::Cohort => Per::Cohort,
            Subject::Step => Per::Step,
        };
        let due = self.steps[step.index()].unwatched(scope);
        due && self.open_probes(at, step, per, scope)
    }

    /// Opens the change's own probes; false if there is none.
    pub(super) fn open_change_probes(&mut self, at: Timestamp, change: ChangeNo) -> bool {
        self.open_probes(at, self.plan.change(change).step, Per::Change, Watched::Change(change))
    }

    fn open_probes(&mut self, at: Timestamp, step: StepNo, per: Per, scope: Watched) -> bool {
        let plan = self.plan.clone();
        let probes = plan.step(step).operation().map_or(&[][..], |operation| &operation.probes);
        let mut opened = false;
        for (number, _) in (0u32..).zip(probes).filter(|(_, probe)| probe.per == per) {
            let key = SeriesKey { step, probe: number, scope };
            opened = true;
            if self.series.get(&key).is_some_and(|series| !series.closed || self.mode != Mode::Forward) {
                continue;
            }
            let series = Series { since: at, due: at, dispatched: false, closed: false, samples: 0, failed: 0, inconclusive: 0 };
            self.series.insert(key, series);
            self.agenda.insert((at, Item::Series(key)));
        }
        opened
    }

    pub(super) fn has_open_series(&self, step: StepNo) -> bool {
        self.series.iter().any(|(key, series)| key.step == step && !series.closed)
    }

    /// Hands out the next sample of a series.
    pub(super) fn sample(&mut self, key: SeriesKey) -> Command {
        let series = self.series.get_mut(&key).expect("a series on the agenda is open");
        series.dispatched = true;
        Command::Observe { step: key.step, probe: key.probe, scope: key.scope, sample: series.samples + 1 }
    }

    pub(super) fn observed(
        &mut self,
        at: Timestamp,
        event: &Event,
        (step, probe, scope): (StepNo, u32, Watched),
        verdict: Verdict,
        detail: &str,
    ) -> Result<(), IllegalEvent> {
        let key = SeriesKey { step, probe, scope };
        let planned = self.plan.header.steps.get(step.index()).and_then(|step| step.operation()?.probes.get(probe as usize)).cloned();
        let (Some(planned), Some(series)) = (planned, self.series.get_mut(&key)) else { return Err(self.illegal(event)) };
        if series.dispatched {
            series.dispatched = false;
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        self.agenda.remove(&(series.due, Item::Series(key)));
        if series.closed {
            self.series.remove(&key);
            return Ok(());
        }
        series.samples += 1;
        match verdict {
            Verdict::Pass => {}
            Verdict::Fail => series.failed += 1,
            Verdict::Inconclusive => series.inconclusive += 1,
        }
        let ends = series.since.after(planned.span);
        let next = series.due.after(planned.every.max(Span(1))).max(at);
        if series.failed > planned.max_failures {
            let text =
                format!("{} of {} samples failed, {} may; the last said: {detail}", series.failed, series.samples, planned.max_failures);
            self.series.remove(&key);
            self.sampling_failed(at, key, text);
        } else if next <= ends {
            series.due = next;
            self.agenda.insert((next, Item::Series(key)));
        } else if series.failed + series.inconclusive > planned.max_failures || series.failed + series.inconclusive == series.samples {
            let text = format!(
                "too little was seen: {} of {} samples passed, {} may be without result; the last said: {detail}",
                series.samples - series.failed - series.inconclusive,
                series.samples,
                planned.max_failures
            );
            self.series.remove(&key);
            self.sampling_failed(at, key, text);
        } else {
            self.series.remove(&key);
            self.sampling_passed(at, key);
        }
        Ok(())
    }

    fn sampling_passed(&mut self, at: Timestamp, key: SeriesKey) {
        let open = |(other, series): (&SeriesKey, &Series)| other.step == key.step && other.scope == key.scope && !series.closed;
        if self.mode == Mode::Backward || self.series.iter().any(open) {
            return;
        }
        match key.scope {
            Watched::Change(change) if self.changes[change.index()].stage == Stage::Probe => self.verified(at, change),
            Watched::Change(_) => {}
            Watched::Cohort(_) | Watched::Step => {
                self.steps[key.step.index()].watched(key.scope);
                self.advance(at, key.step);
            }
        }
    }

    fn sampling_failed(&mut self, at: Timestamp, key: SeriesKey, detail: String) {
        match key.scope {
            Watched::Change(change) => {
                self.close_series(|other| other.scope == key.scope && other.step == key.step);
                let failure = Failure { case: FailureCase::Mismatch, code: Some("CUT3510".to_owned()), text: detail };
                self.fail(at, change, failure);
            }
            Watched::Cohort(_) | Watched::Step => {
                // The other series of the scope start afresh when the run is resumed.
                self.close_series(|other| other.scope == key.scope && other.step == key.step);
                self.fail_step(Cause::Probe { step: key.step, probe: key.probe, detail });
            }
        }
    }

    /// Closed series stay until their last answer, or the end of the process: a journal does not tell which were handed out.
    fn close_series(&mut self, closes: impl Fn(&SeriesKey) -> bool) {
        for (key, series) in self.series.iter_mut().filter(|(key, _)| closes(key)) {
            series.closed = true;
            self.agenda.remove(&(series.due, Item::Series(*key)));
        }
    }

    /// Another process goes on: no sample is under way, and what was closed begins anew.
    pub(super) fn resume_series(&mut self, at: Timestamp) {
        self.series.retain(|_, series| !series.closed);
        self.series.values_mut().for_each(|series| series.resume(at));
    }

    /// After a rest: probes that failed look again from the start; the others go on where they were.
    pub(super) fn retry_series(&mut self, at: Timestamp) {
        for step in (0u32..).map(StepNo).take(self.steps.len()) {
            if self.plan.step(step).operation().is_some() {
                self.advance(at, step);
            }
        }
    }
}
