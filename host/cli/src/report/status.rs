//! Where a run under way stands, for whoever asks in between: at most forty lines, what is under way by name.

use std::fmt::Write as _;

use cutover_engine::Span;

use super::{
    live_lines::{self, LINES_MAX, Size},
    printable,
    progress::Snapshot,
};

/// Changes under way that are named.
const NAMED: usize = 8;

/// The answer to a question in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusView {
    /// The run's id.
    pub run: String,
    /// Its steps.
    pub snapshot: Snapshot,
    /// What is under way, longest first.
    pub under_way: Vec<UnderWay>,
}

/// A change under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// `step/change`.
    pub change: String,
    /// How far it is, such as `applied`.
    pub phase: String,
    /// Since it came there.
    pub span: Span,
}

impl StatusView {
    /// For people: a headline, the cause of a failure, the steps, the changes under way.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("status of run {} after {}\n", printable::line(&self.run), self.snapshot.elapsed);
        // Nothing is cut: whoever asks wants to read it.
        let room = Size { columns: usize::MAX, lines: LINES_MAX - NAMED - 2 };
        for line in live_lines::lines(&self.snapshot, room, false) {
            let _ = writeln!(out, "{line}");
        }
        for change in self.under_way.iter().take(NAMED) {
            let line = format!("{}: {} for {}", change.change, change.phase, change.span);
            let _ = writeln!(out, "       {}", printable::line(&line));
        }
        let more = self.under_way.len().saturating_sub(NAMED);
        if more > 0 {
            let _ = writeln!(out, "       and {more} more under way");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::*;
    use crate::report::progress::{StepProgress, StepState};

    fn status(steps: usize, under_way: usize) -> StatusView {
        let step = |index: usize| StepProgress {
            id: format!("s{index}"),
            state: StepState::Running,
            counts: BTreeMap::from([("applied".to_owned(), 2), ("planned".to_owned(), 19_998)]),
            done: 0,
            note: None,
            elapsed: None,
        };
        let change = |index: usize| UnderWay { change: format!("s0/c{index}"), phase: "applied".into(), span: Span::seconds(9) };
        StatusView {
            run: "7f3a".into(),
            snapshot: Snapshot {
                steps: (0..steps).map(step).collect(),
                elapsed: Span::seconds(65),
                cause: Some("cause[CUT4103]: s0: a check failed".into()),
            },
            under_way: (0..under_way).map(change).collect(),
        }
    }

    #[test]
    fn what_is_under_way_is_named() {
        assert_snapshot!(status(1, 2).text(), @r"
        status of run 7f3a after 1m 5s
         cause[CUT4103]: s0: a check failed
         RUN   s0  [>                   ] 0/20000  2 applied, 19998 planned
               s0/c0: applied for 9s
               s0/c1: applied for 9s
        ");
    }

    #[test]
    fn forty_lines_are_enough_for_everything() {
        let text = status(5_000, 20_000).text();
        assert_eq!(text.lines().count(), LINES_MAX, "{text}");
        assert!(text.ends_with("and 19992 more under way\n"), "{text}");
    }
}
