//! Whole runs as people and scripts meet them: files move into an encrypted store, with the real plugins.

mod cause;
mod completion;
mod disk;
mod documents;
mod exit_codes;
mod interruption;
mod many;
mod metrics;
mod plans;
mod site;
mod status;
mod terminal;
mod trace;
mod watching;

use std::process::Output;

use insta::assert_snapshot;
use serde_json::Value;

use site::{GATE, IDENTITY, SECRET, Site, command, plugins, probed_at, seen, server};

/// A custom section `note` without content: it changes what a component's digest is and nothing else.
const NOTE_SECTION: [u8; 7] = [0, 5, 4, b'n', b'o', b't', b'e'];

/// Times, ids, digests and the folder become fixed words.
fn redacted(site: &Site, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).replace(&site.0.path().display().to_string(), "DIR");
    let mut words: Vec<String> = Vec::new();
    for word in text.split_inclusive([' ', '\n']) {
        let (bare, end) = word.split_at(word.trim_end().len());
        let number = bare.split_once(':').filter(|(_, hash)| hash.len() == 64);
        let is_id = bare.len() == 20 && bare.as_bytes()[8] == b'-' && bare.as_bytes()[15] == b'-';
        let shown = match bare {
            _ if is_id => "RUN",
            _ if number.is_some() => "HEAD",
            _ if bare.len() == 12 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) => "DIGEST",
            _ if bare.starts_with("latency_ms=") => "LATENCY",
            _ => bare,
        };
        words.push(format!("{shown}{end}"));
    }
    words.concat()
}

fn probed(head: &str, good: usize) -> Site {
    probed_at(head, &server(good))
}

#[test]
fn a_plan_says_everything_before_and_can_be_shown_without_plugins_and_keys() {
    let site = Site::new();
    assert_snapshot!(redacted(&site, &site.cutover("plan w.toml --out a.cutplan --detailed-exitcode", 2)), @r"
    Plan DIGEST  w.toml  files  owner tests  2 steps  2 plugins
      +  copy    copy-files legacy -> store  2 to create  undo: back to the pre-image  check: host and plugin only
      -  retire  retire-files legacy         1 to remove  undo: back to the pre-image  check: host and plugin only
    Loses     copy: file-comments (2), inherent
    Loses     copy: file-mode (2), inherent
    Undo      complete
    Access    legacy: read (GET LIST), write (MOVE) file:DIR/legacy
              store: read (GET), write (DELETE PUT) file:DIR/store
              nothing else
    Note      the targets offer no lease: only this machine's lock keeps a second run away
    Contains  no secret values and no credentials; safe to attach to a ticket
    Saved     a.cutplan
    Next      cutover run a.cutplan
    ");
    assert_eq!(site.document("plan w.toml", 0)["changes"]["create"], 2);
    std::fs::remove_dir_all(site.path(".cutover")).expect("removed");
    let shown = command(site.0.path(), &["plan", "show", "a.cutplan", "-o", "json"]).output().expect("the program starts");
    assert_eq!(shown.status.code(), Some(0), "{}", seen(&shown));
    let saved = std::fs::read_to_string(site.path("a.cutplan")).expect("a plan");
    assert!(!saved.contains(SECRET) && !saved.contains(IDENTITY));
    site.write("bad.cutplan", &saved.replacen("tests", "bests", 1));
    assert_eq!(site.document("plan show bad.cutplan", 16)["error"]["code"], "CUT6055");
    assert_eq!(site.document("run bad.cutplan", 16)["error"]["code"], "CUT6055");
}

#[test]
fn a_run_completes_is_listed_and_goes_back() {
    let site = Site::new();
    assert_eq!(site.document("runs list", 0)["runs"], serde_json::json!([]));
    let document = site.document("run w.toml --yes --events e.jsonl", 0);
    for key in ["run", "workflow", "ending", "exit", "steps", "losses", "open", "head"] {
        assert!(document.get(key).is_some(), "{key}: {document:#}");
    }
    assert_eq!(document["ending"], "completed");
    assert!(!site.path("legacy/app.env").exists() && site.path("store/app/DB_PASSWORD.json.age").exists());

    let events = std::fs::read_to_string(site.path("e.jsonl")).expect("events");
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events[0]["cutover_events"], 1);
    let seqs: Vec<u64> = events[1..].iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!((&events[1]["type"], &events[events.len() - 1]["type"]), (&"started".into(), &"ended".into()));
    assert!(events.iter().any(|event| event["change"] == "copy/target:app/DB_PASSWORD.json.age" && event["step"] == "copy"));

    let head = document["head"].as_str().expect("a head");
    assert_eq!(site.document("runs list", 0)["runs"][0]["state"], "completed");
    assert_eq!(site.document(&format!("runs show last --anchor {head}"), 0)["ending"], "completed");
    let forged = format!("{}{}", &head[..head.len() - 1], if head.ends_with('0') { '1' } else { '0' });
    assert_eq!(site.document(&format!("runs show last --anchor {forged}"), 16)["error"]["code"], "CUT4011");
    assert_eq!(site.document("resume last", 1)["error"]["code"], "CUT6052");
    assert_eq!(site.document("runs show 1999", 1)["error"]["code"], "CUT6051");
    site.document("rollback last", 64);

    let image = "runs pre-image last retire/source:app.env";
    assert!(site.document(image, 0)["responses"].as_array().is_some_and(|responses| !responses.is_empty()));
    site.document(&format!("{image} --out before.json"), 0);
    assert!(std::fs::read_to_string(site.path("before.json")).expect("a file").contains(SECRET));
    assert_eq!(site.document(&format!("{image} --out before.json"), 1)["error"]["code"], "CUT6014");

    let rehearsed = site.document("rollback last --dry-run", 0);
    assert_eq!(rehearsed["goes_back"][0], "retire/source:app.env");
    assert_eq!((rehearsed["goes_back"].as_array().map(Vec::len), &rehearsed["stays"]), (Some(3), &serde_json::json!([])));
    assert!(!site.path("legacy/app.env").exists());
    assert_eq!(site.document("rollback last --yes", 0)["ending"], "rolled-back");
    assert!(site.is_as_before());
    site.document("rollback last --yes", 1);
}

#[test]
fn a_failed_probe_takes_everything_back_and_the_cause_comes_first() {
    let site = probed("", 0);
    assert_snapshot!(redacted(&site, &site.cutover("run w.toml --yes", 10)), @r"
    cause[CUT4103]: copy: check `probe.get` (`result.status == 200`): 1 of 1 samples failed, 0 may; the last said: `result.status == 200` was false; seen: LATENCY status=500
      --> w.toml:22:10
    ROLLED BACK, start state verified  exit 10  run RUN  files
      rolled-back  copy    2 rolled-back
      waiting      retire  1 planned
    Head  HEAD
    Next  cutover runs show RUN  |  mend the cause, then plan again
    ");
    assert!(site.is_as_before());
    assert_eq!(site.document("runs show last", 10)["cause"]["code"], "CUT4103");
}

#[test]
fn with_pause_a_failed_probe_leaves_everything_as_it_is_until_somebody_decides() {
    let site = probed("on_failure = \"pause\"", 0);
    assert_eq!(site.document("run w.toml --yes", 12)["ending"], "paused");
    assert!(!site.is_as_before());
    assert_eq!(site.document("rollback last --yes", 0)["ending"], "rolled-back");
    assert!(site.is_as_before());
}

#[test]
fn a_foreign_write_stays_is_open_and_goes_back_only_by_name() {
    let elsewhere = Site::new();
    elsewhere.write("legacy/app.env", "DB_PASSWORD=somebody-else-was-here\n");
    elsewhere.cutover("run w.toml --yes", 0);
    let foreign = std::fs::read(elsewhere.path("store/app/DB_PASSWORD.json.age")).expect("a copy of another value");
    let (site, change) = (Site::new(), "copy/target:app/DB_PASSWORD.json.age");
    site.cutover("run w.toml --yes", 0);
    std::fs::write(site.path("store/app/DB_PASSWORD.json.age"), &foreign).expect("written");

    let document = site.document("rollback last --yes", 11);
    assert_eq!(document["ending"], "stuck");
    let open = document["open"].as_array().expect("a list");
    let open = open.iter().find(|open| open["change"] == change).unwrap_or_else(|| panic!("{document:#}"));
    let reason = open["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("somebody else wrote to it since") && reason.contains("another secret"), "{reason}");
    assert!(open["commands"].as_array().is_some_and(|commands| !commands.is_empty()), "{document:#}");
    assert_eq!(std::fs::read(site.path("store/app/DB_PASSWORD.json.age")).expect("it is there"), foreign);
    assert_eq!(site.document("rollback last --yes --over nothing/here", 1)["error"]["code"], "CUT6053");

    assert_eq!(site.document(&format!("rollback last --yes --over {change}"), 0)["ending"], "rolled-back");
    assert!(site.is_as_before());
}

#[test]
fn what_cannot_be_read_any_more_is_left_alone() {
    let site = Site::new();
    site.cutover("run w.toml --yes", 0);
    site.write("store/app/DB_PASSWORD.json.age", "no age file at all");
    let document = site.document("rollback last --yes", 11);
    assert!(document["open"].to_string().contains("it could not be looked at"), "{document:#}");
    assert_eq!(std::fs::read_to_string(site.path("store/app/DB_PASSWORD.json.age")).expect("it is there"), "no age file at all");
}

#[test]
fn an_inspection_tells_what_a_plugin_may_ask_for() {
    let site = Site::new();
    let plugin = plugins().join("http-probe.wasm");
    let text = String::from_utf8(site.cutover(&format!("plugin inspect {}", plugin.display()), 0).stdout).expect("text");
    for part in ["cutover:http-probe 0.1.0", "prober", "Digest   sha256:", "target  http  read  GET /{+path}"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    let document = site.document(&format!("plugin inspect {}", plugin.display()), 0);
    assert_eq!(document["manifest"]["name"], "cutover:http-probe");
}

#[test]
fn a_gate_is_waited_for_by_the_next_process() {
    let site = Site::with("", "", "", GATE);
    assert_eq!(site.document("run w.toml --yes --max-wait 1s --events e.jsonl", 13)["ending"], "waiting");
    assert_eq!(site.document("runs show last", 13)["ending"], "waiting");
    let events = || std::fs::read_to_string(site.path("e.jsonl")).expect("events");
    let first = events();
    assert!(first.contains("started"), "{first}");
    assert_eq!(site.document("resume last --max-wait 1s --events e.jsonl", 13)["ending"], "waiting");
    let rest = events().strip_prefix(&first).expect("what was told before stays").to_owned();
    assert!(rest.contains("resumed") && !rest.contains("started"), "{rest}");
}

#[test]
fn a_world_that_moved_since_the_plan_stops_the_run_before_it_writes() {
    let site = Site::new();
    site.cutover("plan w.toml --out a.cutplan", 0);
    std::fs::remove_file(site.path("legacy/app.env")).expect("removed");
    site.write("legacy/other.env", "TOKEN=fedcba9876543210\n");
    let document = site.document("run a.cutplan", 15);
    assert!(document["error"]["causes"].to_string().contains("copy/target:app/DB_PASSWORD.json.age"), "{document:#}");
    assert!(!site.path("store/other").exists());
}

#[test]
fn what_is_in_the_way_of_a_plan_is_named_and_found_later_it_is_drift() {
    let elsewhere = Site::new();
    elsewhere.cutover("run w.toml --yes", 0);
    for (on_drift, exit) in [("stop", 15), ("defer", 0)] {
        let site = Site::with(&format!("on_drift = \"{on_drift}\""), "", "", "");
        site.write("legacy/app.env", "API_KEY=k-0123456789abcdef\nDB_PASSWORD=another-0123456789\n");
        site.cutover("plan w.toml --out a.cutplan", 0);
        std::fs::create_dir_all(site.path("store/app")).expect("a folder");
        let foreign = std::fs::read(elsewhere.path("store/app/DB_PASSWORD.json.age")).expect("a copy of another value");
        std::fs::write(site.path("store/app/DB_PASSWORD.json.age"), &foreign).expect("written");

        let document = site.document("plan w.toml", 1);
        assert_eq!(document["error"]["code"], "CUT6061", "{document:#}");
        let taken = "copy/target:app/DB_PASSWORD.json.age: the target holds another value";
        assert!(document["error"]["causes"][0].as_str().is_some_and(|cause| cause.starts_with(taken)), "{document:#}");

        let told = seen(&site.cutover("run a.cutplan --yes", exit));
        assert!(told.contains("DB_PASSWORD.json.age: it cannot be made any more: the target holds another value"), "{told}");
        assert_eq!(site.path("store/app/API_KEY.json.age").exists(), on_drift == "defer");
        assert_eq!(std::fs::read(site.path("store/app/DB_PASSWORD.json.age")).expect("it is there"), foreign);
    }
}

#[test]
fn a_plan_with_one_byte_changed_is_not_authentic() {
    let site = Site::new();
    site.cutover("plan w.toml --out a.cutplan", 0);
    let whole = std::fs::read(site.path("a.cutplan")).expect("a plan");
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("lines") + 1;
    let name = last + whole[last..].windows(11).position(|part| part == b"sealing_key").expect("a key");
    for place in [0, 1, 5, whole.len() / 2, last - 1, last, last + 3, name, whole.len() - 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        std::fs::write(site.path("b.cutplan"), changed).expect("a file");
        let document = site.document("run b.cutplan --yes", 16);
        assert_eq!(document["error"]["code"], "CUT6055", "byte {place}: {document:#}");
    }
    assert!(site.is_as_before());
    site.cutover("run a.cutplan", 0);
}

#[test]
fn another_component_than_the_pinned_one_is_refused() {
    let site = Site::new();
    let text = std::fs::read_to_string(site.path("w.toml")).expect("a workflow");
    let pinned = text.replacen("version = \"0.1\"", &format!("version = \"0.1\", digest = \"sha256:{}\"", "0".repeat(64)), 1);
    site.write("pinned.toml", &pinned);
    assert_eq!(site.document("plan pinned.toml", 16)["diagnostics"][0]["code"], "CUT0219");
    let mut other = std::fs::read(plugins().join("vault-migrator.wasm")).expect("a component");
    other.extend(NOTE_SECTION);
    let folder = site.path("other");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("vault-migrator.wasm"), other).expect("written");
    std::fs::copy(plugins().join("http-probe.wasm"), folder.join("http-probe.wasm")).expect("copied");
    let planned = command(site.0.path(), &["--plugin-path", "other", "plan", "w.toml", "--out", "a.cutplan"]).output();
    let planned = planned.expect("the program starts");
    assert!(planned.status.success(), "{}", seen(&planned));
    assert_eq!(site.document("run a.cutplan", 16)["error"]["code"], "CUT6056");
}

#[test]
fn the_soak_is_an_input_and_stands_in_the_plan() {
    let dual_run = "[dual_run]\nfrom = \"copy\"\nuntil = \"retire\"\nmin = \"${inputs.soak}\"\nmax = \"72h\"";
    let site = Site::with(&format!("[inputs]\nsoak = {{ type = \"duration\", default = \"1h\" }}\n{dual_run}"), "", "", "");
    site.cutover("validate w.toml", 0);
    let plan = |line: &str| site.document(line, 0)["plan"].clone();
    let (short, long) = (plan("plan w.toml"), plan("plan w.toml --var soak=90m"));
    assert_eq!((&short["dual_run"], &long["dual_run"]), (&"copy .. retire, 1h to 72h".into(), &"copy .. retire, 90m to 72h".into()));
    assert_ne!(short["digest"], long["digest"]);
    for (soak, code) in [("80h", "CUT0305"), ("soon", "CUT0317")] {
        let told = site.document(&format!("plan w.toml --var soak={soak}"), 1)["diagnostics"].clone();
        assert!(told.as_array().is_some_and(|problems| problems.iter().any(|problem| problem["code"] == code)), "{told:#}");
    }
}

#[test]
fn mistakes_and_missing_yes_are_told_before_anything() {
    let site = Site::new();
    site.write("bad.toml", "cutover = 1\nname = \"x\"\n[[step]]\nid = \"a\"\nuess = \"b.c\"\n");
    assert_eq!(site.document("plan bad.toml", 1)["diagnostics"][0]["file"], "bad.toml");
    assert!(seen(&site.cutover("run bad.toml --yes", 1)).contains("--> bad.toml:5:1"));
    assert_eq!(site.document("run w.toml", 64)["error"]["code"], "CUT6042");
    let unbound = site.document("run w.toml --yes --var nope=1", 1)["diagnostics"].clone();
    assert!(unbound.as_array().is_some_and(|problems| problems.iter().any(|problem| problem["code"] == "CUT0210")), "{unbound:#}");
    assert_eq!(site.document("run w.toml --yes --max-wait soon", 64)["error"]["code"], "CUT6003");
    assert!(site.is_as_before());
}

#[test]
fn jsonl_is_a_stream_of_events_and_the_ending() {
    let site = Site::new();
    let output = site.cutover("run w.toml --yes -o jsonl", 0);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["cutover_events"], &lines[lines.len() - 1]["ending"]), (&1.into(), &"completed".into()));
}

#[test]
fn two_plans_are_compared_and_shown_for_a_pull_request() {
    let site = Site::new();
    site.cutover("plan w.toml --out a.cutplan", 0);
    let same = seen(&site.cutover("plan diff a.cutplan a.cutplan", 0));
    assert!(same.contains("Both plans do the same."), "{same}");
    site.write("legacy/more.env", "NEW_KEY=n-0123456789abcdef\n");
    let text = std::fs::read_to_string(site.path("w.toml")).expect("text").replace("id = \"copy\"\n", "id = \"copy\"\ntimeout = \"5m\"\n");
    site.write("w.toml", &text);
    site.cutover("plan w.toml --out b.cutplan", 0);
    let diff = &site.document("plan diff a.cutplan b.cutplan", 0)["diff"];
    assert_eq!(diff["steps"][0], serde_json::json!({"what": "copy.timeout", "before": "1m", "after": "5m"}), "{diff}");
    let moved: Vec<&str> = diff["changes"].as_array().into_iter().flatten().filter_map(|change| change["what"].as_str()).collect();
    assert_eq!(moved, ["copy/target:more/NEW_KEY.json.age", "retire/source:more.env"], "{diff}");
    assert_eq!((&diff["same"], &diff["alike"]), (&0.into(), &3.into()), "{diff}");
    assert_eq!(diff["settings"], serde_json::json!([]), "{diff}");
    let markdown = String::from_utf8(site.cutover("plan show b.cutplan -o markdown", 0).stdout).expect("UTF-8");
    assert!(markdown.starts_with("### Plan `") && markdown.contains("| `+` | `copy` | "), "{markdown}");
    let fresh = String::from_utf8(site.cutover("plan w.toml -o markdown", 0).stdout).expect("UTF-8");
    assert!(fresh.contains("- **Access**: `legacy`: read (GET LIST)"), "{fresh}");
}
