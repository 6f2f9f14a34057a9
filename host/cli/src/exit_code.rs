//! Every exit code of the program. Scripts depend on them: a meaning never moves.

use serde::{Serialize, Serializer};

/// How the process ended. 2 of clap and 101 of a Rust panic are never used for what they usually mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// 0: done, or there was nothing to do.
    Done,
    /// 1: the answer is no: mistakes in a file, or refused before anything was written.
    No,
    /// 2: the plan has changes (`plan --detailed-exitcode` only).
    Changes,
    /// 10: the run failed and went back; the start state was verified.
    RolledBack,
    /// 11: the run failed and something stayed: a person is needed.
    Stuck,
    /// 12: the run failed or found a moved source, and stands still by policy.
    Paused,
    /// 13: the run waits for a gate, a window or a long operation; `resume` goes on.
    Waiting,
    /// 14: an approval is missing, rejected, expired or for another plan.
    Unapproved,
    /// 15: the world moved since the plan; nothing was written.
    Stale,
    /// 16: a digest, signature, journal or trust policy does not hold.
    Untrusted,
    /// 17: another process holds this run or this target.
    Held,
    /// 64: the command line is wrong (`EX_USAGE` of sysexits.h).
    Usage,
    /// 70: a bug of ours (`EX_SOFTWARE` of sysexits.h).
    Bug,
    /// 130: stopped by SIGINT (128 + 2); the journal is safe and the run can be resumed.
    Interrupted,
    /// 143: stopped by SIGTERM (128 + 15); the journal is safe and the run can be resumed.
    Terminated,
}

impl ExitCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Done,
        Self::No,
        Self::Changes,
        Self::RolledBack,
        Self::Stuck,
        Self::Paused,
        Self::Waiting,
        Self::Unapproved,
        Self::Stale,
        Self::Untrusted,
        Self::Held,
        Self::Usage,
        Self::Bug,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Changes => 2,
            Self::RolledBack => 10,
            Self::Stuck => 11,
            Self::Paused => 12,
            Self::Waiting => 13,
            Self::Unapproved => 14,
            Self::Stale => 15,
            Self::Untrusted => 16,
            Self::Held => 17,
            Self::Usage => 64,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// One line for the long help.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::No => "the answer is no: mistakes in a file, or refused before anything was written",
            Self::Changes => "the plan has changes (only plan --detailed-exitcode)",
            Self::RolledBack => "failed and rolled back, start state verified",
            Self::Stuck => "failed and something stayed: a person is needed",
            Self::Paused => "stands still by policy; resume or rollback goes on",
            Self::Waiting => "waits for a gate, a long operation or a backend; resume goes on",
            Self::Unapproved => "an approval is missing, rejected, expired or for another plan",
            Self::Stale => "the world moved since the plan; nothing was written",
            Self::Untrusted => "a digest, signature, journal or trust policy does not hold",
            Self::Held => "another process holds this run or target",
            Self::Usage => "the command line is wrong",
            Self::Bug => "a bug in cutover",
            Self::Interrupted => "stopped by Ctrl-C; the journal is safe",
            Self::Terminated => "stopped by SIGTERM; the journal is safe",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

impl Serialize for ExitCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_scripts_know() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 64, 70, 130, 143]);
    }
}
