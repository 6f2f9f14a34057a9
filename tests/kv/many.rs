//! Many secrets need little memory, and what is said about the run is said at once.

use std::{
    fs,
    time::{Duration, Instant},
};

use cutover_tests::{KvWorkload, differences};

use crate::site::{Site, keys};

/// The same bounds hold for 20,000 (`CUTOVER_KV_KEYS`), which take too long for every change.
const KEYS: usize = 200;
const SEED: u64 = 0x3000_2026;
/// What a run may take, in KiB: 300 MiB, for 20,000 secrets as well.
const MEMORY: u64 = 300 * 1024;

#[test]
fn many_secrets_take_little_memory_and_are_shown_at_once() {
    let keys = keys(KEYS);
    let site = Site::new(&KvWorkload::plain(keys, 1, SEED));
    let source = site.source();

    let (took, memory) = watched(&site, "plan", &["plan", "w.toml", "--out", "a.cutplan"], 0);
    println_measure("plan", keys, took, memory);
    assert!(memory < MEMORY, "planning took {memory} KiB");
    let said = fs::read_to_string(site.folder.path().join("plan.out")).expect("an output");
    assert!(said.lines().count() < 60 && said.contains(&format!("{keys} to create")), "a plan is a summary:\n{said}");

    let (took, memory) = watched(&site, "run", &["run", "a.cutplan", "--yes", "--max-wait", "30m"], 0);
    println_measure("run", keys, took, memory);
    assert!(memory < MEMORY, "the run took {memory} KiB");
    let said = fs::read_to_string(site.folder.path().join("run.err")).expect("an output");
    assert!(said.lines().count() < 200, "progress is a summary: {} lines", said.lines().count());
    let (took, memory) = watched(&site, "show", &["runs", "show", "last"], 0);
    println_measure("runs show", keys, took, memory);
    assert!(took < Duration::from_secs(1), "`runs show` took {took:?}");

    let found = differences(&source, &site.target(), 15);
    assert!(found.is_empty(), "{} differences, such as {:#?}", found.len(), &found[..found.len().min(10)]);
}

/// Runs the program; says how long it took and what it held at most, in KiB (`VmHWM`, proc(5)).
fn watched(site: &Site, name: &str, words: &[&str], exit: i32) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = site.start(name, words);
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let held = fs::read_to_string(&status).unwrap_or_default();
        let held = held.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(held.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child") {
            break status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(code, Some(exit), "{words:?}: {}", site.said(name));
    (begun.elapsed(), most)
}

#[expect(clippy::print_stdout, reason = "measurements are told to whoever reads the test's output")]
fn println_measure(what: &str, keys: usize, took: Duration, memory: u64) {
    println!("{what} of {keys} secrets: {:.1} s, at most {} MiB", took.as_secs_f64(), memory / 1024);
}
