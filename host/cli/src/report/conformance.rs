//! What the conformance kit found, for people.

use std::fmt::Write as _;

use cutover_runtime::conformance::{CaseReport, ConformanceReport, Finding, Found};

use crate::report::{palette, printable};

/// Every case with every rule; what is broken with its reason and what to do. With ANSI styles.
#[must_use]
pub fn text(report: &ConformanceReport) -> String {
    let (strong, good, error) = (palette::STRONG, palette::GOOD, palette::ERROR);
    let mut out = String::new();
    for case in &report.cases {
        let changes = match case.changes {
            0 => String::new(),
            1 => ", 1 change".to_owned(),
            count => format!(", {count} changes"),
        };
        let _ = writeln!(out, "{strong}{}{strong:#}  ({}{changes})", printable::line(&case.name), printable::line(&case.operation));
        case.findings.iter().for_each(|finding| finding_text(&mut out, finding));
        out.push('\n');
    }
    let (kept, broken) = (count(report, Found::Kept), count(report, Found::Broken));
    let (style, word) = if broken == 0 { (good, "CONFORMS") } else { (error, "DOES NOT CONFORM") };
    let _ = writeln!(
        out,
        "{style}{word}{style:#}  {} {}: {kept} ok, {broken} FAIL",
        printable::line(&report.plugin),
        printable::line(&report.version)
    );
    out
}

/// The whole in one line: the first rule that is broken, or how many are kept.
#[must_use]
pub fn line(report: &ConformanceReport) -> String {
    let broken = |case: &CaseReport| {
        let finding = case.findings.iter().find(|finding| finding.found == Found::Broken)?;
        Some(format!("{}: {}: {}", case.name, finding.title, finding.reason.as_deref().unwrap_or_default()))
    };
    let conforms =
        || format!("{} {} conforms: {} cases, {} ok", report.plugin, report.version, report.cases.len(), count(report, Found::Kept));
    report.cases.iter().find_map(broken).unwrap_or_else(conforms)
}

fn count(report: &ConformanceReport, found: Found) -> usize {
    report.cases.iter().flat_map(|case| &case.findings).filter(|finding| finding.found == found).count()
}

fn finding_text(out: &mut String, finding: &Finding) {
    let (good, error, help, dim) = (palette::GOOD, palette::ERROR, palette::HELP, palette::DIM);
    let reason = printable::lines(finding.reason.as_deref().unwrap_or_default()).into_owned();
    match finding.found {
        Found::Kept => {
            let _ = writeln!(out, "  {good}ok{good:#}    {}", finding.title);
        }
        Found::Broken => {
            let _ = writeln!(out, "  {error}FAIL{error:#}  {}\n        {reason}", finding.title);
            let _ = writeln!(out, "        {help}next{help:#}: {}", finding.next.unwrap_or_default());
        }
        Found::Unseen => {
            let _ = writeln!(out, "  {dim}-     {}: not looked at: {reason}{dim:#}", finding.title);
        }
    }
}

#[cfg(test)]
mod tests {
    use cutover_runtime::conformance::Rule;

    use super::*;

    fn report() -> ConformanceReport {
        let finding = |rule: Rule, found, reason: Option<&str>| Finding {
            rule,
            title: rule.title(),
            found,
            reason: reason.map(str::to_owned),
            next: (found == Found::Broken).then(|| rule.advice()),
        };
        let findings = vec![
            finding(Rule::LooksOnly, Found::Kept, None),
            finding(Rule::ApplyTwice, Found::Broken, Some("the second apply sent `PUT /\u{1b}x` again")),
            finding(Rule::RollbackInverts, Found::Unseen, Some("the operation is irreversible")),
        ];
        let case = CaseReport { name: "puts a value".into(), operation: "put".into(), changes: 1, findings };
        ConformanceReport { plugin: "example:mover".into(), version: "0.1.0".into(), cases: vec![case] }
    }

    #[test]
    fn what_is_broken_has_its_reason_and_what_to_do() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(&report())), @r"
        puts a value  (put, 1 change)
          ok    plan, capture, verify and observe write nothing
          FAIL  apply twice is one write
                the second apply sent `PUT /\u{1b}x` again
                next: read before you write, and write only what differs
          -     rollback puts back what was there: not looked at: the operation is irreversible

        DOES NOT CONFORM  example:mover 0.1.0: 1 ok, 1 FAIL
        ");
        assert!(line(&report()).starts_with("puts a value: apply twice is one write: the second apply"));
    }
}
