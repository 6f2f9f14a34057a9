//! Where the cause of a failure stands: first in the report, and beside the step at the moment when it fails.

use std::process::{Command, Stdio};

use crate::site::{SECRET, Site, plugins, probed_at, server};

/// Both streams in the order in which a terminal shows them, and the exit code.
fn on_a_terminal(site: &Site, line: &str) -> (Vec<String>, Option<i32>) {
    let script = format!("exec '{}' --plugin-path '{}' {line} 2>&1", env!("CARGO_BIN_EXE_cutover"), plugins().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(site.path("")).env_clear().stdin(Stdio::null());
    let output = shell.output().expect("sh starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.contains(SECRET), "{text}");
    (text.lines().map(str::to_owned).collect(), output.status.code())
}

/// What follows the last empty line.
fn report(lines: &[String]) -> &[String] {
    lines.rsplit(String::is_empty).next().unwrap_or_default()
}

fn place(lines: &[String], beginning: &str) -> usize {
    lines.iter().position(|line| line.trim_start().starts_with(beginning)).unwrap_or_else(|| panic!("no `{beginning}`: {lines:#?}"))
}

const CAUSE: &str = "cause[CUT4103]: copy: check `probe.get`";

#[test]
fn a_run_that_goes_back_by_itself_begins_its_report_with_the_cause_whatever_stands_above() {
    for (quiet, above) in [("", true), ("-q", false)] {
        let site = probed_at("", &server(0));
        let (lines, exit) = on_a_terminal(&site, &format!("run w.toml --yes {quiet}"));
        assert_eq!(exit, Some(10), "{lines:#?}");
        let report = report(&lines);
        assert_eq!(report.len() < lines.len(), above, "the plan and the progress are apart from the report: {lines:#?}");
        assert!(report[0].starts_with(CAUSE) && report[1] == "  --> w.toml:22:10", "{report:#?}");
        assert!(report[2].starts_with("ROLLED BACK, start state verified  exit 10"), "{report:#?}");
        assert!(site.is_as_before());
    }
}

#[test]
fn what_goes_wrong_is_said_when_it_does_and_once() {
    let (lines, _) = on_a_terminal(&probed_at("", &server(0)), "run w.toml --yes");
    let under_way = &lines[..lines.len() - report(&lines).len()];
    let (begins, told, fails) = (place(under_way, "0s  RUN   copy"), place(under_way, CAUSE), place(under_way, "cause"));
    assert!(begins < told && told == fails, "{under_way:#?}");
    assert_eq!(under_way.iter().filter(|line| line.starts_with("cause")).count(), 1, "{under_way:#?}");
    assert!(under_way[told + 1..].iter().any(|line| line.contains("back  copy")), "it stands above what follows from it: {under_way:#?}");
}

#[test]
fn a_run_that_needs_a_person_begins_its_report_with_what_stays() {
    let site = Site::new();
    site.cutover("run w.toml --yes", 0);
    site.write("store/app/DB_PASSWORD.json.age", "no age file at all");
    let (lines, exit) = on_a_terminal(&site, "rollback last --yes");
    assert_eq!(exit, Some(11), "{lines:#?}");
    let report = report(&lines);
    assert!(report[0].contains("copy/target:app/DB_PASSWORD.json.age: it could not be looked at"), "{report:#?}");
    assert!(report[..5].iter().any(|line| line.starts_with("STUCK, a person is needed  exit 11")), "{report:#?}");
}
