//! The problems of a workflow file, with the lines they are in.

use std::{fmt::Write as _, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use cutover_engine::{Diagnostic, Place};
use serde::Serialize;

use crate::report::{line_starts::LineStarts, palette, printable};

/// One problem of a source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `CUT0104`.
    pub code: String,
    /// False for a warning.
    pub is_error: bool,
    /// What is wrong, a lower-case sentence without a full stop.
    pub message: String,
    /// Where: a range of bytes of the source.
    pub place: Option<Range<usize>>,
    /// How to mend it.
    pub help: Option<String>,
    /// True if the lines may hold a secret: none of their text is shown.
    pub conceals: bool,
}

impl From<&Diagnostic> for Problem {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_owned(),
            is_error: diagnostic.is_error(),
            message: diagnostic.message.clone(),
            place: diagnostic.place.map(Place::range),
            help: diagnostic.help.clone(),
            conceals: diagnostic.conceals,
        }
    }
}

/// A file and what is wrong with it.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// As the person named it.
    pub file: &'a str,
    /// Its text.
    pub source: &'a str,
    /// In the order they are to be shown.
    pub problems: &'a [Problem],
}

impl Checked<'_> {
    /// Every problem with its lines, then the count. With ANSI styles.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let (renderer, lines) = (Renderer::styled(), LineStarts::of(self.source));
        for problem in self.problems {
            out.push_str(&renderer.render(&[self.group(problem, &lines)]));
            out.push_str("\n\n");
        }
        let errors = self.problems.iter().filter(|problem| problem.is_error).count();
        let warnings = self.problems.len() - errors;
        let file = printable::line(self.file);
        let _ = match (errors, warnings) {
            (0, 0) => writeln!(out, "{}ok{:#} {file}", palette::GOOD, palette::GOOD),
            (0, _) => writeln!(out, "{file}: {}", count(warnings, "warning")),
            (_, 0) => writeln!(out, "{file}: {}", count(errors, "error")),
            _ => writeln!(out, "{file}: {}, {}", count(errors, "error"), count(warnings, "warning")),
        };
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem, starts: &LineStarts<'_>) -> Group<'a> {
        let level = if problem.is_error { Level::ERROR } else { Level::WARNING };
        let title = level.primary_title(printable::lines(&problem.message)).id(problem.code.as_str());
        let path = printable::line(self.file);
        let group = match &problem.place {
            None => title.element(Origin::path(path)),
            Some(place) if problem.conceals => {
                let (line, column) = starts.position(place.start);
                title.element(Origin::path(path).line(line).char_column(column))
            }
            Some(place) => {
                let span = within(self.source, place);
                let lines = lines_of(self.source, &span);
                let (first, _) = starts.position(lines.start);
                let span = span.start - lines.start..span.end - lines.start;
                let snippet = Snippet::source(&self.source[lines]).line_start(first);
                title.element(snippet.path(path).annotation(AnnotationKind::Primary.span(span)))
            }
        };
        match &problem.help {
            Some(help) => group.element(Level::HELP.message(printable::lines(help))),
            None => group,
        }
    }

    fn entry(&self, problem: &Problem, starts: &LineStarts<'_>) -> Entry {
        let start = problem.place.as_ref().map(|place| starts.position(place.start));
        let end = problem.place.as_ref().map(|place| starts.position(place.end));
        Entry {
            code: problem.code.clone(),
            severity: if problem.is_error { "error" } else { "warning" },
            message: problem.message.clone(),
            file: self.file.to_owned(),
            line: start.map(|(line, _)| line),
            column: start.map(|(_, column)| column),
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
            help: problem.help.clone(),
        }
    }
}

/// For programs: `{"diagnostics": [{code, severity, message, file, line, column, end_line, end_column, help}], "exit": N}`.
/// Lines and columns count from 1, columns in characters; the end is the first character after.
pub fn document(files: &[Checked<'_>], exit: crate::exit_code::ExitCode) -> impl Serialize {
    Document { diagnostics: entries(files), exit }
}

#[derive(Serialize)]
struct Document {
    diagnostics: Vec<Entry>,
    exit: crate::exit_code::ExitCode,
}

/// A problem with its lines and columns counted.
#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) code: String,
    pub(super) severity: &'static str,
    pub(super) message: String,
    pub(super) file: String,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
    pub(super) end_line: Option<usize>,
    pub(super) end_column: Option<usize>,
    pub(super) help: Option<String>,
}

/// The problems of all files, in their order.
pub(super) fn entries(files: &[Checked<'_>]) -> Vec<Entry> {
    let of_file = |file: &Checked<'_>| {
        let starts = LineStarts::of(file.source);
        file.problems.iter().map(|problem| file.entry(problem, &starts)).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A range that can be shown: inside the text, on whole characters.
fn within(source: &str, place: &Range<usize>) -> Range<usize> {
    let start = source.floor_char_boundary(place.start.min(source.len()));
    start..source.ceil_char_boundary(place.end.clamp(start, source.len()))
}

/// The whole lines of a range: to draw a snippet, every line that it is given is looked at. All if there is no line.
fn lines_of(source: &str, span: &Range<usize>) -> Range<usize> {
    let start = source[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    if start == source.len() {
        return 0..source.len();
    }
    start..source[span.end..].find('\n').map_or(source.len(), |newline| span.end + newline + 1)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::exit_code::ExitCode;

    const SOURCE: &str =
        "cutover = 1\nname = \"größe\" # ü\n[[step]]\nid = \"copy\"\nuess = \"vault.copy\"\ntoken = \"hvs.canary-canary\"\n";

    fn problem(code: &str, is_error: bool, message: &str, at: Option<&str>) -> Problem {
        let place = at.map(|text| SOURCE.find(text).map(|start| start..start + text.len()).expect("in the source"));
        Problem { code: code.into(), is_error, message: message.into(), place, help: None, conceals: false }
    }

    fn problems() -> Vec<Problem> {
        vec![
            Problem { help: Some("did you mean `uses`?".into()), ..problem("CUT0104", true, "unknown key `uess`", Some("uess")) },
            Problem {
                conceals: true,
                help: Some("write `env:NAME`".into()),
                ..problem("CUT0308", true, "secret in the file", Some("\"hvs.canary-canary\""))
            },
            problem("CUT0311", false, "step `copy` has no probe", None),
        ]
    }

    #[test]
    fn shows_line_code_and_fix_and_conceals_secrets() {
        let text = anstream::adapter::strip_str(&Checked { file: "a.toml", source: SOURCE, problems: &problems() }.text()).to_string();
        assert_snapshot!(text, @r#"
        error[CUT0104]: unknown key `uess`
         --> a.toml:5:1
          |
        5 | uess = "vault.copy"
          | ^^^^
          |
          = help: did you mean `uses`?

        error[CUT0308]: secret in the file
        --> a.toml:6:9
         = help: write `env:NAME`

        warning[CUT0311]: step `copy` has no probe
        --> a.toml

        a.toml: 2 errors, 1 warning
        "#);
        assert!(!text.contains("canary"));
    }

    #[test]
    fn document_counts_characters_from_one() {
        let mut problems = problems();
        problems.push(problem("CUT0107", true, "bad", Some("# ü")));
        let file = Checked { file: "a.toml", source: SOURCE, problems: &problems };
        assert_snapshot!(serde_json::to_string(&document(&[file], ExitCode::No)).expect("JSON").replace("},{", "},\n{"), @r#"
        {"diagnostics":[{"code":"CUT0104","severity":"error","message":"unknown key `uess`","file":"a.toml","line":5,"column":1,"end_line":5,"end_column":5,"help":"did you mean `uses`?"},
        {"code":"CUT0308","severity":"error","message":"secret in the file","file":"a.toml","line":6,"column":9,"end_line":6,"end_column":28,"help":"write `env:NAME`"},
        {"code":"CUT0311","severity":"warning","message":"step `copy` has no probe","file":"a.toml","line":null,"column":null,"end_line":null,"end_column":null,"help":null},
        {"code":"CUT0107","severity":"error","message":"bad","file":"a.toml","line":2,"column":16,"end_line":2,"end_column":19,"help":null}],"exit":1}
        "#);
    }

    #[test]
    fn a_snippet_is_made_of_the_whole_lines_of_its_range() {
        let lines = |place: Range<usize>| &SOURCE[lines_of(SOURCE, &place)];
        let copy = SOURCE.find("copy").expect("in the source");
        assert_eq!(lines(copy..copy + 1), "id = \"copy\"\n");
        assert_eq!(lines(copy..copy + 8), "id = \"copy\"\nuess = \"vault.copy\"\n");
        assert_eq!(lines(0..0), "cutover = 1\n");
        assert_eq!(lines(SOURCE.len()..SOURCE.len()), SOURCE);
    }

    #[test]
    fn places_outside_the_text_and_inside_a_character_do_not_panic() {
        for place in [900..901, 0..900, 21..22, SOURCE.len()..SOURCE.len()] {
            let problems = [Problem { place: Some(place.clone()), ..problem("CUT0101", true, "x", None) }];
            let file = Checked { file: "a.toml", source: SOURCE, problems: &problems };
            assert!(file.text().contains("a.toml:"), "{place:?}");
            assert!(serde_json::to_string(&document(&[file], ExitCode::No)).is_ok());
        }
    }

    #[test]
    fn hostile_text_does_not_steer_the_terminal() {
        let source = "a = \"\u{1b}[2J\u{202e}\"";
        let problems = [Problem { place: Some(0..1), ..problem("CUT0101", true, "bad \u{1b}]0;x\u{7}", None) }];
        let text = Checked { file: "a\u{1b}[31m.toml", source, problems: &problems }.text();
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn a_file_without_problems_is_ok() {
        let text = Checked { file: "a.toml", source: SOURCE, problems: &[] }.text();
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "ok a.toml\n");
    }
}
