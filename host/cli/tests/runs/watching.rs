//! Runs are watched, and their logs read, while another process drives them and afterwards.

use std::{io::BufReader, process::Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    interruption::{read_until, signal, waiting},
    site::{GATE, SECRET, Site, seen},
};

#[test]
fn a_run_that_another_process_drives_is_watched_to_its_end() {
    let site = Site::with("", "", "", GATE);
    let (child, _told) = waiting(&site);
    let watching = |form: &str| site.command(&format!("runs watch last {form}")).stdin(Stdio::null()).spawn().expect("the program starts");
    let (watcher, mut plain) = (watching("-o jsonl"), watching(""));
    let follower = site.command("runs logs last --follow").spawn().expect("the program starts");
    let mut seen_by_plain = BufReader::new(plain.stderr.take().expect("a pipe"));
    read_until(&mut seen_by_plain, "ok    copy");
    // Who only watches stops nothing.
    let mut tired = watching("-o json");
    let mut lines = BufReader::new(tired.stderr.take().expect("a pipe"));
    read_until(&mut lines, "ok    copy");
    signal(&tired, Signal::INT);
    let tired = tired.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&tired.stdout).unwrap_or_else(|error| panic!("{error}: {}", seen(&tired)));
    assert_eq!((tired.status.code(), &document["exit"], &document["ending"]), (Some(130), &130.into(), &"running".into()));

    signal(&child, Signal::INT);
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(130));
    let watcher = watcher.wait_with_output().expect("it ends");
    assert_eq!(watcher.status.code(), Some(130), "{}", seen(&watcher));
    let lines: Vec<Value> =
        String::from_utf8_lossy(&watcher.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!((&lines[0]["cutover_events"], types[0], types[types.len() - 1]), (&1.into(), "started", "ended"));
    assert_eq!(lines[lines.len() - 1]["ending"], "interrupted");
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "each event once");

    let plain = plain.wait_with_output().expect("it ends");
    assert_eq!(plain.status.code(), Some(130), "{}", seen(&plain));
    let text = String::from_utf8_lossy(&plain.stdout);
    assert!(text.contains("INTERRUPTED at a safe point") && !text.contains('\u{1b}'), "{text}");
    let follower = follower.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&follower.stdout);
    assert_eq!(follower.status.code(), Some(0), "{}", seen(&follower));
    assert!(text.contains("  run  begins\n") && text.ends_with("  run  stopped at a safe point\n"), "{text}");
}

#[test]
fn a_run_at_rest_is_shown_and_one_whose_process_is_gone_ends_the_watching() {
    let site = Site::with("", "", "", GATE);
    let (mut child, _lines) = waiting(&site);
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert_eq!(site.document("runs watch last", 12)["ending"], "broken-off");
    assert_eq!(site.document("rollback last --yes", 0)["ending"], "rolled-back");
    let (shown, watched) = (site.document("runs show last", 0), site.document("runs watch last", 0));
    assert_eq!(shown, watched);
    assert_eq!(site.document("runs watch 1999", 1)["error"]["code"], "CUT6051");
}

#[test]
fn logs_tell_everything_in_order_by_step_and_by_change() {
    let site = Site::new();
    site.cutover("run w.toml --yes --events e.jsonl", 0);
    let written = std::fs::read_to_string(site.path("e.jsonl")).expect("events");
    let written: Vec<Value> = written.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let logged = site.document("runs logs last", 0);
    assert_eq!(logged["events"].as_array(), Some(&written));
    let lines = site.lines("runs logs last", 0);
    assert_eq!(lines[1..lines.len() - 1], written);
    assert_eq!((&lines[0]["cutover_events"], &lines[lines.len() - 1]["exit"]), (&1.into(), &0.into()));

    let of = |line: &str| site.document(line, 0)["events"].as_array().cloned().expect("events");
    let retired = of("runs logs last --step retire");
    assert!(!retired.is_empty() && retired.iter().all(|event| event["step"] == "retire"), "{retired:#?}");
    let change = "copy/target:app/DB_PASSWORD.json.age";
    let one = of(&format!("runs logs last --change {change}"));
    assert!(one.len() > 5 && one.iter().all(|event| event["change"] == change), "{one:#?}");
    assert!(of(&format!("runs logs last --step retire --change {change}")).is_empty());

    let text = String::from_utf8(site.cutover(&format!("runs logs last --change {change}"), 0).stdout).expect("UTF-8");
    let what: Vec<&str> = text.lines().filter_map(|line| line.split("  ").nth(2)).collect();
    assert_eq!(
        what,
        [
            "captured",
            "apply begins",
            "write 1: PUT /app/DB_PASSWORD.json.age",
            "write 1: status 201",
            "apply is done",
            "compared: as expected",
            "checks: pass (1)",
        ],
        "{text}"
    );
    assert_eq!(site.document("runs logs last --step copi", 1)["error"]["code"], "CUT6062");
    assert_eq!(site.document("runs logs last --change copy/x", 1)["error"]["code"], "CUT6053");
}

#[test]
fn the_log_is_text_or_objects_and_both_are_safe() {
    let site = Site::new();
    // The plugin warns of what it leaves out.
    site.write("legacy/README", "about the others\n");
    std::os::unix::fs::symlink("app.env", site.path("legacy/current.env")).expect("a link");
    let told = |more: &str| {
        let output = site.command(&format!("run w.toml --yes -q {more}")).env("RUST_LOG", "warn").output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0), "{}", seen(&output));
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!text.contains(SECRET), "{text}");
        site.cutover("rollback last --yes", 0);
        text
    };
    let objects = told("--log-format json");
    let objects: Vec<Value> =
        objects.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let of_the_run: Vec<&Value> = objects.iter().filter(|object| object.get("run").is_some()).collect();
    assert!(!of_the_run.is_empty() && of_the_run.len() < objects.len(), "it is planned before there is a run, and again: {objects:#?}");
    for object in of_the_run {
        assert!(object["trace_id"].as_str().is_some_and(|id| id.len() == 32), "{object:#}");
        assert!(["ts", "level", "target", "message"].iter().all(|key| object[key].is_string()), "{object:#}");
        let is_of_one = |text: &str| text.contains("README is left out") || text.contains("current.env is left out: it is a link");
        assert!(object["message"].as_str().is_some_and(is_of_one), "{object:#}");
    }
    let text = told("");
    assert!(
        text.contains("README is left out") && text.contains("current.env is left out") && text.lines().all(|line| !line.starts_with('{')),
        "{text}"
    );
    let wrong = site.command("runs list -o json").env("CUTOVER_LOG_FORMAT", "xml").output().expect("the program starts");
    assert_eq!(wrong.status.code(), Some(64), "{}", seen(&wrong));
}
