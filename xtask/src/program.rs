//! The program that is shipped, built once for everything that needs it.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::failed::{Failed, cargo, run};

/// The whole workspace, with a test among the targets: so crates have the features that the tests have, and Wasmtime is not
/// compiled a second time.
const TARGETS: [&str; 5] = ["build", "--locked", "--workspace", "--bin=cutover", "--test=tidy"];

/// Builds it, with these further arguments of cargo.
pub(crate) fn build(root: &Path, further: &[&str]) -> Result<(), Failed> {
    run(cargo(root).args(TARGETS).args(further))
}

/// Where cargo puts what it builds.
pub(crate) fn path(root: &Path) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
    target.join("debug/cutover")
}
