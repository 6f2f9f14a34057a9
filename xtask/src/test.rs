//! `cargo xtask test`: every test of the project; `cargo xtask lint`: its form.

use std::{path::Path, time::Instant};

use crate::{
    bindings,
    failed::{Failed, cargo, run},
    openbao, plugins, polyglot,
    runner::Runner,
};

/// All targets at once, so that crates are compiled for the tests' features only, and once.
const ALL: [&str; 4] = ["build", "--locked", "--workspace", "--all-targets"];

/// Builds everything, then runs the tests of guests and host. The host's come last: theirs is the summary at the end.
pub(crate) fn all(root: &Path) -> Result<(), Failed> {
    step("the host, built for the tests and for packing the guests", || run(cargo(root).args(ALL)))?;
    step("the guests, built for wasm and packed", || plugins::build(root).and_then(|modules| plugins::pack(root, &modules)))?;
    // A failure up to here leaves nothing to test; one from here on does not keep the other tests from running.
    let mut failures = Vec::new();
    failures.extend(step("the guests in JavaScript and Python", || polyglot::build(root)).err());
    failures.extend(step("the SDK's bindings, compared with wit/", || bindings::check(root)).err());
    failures.extend(step("the guests' own tests", || run(guests(root).args(["test", "--quiet", "--locked", "--workspace"]))).err());
    failures.extend(step("OpenBao, for the tests against a real server", || openbao::install(root).map(drop)).err());
    let runner = Runner::find(root);
    failures.extend(step("the host's tests", || run(&mut runner.command(root))).err());
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failed(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nxtask: ")))
}

/// Formatting and lints of host and guests.
pub(crate) fn lint(root: &Path) -> Result<(), Failed> {
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    step("the form of the host", || run(cargo(root).args(["fmt", "--all", "--check"])))?;
    step("the form of the guests", || run(guests(root).args(["fmt", "--all", "--check"])))?;
    step("lints of the host", || run(cargo(root).args(clippy)))?;
    step("lints of the guests", || run(guests(root).args(clippy)))
}

/// Cargo in the guests' workspace, for this machine: natively built, they test without a sandbox.
fn guests(root: &Path) -> std::process::Command {
    let mut command = cargo(&root.join("plugins"));
    command.env("CARGO_TARGET_DIR", root.join("target/guests-native"));
    command
}

/// Tells what is being done, and how long it took.
fn step(name: &str, work: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    println!("xtask: {name}");
    let start = Instant::now();
    let done = work();
    if done.is_ok() {
        // On stderr, so that the last line on stdout is the runner's own.
        eprintln!("xtask: {name}: done in {} s", start.elapsed().as_secs());
    }
    done
}
