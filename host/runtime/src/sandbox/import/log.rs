//! `log`: notes for the person who watches.

use super::{
    super::{
        bindings::migrator::cutover::plugin::log::{Host, Level},
        conversion, text,
    },
    Host as State,
};
use crate::hook::LogLevel;

/// Longest line, in bytes: more is no note.
const LINE_BYTES: usize = 4 * 1024;

/// How much one call may still write.
pub(super) struct LogQuota {
    left: usize,
    told: bool,
}

impl LogQuota {
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: bytes, told: false }
    }

    /// What of a line is written: itself, one last word, or nothing. Empty lines cost too.
    fn admit(&mut self, line: String) -> Option<String> {
        match self.left.checked_sub(line.len().max(1)) {
            Some(left) => {
                self.left = left;
                Some(line)
            }
            None if self.told => None,
            None => {
                self.told = true;
                Some("the plugin wrote more than one call may log; the rest is left out".to_owned())
            }
        }
    }
}

impl Host for State {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.powers()?;
        let Some(line) = self.log.admit(text::line(&message, LINE_BYTES)) else { return Ok(()) };
        let level = if self.log.told { LogLevel::Warn } else { conversion::level(level) };
        self.powers()?.log(level, &line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_ends_with_one_last_word() {
        let mut quota = LogQuota::new(10);
        assert_eq!(quota.admit("12345678".into()).as_deref(), Some("12345678"));
        assert!(quota.admit("123".into()).expect("told once").contains("the rest is left out"));
        assert_eq!(quota.admit("123".into()), None);
        let mut quota = LogQuota::new(2);
        assert!(quota.admit(String::new()).is_some() && quota.admit(String::new()).is_some());
        assert!(quota.admit(String::new()).expect("told once").contains("the rest is left out"));
    }
}
