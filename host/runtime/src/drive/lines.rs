//! What plugins log while they drive a run: to the program's log at once, and to the journal before the call's outcome.

use std::sync::Arc;

use cutover_engine::{ChangeNo, Event, HookKind, LineLevel, Plan, StepNo};

use super::{Answers, WITHHELD};
use crate::{hook::LogLevel, sealing::Scanner, session::Notebook};

/// The lines of one hook call.
pub(super) struct Lines {
    pub(super) answers: Answers,
    pub(super) plan: Arc<Plan>,
    pub(super) step: StepNo,
    pub(super) change: Option<ChangeNo>,
    pub(super) hook: HookKind,
    pub(super) scanner: Arc<Scanner>,
}

impl Notebook for Lines {
    fn note(&self, level: LogLevel, line: &str) {
        let step = &self.plan.step(self.step).id;
        let change = self.change.map(|change| self.plan.name_of(change)).unwrap_or_default();
        let hook = self.hook.word();
        // The driver looks at what it journals itself.
        let written = line.to_owned();
        let line = if self.scanner.hit_in_text(line.as_bytes(), |text| self.plan.mentions(text)) { WITHHELD } else { line };
        let kept = match level {
            LogLevel::Debug => {
                tracing::debug!(target: "cutover::plugin", %step, %change, hook, "{line}");
                return;
            }
            LogLevel::Info => {
                tracing::info!(target: "cutover::plugin", %step, %change, hook, "{line}");
                LineLevel::Info
            }
            LogLevel::Warn => {
                tracing::warn!(target: "cutover::plugin", %step, %change, hook, "{line}");
                LineLevel::Warn
            }
        };
        let event = Event::Logged { step: self.step, change: self.change, hook: self.hook, level: kept, text: written };
        // A driver that is gone broke off with an error; nobody reads this line.
        let _ = self.answers.lines.send(event);
    }
}
