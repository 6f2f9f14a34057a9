//! Commands that are shown and not run, each with its reason.

use std::fs;

use crate::{block::fences, player::root};

/// How each `shell` block begins, and why it is not run here.
const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "cargo xtask demo", "builds everything; `.ci/run` runs the second"),
    ("README.md", NEW, "builds a plugin: `tests/authors` runs the three commands"),
    ("docs/src/plugins.md", NEW, "as in the README"),
];
const NEW: &str = "cutover plugin new mover --lang rust";

/// The README and every page of the book but those of the codes, whose examples are fragments.
pub(crate) fn documents() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned()];
    for folder in ["docs/src", "docs/src/operator", "docs/src/vendor", "docs/src/reference"] {
        let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let files = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.extend(files.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    names.sort();
    names.into_iter().map(|name| (name.clone(), fs::read_to_string(root().join(&name)).expect("text"))).collect()
}

#[test]
fn every_block_of_commands_is_run_or_listed_with_a_reason() {
    let known = ["sh", "console", "shell", "text", "toml", "json", "yaml", "rust", "hcl"];
    let mut found = Vec::new();
    for (name, text) in documents() {
        for (language, text) in fences(&text) {
            assert!(known.contains(&language.as_str()), "{name}: a block of language `{language}`: commands are `sh` or `console`");
            if language == "shell" {
                found.push((name.clone(), text.lines().next().unwrap_or_default().to_owned()));
            }
        }
    }
    let fits =
        |((page, line), (listed, beginning, _)): (&(String, String), &(&str, &str, &str))| page == listed && line.starts_with(beginning);
    assert!(found.len() == NOT_RUN.len() && found.iter().zip(NOT_RUN).all(fits), "{found:#?}, and listed are {NOT_RUN:#?}");
}
