//! Whatever the program is asked, and however loudly: no shape of a secret is in anything that it says or leaves.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use age::secrecy::ExposeSecret as _;
use cutover_tests::{
    GuestMemory,
    canary::{canaries, spellings},
};
use serde_json::{Map, Value};

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

fn run(folder: &Path, line: &str) -> Output {
    let here = std::env::current_exe().expect("this test");
    let program = here.ancestors().nth(2).expect("a target folder").join("cutover");
    let mut command = Command::new(&program);
    command.args(["--plugin-path", "."]).args(line.split_whitespace()).current_dir(folder).env_clear().env("RUST_LOG", "trace");
    command.output().unwrap_or_else(|error| panic!("{}: {error}; type `cargo build -p cutover-cli`", program.display()))
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
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let identity = age::x25519::Identity::generate();
    for name in ["legacy", "store/all"] {
        fs::create_dir_all(path(name)).expect("a folder");
    }
    let canaries = canaries();
    let document: Map<String, Value> = canaries.iter().map(|(name, secret)| (name.clone(), Value::from(secret.clone()))).collect();
    fs::write(path("legacy/all.json"), Value::from(document).to_string()).expect("a file");
    fs::write(path("identity"), identity.to_string().expose_secret()).expect("a file");
    fs::write(path("vault-migrator.wasm"), cutover_tests::component("vault-migrator").await).expect("a file");
    let workflow = format!(
        r#"cutover = 1
name = "loud"
owner = "tests"

[plugins]
files = {{ path = "vault-migrator.wasm" }}

[connections]
legacy = {{ kind = "file", path = "legacy" }}
store = {{ kind = "file", path = "store", identity = "file:identity", recipients = ["{}"] }}

[[step]]
id = "copy"
uses = "files.copy-files"
connections = {{ source = "legacy", target = "store" }}
"#,
        identity.to_public()
    );
    fs::write(path("w.toml"), workflow).expect("a file");

    let mut said: Vec<(String, Vec<u8>)> = Vec::new();
    for (line, exit) in COMMANDS {
        if line == "plan w.toml" {
            // One secret in place of another: from now on there is a conflict to be told.
            let foreign = age::encrypt(&identity.to_public(), br#"{"value": "correct horse battery staple canary"}"#).expect("encrypted");
            fs::write(path("store/all/sixteen.json.age"), foreign).expect("a file");
        }
        let output = run(folder.path(), line);
        let text = [output.stdout, output.stderr].concat();
        assert_eq!(output.status.code(), Some(exit), "{line}: {}", String::from_utf8_lossy(&text));
        said.push((line.to_owned(), text));
    }
    left(folder.path(), &mut said);
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
