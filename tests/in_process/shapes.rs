//! Secrets of many shapes are copied and taken back, and no byte of the state, of what was told or of a plugin's memory holds one.

use std::{fs, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cutover_engine::Ending;
use cutover_runtime::disk::SystemDisk;
use cutover_tests::{GuestMemory, MemoryKind, Rig, TestClock, watched_sandbox};
use serde_json::{Value, json};

const WORKFLOW: &str = r#"
cutover = 1
name = "canaries"
owner = "tests"

[plugins]
hostile = { path = "hostile.wasm" }

[connections]
source = { kind = "http", url = "https://source.test" }
target = { kind = "http", url = "https://target.test" }
elsewhere = { kind = "http", url = "https://elsewhere.test" }

[[step]]
id = "copy"
uses = "hostile.copy"
connections = { source = "source", target = "target", elsewhere = "elsewhere" }
"#;

/// Sixteen shapes of at least 16 bytes; none occurs anywhere by chance.
const CANARIES: [&str; 16] = [
    "canary-01-plain-password",
    "canary 02 with spaces in it",
    "canary03\"quoted\"and\\backslashed",
    "canary-04\nof two\nlines here",
    "canary-05-ünïcödé-ßecret",
    "AKIACANARY06EXAMPLE7",
    "ghp_canary07aBcDeFgHiJkLmNoPqRsTuV",
    "hvs.CAESICANARY08abcdefghijklmn",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkwOSJ9.",
    "-----BEGIN PRIVATE KEY-----canary10==-----END PRIVATE KEY-----",
    "postgres://user:canary-11-secret@db/x",
    "Y2FuYXJ5LTEyLWFscmVhZHktYmFzZTY0",
    "63616e6172792d31332d616c7265616479",
    "canary=14&form=encoded%20value",
    "<canary number=\"15\">markup</canary>",
    "1616161616161616canary",
];

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
}

fn forms(canary: &str) -> [String; 4] {
    let json = Value::from(canary).to_string();
    [canary.to_owned(), json.trim_matches('"').to_owned(), STANDARD.encode(canary), hex::encode(canary)]
}

fn assert_free(place: &str, bytes: &[u8]) {
    for canary in CANARIES {
        for form in forms(canary) {
            let holds = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!holds, "{place} holds `{canary}`");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_reaches_the_state_an_event_or_a_plugin() {
    let kind = MemoryKind::new();
    let (source, target) = (kind.server("https://source.test"), kind.server("https://target.test"));
    let all: Value = CANARIES.iter().enumerate().map(|(n, canary)| (format!("shape{n}"), json!(canary))).collect();
    source.put("s/1", all.clone());
    source.put("s/2", json!([CANARIES[0], { "nested": CANARIES[1] }]));
    source.put("s/3", json!({ "password": CANARIES[5] }));
    target.put("t/1", json!({ "old": CANARIES[15] }));
    let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(TestClock::new()), kind.kinds());
    let needles = CANARIES.iter().flat_map(|canary| forms(canary).map(|form| ((*canary).to_owned(), form.into_bytes())));
    let memories = GuestMemory::searched_for(needles);
    rig.host.sandbox = watched_sandbox(memories.clone());
    let (rested, there) = rig.run(WORKFLOW, &[("hostile", "hostile")]).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{there:#?}");
    assert_eq!(target.documents()["t/1"], all, "the secrets themselves arrived");
    let (rested, back) = rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack, "{back:#?}");
    assert_eq!(target.documents()["t/1"], json!({ "old": CANARIES[15] }));

    let mut found = Vec::new();
    files(&rig.path("state"), &mut found);
    assert!(found.iter().any(|(path, _)| path.ends_with("sealed.log")) && found.iter().any(|(path, _)| path.ends_with("journal.jsonl")));
    found.iter().for_each(|(path, bytes)| assert_free(path, bytes));
    assert_free("an event", format!("{there:?}{back:?}").as_bytes());
    let seen = memories.seen();
    assert!(seen.imports > 0 && seen.ends > 0 && seen.unseen == 0, "{seen:?}");
    assert!(seen.hits.is_empty(), "{:?}", seen.hits);
}
