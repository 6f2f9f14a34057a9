//! The pages of the reference say what the program says of itself.

use std::{fs, process::Command};

use crate::player::{program, root};

/// What `cargo xtask book --reference` wrote is what the program prints now.
fn is_current(page: &str, words: &[&str]) {
    let output = Command::new(program()).args(words).args(["-o", "markdown"]).current_dir(root()).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = root().join("docs/src/reference").join(page);
    let written = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(written, String::from_utf8_lossy(&output.stdout), "type `cargo xtask book --reference`");
}

#[test]
fn the_page_of_commands() {
    is_current("commands.md", &["man"]);
}

#[test]
fn the_page_of_the_workflow_file() {
    is_current("workflow.md", &["schema"]);
}

#[test]
fn the_pages_of_the_plugins() {
    is_current("vault-migrator.md", &["plugin", "inspect", "target/plugins/vault-migrator.wasm"]);
    is_current("http-probe.md", &["plugin", "inspect", "target/plugins/http-probe.wasm"]);
}
