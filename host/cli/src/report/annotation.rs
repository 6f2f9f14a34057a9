//! Problems as workflow commands of GitHub Actions, which become annotations of the lines.
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>

use std::fmt::Write as _;

use super::diagnostics::{self, Checked, Entry};

/// GitHub shows ten errors and ten warnings of a step; what comes after is dropped without a word.
const SHOWN: usize = 10;

/// One line a problem, the errors first; what would not be shown is counted.
#[must_use]
pub fn text(files: &[Checked<'_>]) -> String {
    let entries = diagnostics::entries(files);
    let mut out = String::new();
    let mut left = 0;
    for severity in ["error", "warning"] {
        let found: Vec<&Entry> = entries.iter().filter(|entry| entry.severity == severity).collect();
        left += found.len().saturating_sub(SHOWN);
        found.into_iter().take(SHOWN).for_each(|entry| out.push_str(&line(entry)));
    }
    if left > 0 {
        let _ = writeln!(out, "::notice title=cutover::and {left} more; `cutover validate` lists them all");
    }
    out
}

fn line(entry: &Entry) -> String {
    let mut out = format!("::{} file={}", entry.severity, property(&entry.file));
    // Columns mean something only within one line.
    let one_line = entry.line == entry.end_line;
    let columns = [("col", entry.column), ("endColumn", entry.end_column)].into_iter().filter(|_| one_line);
    for (name, number) in [("line", entry.line), ("endLine", entry.end_line)].into_iter().chain(columns) {
        if let Some(number) = number {
            let _ = write!(out, ",{name}={number}");
        }
    }
    let help = entry.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let _ = writeln!(out, ",title={}::{}", property(&entry.code), data(&format!("{}{help}", entry.message)));
    out
}

/// Text that cannot begin a command of its own.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::diagnostics::Problem;

    fn problem(message: &str, is_error: bool) -> Problem {
        Problem {
            code: "CUT0104".into(),
            is_error,
            message: message.into(),
            place: Some(12..16),
            help: Some("did you mean `uses`?".into()),
            conceals: false,
        }
    }

    #[test]
    fn a_problem_is_an_annotation_that_cannot_begin_another_command() {
        let problems = [problem("100% wrong\n::error::forged", true), problem("odd", false)];
        let text = text(&[Checked { file: "a,b:c.toml", source: "cutover = 1\nuess = 1\n", problems: &problems }]);
        insta::assert_snapshot!(text, @"
        ::error file=a%2Cb%3Ac.toml,line=2,endLine=2,col=1,endColumn=5,title=CUT0104::100%25 wrong%0A::error::forged%0Ahelp: did you mean `uses`?
        ::warning file=a%2Cb%3Ac.toml,line=2,endLine=2,col=1,endColumn=5,title=CUT0104::odd%0Ahelp: did you mean `uses`?
        ");
    }

    #[test]
    fn more_than_github_shows_are_counted() {
        let problems = vec![problem("x", true); 41];
        let text = text(&[Checked { file: "a.toml", source: "cutover = 1\nuess = 1\n", problems: &problems }]);
        assert_eq!(text.lines().count(), 11);
        assert!(text.ends_with("::notice title=cutover::and 31 more; `cutover validate` lists them all\n"), "{text}");
    }
}
