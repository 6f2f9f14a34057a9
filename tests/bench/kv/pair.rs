//! Two servers, the old one full, and the shipped workflow between them, without its waiting.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cutover_tests::{KvWorkload, OpenBao};
use serde_json::json;

use crate::process::{computed, watch};

/// The mount on both sides, as in the workflow.
pub(crate) const MOUNT: &str = "secret";
const SEED: u64 = 0x4000_2026;

/// The workflow's connections to servers: name, source of the token, whether it is the old server's, policy.
const CONNECTIONS: [(&str, &str, bool, &str); 4] = [
    ("old", "OLD_TOKEN", true, "source"),
    ("old-retirer", "OLD_RETIRE_TOKEN", true, "source-retire"),
    ("new", "NEW_TOKEN", false, "target"),
    ("auditor", "NEW_AUDIT_TOKEN", false, "auditor"),
];

/// Two servers and a folder to work in.
pub(crate) struct Pair {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) old: OpenBao,
    pub(crate) new: OpenBao,
    /// The secrets' paths.
    pub(crate) keys: Vec<String>,
    tokens: BTreeMap<&'static str, String>,
}

/// What a program took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Took {
    pub(crate) wall: Duration,
    /// On the processors, itself and both servers.
    pub(crate) own: Duration,
    pub(crate) servers: Duration,
    /// Peak of resident memory in KiB.
    pub(crate) peak: f64,
}

impl Took {
    /// The middle between two measurements of the same.
    pub(crate) fn mean(self, other: Self) -> Self {
        Self {
            wall: (self.wall + other.wall) / 2,
            own: (self.own + other.own) / 2,
            servers: (self.servers + other.servers) / 2,
            peak: f64::midpoint(self.peak, other.peak),
        }
    }
}

impl Pair {
    /// So many secrets with so many versions on the old server.
    pub(crate) fn new(keys: usize, versions: usize, audited: bool) -> Self {
        let start = || if audited { OpenBao::start() } else { OpenBao::start_unaudited() };
        let (old, new) = (start(), start());
        for server in [&old, &new] {
            server.must("POST", &format!("/v1/{MOUNT}/config"), json!({"max_versions": 0}));
        }
        let workload = KvWorkload::plain(keys, versions, SEED);
        workload.seed(&old.url(), old.root(), MOUNT);
        let folder = tempfile::tempdir().expect("a folder");
        let mut tokens = BTreeMap::new();
        for (connection, file, is_old, policy) in CONNECTIONS {
            let server = if is_old { &old } else { &new };
            let rules = fs::read_to_string(checkout().join(format!("workflows/policies/{policy}.hcl"))).expect("a policy");
            server.policy(policy, &rules);
            let token = server.token(&[policy], "2h");
            fs::write(folder.path().join(file), &token).expect("a file");
            tokens.insert(connection, token);
        }
        let pair = Self { folder, old, new, keys: workload.paths().map(str::to_owned).collect(), tokens };
        fs::write(pair.folder.path().join("w.toml"), pair.workflow()).expect("a file");
        pair
    }

    /// The shipped workflow, but for its application: neither asked nor left to run for a while, as that is waiting.
    pub(crate) fn workflow(&self) -> String {
        let mut text = fs::read_to_string(checkout().join("workflows/openbao-to-openbao.toml")).expect("the workflow");
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "the shipped workflow has `{from}`");
            text = text.replace(from, to);
        };
        replace("http://127.0.0.1:8200", &self.old.url());
        replace("http://127.0.0.1:8210", &self.new.url());
        replace("env:", "file:");
        replace(r#"default = "5s""#, r#"default = "0s""#);
        let (before, rest) = text.split_once("[[step.verify]]").expect("the application is asked");
        let (_, after) = rest.split_once("[[step]]").expect("the retirement comes after it");
        let unused = |line: &&str| !line.starts_with("app ") && !line.starts_with("probe ");
        format!("{before}[[step]]{after}").lines().filter(unused).collect::<Vec<_>>().join("\n")
    }

    /// The server and the token of a connection.
    pub(crate) fn connection(&self, name: &str) -> (&OpenBao, &str) {
        let is_old = CONNECTIONS.iter().any(|(connection, _, is_old, _)| *connection == name && *is_old);
        (if is_old { &self.old } else { &self.new }, &self.tokens[name])
    }

    /// How long both servers have been on the processors.
    pub(crate) fn servers(&self) -> Duration {
        computed(self.old.process()) + computed(self.new.process())
    }

    /// Runs the program to its end.
    pub(crate) fn cutover(&self, plugins: &Path, words: &[&str]) -> Took {
        let mut command = Command::new(program());
        command.arg("--plugin-path").arg(plugins).args(words).current_dir(self.folder.path()).env_clear();
        self.timed(command)
    }

    /// Runs a program to its end and says what it took.
    pub(crate) fn timed(&self, mut command: Command) -> Took {
        let said = self.folder.path().join("said");
        let file = || fs::OpenOptions::new().create(true).append(true).open(&said).expect("a file");
        let (servers, begun) = (self.servers(), Instant::now());
        let mut child = command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().expect("it starts");
        let (own, peak) = watch(&child);
        let wall = begun.elapsed();
        let status = child.wait().expect("it ended");
        assert!(status.success(), "{command:?}: {status}: {}", fs::read_to_string(&said).unwrap_or_default());
        Took { wall, own, servers: self.servers() - servers, peak }
    }
}

pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the checkout")
}

fn program() -> PathBuf {
    let program = std::env::current_exe().expect("this program").with_file_name("cutover");
    assert!(program.exists(), "{} is not built; type `cargo xtask bench`", program.display());
    program
}
