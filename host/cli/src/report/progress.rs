//! A run under way: lines that move on a terminal, elsewhere one line whenever a step moves on. Fed with snapshots, never with
//! its own clock.

use std::{collections::BTreeMap, time::Duration};

use cutover_engine::Span;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

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
        joined([Some(self.changes()), self.note.clone(), self.elapsed.map(|elapsed| elapsed.to_string())])
    }

    /// The same where the line may be cut: what is long stands last.
    #[must_use]
    pub fn details_to_cut(&self) -> String {
        joined([self.elapsed.map(|elapsed| elapsed.to_string()), self.note.clone(), Some(self.changes())])
    }

    fn changes(&self) -> String {
        let counts: Vec<String> =
            self.counts.iter().filter(|(_, count)| **count > 0).map(|(state, count)| format!("{count} {state}")).collect();
        counts.join(", ")
    }
}

fn joined(parts: [Option<String>; 3]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    printable::line(&parts.join("  ")).into_owned()
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
            Self::Live(view) => view.bar.println(text.trim_end_matches('\n')),
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
            view.bar.finish_and_clear();
        }
        *self = Self::None;
    }
}

/// One line whenever a step moves on, and for a long one at each tenth of its changes.
#[derive(Debug, Default)]
pub struct PlainView {
    last: BTreeMap<String, Said>,
}

/// What was said of a step last.
#[derive(Debug, Clone, Copy)]
struct Said {
    state: StepState,
    /// How many tenths of its changes were where they should end.
    tenths: u64,
    at: Span,
}

impl PlainView {
    /// The lines for what has changed since the last snapshot.
    pub fn news(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &snapshot.steps {
            let tenths = (step.done * 10).checked_div(step.total()).unwrap_or_default();
            let now = Said { state: step.state, tenths, at: snapshot.elapsed };
            let last = self.last.entry(step.id.clone()).or_insert(Said { state: StepState::Waiting, tenths: 0, at: snapshot.elapsed });
            let goes_on = step.state.is_active() && tenths != last.tenths && now.at.0.saturating_sub(last.at.0) >= QUIET.0;
            if last.state != now.state || goes_on {
                *last = now;
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
    /// All lines are its message: each change of them is one drawing.
    bar: ProgressBar,
    keys: bool,
}

/// How often the lines are drawn again: what came too fast to be drawn at once is seen then.
const REDRAWN: Duration = Duration::from_millis(250);

impl LiveView {
    /// Draws to `target`.
    #[must_use]
    pub fn new(target: ProgressDrawTarget, keys: bool) -> Self {
        let style = BarStyle::with_template("{msg}").expect("a template of this file");
        Self { bar: ProgressBar::with_draw_target(None, target).with_style(style), keys }
    }

    fn show(&mut self, snapshot: &Snapshot) {
        let is_first = self.bar.message().is_empty();
        self.bar.set_message(live_lines::lines(snapshot, size(), self.keys).join("\n"));
        if is_first {
            self.bar.enable_steady_tick(REDRAWN);
        }
    }
}

/// A line that moves on a terminal while there is nothing else to show yet. Gone when this is.
#[derive(Debug)]
pub struct Moment(Option<ProgressBar>);

impl Moment {
    /// Says what takes its time; nothing where nothing moves.
    #[must_use]
    pub fn begin(style: ProgressStyle, what: String) -> Self {
        let spinner = (style == ProgressStyle::Live).then(|| {
            let style = BarStyle::with_template("{spinner} {msg}  {elapsed}").expect("a template of this file");
            let spinner = ProgressBar::new_spinner().with_style(style).with_message(what);
            spinner.enable_steady_tick(MOMENT);
            spinner
        });
        Self(spinner)
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        if let Some(spinner) = &self.0 {
            spinner.finish_and_clear();
        }
    }
}

/// How long nothing more is said of a step that goes on.
const QUIET: Span = Span(10_000);

/// How often the line of a [`Moment`] is drawn.
const MOMENT: Duration = Duration::from_millis(100);

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
    fn plain_tells_of_a_long_step_at_each_tenth_and_of_a_short_one_once() {
        let mut view = PlainView::default();
        let mut at = |seconds: u64, done: u64| {
            let counts = [("planned", 20_000 - done), ("verified", done)];
            view.news(&snapshot(seconds, vec![step("copy", StepState::Running, &counts, done)]))
        };
        assert_eq!(at(0, 0), ["      0s  RUN   copy  20000 planned"]);
        assert!(at(9, 2_500).is_empty(), "too soon");
        assert_eq!(at(10, 2_600), ["     10s  RUN   copy  17400 planned, 2600 verified"]);
        assert!(at(60, 3_999).is_empty(), "no further tenth");
        assert_eq!(at(61, 4_000).len(), 1);
        let lines: usize = (1_000..2_000).map(|second| at(second, second * 10).len()).sum();
        assert_eq!(lines, 5, "one for each tenth from the fifth to the ninth");
    }

    #[test]
    fn live_takes_snapshots_that_grow_and_shrink() {
        let mut view = LiveView::new(ProgressDrawTarget::hidden(), true);
        for count in [3, 60, 2] {
            let steps = (0..count).map(|index| step(&format!("s{index}"), StepState::Running, &[("planned", 4)], 1)).collect();
            view.show(&snapshot(1, steps));
            let message = view.bar.message();
            assert!(message.lines().count() == (count + 1).min(LINES_MAX), "{message}");
            assert!(message.starts_with(" RUN   s0 "), "{message}");
        }
    }
}
