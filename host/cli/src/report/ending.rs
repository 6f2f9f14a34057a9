//! How a run ended: what a person must know within five lines, and one object for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::{
    exit_code::ExitCode,
    report::{palette, printable, table::Table},
};

/// Lines about open changes that people see, steps that they see and losses: a terminal has forty lines. Programs get all.
const OPEN_LINES: usize = 20;
const STEPS_LISTED: usize = 8;
const LOSSES_LISTED: usize = 4;

/// The end of a run, or where it stands.
#[derive(Debug, Clone, Serialize)]
pub struct EndingView {
    /// The run's id.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// How it ended.
    pub ending: EndingWord,
    /// The exit code that goes with it.
    pub exit: ExitCode,
    /// Why it did not complete; nothing if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseView>,
    /// In the order of the plan.
    pub steps: Vec<StepEnding>,
    /// What the target does not hold, or what going back did not restore.
    pub losses: Vec<LossEnding>,
    /// What a person has to settle.
    pub open: Vec<OpenChange>,
    /// What cannot be reached, as long as the run waits for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<OutageView>,
    /// How long old and new have both worked; nothing once that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dual_run: Option<DualRunView>,
    /// The last hash of the journal; keep it elsewhere and give it as `--anchor`.
    pub head: String,
    /// The command that goes on from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndingWord {
    /// Everything is done and verified.
    Completed,
    /// It failed and everything is back, verified.
    RolledBack,
    /// It failed and something stayed.
    Stuck,
    /// It stands still by policy or by signal.
    Paused,
    /// Stopped by a person at a safe point.
    Interrupted,
    /// It waits for time or for a slow system.
    Waiting,
    /// A process drives it.
    Running,
    /// Its process ended before it came to rest.
    BrokenOff,
}

impl EndingWord {
    /// The exit code of the ending. A run that SIGTERM interrupted exits with that signal's code instead.
    #[must_use]
    pub const fn exit(self) -> ExitCode {
        match self {
            Self::Completed => ExitCode::Done,
            Self::RolledBack => ExitCode::RolledBack,
            Self::Stuck => ExitCode::Stuck,
            Self::Paused | Self::BrokenOff => ExitCode::Paused,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Waiting | Self::Running => ExitCode::Waiting,
        }
    }

    const fn headline(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::RolledBack => "ROLLED BACK, start state verified",
            Self::Stuck => "STUCK, a person is needed",
            Self::Paused => "PAUSED",
            Self::Interrupted => "INTERRUPTED at a safe point",
            Self::Waiting => "WAITING",
            Self::Running => "RUNNING, a process drives it",
            Self::BrokenOff => "BROKEN OFF, its process ended",
        }
    }
}

/// Why a run did not complete.
#[derive(Debug, Clone, Serialize)]
pub struct CauseView {
    /// The code, if the host has one for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The step in which it began.
    pub step: String,
    /// The change, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// What happened, without values.
    pub message: String,
    /// Where in the workflow file: `file:line:column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// Something that changes wait for.
#[derive(Debug, Clone, Serialize)]
pub struct OutageView {
    /// The first change that waits for it, `step/change`.
    pub change: String,
    /// How many changes wait for it.
    pub changes: u64,
    /// Since when, RFC 3339.
    pub since: String,
    /// What was said last.
    pub message: String,
}

/// The clock of a dual run.
#[derive(Debug, Clone, Serialize)]
pub struct DualRunView {
    /// Since the first change of it was applied.
    pub elapsed: String,
    /// How long it may last.
    pub max: String,
    /// Whether it lasts longer than that.
    pub expired: bool,
}

/// One step at the end.
#[derive(Debug, Clone, Serialize)]
pub struct StepEnding {
    /// Its id.
    pub id: String,
    /// Where it stands, such as `verified` or `rolled-back`.
    pub state: String,
    /// How many changes stand where.
    pub counts: BTreeMap<String, u64>,
}

/// A loss at the end.
#[derive(Debug, Clone, Serialize)]
pub struct LossEnding {
    /// The step.
    pub step: String,
    /// Its code.
    pub code: String,
    /// How many items.
    pub count: u64,
    /// What exactly.
    pub detail: String,
}

/// A change that a person has to settle.
#[derive(Debug, Clone, Serialize)]
pub struct OpenChange {
    /// `step/change`.
    pub change: String,
    /// Why it stayed; names both sides of a conflict.
    pub reason: String,
    /// What to do by hand, in order.
    pub commands: Vec<String>,
}

impl EndingView {
    /// For people. The cause stands within the first five lines. With ANSI styles.
    #[must_use]
    pub fn text(&self) -> String {
        let (style, dim, strong) = (self.style(), palette::DIM, palette::STRONG);
        let mut out = String::new();
        if let Some(cause) = &self.cause {
            out.push_str(&cause.text(style));
        }
        for outage in &self.outages {
            let more = if outage.changes > 1 { format!(" and {} more", outage.changes - 1) } else { String::new() };
            let line = format!("{}{more}: {}, since {}", outage.change, outage.message, outage.since);
            let _ = writeln!(out, "{style}waits{style:#}: {}", printable::line(&line));
        }
        let _ = writeln!(
            out,
            "{style}{}{style:#}  exit {}  run {}  {}",
            self.ending.headline(),
            self.exit.number(),
            printable::line(&self.run),
            printable::line(&self.workflow)
        );
        out.push_str(&self.steps_text());
        out.push_str(&self.losses_text());
        out.push_str(&self.open_text());
        if let Some(dual_run) = &self.dual_run {
            let past = if dual_run.expired { ", PAST ITS DEADLINE" } else { "" };
            let _ = writeln!(out, "{strong}Dual run{strong:#}  {} of {}{past}", dual_run.elapsed, dual_run.max);
        }
        let _ = writeln!(out, "{dim}Head  {}{dim:#}", printable::line(&self.head));
        if let Some(next) = &self.next {
            let _ = writeln!(out, "{strong}Next{strong:#}  {}", printable::line(next));
        }
        out
    }

    /// The steps in the order of the plan. Where there are too many, those that are not as they should be are shown first.
    fn steps_text(&self) -> String {
        let mut order: Vec<&StepEnding> = self.steps.iter().collect();
        if order.len() > STEPS_LISTED {
            order.sort_by_key(|step| ["done", "rolled-back", "waiting", "skipped"].contains(&step.state.as_str()));
        }
        let (shown, rest) = order.split_at(order.len().min(STEPS_LISTED));
        let mut table = Table::new(&[]).indented(2);
        for step in shown {
            let counts: Vec<String> =
                step.counts.iter().filter(|(_, count)| **count > 0).map(|(state, count)| format!("{count} {state}")).collect();
            table.row([&step.state, &step.id, &counts.join(", ")]);
        }
        let more = if rest.is_empty() { String::new() } else { format!("  and {} more steps: {}\n", rest.len(), self.everything()) };
        table.text() + &more
    }

    fn losses_text(&self) -> String {
        let strong = palette::STRONG;
        let mut out = String::new();
        for loss in self.losses.iter().take(LOSSES_LISTED) {
            let line = format!("{}: {} ({}) {}", loss.step, loss.code, loss.count, loss.detail);
            let _ = writeln!(out, "{strong}Lost{strong:#}  {}", printable::line(&line));
        }
        let more = self.losses.len().saturating_sub(LOSSES_LISTED);
        if more > 0 {
            let _ = writeln!(out, "{strong}Lost{strong:#}  and {more} more: {}", self.everything());
        }
        out
    }

    fn open_text(&self) -> String {
        let (error, mut out, mut shown) = (palette::ERROR, String::new(), 0);
        for open in &self.open {
            if shown > 0 && out.lines().count() + 1 + open.commands.len() > OPEN_LINES {
                break;
            }
            shown += 1;
            let _ = writeln!(out, "{error}Open{error:#}  {}: {}", printable::line(&open.change), printable::line(&open.reason));
            for command in &open.commands {
                let _ = writeln!(out, "        {}", printable::line(command));
            }
        }
        let more = self.open.len() - shown;
        if more > 0 {
            let _ = writeln!(out, "{error}Open{error:#}  and {more} more: {}", self.everything());
        }
        out
    }

    /// The command that tells what is left out here.
    fn everything(&self) -> String {
        format!("cutover runs show {} -o json", printable::line(&self.run))
    }

    fn style(&self) -> anstyle::Style {
        match self.ending {
            EndingWord::Completed => palette::GOOD,
            EndingWord::RolledBack | EndingWord::Stuck => palette::ERROR,
            EndingWord::Paused | EndingWord::Interrupted | EndingWord::Waiting | EndingWord::Running | EndingWord::BrokenOff => {
                palette::WARNING
            }
        }
    }
}

impl CauseView {
    /// `cause[CUT4103]: step/change: what happened`, without styles.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}", self.head(), self.rest())
    }

    /// The same with a style for its first word, and the place in the file on a line of its own.
    #[must_use]
    pub fn text(&self, style: anstyle::Style) -> String {
        let mut out = format!("{style}{}{style:#}: {}\n", printable::line(&self.head()), printable::line(&self.rest()));
        if let Some(place) = &self.place {
            let _ = writeln!(out, "  --> {}", printable::line(place));
        }
        out
    }

    fn head(&self) -> String {
        self.code.as_ref().map_or_else(|| "cause".to_owned(), |code| format!("cause[{code}]"))
    }

    fn rest(&self) -> String {
        match &self.change {
            Some(change) => format!("{}/{change}: {}", self.step, self.message),
            None => format!("{}: {}", self.step, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
        pairs.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()
    }

    fn stuck() -> EndingView {
        EndingView {
            run: "7f3a91c2".into(),
            workflow: "payments".into(),
            ending: EndingWord::Stuck,
            exit: EndingWord::Stuck.exit(),
            cause: Some(CauseView {
                code: Some("CUT4103".into()),
                step: "switch".into(),
                change: Some("checkout".into()),
                message: "check `probe.get` failed: auth_failures was 7; 2 of 13 samples failed, limit 1".into(),
                place: Some("payments.toml:41:1".into()),
            }),
            steps: vec![
                StepEnding {
                    id: "copy".into(),
                    state: "stuck".into(),
                    counts: counts(&[("rolled-back", 311), ("stuck", 1), ("unknown", 0)]),
                },
                StepEnding { id: "switch".into(), state: "rolled-back".into(), counts: counts(&[("rolled-back", 1)]) },
            ],
            losses: vec![LossEnding { step: "copy".into(), code: "file-comments".into(), count: 3, detail: "comments of app.env".into() }],
            open: vec![OpenChange {
                change: "copy/payments/db".into(),
                reason: "somebody else wrote: now etag 9, ours was 4".into(),
                commands: vec!["rm store/payments/db.age".into(), "cutover rollback 7f3a --over copy/payments/db".into()],
            }],
            outages: Vec::new(),
            dual_run: None,
            head: "214:5be0aa".into(),
            next: Some("settle what is open, then: cutover rollback 7f3a91c2".into()),
        }
    }

    #[test]
    fn the_cause_comes_first_and_manual_commands_are_listed() {
        assert_snapshot!(anstream::adapter::strip_str(&stuck().text()), @r"
        cause[CUT4103]: switch/checkout: check `probe.get` failed: auth_failures was 7; 2 of 13 samples failed, limit 1
          --> payments.toml:41:1
        STUCK, a person is needed  exit 11  run 7f3a91c2  payments
          stuck        copy    311 rolled-back, 1 stuck
          rolled-back  switch  1 rolled-back
        Lost  copy: file-comments (3) comments of app.env
        Open  copy/payments/db: somebody else wrote: now etag 9, ours was 4
                rm store/payments/db.age
                cutover rollback 7f3a --over copy/payments/db
        Head  214:5be0aa
        Next  settle what is open, then: cutover rollback 7f3a91c2
        ");
    }

    #[test]
    fn what_is_waited_for_comes_first() {
        let outage = OutageView {
            change: "copy/payments/db".into(),
            changes: 16,
            since: "2026-11-22T05:00:00Z".into(),
            message: "unavailable: read the secret: the server answered 503".into(),
        };
        let view = EndingView {
            ending: EndingWord::Waiting,
            exit: EndingWord::Waiting.exit(),
            cause: None,
            steps: vec![StepEnding {
                id: "copy".into(),
                state: "running".into(),
                counts: counts(&[("captured", 16), ("of-them-waiting", 16)]),
            }],
            losses: Vec::new(),
            open: Vec::new(),
            outages: vec![outage],
            next: Some("cutover resume 7f3a91c2, when it answers again  |  cutover rollback 7f3a91c2".into()),
            ..stuck()
        };
        assert_snapshot!(anstream::adapter::strip_str(&view.text()), @r"
        waits: copy/payments/db and 15 more: unavailable: read the secret: the server answered 503, since 2026-11-22T05:00:00Z
        WAITING  exit 13  run 7f3a91c2  payments
          running  copy  16 captured, 16 of-them-waiting
        Head  214:5be0aa
        Next  cutover resume 7f3a91c2, when it answers again  |  cutover rollback 7f3a91c2
        ");
    }

    #[test]
    fn the_cause_is_within_five_lines_and_all_is_on_forty_however_much_went_wrong() {
        let mut view = stuck();
        view.cause.as_mut().expect("a cause").message = format!("first\nsecond {}", "x\n".repeat(50));
        view.open = vec![view.open[0].clone(); 20_000];
        view.steps = vec![view.steps[1].clone(); 5_000];
        view.steps.push(stuck().steps[0].clone());
        view.losses = vec![view.losses[0].clone(); 100];
        let text = anstream::adapter::strip_str(&view.text()).to_string();
        assert!(text.lines().take(5).any(|line| line.starts_with("cause[CUT4103]: switch/checkout: first")), "{text}");
        assert!(text.lines().count() <= 40, "{text}");
        for line in
            ["  stuck        copy    311 rolled-back, 1 stuck", "  and 4993 more steps: ", "Lost  and 96 more: ", "Open  and 19994 more: "]
        {
            assert!(text.lines().any(|told| told.starts_with(line)), "{line}: {text}");
        }
    }

    #[test]
    fn document_has_the_committed_keys() {
        let document = serde_json::to_value(stuck()).expect("JSON");
        for key in ["run", "workflow", "ending", "exit", "steps", "losses", "open", "head"] {
            assert!(document.get(key).is_some(), "{key}");
        }
        assert_eq!((&document["ending"], &document["exit"]), (&"stuck".into(), &11.into()));
        assert_eq!(document["open"][0]["commands"][0], "rm store/payments/db.age");
        assert_eq!(document["steps"][0]["counts"]["stuck"], 1);
    }

    #[test]
    fn every_ending_has_its_exit_code() {
        let endings = [EndingWord::Completed, EndingWord::RolledBack, EndingWord::Stuck, EndingWord::Paused, EndingWord::Waiting];
        assert_eq!(endings.map(|ending| ending.exit().number()), [0, 10, 11, 12, 13]);
        assert_eq!(serde_json::to_string(&endings).expect("JSON"), r#"["completed","rolled-back","stuck","paused","waiting"]"#);
    }
}
