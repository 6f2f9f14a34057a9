//! Documents that must say what is so.

use cutover_runtime::sandbox::CONTRACT_VERSION;

use crate::checkout::{files, sources, text};

/// The commands that xtask understands: the arms of its `match`.
fn commands() -> Vec<String> {
    let main = text("xtask/src/main.rs");
    main.lines().filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next().map(str::to_owned)).collect()
}

#[test]
fn the_two_commands_of_the_readme_are_those_of_xtask() {
    let (readme, known) = (text("README.md"), commands());
    let named: Vec<&str> = readme.lines().filter_map(|line| line.trim().strip_prefix("cargo xtask ")?.split_whitespace().next()).collect();
    assert_eq!(named.get(..2), Some(["demo", "test"].as_slice()), "they come first");
    for name in named {
        assert!(known.iter().any(|command| command == name), "README names `cargo xtask {name}`; there are {known:?}");
    }
}

#[test]
fn the_gate_runs_all_tests() {
    assert!(text(".ci/run").contains("exec cargo xtask test"));
}

#[test]
fn the_host_offers_the_version_of_the_contract_in_wit() {
    let wanted = format!("package cutover:plugin@{CONTRACT_VERSION};");
    let packages: Vec<String> = files(&["wit"])
        .iter()
        .flat_map(|name| text(name).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with("package "))
        .collect();
    assert!(!packages.is_empty() && packages.iter().all(|package| *package == wanted), "{packages:?}, not {wanted}");
}

#[test]
fn the_readme_lists_every_exit_code() {
    let (readme, codes) = (text("README.md"), text("host/cli/src/exit_code.rs"));
    let numbers =
        codes.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => ")?.1.strip_suffix(',')?.parse::<u8>().ok());
    let mut count = 0;
    for number in numbers {
        count += 1;
        assert!(readme.contains(&format!("\n| {number} |")), "README has no line for exit code {number}");
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn the_tests_that_documents_name_are_there() {
    let sources: String = sources(&["host", "tests", "plugins"]).iter().map(|name| text(name)).collect();
    let documents = [text("ARCHITECTURE.md"), text("plugins/vault-migrator/README.md")].concat();
    let words =
        documents.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_').filter(|word| word.matches('_').count() >= 3);
    let missing: Vec<&str> = words.filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
