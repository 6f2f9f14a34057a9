//! What may stand in which source file.

use std::path::Path;

use crate::checkout::{files, root, sources, text};

/// Lines of these files that hold one of the words, outside of comments.
fn lines_with(names: &[String], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        for (index, line) in text(name).lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}:{}: {code}", index + 1));
            }
        }
    }
    found
}

#[test]
fn the_engine_has_no_clock_file_socket_or_thread() {
    // Its tests under `host/engine/tests` read their cases from files.
    let words = [
        "std::fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "std::time",
        "std::thread",
        "std::process",
        "tokio",
        "SystemTime",
        "Instant::now",
        "wasmtime",
    ];
    assert_eq!(lines_with(&sources(&["host/engine/src"]), &words), Vec::<String>::new());
}

#[test]
fn unsafe_code_is_in_one_file() {
    let words = [concat!("uns", "afe {"), concat!("uns", "afe fn"), concat!("uns", "afe impl"), concat!("uns", "afe extern")];
    let found = lines_with(&sources(&["host", "xtask", "tests/src", "tests/tidy", "tests/in_process"]), &words);
    assert!(found.iter().all(|line| line.starts_with("host/runtime/src/sandbox/cache.rs:")), "{found:#?}");
    assert!(!found.is_empty(), "the cache of compiled code needs it: has it moved?");
}

#[test]
fn only_the_command_line_prints() {
    let words = [concat!("print", "ln!("), concat!("print", "!("), concat!("d", "bg!(")];
    let found = lines_with(&sources(&["host/engine/src", "host/runtime/src", "tests/src", "plugins"]), &words);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn files_are_named_for_what_they_are() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "imp", "impl"];
    let found: Vec<String> = sources(&["host", "plugins", "tests", "xtask"])
        .into_iter()
        .filter(|name| Path::new(name).with_extension("").iter().any(|part| vague.iter().any(|vague| part == *vague)))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_guest_is_named_in_a_test() {
    let folder = root().join("tests/guests");
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    let tests: String =
        sources(&["tests", "host", "xtask"]).iter().filter(|name| !name.starts_with("tests/guests/")).map(|name| text(name)).collect();
    for entry in entries.flatten().filter(|entry| entry.path().is_dir() && !entry.path().ends_with("target")) {
        let guest = entry.file_name().to_string_lossy().into_owned();
        assert!(tests.contains(&format!("\"{guest}")), "no test names the guest `{guest}`");
    }
}

#[test]
fn no_file_names_a_machine_or_a_registry_host() {
    // In two parts, so that this file does not hold them itself. Tests have made-up paths of their own.
    let machine = [concat!("/ro", "ot/"), concat!("/work/", "wt"), concat!("/work/", "main"), concat!("/work/", "shared")];
    let registries = [concat!("index.crates", ".io"), concat!("pypi", ".org")];
    let words = [&machine[..], &registries[..]].concat();
    let places = ["host", "plugins", "tests", "wit", "workflows", "xtask", ".cargo", ".ci"];
    let mut found = Vec::new();
    let top = ["Cargo.toml", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "deny.toml", "clippy.toml", "rustfmt.toml"];
    for name in files(&places).into_iter().chain(top.map(str::to_owned)) {
        // Binary files have no lines to look at.
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        found.extend(text.lines().filter(|line| words.iter().any(|word| line.contains(word))).map(|line| format!("{name}: {line}")));
    }
    assert_eq!(found, Vec::<String>::new());
}
