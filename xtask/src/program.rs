//! The program that is shipped, built once for everything that needs it.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::failed::{Failed, cargo, run};

/// The whole workspace, with a test among the targets: so crates have the features that the tests have, and Wasmtime is not
/// compiled a second time.
const TARGETS: [&str; 5] = ["build", "--locked", "--workspace", "--bin=cutover", "--test=tidy"];

/// Our own crates. Third-party crates are as in every other build (`Cargo.toml`), so that Wasmtime is not compiled once more.
const OWN: [&str; 4] = ["cutover-engine", "cutover-runtime", "cutover-cli", "cutover-tests"];

/// What is shipped is optimised as a whole and does not check itself, but for overflows.
const SHIPPED: [&str; 3] = ["opt-level=3", "codegen-units=1", "debug-assertions=false"];

/// Builds it, with these further arguments of cargo.
pub(crate) fn build(root: &Path, further: &[&str]) -> Result<(), Failed> {
    run(cargo(root).args(TARGETS).args(further))
}

/// Builds it as it is shipped and measured.
pub(crate) fn build_shipped(root: &Path, further: &[&str]) -> Result<(), Failed> {
    let settings = OWN.iter().flat_map(|package| SHIPPED.map(|setting| format!("--config=profile.dev.package.{package}.{setting}")));
    // What is compiled in parts for the next change is not optimised across them.
    let settings: Vec<String> = settings.chain(["--config=build.incremental=false".to_owned()]).collect();
    build(root, &settings.iter().map(String::as_str).chain(further.iter().copied()).collect::<Vec<_>>())
}

/// Where cargo puts what it builds.
pub(crate) fn path(root: &Path) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
    target.join("debug/cutover")
}
