//! A folder with a legacy place, an empty encrypted store and a workflow that copies the one into the other.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use age::secrecy::ExposeSecret as _;

/// A folder to run in; gone afterwards.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    /// Whom the files of the store are encrypted for.
    pub(crate) identity: age::x25519::Identity,
}

impl Site {
    /// The legacy place is empty, too. `rollout` is a further line of the step.
    pub(crate) async fn new(name: &str, rollout: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder"), identity: age::x25519::Identity::generate() };
        for folder in ["legacy", "store"] {
            fs::create_dir(site.path(folder)).expect("a folder");
        }
        fs::write(site.path("identity"), site.identity.to_string().expose_secret()).expect("a file");
        fs::write(site.path("vault-migrator.wasm"), cutover_tests::component("vault-migrator").await).expect("a file");
        let workflow = format!(
            r#"cutover = 1
name = "{name}"
owner = "tests"

[plugins]
files = {{ path = "vault-migrator.wasm" }}

[connections]
legacy = {{ kind = "file", path = "legacy" }}
store = {{ kind = "file", path = "store", identity = "file:identity", recipients = ["{}"] }}

[[step]]
id = "copy"
uses = "files.copy-files"
connections = {{ source = "legacy", target = "store" }}
{rollout}
"#,
            site.identity.to_public()
        );
        fs::write(site.path("w.toml"), workflow).expect("a file");
        site
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with these words, in the folder, with nothing in its environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let here = std::env::current_exe().expect("this test");
        let program = here.ancestors().nth(2).expect("a target folder").join("cutover");
        assert!(program.is_file(), "{}: type `cargo build --workspace --bin cutover`", program.display());
        let mut command = Command::new(&program);
        command.args(words).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }
}
