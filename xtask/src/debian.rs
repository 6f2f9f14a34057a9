//! Debian's packages, where they may be installed without asking: by root.

use std::process::Command;

use crate::failed::{Failed, output, run};

/// Installs packages, and says so. False if this is no Debian or not root.
///
/// # Errors
/// If the installation fails, also with new package lists.
pub(crate) fn install(packages: &[&str]) -> Result<bool, Failed> {
    let root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !root || output(Command::new("apt-get").arg("--version")).is_none() {
        return Ok(false);
    }
    println!("xtask: installing Debian's packages {}", packages.join(" "));
    let install = || {
        let mut apt = Command::new("apt-get");
        apt.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
        run(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // The package lists may be old or not there at all.
    let installed = install().or_else(|_| {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        install()
    });
    installed.map(|()| true)
}
