//! Five thousand secrets: what a person sees of them fits on a terminal.

use std::process::Output;

use crate::site::{Site, seen};

/// Lines of a terminal.
const LINES: usize = 40;
const FILES: usize = 50;
const KEYS: usize = 100;

/// A copy of all of them in two cohorts.
fn many() -> Site {
    let site = Site::new();
    std::fs::remove_file(site.path("legacy/app.env")).expect("removed");
    for file in 0..FILES {
        let lines: String = (0..KEYS).map(|key| format!("KEY_{key}=value-of-{file}-{key}-0123456789\n")).collect();
        site.write(&format!("legacy/app{file}.env"), &lines);
    }
    let text = std::fs::read_to_string(site.path("w.toml")).expect("text");
    let rollout = "id = \"copy\"\nrollout = { cohorts = [\"1\", \"100%\"], parallel = 16 }\n";
    site.write("w.toml", &text.replacen("id = \"copy\"\n", rollout, 1));
    site
}

/// On both streams together.
fn fits(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(text.lines().count() <= LINES, "{} lines: {text}", text.lines().count());
    text
}

#[test]
fn forty_lines_are_enough_for_five_thousand_secrets() {
    let site = many();
    let planned = fits(&site.cutover("plan w.toml --out a.cutplan", 0));
    assert!(planned.contains("5000 to create"), "{planned}");
    let run = fits(&site.cutover("run a.cutplan", 0));
    assert!(run.contains("COMPLETED  exit 0") && run.contains("5000 verified"), "{run}");
    fits(&site.cutover("runs show last", 0));
    let rehearsed = fits(&site.cutover("rollback last --dry-run", 0));
    assert!(rehearsed.contains("5050 to go back") && rehearsed.contains("and 5034 more: "), "{rehearsed}");
    assert_eq!(site.document("rollback last --dry-run", 0)["goes_back"].as_array().map(Vec::len), Some(FILES * KEYS + FILES));
    // Everything that was planned is gone, and everything is new.
    let stale = fits(&site.cutover("run a.cutplan", 15));
    assert!(stale.contains("and 5030 more"), "{stale}");
    let nothing = site.cutover("plan w.toml", 0);
    assert!(fits(&nothing).contains("Nothing to do."), "{}", seen(&nothing));
}
