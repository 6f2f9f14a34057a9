//! A compiler for guests: the one that is here, or one that is installed.

use std::{path::Path, process::Command};

use crate::{
    debian,
    failed::Failed,
    guest_toolchain::{self, DEBIAN_PACKAGES},
};

pub(crate) use crate::guest_toolchain::{TARGET, Toolchain};

/// Finds or makes one: the installed target, then rustup, then Debian's packages.
pub(crate) fn find(root: &Path) -> Result<Toolchain, Failed> {
    if !guest_toolchain::installed(root) {
        // On a machine without rustup, or where its server cannot be reached, this fails at once or after its own timeout;
        // what is there then is looked for anew.
        let _ = Command::new("rustup").args(["target", "add", TARGET]).current_dir(root).output();
    }
    if let Some(toolchain) = present(root)? {
        return Ok(toolchain);
    }
    println!("xtask: guests need a Rust compiler for {TARGET}");
    let installed = debian::install(&DEBIAN_PACKAGES)?;
    let toolchain = if installed { present(root)? } else { None };
    toolchain.ok_or_else(advice)
}

fn present(root: &Path) -> Result<Option<Toolchain>, Failed> {
    let tell = |line: &str| println!("xtask: {line}");
    Toolchain::present(root, &root.join("target/wasm-sysroot"), &tell).map_err(|error| Failed(error.0))
}

fn advice() -> Failed {
    let remedies = guest_toolchain::remedies().join("\n  ");
    Failed(format!("no Rust compiler here can build for {TARGET}. Type one of these, then the command again:\n  {remedies}"))
}
