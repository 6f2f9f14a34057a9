//! Whatever the program is asked, and however loudly: no shape of a secret is in anything that it says or leaves.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use cutover_tests::{
    GuestMemory,
    canary::{canaries, spellings},
};
use serde_json::{Map, Value};

use crate::site::Site;

/// Every command that touches a run, in an order in which it succeeds or fails for a reason of its own.
const COMMANDS: [(&str, i32); 16] = [
    ("validate w.toml", 0),
    ("plan w.toml --out a.cutplan", 0),
    ("plan w.toml -o json", 0),
    ("plan w.toml -o markdown", 0),
    ("plan show a.cutplan", 0),
    ("graph w.toml -o svg", 0),
    ("run a.cutplan -o jsonl --events e.jsonl", 0),
    ("runs list -o json", 0),
    ("runs show last", 0),
    ("runs show last -o json", 0),
    ("plan w.toml", 1),
    ("rollback last --dry-run", 0),
    ("rollback last --yes --events e.jsonl", 11),
    ("runs show last -o json", 11),
    ("resume last", 11),
    ("plan w.toml -o json", 1),
];

fn run(site: &Site, line: &str) -> Output {
    let words: Vec<&str> = ["--plugin-path", "."].into_iter().chain(line.split_whitespace()).collect();
    site.command(&words).env("RUST_LOG", "trace").output().expect("the program starts")
}

/// Everything below `folder`, but what the secrets belong to.
fn left(folder: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if path.ends_with("legacy") || path.ends_with("store") => {}
            true => left(&path, out),
            false => out.push((path.display().to_string(), fs::read(&path).expect("a file"))),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_says_or_leaves_a_secret() {
    let site = Site::new("loud", "").await;
    let canaries = canaries();
    let document: Map<String, Value> = canaries.iter().map(|(name, secret)| (name.clone(), Value::from(secret.clone()))).collect();
    fs::write(site.path("legacy/all.json"), Value::from(document).to_string()).expect("a file");

    let mut said: Vec<(String, Vec<u8>)> = Vec::new();
    for (line, exit) in COMMANDS {
        if line == "plan w.toml" {
            // One secret in place of another: from now on there is a conflict to be told.
            let foreign =
                age::encrypt(&site.identity.to_public(), br#"{"value": "correct horse battery staple canary"}"#).expect("encrypted");
            fs::write(site.path("store/all/sixteen.json.age"), foreign).expect("a file");
        }
        let output = run(&site, line);
        let text = [output.stdout, output.stderr].concat();
        assert_eq!(output.status.code(), Some(exit), "{line}: {}", String::from_utf8_lossy(&text));
        said.push((line.to_owned(), text));
    }
    left(&site.path(""), &mut said);
    assert!(said.iter().any(|(place, _)| place.ends_with("journal.jsonl")) && said.iter().any(|(place, _)| place.ends_with("e.jsonl")));

    let needles =
        |(name, secret): &(String, String)| spellings(secret).into_iter().map(|spelling| (name.clone(), spelling)).collect::<Vec<_>>();
    let search = GuestMemory::searched_for(canaries.iter().flat_map(needles));
    let found: BTreeSet<String> =
        said.iter().flat_map(|(place, text)| search.search(text).into_iter().map(move |name| format!("{place}: {name}"))).collect();
    assert!(found.is_empty(), "{found:#?}");
    let planted = canaries.iter().flat_map(|(_, secret)| search.search(secret.as_bytes())).collect::<BTreeSet<_>>();
    assert_eq!(planted.len(), canaries.len(), "the search finds what is there");
}
