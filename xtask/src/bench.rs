//! `cargo xtask bench`: builds guests, program and benchmarks, then prints the table.

use std::{path::Path, process::Command};

use crate::{
    failed::{Failed, run},
    openbao, plugins, program,
};

/// What is measured is optimised as a release would be. Other work leaves these crates as they are, to compile quickly.
const OWN: [&str; 4] = ["cutover-engine", "cutover-runtime", "cutover-cli", "cutover-tests"];

/// Runs the measurements of these names, or all.
pub(crate) fn measure(root: &Path, names: &[&str]) -> Result<(), Failed> {
    plugins::build(root)?;
    if names.is_empty() || names.contains(&"kv") {
        openbao::install(root)?;
    }
    let optimised = OWN.map(|package| format!("--config=profile.dev.package.{package}.opt-level=3"));
    let further: Vec<&str> = ["--quiet", "--bin=bench"].into_iter().chain(optimised.iter().map(String::as_str)).collect();
    program::build(root, &further)?;
    run(Command::new(program::path(root).with_file_name("bench")).args(names).current_dir(root))
}
