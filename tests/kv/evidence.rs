//! What a run leaves holds no secret, and says of its writes what the servers' own audit logs say.

use std::{collections::BTreeMap, fs, path::Path};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use cutover_tests::OpenBao;

use crate::site::{MOUNT, Site, events};

/// No file below the site's folder (state, plan, events, outputs) holds one of these or a token, in any spelling.
pub(crate) fn no_secret_is_left(site: &Site, secrets: &[String]) {
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).chain(site.tokens.iter().map(|(_, token)| token.as_str())).collect();
    let search = AhoCorasick::new(secrets.iter().flat_map(|secret| spellings(secret))).expect("a search");
    // It would find one.
    for (before, secret) in secrets.iter().enumerate().step_by(97) {
        assert!(search.is_match(*secret) && search.is_match(&hex::encode_upper(secret)));
        assert!(search.is_match(&STANDARD.encode([&b"ab"[..before % 3], secret.as_bytes()].concat())));
    }
    let mut read = 0;
    let mut folders = vec![site.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if entry.file_type().expect("a file").is_dir() {
                folders.push(path);
            } else if entry.file_type().expect("a file").is_file() {
                let content = fs::read(&path).expect("a file");
                let hit = search.find(&content).map(|hit| hit.start());
                assert_eq!(hit, None, "a secret is in `{}` at this byte", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 5, "{read} files are not what a run leaves");
}

/// The journal has exactly the writes that the audit logs have; apart from them the run only read, and only this mount.
pub(crate) fn journal_and_audit_agree(site: &Site, journal: &Path) {
    let mut journaled: BTreeMap<String, i64> = BTreeMap::new();
    for event in events(journal) {
        match event["type"].as_str() {
            Some("write-sent") => {
                let (method, path) = event["request"].as_str().and_then(|request| request.split_once(' ')).expect("METHOD PATH");
                *journaled.entry(format!("{method} {}", unescaped(path))).or_default() += 1;
            }
            Some("write-answered") => assert_ne!(event["status"], 0, "{event}: never left"),
            _ => {}
        }
    }
    assert!(!journaled.is_empty());
    let mut audited: BTreeMap<String, i64> = BTreeMap::new();
    for (server, policies) in [(&site.old, ["source", "source-retire"]), (&site.new, ["target", "auditor"])] {
        for (policy, writes) in policies.iter().map(|policy| (policy, writes_of(server, policy))) {
            assert!(writes.is_empty() || ["source-retire", "target"].contains(policy), "{policy} wrote {writes:?}");
            for (request, count) in writes {
                *audited.entry(request).or_default() += count;
            }
        }
    }
    let differ = |(request, count): &(&String, &i64)| audited.get(*request) != Some(count);
    let only_journaled: Vec<_> = journaled.iter().filter(differ).take(10).collect();
    assert!(only_journaled.is_empty(), "not so in the audit logs: {only_journaled:#?}");
    let missed: Vec<_> = audited.keys().filter(|request| !journaled.contains_key(*request)).take(10).collect();
    assert!(missed.is_empty(), "not in the journal: {missed:#?}");
}

/// The writes that came with a token of this policy, counted; reads must be of the mount or what every token may ask.
fn writes_of(server: &OpenBao, policy: &str) -> BTreeMap<String, i64> {
    let mut writes = BTreeMap::new();
    server.each_audited(|entry| {
        let of_policy = entry["auth"]["policies"].as_array().is_some_and(|policies| policies.contains(&policy.into()));
        if entry["type"] != "request" || !of_policy {
            return;
        }
        let request = &entry["request"];
        let (operation, path) = (request["operation"].as_str().unwrap_or_default(), request["path"].as_str().unwrap_or_default());
        let of_mount = path.starts_with(&format!("{MOUNT}/"));
        match operation {
            "read" | "list" => assert!(of_mount || is_everybodys(path), "{policy} reads {path}"),
            // Asks what a token may do: a question in the form of a write.
            "update" if path == "sys/capabilities-self" => {}
            "create" | "update" => *writes.entry(format!("PUT /v1/{path}")).or_default() += 1,
            _ => *writes.entry(format!("{} /v1/{path}", operation.to_uppercase())).or_default() += 1,
        }
    });
    writes
}

fn is_everybodys(path: &str) -> bool {
    // The host asks which mount a key is in.
    let mounts = path.strip_prefix("sys/internal/ui/mounts/");
    path == "auth/token/lookup-self" || mounts.is_some_and(|key| key == MOUNT || key.starts_with(&format!("{MOUNT}/")))
}

fn unescaped(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code =
            (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).expect("names are text")
}

/// The ways in which a secret could be written down: clear, hexadecimal, base64 at each offset. Edges that a base64 digit
/// shares with its neighbours are left out.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut spellings = vec![bytes.to_vec(), hex::encode(bytes).into_bytes(), hex::encode_upper(bytes).into_bytes()];
    for engine in [&STANDARD, &URL_SAFE] {
        for before in 0..3 {
            let text = engine.encode([&vec![0; before], bytes].concat());
            let end = (before + bytes.len()) / 3 * 4;
            spellings.push(text.as_bytes()[(before * 8).div_ceil(6)..end].to_vec());
        }
    }
    spellings
}
