//! Signals, and processes that are gone.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr},
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

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a small number")).expect("a process");
    kill_process(pid, signal).expect("a signal");
}

/// Reads until a line holds `words`.
pub(crate) fn read_until(lines: &mut BufReader<ChildStderr>, words: &str) {
    let (mut line, mut all) = (String::new(), String::new());
    while !line.contains(words) {
        line.clear();
        assert!(lines.read_line(&mut line).expect("a line") > 0, "it ended before `{words}`: {all}");
        all.push_str(&line);
    }
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
