//! Why a command of `xtask` stopped, and running a program so that its failure is told well.

use std::{
    env, fmt, io,
    path::Path,
    process::{Command, Stdio},
};

/// What to tell the person who typed the command.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl Failed {
    /// A failure of the file system.
    pub(crate) fn at(path: &Path, error: &io::Error) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The cargo that runs us, in `folder`.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    command
}

/// Runs a command to its end, without input; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Failed> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|error| Failed(format!("cannot start {}: {error}", command.get_program().display())))?;
    if status.success() { Ok(()) } else { Err(Failed(format!("{command:?} ended with {status}"))) }
}

/// Runs a command quietly: its standard output, or nothing if it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
