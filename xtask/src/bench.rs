//! `cargo xtask bench`: builds guests, program and benchmarks, then prints the table.

use std::{env, path::Path, process::Command};

use crate::{
    failed::{Failed, run},
    plugins,
};

/// Runs the measurements of these names, or all. The profile is that of product and tests: wasmtime compiles once.
pub(crate) fn measure(root: &Path, names: &[&str]) -> Result<(), Failed> {
    plugins::build(root)?;
    run(cargo(root).args(["build", "--quiet", "--package", "cutover-cli"]))?;
    run(cargo(root).args(["run", "--quiet", "--package", "cutover-tests", "--bin", "bench", "--"]).args(names))
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}
