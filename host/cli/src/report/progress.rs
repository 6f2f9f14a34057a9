//! A run under way: lines that move on a terminal, one line whenever a step moves on elsewhere. Fed with snapshots, never with
//! its own clock.

use std::collections::BTreeMap;

use cutover_engine::Span;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use crate::{
    args::ProgressStyle,
    report::{
        live_lines::{self, LINES_MAX, Size},
        printable,
    },
};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order of the plan.
    pub steps: Vec<StepProgress>,
    /// Since the process began to drive the run.
    pub elapsed: Span,
    /// Why it does not go on as planned, on one line.
    pub cause: Option<String>,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProgress {
    /// Its id.
    pub id: String,
    /// What it does.
    pub state: StepState,
    /// How many changes stand where, such as `verified`; sums up to the step's changes.
    pub counts: BTreeMap<String, u64>,
    /// How many changes are where they should end.
    pub done: u64,
    /// What else is known, such as the next sample or a gate's deadline.
    pub note: Option<String>,
    /// Since the step began.
    pub elapsed: Option<Span>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Under way.
    Running,
    /// Under way, but something cannot be reached.
    Held,
    /// Everything verified.
    Done,
    /// `when` left it out.
    Skipped,
    /// Something did not work; going back has not begun.
    Failed,
    /// Going back.
    RollingBack,
    /// Everything back and checked.
    RolledBack,
    /// A person is needed.
    Stuck,
}

impl StepState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "wait",
            Self::Running => "RUN",
            Self::Held => "HOLD",
            Self::Done => "ok",
            Self::Skipped => "skip",
            Self::Failed => "FAIL",
            Self::RollingBack => "BACK",
            Self::RolledBack => "back",
            Self::Stuck => "STUCK",
        }
    }

    /// Whether something happens in it, or went wrong.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Held | Self::Failed | Self::RollingBack | Self::Stuck)
    }
}

impl StepProgress {
    /// How many changes it has.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// `2 verified, 310 planned  next sample in 18s  41s`.
    #[must_use]
    pub fn details(&self) -> String {
        let counts: Vec<String> =
            self.counts.iter().filter(|(_, count)| **count > 0).map(|(state, count)| format!("{count} {state}")).collect();
        let parts = [Some(counts.join(", ")), self.note.clone(), self.elapsed.map(|elapsed| elapsed.to_string())];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        printable::line(&parts.join("  ")).into_owned()
    }
}

/// The view that fits the place where it is seen.
#[derive(Debug)]
pub enum ProgressView {
    /// Lines that move.
    Live(LiveView),
    /// One line whenever a step moves on.
    Plain(PlainView),
    /// Nothing.
    None,
}

impl ProgressView {
    /// The view of a resolved style; `Auto` counts as plain. `keys`: the live view names the keys that can be pressed.
    #[must_use]
    pub fn new(style: ProgressStyle, keys: bool) -> Self {
        match style {
            ProgressStyle::Live => Self::Live(LiveView::new(ProgressDrawTarget::stderr(), keys)),
            ProgressStyle::Auto | ProgressStyle::Plain => Self::Plain(PlainView::default()),
            ProgressStyle::None => Self::None,
        }
    }

    /// Shows where the run stands. `write` gets the lines that stay.
    pub fn show(&mut self, snapshot: &Snapshot, mut write: impl FnMut(&str)) {
        match self {
            Self::Live(view) => view.show(snapshot),
            Self::Plain(view) => view.news(snapshot).iter().for_each(|line| write(line)),
            Self::None => {}
        }
    }

    /// Says something beside the steps, such as that a signal was heard. `text` is fit for the terminal.
    pub fn say(&self, text: &str, write: impl FnOnce(&str)) {
        match self {
            // Nothing depends on a line that a terminal did not take.
            Self::Live(view) => drop(view.bars.println(text.trim_end_matches('\n'))),
            Self::Plain(_) | Self::None => write(text),
        }
    }

    /// Whether nothing is shown.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Takes away what moves; the ending is shown instead.
    pub fn finish(&mut self) {
        if let Self::Live(view) = self {
            let _ = view.bars.clear();
        }
        *self = Self::None;
    }
}

/// One line whenever a step moves on.
#[derive(Debug, Default)]
pub struct PlainView {
    last: BTreeMap<String, StepState>,
}

impl PlainView {
    /// The lines for what has changed since the last snapshot.
    pub fn news(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &snapshot.steps {
            let before = self.last.insert(step.id.clone(), step.state).unwrap_or(StepState::Waiting);
            if before != step.state {
                let line = format!(
                    "{:>8}  {:<5} {}  {}",
                    snapshot.elapsed.to_string(),
                    step.state.word(),
                    printable::line(&step.id),
                    step.details()
                );
                lines.push(line.trim_end().to_owned());
            }
        }
        lines
    }
}

/// Lines that move on a terminal.
#[derive(Debug)]
pub struct LiveView {
    bars: MultiProgress,
    lines: Vec<ProgressBar>,
    keys: bool,
}

impl LiveView {
    /// Draws to `target`.
    #[must_use]
    pub fn new(target: ProgressDrawTarget, keys: bool) -> Self {
        Self { bars: MultiProgress::with_draw_target(target), lines: Vec::new(), keys }
    }

    fn show(&mut self, snapshot: &Snapshot) {
        let style = BarStyle::with_template("{msg}").expect("a template of this file");
        let texts = live_lines::lines(snapshot, size(), self.keys);
        while self.lines.len() > texts.len() {
            if let Some(line) = self.lines.pop() {
                line.finish_and_clear();
                self.bars.remove(&line);
            }
        }
        while self.lines.len() < texts.len() {
            self.lines.push(self.bars.add(ProgressBar::new(0).with_style(style.clone())));
        }
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(text);
        }
    }
}

/// The room on the terminal: a line of it stays free for the cursor.
fn size() -> Size {
    let found = terminal_size::terminal_size_of(std::io::stderr());
    found.map_or(Size { columns: 80, lines: LINES_MAX }, |(width, height)| Size {
        columns: usize::from(width.0),
        lines: usize::from(height.0).saturating_sub(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, state: StepState, counts: &[(&str, u64)], done: u64) -> StepProgress {
        let counts = counts.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
        StepProgress { id: id.into(), state, counts, done, note: None, elapsed: None }
    }

    fn snapshot(seconds: u64, steps: Vec<StepProgress>) -> Snapshot {
        Snapshot { steps, elapsed: Span::seconds(seconds), cause: None }
    }

    #[test]
    fn plain_says_each_move_once() {
        let mut view = PlainView::default();
        let waiting = step("retire", StepState::Waiting, &[("planned", 2)], 0);
        let first = snapshot(0, vec![step("copy", StepState::Running, &[("planned", 2)], 0), waiting.clone()]);
        assert_eq!(view.news(&first), ["      0s  RUN   copy  2 planned"]);
        let second = snapshot(3, vec![step("copy", StepState::Running, &[("planned", 1), ("verified", 1)], 1), waiting.clone()]);
        assert!(view.news(&second).is_empty());
        let noted = StepProgress {
            note: Some("probe\u{7} ok".into()),
            elapsed: Some(Span::seconds(65)),
            ..step("copy", StepState::Done, &[("verified", 2)], 2)
        };
        let third = snapshot(65, vec![noted, waiting]);
        assert_eq!(view.news(&third), ["   1m 5s  ok    copy  2 verified  probe\\u{7} ok  1m 5s"]);
        assert!(view.news(&third).is_empty());
    }

    #[test]
    fn live_takes_snapshots_that_grow_and_shrink() {
        let mut view = LiveView::new(ProgressDrawTarget::hidden(), true);
        for count in [3, 60, 2] {
            let steps = (0..count).map(|index| step(&format!("s{index}"), StepState::Running, &[("planned", 4)], 1)).collect();
            view.show(&snapshot(1, steps));
            assert!(view.lines.len() == count + 1 || view.lines.len() < count, "{count}");
            assert!(view.lines[0].message().starts_with(" RUN   s0 "), "{}", view.lines[0].message());
        }
    }
}
