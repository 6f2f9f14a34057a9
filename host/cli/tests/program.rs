//! The program as people and scripts meet it: arguments in; stdout, stderr and exit code out.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use insta::assert_snapshot;
use serde_json::Value;

/// Runs the program in `folder` with nothing in its environment.
fn cutover_with(folder: &Path, variables: &[(&str, &str)], line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn cutover(folder: &Path, line: &str) -> Output {
    cutover_with(folder, &[], line)
}

/// Everything that a person sees.
fn seen(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("exit {}\n--- stdout\n{out}--- stderr\n{err}", output.status.code().expect("it ended by itself"))
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", seen(output)))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn short_help_of_the_program() {
    assert_snapshot!(seen(&cutover(folder().path(), "-h")), @"");
}

#[test]
fn long_help_of_run() {
    assert_snapshot!(seen(&cutover(folder().path(), "run --help")), @"");
}

#[test]
fn version_is_an_answer() {
    assert_snapshot!(seen(&cutover(folder().path(), "--version")), @"");
}

#[test]
fn usage_errors_exit_with_64() {
    assert_snapshot!(seen(&cutover(folder().path(), "plan --outt x a.toml")), @"");
    assert_snapshot!(seen(&cutover(folder().path(), "doctor --fix")), @"");
}

#[test]
fn usage_errors_are_json_where_json_was_asked_for() {
    assert_snapshot!(seen(&cutover(folder().path(), "plna -o json")), @"");
    let line = cutover(folder().path(), "runs watch 7f3a --output=jsonl");
    assert_eq!(String::from_utf8_lossy(&line.stdout).lines().count(), 1);
    assert_eq!((document(&line)["error"]["code"].as_str(), line.status.code()), (Some("CUT6002"), Some(64)));
}

#[test]
fn a_bug_exits_with_70_and_does_not_show_its_payload() {
    let output = cutover(folder().path(), "__panic canary-canary-canary -o json");
    let text = seen(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(!text.contains("canary") && text.contains("host/cli/src/command.rs:"), "{text}");
    let document = document(&output);
    assert_eq!((document["error"]["code"].as_str(), document["exit"].as_u64()), (Some("CUT9001"), Some(70)));
}

#[test]
fn a_bug_leaves_no_core_file() {
    let folder = folder();
    assert_eq!(cutover(folder.path(), "__panic x").status.code(), Some(70));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn a_key_on_the_command_line_is_refused_and_not_repeated() {
    for (line, variables) in [("--key hvs.canary-canary", &[][..]), ("", &[("CUTOVER_KEY", "hvs.canary-canary")])] {
        let output = cutover_with(folder().path(), variables, line);
        let text = seen(&output);
        assert!(output.status.code() == Some(64) && !text.contains("canary") && text.contains("CUT6003"), "{text}");
    }
}

#[test]
fn colour_is_there_only_where_it_is_wanted() {
    let folder = folder();
    let escapes = |variables: &[(&str, &str)], line: &str| {
        let output = cutover_with(folder.path(), variables, line);
        (output.stdout.contains(&0x1b), output.stderr.contains(&0x1b))
    };
    assert_eq!(escapes(&[], ""), (false, false));
    assert_eq!(escapes(&[], "plna"), (false, false));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1")], ""), (true, false));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1")], "plna"), (false, true));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], "plna"), (false, false));
    assert_eq!(escapes(&[], "--color always --help"), (true, false));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1")], "--color never --help"), (false, false));
}

#[test]
fn init_writes_a_workflow_once_and_says_the_next_command() {
    let folder = folder();
    assert_snapshot!(seen(&cutover(folder.path(), "init payments")), @"");
    let written = std::fs::read_to_string(folder.path().join("payments/workflow.toml")).expect("written");
    std::fs::write(folder.path().join("payments/workflow.toml"), "mine").expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "init payments")), @"");
    assert_eq!(std::fs::read_to_string(folder.path().join("payments/workflow.toml")).expect("kept"), "mine");
    assert!(written.contains("copy-files"));
    assert_eq!(std::fs::read_to_string(folder.path().join("payments/.gitignore")).expect("written"), ".cutover/\n*.cutplan\n");
}

#[test]
fn init_tells_programs_what_it_wrote() {
    let folder = folder();
    let written = document(&cutover(folder.path(), "init -o json --template blank"));
    assert_eq!(written["written"][0], "./workflow.toml");
    assert_eq!(written["exit"], 0);
    let again = document(&cutover(folder.path(), "init -o json"));
    assert_eq!((again["error"]["code"].as_str(), again["exit"].as_u64()), (Some("CUT6014"), Some(1)));
}

#[test]
fn without_a_command_it_lists_workflows() {
    let folder = folder();
    assert_snapshot!(seen(&cutover(folder.path(), "")), @"");
    assert_eq!(document(&cutover(folder.path(), "-o json"))["workflows"], serde_json::json!([]));
    cutover(folder.path(), "init");
    assert_snapshot!(seen(&cutover(folder.path(), "")), @"");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = cutover(folder().path(), &format!("completions {shell}"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("rollback") && text.contains("pre-image"), "{shell}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["completions", "zsh"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(seen(&output), "exit 0\n--- stdout\n--- stderr\n");
}
