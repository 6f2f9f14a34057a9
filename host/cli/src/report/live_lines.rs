//! What the live view of a run shows: a few lines that fit the terminal, what went wrong first.

use std::collections::BTreeMap;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{
    printable,
    progress::{Snapshot, StepProgress, StepState},
};

/// The most lines that ever move, however many steps there are.
pub const LINES_MAX: usize = 40;
/// Terminals from this width on have room for the longer bar.
const WIDE: usize = 100;

/// The room that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Characters on a line.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
}

/// The cause of a failure, then the steps: what failed first, then the others in the order of the plan. Where there are more
/// than fit, those under way are shown, those that ended last and those that come next; the rest is one line of counts. `keys`
/// adds a line that names the keys.
#[must_use]
pub fn lines(snapshot: &Snapshot, size: Size, keys: bool) -> Vec<String> {
    let room = size.lines.clamp(1, LINES_MAX);
    let mut lines: Vec<String> = snapshot.cause.iter().map(|cause| format!(" {}", printable::line(cause))).collect();
    let keys = keys && room > 4;
    let left = room.saturating_sub(lines.len() + usize::from(keys)).max(1);
    let steps = chosen(&snapshot.steps, left);
    let longest = steps.iter().map(|step| step.id.width()).max().unwrap_or(0).min(size.columns / 3);
    lines.extend(steps.iter().map(|step| row(step, longest, size.columns)));
    if steps.len() < snapshot.steps.len() {
        lines.push(rest(&snapshot.steps, &steps));
    }
    if keys {
        lines.push(" t  status    Ctrl-C  stop at the next safe point".to_owned());
    }
    lines.truncate(room);
    lines.iter().map(|line| cut(line, size.columns)).collect()
}

/// At most `limit` steps, less one where there are more: that line tells about the rest.
fn chosen(steps: &[StepProgress], limit: usize) -> Vec<&StepProgress> {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    if steps.len() > limit {
        let front = steps.iter().rposition(|step| step.state != StepState::Waiting && !has_failed(step)).unwrap_or(0);
        order.sort_by_key(|&index| {
            let is_active = steps[index].state.is_active();
            (!has_failed(&steps[index]), !is_active, if is_active { index } else { index.abs_diff(front) })
        });
        order.truncate(limit - 1);
    }
    order.sort_by_key(|&index| (!has_failed(&steps[index]), index));
    order.into_iter().map(|index| &steps[index]).collect()
}

const fn has_failed(step: &StepProgress) -> bool {
    matches!(step.state, StepState::Failed | StepState::Stuck)
}

fn row(step: &StepProgress, longest: usize, columns: usize) -> String {
    let name = cut(&printable::line(&step.id), longest);
    let fill = " ".repeat(longest.saturating_sub(name.width()));
    let head = format!(" {:<5} {name}{fill}", step.state.word());
    let total = if step.state.is_active() { step.total() } else { 0 };
    let bar = if total > 0 { format!("  {} {}/{total}", bar(step.done, total, columns), step.done) } else { String::new() };
    format!("{head}{bar}  {}", step.details_to_cut()).trim_end().to_owned()
}

/// `[=====>    ]`.
fn bar(done: u64, total: u64, columns: usize) -> String {
    let width: u64 = if columns < WIDE { 10 } else { 20 };
    let full = (done.min(total) * width / total).min(width);
    let tip = if full < width { ">" } else { "" };
    let empty = width - full - tip.len() as u64;
    format!("[{}{tip}{}]", "=".repeat(usize::try_from(full).unwrap_or(0)), " ".repeat(usize::try_from(empty).unwrap_or(0)))
}

fn rest(steps: &[StepProgress], shown: &[&StepProgress]) -> String {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    steps.iter().for_each(|step| *counts.entry(step.state.word()).or_default() += 1);
    shown.iter().for_each(|step| *counts.entry(step.state.word()).or_default() -= 1);
    let parts: Vec<String> = counts.iter().filter(|(_, count)| **count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    format!(" …     {} more steps: {}", steps.len() - shown.len(), parts.join(", "))
}

/// The text, or its beginning and `…` where it is wider than that.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if out.width() + c.width().unwrap_or(0) >= columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use cutover_engine::Span;
    use insta::assert_snapshot;

    use super::*;

    const SMALL: Size = Size { columns: 80, lines: 23 };
    const LARGE: Size = Size { columns: 120, lines: 39 };

    fn step(id: &str, state: StepState, counts: &[(&str, u64)], done: u64) -> StepProgress {
        let counts = counts.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
        StepProgress { id: id.into(), state, counts, done, note: None, elapsed: None }
    }

    fn snapshot(steps: Vec<StepProgress>) -> Snapshot {
        Snapshot { steps, elapsed: Span::seconds(1), cause: None }
    }

    /// Twenty thousand changes of a copy, a switch behind it and a retirement.
    fn moving(copy: StepProgress, switch: StepProgress) -> Snapshot {
        let retire = step("retire", StepState::Waiting, &[("planned", 20_000)], 0);
        let copy = StepProgress { elapsed: Some(Span::seconds(65)), ..copy };
        snapshot(vec![copy, switch, retire])
    }

    #[test]
    fn twenty_thousand_changes_are_a_line_for_each_step_and_the_cause_comes_first() {
        let switch = || step("switch-a-service-with-a-long-name", StepState::Waiting, &[("planned", 3)], 0);
        let counts = [("applied", 16), ("captured", 8), ("planned", 12_000), ("verified", 7_976)];
        let running = StepProgress { note: Some("cohort 2 of 3".into()), ..step("copy", StepState::Running, &counts, 7_976) };
        let mut failing = moving(
            step("copy", StepState::RollingBack, &[("going-back", 16), ("rolled-back", 5_000), ("verified", 14_984)], 5_000),
            step("switch-a-service-with-a-long-name", StepState::Stuck, &[("stuck", 1), ("verified", 2)], 0),
        );
        failing.cause = Some("cause[CUT4103]: switch: check `probe.get` (`result.status == 200`): 1 of 1 samples failed, 0 may".into());
        let shown = |snapshot: &Snapshot, size: Size| lines(snapshot, size, true).join("\n");
        let sequence = [moving(running, switch()), failing];
        assert_snapshot!(sequence.iter().map(|snapshot| shown(snapshot, SMALL)).collect::<Vec<_>>().join("\n\n"), @r"
         RUN   copy                        [===>      ] 7976/20000  1m 5s  cohort 2 of …
         wait  switch-a-service-with-a-l…  3 planned
         wait  retire                      20000 planned
         t  status    Ctrl-C  stop at the next safe point

         cause[CUT4103]: switch: check `probe.get` (`result.status == 200`): 1 of 1 sam…
         STUCK switch-a-service-with-a-l…  [>         ] 0/3  1 stuck, 2 verified
         BACK  copy                        [==>       ] 5000/20000  1m 5s  16 going-bac…
         wait  retire                      20000 planned
         t  status    Ctrl-C  stop at the next safe point
        ");
        assert_snapshot!(sequence.iter().map(|snapshot| shown(snapshot, LARGE)).collect::<Vec<_>>().join("\n\n"), @r"
         RUN   copy                               [=======>            ] 7976/20000  1m 5s  cohort 2 of 3  16 applied, 8 captur…
         wait  switch-a-service-with-a-long-name  3 planned
         wait  retire                             20000 planned
         t  status    Ctrl-C  stop at the next safe point

         cause[CUT4103]: switch: check `probe.get` (`result.status == 200`): 1 of 1 samples failed, 0 may
         STUCK switch-a-service-with-a-long-name  [>                   ] 0/3  1 stuck, 2 verified
         BACK  copy                               [=====>              ] 5000/20000  1m 5s  16 going-back, 5000 rolled-back, 14…
         wait  retire                             20000 planned
         t  status    Ctrl-C  stop at the next safe point
        ");
    }

    #[test]
    fn five_thousand_steps_fit_on_the_terminal_and_the_active_ones_are_among_them() {
        let state = |index| match index {
            0..2000 => StepState::Done,
            2000..2010 => StepState::Running,
            4999 => StepState::Failed,
            _ => StepState::Waiting,
        };
        let steps: Vec<_> = (0..5000).map(|index| step(&format!("s{index}"), state(index), &[("planned", 10)], 3)).collect();
        let all = lines(&snapshot(steps.clone()), Size { columns: 80, lines: 200 }, false);
        assert_eq!(all.len(), LINES_MAX);
        assert!(all[0].starts_with(" FAIL  s4999  [===>      ] 3/10"), "{}", all[0]);
        for index in 2000..2010 {
            assert!(all.iter().any(|line| line.starts_with(&format!(" RUN   s{index}  [===>      ] 3/10"))), "s{index}");
        }
        assert_eq!(all[39], " …     4961 more steps: 1990 ok, 2971 wait");
        for height in 1..50 {
            let few = lines(&snapshot(steps.clone()), Size { columns: 40, lines: height }, true);
            assert!(few.len() <= height && few.iter().all(|line| line.width() <= 40), "{few:#?}");
        }
    }

    #[test]
    fn few_steps_are_all_shown_in_order() {
        let steps = vec![step("copy", StepState::Done, &[("verified", 2)], 2), step("retire", StepState::Running, &[("planned", 2)], 1)];
        assert_eq!(lines(&snapshot(steps), SMALL, false), [" ok    copy    2 verified", " RUN   retire  [=====>    ] 1/2  2 planned"]);
    }

    #[test]
    fn a_line_is_cut_by_width() {
        assert_eq!((cut("東京都", 5).as_str(), cut("東京都", 6).as_str(), cut("abc", 2).as_str()), ("東京…", "東京都", "a…"));
    }
}
