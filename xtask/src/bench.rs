//! `cargo xtask bench`: builds guests, program and benchmarks, then prints the table.

use std::{path::Path, process::Command};

use crate::{
    failed::{Failed, cargo, run},
    plugins,
};

/// What is measured is optimised as a release would be. Other work leaves these crates as they are, to compile quickly.
const OWN: [&str; 4] = ["cutover-engine", "cutover-runtime", "cutover-cli", "cutover-tests"];

/// The whole workspace, with a test among the targets: so crates have the features that the tests have, and Wasmtime is not
/// compiled again.
const TARGETS: [&str; 7] = ["build", "--quiet", "--locked", "--workspace", "--bin=bench", "--bin=cutover", "--test=tidy"];

/// Runs the measurements of these names, or all.
pub(crate) fn measure(root: &Path, names: &[&str]) -> Result<(), Failed> {
    plugins::build(root)?;
    let mut build = cargo(root);
    build.args(TARGETS);
    for package in OWN {
        build.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=2"));
    }
    run(&mut build)?;
    run(Command::new(plugins::cutover(root).with_file_name("bench")).args(names).current_dir(root))
}
