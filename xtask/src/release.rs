//! `cargo xtask release`: one archive with everything that a user needs, and its digest.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    failed::{Failed, output, run},
    plugins, program,
};

/// The plugins of the archive.
const PLUGINS: [&str; 2] = ["http-probe.wasm", "vault-migrator.wasm"];
/// Shells, and where each looks for completions below a prefix.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "share/bash-completion/completions/cutover"),
    ("zsh", "share/zsh/site-functions/_cutover"),
    ("fish", "share/fish/vendor_completions.d/cutover.fish"),
    ("elvish", "share/elvish/lib/cutover.elv"),
    ("powershell", "share/powershell/cutover.ps1"),
];

/// Builds program and plugins, makes the archive in `target/release-archive`, unpacks it elsewhere and tries it.
pub(crate) fn make(root: &Path) -> Result<(), Failed> {
    program::build_shipped(root, &[])?;
    plugins::build(root).and_then(|modules| plugins::pack(root, &modules))?;
    let folder = root.join("target/release-archive");
    let archive = assemble(root, &program::path(root), &folder)?;
    try_out(&archive, &folder.join("unpacked"))?;
    println!("xtask: {}", archive.display());
    println!(
        "xtask: it holds the program, {} plugins, manual pages and completions; unpacked elsewhere, the demo ran with it",
        PLUGINS.len()
    );
    println!("xtask: it is linked with the C library of this machine: ring needs a C compiler for musl, which is not here");
    Ok(())
}

/// Puts the files together and packs them: `NAME.tar.gz` and `NAME.tar.gz.sha256` in `folder`, which is made anew.
fn assemble(root: &Path, program: &Path, folder: &Path) -> Result<PathBuf, Failed> {
    let name = name(program)?;
    let inside = folder.join(&name);
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| Failed::at(folder, &error))?;
    }
    let shipped = inside.join("bin/cutover");
    copy(program, &shipped)?;
    run(Command::new("strip").arg(&shipped))?;
    for plugin in PLUGINS {
        copy(&root.join("target/plugins").join(plugin), &inside.join("lib/cutover/plugins").join(plugin))?;
    }
    for file in ["LICENSE", "README.md", "CHANGELOG.md"] {
        copy(&root.join(file), &inside.join(file))?;
    }
    run(Command::new(&shipped).args(["man", "-q", "-o", "json", "--dir"]).arg(inside.join("share/man/man1")).stdout(Stdio::null()))?;
    for (shell, path) in COMPLETIONS {
        let script = output(Command::new(&shipped).args(["completions", shell]));
        write(&inside.join(path), &script.ok_or_else(|| Failed(format!("`cutover completions {shell}` failed")))?)?;
    }
    pack(folder, &name)
}

/// `cutover-0.1.0-x86_64-linux-gnu`.
fn name(program: &Path) -> Result<String, Failed> {
    let version = output(Command::new(program).arg("--version")).ok_or_else(|| Failed(format!("{} does not start", program.display())))?;
    let version = version.split_whitespace().next_back().unwrap_or_default().to_owned();
    let library = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    Ok(format!("cutover-{version}-{}-{}-{library}", std::env::consts::ARCH, std::env::consts::OS))
}

/// The same files give the same archive: names in order, no owner, no time.
fn pack(folder: &Path, name: &str) -> Result<PathBuf, Failed> {
    let archive = format!("{name}.tar.gz");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=go=rX,u+rw,a-s"]);
    run(tar.args(["--use-compress-program=gzip -n", "--file", &archive, name]).current_dir(folder))?;
    let digest = output(Command::new("sha256sum").arg(&archive).current_dir(folder));
    write(&folder.join(format!("{archive}.sha256")), &digest.ok_or_else(|| Failed("`sha256sum` failed".to_owned()))?)?;
    Ok(folder.join(archive))
}

/// Unpacks an archive and runs the demo with what is in it and an empty environment. The application fails after the first
/// cohort, so that plan, apply, probe and rollback all have to work.
fn try_out(archive: &Path, folder: &Path) -> Result<(), Failed> {
    fs::create_dir_all(folder).map_err(|error| Failed::at(folder, &error))?;
    let at = archive.parent().unwrap_or(folder);
    let name = archive.file_name().unwrap_or_default();
    let mut digest = name.to_owned();
    digest.push(".sha256");
    run(Command::new("sha256sum").args(["--check", "--status"]).arg(digest).current_dir(at))?;
    run(Command::new("tar").arg("--extract").arg("--file").arg(archive).args(["--strip-components=1", "--directory"]).arg(folder))?;
    let cutover = |words: &str, within: &Path| {
        let mut command = Command::new(folder.join("bin/cutover"));
        command.args(words.split(' ')).env_clear().current_dir(within);
        command
    };
    run(cutover("init demo --template demo", folder).stdout(Stdio::null()))?;
    let demo = folder.join("demo");
    let told = |error: io::Error| Failed(format!("the program of the archive does not start: {error}"));
    let mut application = cutover("demo-app --fail-after 1", &demo).stdout(Stdio::piped()).spawn().map_err(told)?;
    // It says so when it listens.
    let mut line = String::new();
    let listens = application.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let ran = cutover("run workflow.toml --yes --quiet", &demo).stdin(Stdio::null()).output();
    // It answers until it is stopped.
    let _ = application.kill().and_then(|()| application.wait());
    listens.transpose().map_err(told)?;
    let ran = ran.map_err(told)?;
    let told = String::from_utf8_lossy(&ran.stdout);
    if ran.status.code() == Some(10) && told.contains("ROLLED BACK, start state verified") {
        return Ok(());
    }
    Err(Failed(format!("the demo from the archive ended with {}:\n{told}{}", ran.status, String::from_utf8_lossy(&ran.stderr))))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    let above = to.parent().unwrap_or(to);
    fs::create_dir_all(above).map_err(|error| Failed::at(above, &error))?;
    fs::copy(from, to).map(drop).map_err(|error| Failed::at(from, &error))
}

fn write(file: &Path, text: &str) -> Result<(), Failed> {
    let above = file.parent().unwrap_or(file);
    fs::create_dir_all(above).and_then(|()| fs::write(file, text)).map_err(|error| Failed::at(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The program of the tests stands in for the optimised one: all else is what `cargo xtask release` does.
    #[test]
    fn the_archive_has_all_that_is_needed_to_run_the_demo_elsewhere() {
        let root = crate::root();
        let folder = std::env::temp_dir().join(format!("cutover-release-{}", std::process::id()));
        let archive = assemble(&root, &program::path(&root), &folder).expect("`cargo xtask plugins` was typed before");
        try_out(&archive, &folder.join("unpacked")).expect("it runs");
        for file in ["share/man/man1/cutover-plan.1", "share/bash-completion/completions/cutover", "LICENSE", "README.md"] {
            assert!(folder.join("unpacked").join(file).is_file(), "{file}");
        }
        let first = fs::read(&archive).expect("packed");
        let name = archive.file_name().expect("a name").to_string_lossy().replace(".tar.gz", "");
        assert!(first == fs::read(pack(&folder, &name).expect("packed again")).expect("packed"), "the same files give the same archive");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
