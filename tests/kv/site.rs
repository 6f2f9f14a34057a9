//! Two servers, a workload on one of them, an application that is content, and the shipped workflow between them.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

use cutover_tests::{KvDump, KvWorkload, OpenBao, dump};
use serde_json::Value;

/// The mount on both sides, as in the workflow.
pub(crate) const MOUNT: &str = "secret";

/// The tokens that the workflow names: variable, side, policy.
const TOKENS: [(&str, bool, &str); 4] = [
    ("OLD_TOKEN", true, "source"),
    ("OLD_RETIRE_TOKEN", true, "source-retire"),
    ("NEW_TOKEN", false, "target"),
    ("NEW_AUDIT_TOKEN", false, "auditor"),
];

/// How many secrets a test moves: so many, or what `CUTOVER_KV_KEYS` says, to measure with another number by hand.
pub(crate) fn keys(usual: usize) -> usize {
    std::env::var("CUTOVER_KV_KEYS").ok().map_or(usual, |keys| keys.parse().expect("a number"))
}

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) old: OpenBao,
    pub(crate) new: OpenBao,
    pub(crate) tokens: Vec<(&'static str, String)>,
}

impl Site {
    /// The old server holds the workload; the workflow accepts the losses that it has.
    pub(crate) fn new(workload: &KvWorkload) -> Self {
        let (old, new) = (OpenBao::start(), OpenBao::start());
        for server in [&old, &new] {
            server.must("POST", &format!("/v1/{MOUNT}/config"), serde_json::json!({"max_versions": 0}));
        }
        workload.seed(&old.url(), old.root(), MOUNT);
        let token = |(variable, is_old, policy): (&'static str, bool, &str)| {
            let server = if is_old { &old } else { &new };
            let rules = fs::read_to_string(checkout().join(format!("workflows/policies/{policy}.hcl"))).expect("a policy");
            server.policy(policy, &rules);
            (variable, server.token(&[policy], "2h"))
        };
        let tokens = TOKENS.map(token).to_vec();
        let folder = tempfile::tempdir().expect("a folder");
        let mut workflow = fs::read_to_string(checkout().join("workflows/openbao-to-openbao.toml")).expect("the workflow");
        for (here, there) in [
            ("http://127.0.0.1:8200", old.url().as_str()),
            ("http://127.0.0.1:8210", new.url().as_str()),
            (r#"accept = ["#, r#"accept = ["number-precision", "#),
        ] {
            assert!(workflow.contains(here), "the shipped workflow has `{here}`");
            workflow = workflow.replace(here, there);
        }
        fs::write(folder.path().join("w.toml"), workflow).expect("a file");
        content_application(&folder.path().join("app.sock"));
        Self { folder, old, new, tokens }
    }

    /// The program with these words, its output in files `NAME.out` and `NAME.err`.
    pub(crate) fn start(&self, name: &str, words: &[&str]) -> Child {
        let file = |end: &str| fs::File::create(self.folder.path().join(format!("{name}.{end}"))).expect("a file");
        self.command(words).stdout(file("out")).stderr(file("err")).spawn().expect("the program starts")
    }

    /// What a started program said so far, for the message of a failed test.
    pub(crate) fn said(&self, name: &str) -> String {
        ["out", "err"]
            .map(|end| fs::read_to_string(self.folder.path().join(format!("{name}.{end}"))).unwrap_or_default())
            .join("--- stderr\n")
    }

    /// The program with these words, to its end.
    pub(crate) fn cutover(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program starts")
    }

    /// As [`Self::cutover`]; the document that it prints.
    pub(crate) fn document(&self, words: &[&str]) -> Value {
        let output = self.cutover(&[words, &["-o", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--plugin-path").arg(plugins()).args(words).current_dir(self.folder.path());
        command.env_clear().envs(self.tokens.iter().map(|(name, token)| (*name, token)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The only run of the state folder, once it has a journal.
    pub(crate) fn run(&self) -> Option<(String, PathBuf)> {
        let entry = fs::read_dir(self.folder.path().join(".cutover/runs")).ok()?.flatten().next()?;
        let journal = entry.path().join("journal.jsonl");
        journal.exists().then(|| (entry.file_name().to_string_lossy().into_owned(), journal))
    }

    /// What the old server holds.
    pub(crate) fn source(&self) -> KvDump {
        dump(&self.old.url(), self.old.root(), MOUNT)
    }

    /// What the new server holds.
    pub(crate) fn target(&self) -> KvDump {
        dump(&self.new.url(), self.new.root(), MOUNT)
    }
}

/// The events of a journal, without a torn last line.
pub(crate) fn events(journal: &Path) -> Vec<Value> {
    let text = fs::read_to_string(journal).expect("a journal");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    lines.map(|mut record| record["event"].take()).collect()
}

/// What a program said, for the message of a failed test.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{:?}\n--- stdout\n{out}--- stderr\n{err}", output.status.code())
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the checkout")
}

fn program() -> PathBuf {
    let here = std::env::current_exe().expect("this test");
    let program = here.ancestors().nth(2).expect("a target folder").join("cutover");
    assert!(program.is_file(), "the program is not built: type `cargo build --workspace`");
    program
}

/// The plugins, packed once by the program itself from what `cargo xtask plugins --modules` built.
fn plugins() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kv-plugins-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for name in ["vault-migrator", "http-probe"] {
            let module = format!("target/guests/wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"));
            let mut pack = Command::new(program());
            pack.args(["plugin", "pack"]).arg(checkout().join(module)).arg("--out").arg(folder.join(format!("{name}.wasm")));
            let packed = pack.env_clear().output().expect("the program starts");
            assert!(packed.status.success(), "{}; type `cargo xtask plugins --modules`", said(&packed));
        }
        folder
    })
}

/// An application on a socket that always logs in well.
fn content_application(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"auth_failures":0}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
}
