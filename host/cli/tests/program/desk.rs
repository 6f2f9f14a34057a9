//! A folder in which somebody works, and the program with nothing in its environment.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// Runs the program in `folder` with these variables only: none leads to locks or runs of somebody else.
pub(crate) fn cutover_with(folder: &Path, variables: &[(&str, &str)], line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// The same without any variable.
pub(crate) fn cutover(folder: &Path, line: &str) -> Output {
    cutover_with(folder, &[], line)
}

/// Everything that a person sees.
pub(crate) fn seen(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("exit {}\n--- stdout\n{out}--- stderr\n{err}", output.status.code().expect("it ended by itself"))
}

/// What a program reads on stdout.
pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", seen(output)))
}

/// A folder for one test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}
