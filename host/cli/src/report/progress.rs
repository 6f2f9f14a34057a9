//! A run under way: bars on a terminal, one line per event elsewhere. Fed with snapshots, never with its own clock.

use std::{collections::BTreeMap, fmt::Write as _};

use cutover_engine::Span;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use crate::{args::ProgressStyle, report::printable};

/// The most lines that ever move, however many steps there are.
pub const LINES_MAX: usize = 40;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order of the plan.
    pub steps: Vec<StepProgress>,
    /// Since the process began to drive the run.
    pub elapsed: Span,
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

    const fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Held | Self::Failed | Self::RollingBack | Self::Stuck)
    }
}

impl StepProgress {
    fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// `2 verified, 310 planned  next sample in 18s  41s`.
    fn details(&self) -> String {
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
    /// Bars that move.
    Live(LiveView),
    /// One line whenever a step moves on.
    Plain(PlainView),
    /// Nothing.
    None,
}

impl ProgressView {
    /// The view of a resolved style; `Auto` counts as plain.
    #[must_use]
    pub fn new(style: ProgressStyle) -> Self {
        match style {
            ProgressStyle::Live => Self::Live(LiveView::new(ProgressDrawTarget::stderr())),
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

    /// Says something beside the steps, such as that a signal was heard.
    pub fn say(&self, text: &str, mut write: impl FnMut(&str)) {
        match self {
            // Nothing depends on a line that a terminal did not take.
            Self::Live(view) => drop(view.bars.println(printable::lines(text))),
            Self::Plain(_) | Self::None => write(&printable::lines(text)),
        }
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

/// Bars on a terminal.
#[derive(Debug)]
pub struct LiveView {
    bars: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl LiveView {
    /// Draws to `target`.
    #[must_use]
    pub fn new(target: ProgressDrawTarget) -> Self {
        Self { bars: MultiProgress::with_draw_target(target), lines: Vec::new() }
    }

    fn show(&mut self, snapshot: &Snapshot) {
        let height =
            terminal_size::terminal_size_of(std::io::stderr()).map_or(LINES_MAX, |(_, height)| usize::from(height.0).saturating_sub(1));
        let rows = rows(snapshot, height.clamp(1, LINES_MAX));
        while self.lines.len() > rows.len() {
            if let Some(line) = self.lines.pop() {
                line.finish_and_clear();
                self.bars.remove(&line);
            }
        }
        while self.lines.len() < rows.len() {
            self.lines.push(self.bars.add(ProgressBar::new(0)));
        }
        for (line, row) in self.lines.iter().zip(rows) {
            line.set_style(row.style());
            line.set_length(row.total);
            line.set_position(row.done);
            line.set_prefix(row.head);
            line.set_message(row.tail);
        }
    }
}

/// What one line of the live view says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    head: String,
    tail: String,
    done: u64,
    total: u64,
}

impl Row {
    fn style(&self) -> BarStyle {
        let template = if self.total > 0 { "{prefix} [{bar:20}] {pos}/{len} {wide_msg}" } else { "{prefix} {wide_msg}" };
        BarStyle::with_template(template).expect("a template of this file").progress_chars("=> ")
    }
}

/// At most `limit` lines: steps under way first, then those that ended last, then those that come next; the rest is one line of counts.
fn rows(snapshot: &Snapshot, limit: usize) -> Vec<Row> {
    let steps = &snapshot.steps;
    let mut chosen: Vec<usize> = (0..steps.len()).collect();
    if steps.len() > limit {
        let front = steps.iter().rposition(|step| step.state != StepState::Waiting).unwrap_or(0);
        chosen.sort_by_key(|&index| (!steps[index].state.is_active(), index.abs_diff(front)));
        chosen.truncate(limit - 1);
        chosen.sort_unstable();
    }
    let width = chosen.iter().map(|&index| steps[index].id.chars().count()).max().unwrap_or(0).min(40);
    let mut rows: Vec<Row> = chosen.iter().map(|&index| row(&steps[index], width)).collect();
    if chosen.len() < steps.len() {
        rows.push(rest(steps.iter().enumerate().filter(|(index, _)| !chosen.contains(index)).map(|(_, step)| step)));
    }
    rows
}

fn row(step: &StepProgress, width: usize) -> Row {
    let total = if step.state.is_active() { step.total() } else { 0 };
    Row { head: format!(" {:<5} {:<width$}", step.state.word(), printable::line(&step.id)), tail: step.details(), done: step.done, total }
}

fn rest<'a>(steps: impl Iterator<Item = &'a StepProgress>) -> Row {
    let mut counts = BTreeMap::new();
    for step in steps {
        *counts.entry(step.state.word()).or_insert(0_u64) += 1;
    }
    let mut tail = String::new();
    for (word, count) in &counts {
        let _ = write!(tail, "{}{count} {word}", if tail.is_empty() { "" } else { ", " });
    }
    Row { head: format!(" …     {} more steps:", counts.values().sum::<u64>()), tail, done: 0, total: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, state: StepState, counts: &[(&str, u64)], done: u64) -> StepProgress {
        let counts = counts.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
        StepProgress { id: id.into(), state, counts, done, note: None, elapsed: None }
    }

    fn snapshot(seconds: u64, steps: Vec<StepProgress>) -> Snapshot {
        Snapshot { steps, elapsed: Span::seconds(seconds) }
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
    fn five_thousand_steps_fit_on_forty_lines_and_the_active_ones_are_among_them() {
        let state = |index| match index {
            0..2000 => StepState::Done,
            2000..2010 => StepState::Running,
            4999 => StepState::Failed,
            _ => StepState::Waiting,
        };
        let steps = (0..5000).map(|index| step(&format!("s{index}"), state(index), &[("planned", 10)], 3)).collect();
        let rows = rows(&snapshot(1, steps), LINES_MAX);
        assert_eq!(rows.len(), LINES_MAX);
        for index in (2000..2010).chain([4999]) {
            assert!(rows.iter().any(|row| row.head.trim_end().ends_with(&format!(" s{index}")) && row.total == 10), "s{index}");
        }
        assert_eq!(rows[39].head, " …     4961 more steps:");
        let sum: u64 = rows[39]
            .tail
            .split(", ")
            .map(|part| part.split(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count"))
            .sum();
        assert_eq!(sum, 4961);
    }

    #[test]
    fn few_steps_are_all_shown_in_order() {
        let steps = vec![step("copy", StepState::Done, &[("verified", 2)], 2), step("retire", StepState::Running, &[("planned", 2)], 1)];
        let rows = rows(&snapshot(1, steps), LINES_MAX);
        assert_eq!(rows.iter().map(|row| row.head.as_str()).collect::<Vec<_>>(), [" ok    copy  ", " RUN   retire"]);
        assert_eq!(rows.iter().map(|row| row.total).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn live_takes_snapshots_that_grow_and_shrink() {
        let mut view = LiveView::new(ProgressDrawTarget::hidden());
        for count in [3, 60, 2] {
            let steps = (0..count).map(|index| step(&format!("s{index}"), StepState::Running, &[("planned", 4)], 1)).collect();
            view.show(&snapshot(1, steps));
            assert!(view.lines.len() == count.min(LINES_MAX) || view.lines.len() < count, "{count}");
            assert_eq!((view.lines[0].position(), view.lines[0].length()), (1, Some(4)));
        }
    }
}
