//! The folder in which somebody works, and the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// A folder for one test.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Desk {
    /// Without any network: what asks for it gets no answer.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nowhere = "http://127.0.0.1:9".to_owned();
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let variables = names.iter().map(|name| (*name, nowhere.clone())).collect();
        Self { folder, variables }
    }

    /// With one more variable.
    pub(crate) fn with(mut self, name: &'static str, value: &Path) -> Self {
        self.variables.push((name, value.display().to_string()));
        self
    }

    /// With this folder before the others of `PATH`.
    pub(crate) fn finding(self, tools: &Path) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(tools.to_owned()).chain(std::env::split_paths(&path));
        let joined = std::env::join_paths(folders).expect("no colon in a folder's name");
        self.with("PATH", Path::new(&joined))
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("the desk")).and_then(|()| fs::write(&path, text)).expect("a file");
    }

    /// A command of any program here.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program with these words.
    pub(crate) fn cutover(&self, line: &str) -> Output {
        let mut command = self.command(&program());
        command.args(line.split_whitespace()).output().unwrap_or_else(|error| panic!("{error}; type `cargo build --bin cutover`"))
    }

    /// Starts the program with these words; its answer can be read while it runs.
    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.command(&program());
        command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap_or_else(|error| panic!("{error}; type `cargo build --bin cutover`"))
    }

    /// Runs the program, which must end with 0; its answer as JSON.
    pub(crate) fn done(&self, line: &str) -> Value {
        let output = self.cutover(&format!("{line} -o json"));
        assert_eq!(output.status.code(), Some(0), "{line}: {}", seen(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {}", seen(&output)))
    }
}

/// Everything that a person sees.
pub(crate) fn seen(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The program that was built beside this test.
fn program() -> PathBuf {
    let here = std::env::current_exe().expect("this test");
    here.ancestors().nth(2).expect("a target folder").join("cutover")
}
