//! A plan for a pull request or ticket. Text of others stands in code spans, where it can neither format nor mention.

use std::fmt::Write as _;

use super::{
    plan::{PlanView, StepUndo, StepView, UndoView},
    printable,
};

impl PlanView {
    /// GitHub-flavoured Markdown: the steps as a table, then what can be reached, lost and undone.
    #[must_use]
    pub fn markdown(&self) -> String {
        let owner = self.owner.as_ref().map(|owner| format!(", owner {}", code(owner))).unwrap_or_default();
        let digest: String = self.digest.chars().take(12).collect();
        let mut out = format!("### Plan {}: {}{owner}\n\n", code(&digest), code(&self.workflow));
        out.push_str("| | step | what | changes | undo | check |\n|---|---|---|---|---|---|\n");
        for step in &self.steps {
            row(&mut out, step);
        }
        let losses = self.losses_in_words();
        let facts = self.facts_in_words();
        out.push('\n');
        for (label, fact) in losses.iter().chain(&facts) {
            let _ = writeln!(out, "- **{label}**: {fact}");
        }
        let _ = writeln!(out, "\nNo secret values and no credentials. Digest: {}", code(&self.digest));
        out
    }

    fn losses_in_words(&self) -> Vec<(&'static str, String)> {
        let losses = self.steps.iter().flat_map(|step| step.losses.iter().map(move |loss| (step, loss)));
        losses
            .map(|(step, loss)| {
                (
                    "Loses",
                    format!("{}: {} ({}), {}", code(&step.id), code(&loss.code), loss.count, loss.words("**must be accepted by name**")),
                )
            })
            .collect()
    }

    fn facts_in_words(&self) -> Vec<(&'static str, String)> {
        let undo = match &self.undo {
            UndoView::Complete => "complete".to_owned(),
            UndoView::UpTo(step) => format!("complete up to {}, then **none** for what it depends on", code(step)),
        };
        let mut facts = vec![("Undo", undo)];
        facts.extend(self.dual_run.as_ref().map(|dual_run| ("Dual run", code(dual_run))));
        for access in &self.access {
            let public: Vec<String> = access.public.iter().map(|place| code(place)).collect();
            let public = if public.is_empty() { String::new() } else { format!(", not sealed: {}", public.join(" ")) };
            let objects: Vec<String> = access.objects.iter().map(|object| code(object)).collect();
            let objects = if objects.is_empty() { String::new() } else { format!(", takes {}", objects.join(", ")) };
            let text = format!("{}: {} {}{public}{objects}", code(&access.connection), access.classes, code(&access.authority));
            facts.push(("Access", text));
        }
        facts.extend(self.plaintext.iter().map(|grant| ("PLAINTEXT", code(grant))));
        facts.extend(self.notes.iter().map(|note| ("Note", code(note))));
        facts.extend(self.plugins.iter().map(|plugin| ("Plugin", code(plugin))));
        facts
    }
}

fn row(out: &mut String, step: &StepView) {
    let undo = match step.undo {
        StepUndo::Nothing => "",
        StepUndo::PreImage => "to the pre-image",
        StepUndo::Irreversible => "**IRREVERSIBLE**",
    };
    let checks: Vec<String> = step.checks.iter().map(|check| cell(check)).collect();
    let rollout = step.rollout.as_ref().map(|rollout| format!(", in cohorts {}", cell(rollout))).unwrap_or_default();
    let _ = writeln!(
        out,
        "| {} | {} | {} | {}{rollout} | {undo} | {} |",
        cell(step.symbol()),
        cell(&step.id),
        cell(&step.what),
        step.counts.words(),
        checks.join("<br>")
    );
}

/// A code span in a cell of a table, where a bar would end the cell.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A code span (`CommonMark` 6.1) whose fence is longer than any in the text.
fn code(text: &str) -> String {
    let text = printable::line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!((code("a|b"), cell("a|b")), ("`a|b`".to_owned(), r"`a\|b`".to_owned()));
        assert_eq!(code("@ana <b> `x`"), "`` @ana <b> `x` ``");
        assert_eq!(code("``"), "``` `` ```");
        assert_eq!(code("a\nb"), r"`a\nb`");
    }
}
