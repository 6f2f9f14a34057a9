//! `cargo xtask bench`: builds guests, program and benchmarks, then prints the table.

use std::{path::Path, process::Command};

use crate::{
    failed::{Failed, run},
    openbao, plugins, program,
};

/// Runs the measurements of these names, or all.
pub(crate) fn measure(root: &Path, names: &[&str]) -> Result<(), Failed> {
    plugins::build(root)?;
    if names.is_empty() || names.contains(&"kv") {
        openbao::install(root)?;
    }
    program::build_shipped(root, &["--quiet", "--bin=bench"])?;
    run(Command::new(program::path(root).with_file_name("bench")).args(names).current_dir(root))
}
