//! How much of what plugins log a run keeps: a chatty plugin must not fill the disk, however many changes there are.

use super::{IllegalEvent, Mode, Run};
use crate::{
    change::ChangeNo,
    event::{Event, LineLevel},
    plan::StepNo,
};

/// Bytes of each level that a run keeps, records included. Warnings have their own, so that chatter takes nothing from them.
const LINE_BYTES_KEPT: u64 = 8 * 1024 * 1024;
/// What a record takes besides its text: number, time, step, change and hash.
const RECORD_BYTES: u64 = 256;
/// Stands for a line that had no room.
const LEFT_OUT: &str = "plugins logged more than a run keeps; a line was left out";

/// Bytes of plugins' lines in the journal so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LinesKept {
    info: u64,
    warn: u64,
}

impl LinesKept {
    const fn of(&mut self, level: LineLevel) -> &mut u64 {
        match level {
            LineLevel::Info => &mut self.info,
            LineLevel::Warn => &mut self.warn,
        }
    }
}

impl Run {
    /// What of a plugin's line goes into the journal: itself, a word that it was left out, or nothing any more.
    #[must_use]
    pub fn admit_line(&self, level: LineLevel, text: String) -> Option<String> {
        let kept = *self.lines.clone().of(level);
        let fits = |text: &str| kept + cost(text) <= LINE_BYTES_KEPT;
        match kept {
            LINE_BYTES_KEPT.. => None,
            _ if fits(&text) => Some(text),
            _ => Some(LEFT_OUT.to_owned()),
        }
    }

    pub(super) fn logged(
        &mut self,
        event: &Event,
        (step, change): (StepNo, Option<ChangeNo>),
        level: LineLevel,
        text: &str,
    ) -> Result<(), IllegalEvent> {
        let is_known = step.index() < self.steps.len()
            && change.is_none_or(|change| change.index() < self.changes.len() && self.plan.change(change).step == step);
        if !is_known || self.mode == Mode::New {
            return Err(self.illegal(event));
        }
        let kept = self.lines.of(level);
        *kept = (*kept + cost(text)).min(LINE_BYTES_KEPT);
        Ok(())
    }
}

fn cost(text: &str) -> u64 {
    text.len() as u64 + RECORD_BYTES
}
