//! Signals, and processes that are gone.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, ChildStderr, Output},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::site::{GATE, Site, probed_at, silent_server};

/// A run that waits at its gate, as its process.
pub(crate) fn waiting(site: &Site) -> (Child, BufReader<ChildStderr>) {
    let mut child = site.command("run w.toml --yes --max-wait 2h -o json").spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    read_until(&mut lines, "ok    copy");
    (child, lines)
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a small number")).expect("a process");
    kill_process(pid, signal).expect("a signal");
}

/// Reads until a line holds `words`; everything up to there.
pub(crate) fn read_until(lines: &mut BufReader<impl Read>, words: &str) -> String {
    let (mut line, mut all) = (String::new(), String::new());
    while !line.contains(words) {
        line.clear();
        assert!(lines.read_line(&mut line).expect("a line") > 0, "it ended before `{words}`: {all}");
        all.push_str(&line);
    }
    all
}

#[test]
fn ctrl_c_stops_at_a_safe_point_and_a_second_process_cannot_take_the_targets_meanwhile() {
    let site = Site::with("", "", "", GATE);
    let (child, mut lines) = waiting(&site);
    let held = site.document("run w.toml --yes", 17);
    assert!(held["error"]["message"].as_str().is_some_and(|text| text.contains(&format!("process {}", child.id()))), "{held:#}");
    assert_eq!(site.document("runs show last", 13)["ending"], "running");
    signal(&child, Signal::INT);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {rest}"));
    assert_eq!((output.status.code(), &document["ending"], &document["exit"]), (Some(130), &"interrupted".into(), &130.into()), "{rest}");
    assert!(rest.contains("stopping at the next safe point"), "{rest}");
    assert_eq!(site.document("runs show last", 130)["ending"], "interrupted");
    assert_eq!(site.document("resume last --max-wait 1s", 13)["ending"], "waiting");
}

#[test]
fn a_service_manager_stops_it_too() {
    let site = Site::with("", "", "", GATE);
    let (child, _lines) = waiting(&site);
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &document["ending"], &document["exit"]), (Some(143), &"interrupted".into(), &143.into()));
    assert_eq!(site.document("resume last --max-wait 1s", 13)["ending"], "waiting");
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_a_backend_that_says_nothing() {
    let (address, asked) = silent_server();
    let site = probed_at("", &address);
    let mut child = site.command("run w.toml --yes").spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    asked.recv().expect("the probe asks");
    signal(&child, Signal::INT);
    read_until(&mut lines, "stopping at the next safe point");
    signal(&child, Signal::INT);
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert_eq!(site.document("rollback last --yes", 0)["ending"], "rolled-back");
    assert!(site.is_as_before());
}

#[test]
fn a_killed_process_leaves_a_run_that_can_be_taken_back() {
    let site = Site::with("", "", "", GATE);
    let (mut child, _lines) = waiting(&site);
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert_eq!(site.document("runs show last", 12)["ending"], "broken-off");
    assert_eq!(site.document("rollback last --yes", 0)["ending"], "rolled-back");
    assert!(site.is_as_before());
}

#[test]
fn a_dual_run_past_its_deadline_is_told_when_its_process_is_dead() {
    let dual_run = "[dual_run]\nfrom = \"copy\"\nuntil = \"retire\"\nmin = \"4s\"\nmax = \"5s\"\n";
    let site = Site::with(dual_run, "", "", "");
    let (mut child, _lines) = waiting(&site);
    // What was said on the terminal may be ahead of the journal, but not for long.
    let standing = || site.document("runs show last", 13)["dual_run"].is_object();
    assert!(std::iter::repeat_with(standing).take(1_000).any(|known| known), "the journal tells of the dual run");
    child.kill().expect("killed");
    child.wait().expect("it ends");
    // The machine's own clock runs: each answer is right for its moment, and within 5 s one says so.
    let show = || site.command("runs show last -o json").output().expect("the program starts");
    let answers = std::iter::repeat_with(show).take(10_000).map(|output| (output.status.code(), document(&output)));
    let mut answers = answers.skip_while(|(exit, document)| *exit == Some(12) && document["dual_run"]["expired"] == false);
    let (exit, expired) = answers.next().expect("the deadline passes");
    assert_eq!((exit, &expired["ending"], &expired["dual_run"]["expired"]), (Some(1), &"broken-off".into(), &true.into()), "{expired:#}");
    let resumed = site.document("resume last", 10);
    assert_eq!((&resumed["ending"], &resumed["cause"]["code"]), (&"rolled-back".into(), &"CUT4104".into()), "{resumed:#}");
    assert!(site.is_as_before());
}
