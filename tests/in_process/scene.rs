//! The place where most tests here happen: a legacy folder, an encrypted store, and workflows between the two.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use age::secrecy::ExposeSecret as _;
use cutover_engine::{ChangeNo, Phase, Run, Span, Timestamp};
use cutover_runtime::{
    clock::{BoxFuture, Clock},
    connection::Kinds,
    disk::SystemDisk,
};
use cutover_tests::Rig;
use serde_json::Value;

/// The plugins of the workflows of [`Scene`].
pub(crate) const PLUGINS: [(&str, &str); 2] = [("files", "vault-migrator"), ("probe", "http-probe")];

/// Files by name, with their bytes.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

/// A host, its folders, and who can read the store.
pub(crate) struct Scene {
    pub(crate) rig: Rig,
    identity: age::x25519::Identity,
}

impl Scene {
    /// On the machine's disk and clock.
    pub(crate) fn new() -> Self {
        Self::on(Rig::new())
    }

    /// On a clock of the test's.
    pub(crate) fn at(clock: Arc<TestClock>) -> Self {
        Self::on(Rig::with(Arc::new(SystemDisk), clock, Kinds::system()))
    }

    /// On a host of the test's.
    pub(crate) fn on(rig: Rig) -> Self {
        let identity = age::x25519::Identity::generate();
        rig.write("identity", identity.to_string().expose_secret());
        for folder in ["legacy", "other", "store"] {
            std::fs::create_dir_all(rig.path(folder)).expect("a folder");
        }
        Self { rig, identity }
    }

    /// `count` legacy files with one secret each: `a00.env` and so on.
    pub(crate) fn with_files(self, count: usize) -> Self {
        for number in 0..count {
            self.rig.write(&format!("legacy/a{number:02}.env"), &format!("KEY=value-{number:02}-0123456789abcdef\n"));
        }
        self
    }

    /// A workflow: `top` stands above the tables; connections beside legacy, other and store come in `connections`.
    pub(crate) fn workflow(&self, top: &str, connections: &str, steps: &[&str]) -> String {
        let folder = self.rig.folder.path().display();
        let recipient = self.identity.to_public();
        format!(
            r#"
cutover = 1
name = "scene"
owner = "tests"
{top}

[plugins]
files = {{ path = "vault-migrator.wasm" }}
probe = {{ path = "http-probe.wasm" }}

[connections]
legacy = {{ kind = "file", path = "{folder}/legacy" }}
other = {{ kind = "file", path = "{folder}/other" }}
store = {{ kind = "file", path = "{folder}/store", identity = "file:{folder}/identity", recipients = ["{recipient}"] }}
{connections}

{}
"#,
            steps.join("\n")
        )
    }

    /// The file of the store, decrypted.
    pub(crate) fn stored(&self, name: &str) -> Option<Value> {
        let bytes = std::fs::read(self.rig.path("store").join(name)).ok()?;
        let plain = age::decrypt(&self.identity, &bytes).expect("a file for this identity");
        Some(serde_json::from_slice(&plain).expect("a JSON document"))
    }

    /// Writes to the store as somebody else would.
    pub(crate) fn store(&self, name: &str, value: &Value) {
        let path = self.rig.path("store").join(name);
        std::fs::create_dir_all(path.parent().expect("the store")).expect("a folder");
        let cipher = age::encrypt(&self.identity.to_public(), value.to_string().as_bytes()).expect("a recipient");
        std::fs::write(path, cipher).expect("a file");
    }

    /// Every file of the legacy folders and of the store.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for folder in ["legacy", "other", "store"] {
            collect(&self.rig.path(folder), folder, &mut tree);
        }
        tree
    }
}

/// The step that copies everything of the legacy folder, with more lines for it.
pub(crate) fn copy(more: &str) -> String {
    format!("[[step]]\nid = \"copy\"\nuses = \"files.copy-files\"\nconnections = {{ source = \"legacy\", target = \"store\" }}\n{more}")
}

/// Moves what `copy` copied aside.
pub(crate) const RETIRE: &str = r#"
[[step]]
id = "retire"
uses = "files.retire-files"
changes = "steps.copy"
connections = { source = "legacy" }
"#;

/// A connection to the application, and a verification that its logins work.
pub(crate) fn watching(url: &str, per: &str) -> (String, String) {
    let verify = format!(
        r#"
[[step.verify]]
uses = "probe.get"
connections = {{ target = "app" }}
with = {{ path = "/health/deep" }}
public = ["/auth_failures"]
per = "{per}"
expect = "result.status == 200 && result.auth_failures == 0"
"#
    );
    (format!(r#"app = {{ kind = "http", url = "{url}" }}"#), verify)
}

/// Every file below a folder, under names that begin with `prefix`.
pub(crate) fn collect(folder: &Path, prefix: &str, tree: &mut Tree) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &name, tree);
        } else {
            tree.insert(name, std::fs::read(entry.path()).expect("a file of this test"));
        }
    }
}

/// The phase of every change, by name.
pub(crate) fn phases(run: &Run) -> BTreeMap<String, Phase> {
    let count = u32::try_from(run.plan().changes.len()).expect("few changes");
    (0..count).map(ChangeNo).map(|change| (run.plan().name_of(change), run.phase(change))).collect()
}

/// A clock that the test sets. Nothing but the test makes time pass.
pub(crate) struct TestClock(tokio::sync::watch::Sender<Timestamp>);

impl TestClock {
    /// A clock that stands still.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tokio::sync::watch::Sender::new(Timestamp(1_795_000_000_000))))
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, span: Span) {
        self.0.send_modify(|now| *now = now.after(span));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()> {
        let mut now = self.0.subscribe();
        Box::pin(async move { drop(now.wait_for(|now| *now >= deadline).await) })
    }
}
