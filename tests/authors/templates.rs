//! `plugin new`, `plugin build`, `plugin test`: green in three commands, in each language, without a network.

use std::{fs, os::unix::fs::symlink, path::Path};

use cutover_tests::{guests_workspace, tools};
use serde_json::Value;

use crate::desk::{Desk, seen};

#[test]
fn a_plugin_in_rust_is_green_in_three_commands_with_vendored_crates() {
    let desk = vendored(Desk::new());
    three_commands(&desk, "mover", "rust", "migrator");
    three_commands(&desk, "looker", "rust", "prober");
    // The plugin's own unit tests, natively. `--locked`: the lock file that came with it is complete.
    let mut cargo = desk.command(Path::new("cargo"));
    let tested = cargo.args(["test", "--quiet", "--offline", "--locked"]).current_dir(desk.path("mover")).output().expect("cargo starts");
    assert!(tested.status.success(), "{}", seen(&tested));

    // What the language says of a mistake is shown, and the component of before stays.
    let (code, before) = (fs::read_to_string(desk.path("mover/src/lib.rs")), fs::read(desk.path("mover/mover.wasm")));
    desk.write("mover/src/lib.rs", &code.expect("the template").replace("fn wanted(input: &Value)", "fn wanted(input: &Valu)"));
    let refused = desk.cutover("plugin build mover");
    assert_eq!(refused.status.code(), Some(1), "{}", seen(&refused));
    let told = seen(&refused);
    assert!(told.contains("error[CUT6073]") && told.contains("Valu"), "{told}");
    assert_eq!(fs::read(desk.path("mover/mover.wasm")).ok(), before.ok());
}

#[test]
fn a_plugin_in_javascript_is_green_in_three_commands() {
    let desk = Desk::new().finding(&tools("js").join("node_modules/.bin"));
    three_commands(&desk, "mover", "js", "migrator");
    three_commands(&desk, "looker", "js", "prober");
}

#[test]
fn a_plugin_in_python_is_green_in_three_commands() {
    let desk = Desk::new().with("PYTHONPATH", &tools("python"));
    three_commands(&desk, "mover", "python", "migrator");
    three_commands(&desk, "looker", "python", "prober");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let desk = Desk::new();
    desk.write("mover/wit/types.wit", "mine");
    let refused = desk.cutover("plugin new mover --lang js");
    assert_eq!(refused.status.code(), Some(1), "{}", seen(&refused));
    assert!(seen(&refused).contains("mover/wit/types.wit` is there already"), "{}", seen(&refused));
    assert_eq!(fs::read_to_string(desk.path("mover/wit/types.wit")).expect("a file"), "mine");
    assert!(!desk.path("mover/app.js").exists(), "nothing else was written either");
}

#[test]
fn a_missing_tool_is_told_with_the_command_that_installs_it() {
    let desk = Desk::new();
    let empty = desk.path("empty");
    fs::create_dir(&empty).expect("a folder");
    let desk = desk.with("PATH", &empty);
    for (language, tool, remedy) in [
        ("rust", "wasm32-unknown-unknown", "rustup target add wasm32-unknown-unknown"),
        ("js", "`jco`", "npm install --ignore-scripts --prefix p-js"),
        ("python", "`componentize-py`", "p-python/.venv/bin/pip install -r p-python/requirements.txt"),
    ] {
        let name = format!("p-{language}");
        desk.done(&format!("plugin new {name} --lang {language}"));
        let refused = desk.cutover(&format!("plugin build {name}"));
        assert_eq!(refused.status.code(), Some(1), "{}", seen(&refused));
        let told = seen(&refused);
        assert!(told.contains("error[CUT6072]") && told.contains(tool) && told.contains(remedy), "{told}");
    }
}

#[test]
fn a_folder_without_a_plugin_or_a_fixture_says_what_to_type() {
    let desk = Desk::new();
    desk.write("empty/readme", "");
    let refused = seen(&desk.cutover("plugin build empty"));
    assert!(refused.contains("error[CUT6071]") && refused.contains("cutover plugin new NAME"), "{refused}");
    desk.done("plugin new mover --lang js");
    let refused = seen(&desk.cutover("plugin test mover"));
    assert!(refused.contains("cutover plugin build mover"), "{refused}");
    fs::remove_file(desk.path("mover/conformance.toml")).expect("removed");
    desk.write("mover/mover.wasm", "");
    let refused = seen(&desk.cutover("plugin test mover"));
    assert!(refused.contains("error[CUT6074]") && refused.contains("conformance.toml"), "{refused}");
}

/// Begins, builds and tests a plugin; every rule that binds it must have been looked at and be kept.
fn three_commands(desk: &Desk, name: &str, language: &str, world: &str) {
    let begun = desk.done(&format!("plugin new {name} --lang {language} --world {world}"));
    assert!(begun["next"].as_str().is_some_and(|next| next.ends_with(&format!("cutover plugin build {name}"))), "{begun}");
    if language == "rust" {
        share_target(desk, name);
    }
    let built = desk.done(&format!("plugin build {name}"));
    assert_eq!(built["next"], format!("cutover plugin test {name}"));
    assert_eq!(built["plugin"]["manifest"]["name"], format!("example:{name}"));
    let tested = desk.done(&format!("plugin test {name}"));
    assert_eq!(tested["conforms"], true);
    let cases = tested["cases"].as_array().expect("cases");
    let rules = if world == "migrator" { 15 } else { 5 };
    for case in cases {
        let findings = case["findings"].as_array().expect("findings");
        let kept: Vec<&Value> = findings.iter().filter(|finding| finding["found"] == "kept").collect();
        assert_eq!((findings.len(), kept.len()), (rules, rules), "{case:#}");
    }
    assert_eq!(cases.len(), 2);
}

/// Crates come from a folder, as on a machine that no registry can be reached from, and cargo has no cache to look into.
fn vendored(desk: Desk) -> Desk {
    let mut cargo = desk.command(Path::new("cargo"));
    let vendor = cargo.args(["vendor", "--quiet", "--offline", "--locked"]).arg(desk.path("vendor")).current_dir(guests_workspace());
    let vendored = vendor.output().expect("cargo starts");
    assert!(vendored.status.success(), "{}; type `cargo xtask plugins`", seen(&vendored));
    let folder = desk.path("vendor");
    let source = "[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = ";
    desk.write(".cargo/config.toml", &format!("{source}\"{}\"\n", folder.display()));
    let home = desk.path("cargo-home");
    fs::create_dir(&home).expect("a folder");
    desk.with("CARGO_HOME", &home).with("CARGO_NET_OFFLINE", Path::new("true"))
}

/// What cargo compiled for one plugin of the desk is there for the next.
fn share_target(desk: &Desk, name: &str) {
    fs::create_dir_all(desk.path("target")).expect("a folder");
    symlink(desk.path("target"), desk.path(name).join("target")).expect("a link");
}
