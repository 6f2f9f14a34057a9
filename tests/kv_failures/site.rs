//! A folder with a shipped workflow, its application, its tokens and the program.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, OnceLock},
};

use cutover_tests::OpenBao;
use serde_json::Value;

/// What the application says: how many logins failed.
type Failures = Arc<dyn Fn() -> usize + Send + Sync>;

/// The longest that a token of a test lives.
const LIFE: &str = "1h";

/// Where the program is started.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    workflow: &'static str,
    variables: BTreeMap<&'static str, String>,
    failures: Arc<Mutex<Failures>>,
}

impl Site {
    /// A copy of a shipped workflow, whose source and target are at these addresses, with a healthy application.
    pub(crate) fn of(workflow: &'static str, source: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = std::fs::read_to_string(root().join("workflows").join(workflow)).expect("a shipped workflow");
        let (old, new) = ("http://127.0.0.1:8200", "http://127.0.0.1:8210");
        // The workflow with one server calls it by the first address.
        let text = if text.contains(new) { text.replace(old, source).replace(new, target) } else { text.replace(old, target) };
        std::fs::write(folder.path().join(workflow), text).expect("a file");
        let site = Self { folder, workflow, variables: BTreeMap::new(), failures: Arc::new(Mutex::new(Arc::new(|| 0))) };
        site.answer();
        site
    }

    /// `openbao-to-openbao.toml` between these, with the tokens that it names.
    pub(crate) fn between(source: &OpenBao, target: &OpenBao, target_url: &str) -> Self {
        let mut site = Self::of("openbao-to-openbao.toml", &source.url(), target_url);
        site.token(source, "OLD_TOKEN", "source");
        site.token(source, "OLD_RETIRE_TOKEN", "source-retire");
        site.token(target, "NEW_TOKEN", "target");
        site.token(target, "NEW_AUDIT_TOKEN", "auditor");
        site
    }

    /// Gives a variable a token that has a shipped policy and nothing else.
    pub(crate) fn token(&mut self, server: &OpenBao, variable: &'static str, policy: &str) {
        self.token_of(server, variable, (policy, &shipped_policy(policy)), LIFE);
    }

    /// The same with several shipped policies.
    pub(crate) fn token_with(&mut self, server: &OpenBao, variable: &'static str, policies: &[&str]) {
        for policy in policies {
            server.policy(policy, &shipped_policy(policy));
        }
        self.made(server, variable, policies, LIFE);
    }

    /// Gives a variable a token that has this policy, written anew, and lives so long.
    pub(crate) fn token_of(&mut self, server: &OpenBao, variable: &'static str, (policy, rules): (&str, &str), life: &str) {
        server.policy(policy, rules);
        self.made(server, variable, &[policy], life);
    }

    fn made(&mut self, server: &OpenBao, variable: &'static str, policies: &[&str], life: &str) {
        let wish = serde_json::json!({"policies": policies, "no_default_policy": true, "ttl": life});
        let made = server.must("POST", "/v1/auth/token/create", wish);
        self.give(variable, made["auth"]["client_token"].as_str().expect("a token"));
    }

    /// Gives a variable this value.
    pub(crate) fn give(&mut self, variable: &'static str, value: &str) {
        self.variables.insert(variable, value.to_owned());
    }

    /// What a variable holds.
    pub(crate) fn variable(&self, name: &str) -> &str {
        &self.variables[name]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    /// Changes the workflow's text.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.path(self.workflow);
        let text = std::fs::read_to_string(&path).expect("a workflow");
        assert!(text.contains(from), "`{from}` is not in {text}");
        std::fs::write(path, text.replace(from, to)).expect("written");
    }

    /// Adds to the end of the workflow.
    pub(crate) fn append(&self, text: &str) {
        let path = self.path(self.workflow);
        let before = std::fs::read_to_string(&path).expect("a workflow");
        std::fs::write(path, before + text).expect("written");
    }

    /// From now on the application counts its failures so, each time that it is asked.
    pub(crate) fn failures(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        *self.failures.lock().expect("no panic") = Arc::new(count);
    }

    /// Runs the workflow with more words, and expects an exit code.
    pub(crate) fn run(&self, more: &str, exit: i32) -> Value {
        self.document(&format!("run {} --yes {more}", self.workflow), exit)
    }

    /// Runs the program to its end and expects an exit code; the document on stdout.
    pub(crate) fn document(&self, line: &str, exit: i32) -> Value {
        let output = self.command(line).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(exit), "{line}: {}", seen(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {}", seen(&output)))
    }

    /// Starts the program with these words and lets it go on; what it says goes nowhere.
    pub(crate) fn start(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program());
        command.args(line.split_whitespace()).args(["-o", "json"]).arg("--plugin-path").arg(plugins());
        command.current_dir(self.folder.path()).env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }

    /// Answers on the socket that the workflow names until the process ends.
    fn answer(&self) {
        let listener = UnixListener::bind(self.path("app.sock")).expect("a socket");
        let failures = Arc::clone(&self.failures);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                // A probe is one short request; who goes away is no concern of the application.
                let _ = stream.read(&mut request);
                let count = Arc::clone(&failures.lock().expect("no panic"));
                let body = format!("{{\"auth_failures\":{}}}", count());
                let head = format!("content-type: application/json\r\ncontent-length: {}\r\nconnection: close", body.len());
                let _ = write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
            }
        });
    }
}

/// The text of a shipped policy.
pub(crate) fn shipped_policy(name: &str) -> String {
    std::fs::read_to_string(root().join("workflows/policies").join(format!("{name}.hcl"))).expect("a shipped policy")
}

/// Both streams and the exit code.
fn seen(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{:?}\n--- stdout\n{out}--- stderr\n{err}", output.status.code())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

fn program() -> PathBuf {
    let here = std::env::current_exe().expect("this test");
    let program = here.ancestors().nth(2).expect("a target folder").join("cutover");
    assert!(program.is_file(), "{} is not there: type `cargo build --workspace`", program.display());
    program
}

/// The plugins, packed once by the program itself from what `cargo xtask plugins --modules` built.
fn plugins() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kv-plugins-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["vault-migrator", "http-probe"] {
            let module = root().join("target/guests/wasm32-unknown-unknown/release").join(format!("{}.wasm", name.replace('-', "_")));
            let mut command = Command::new(program());
            command.args(["plugin", "pack"]).arg(module).arg("--out").arg(folder.join(format!("{name}.wasm"))).env_clear();
            let packed = command.output().expect("the program starts");
            assert!(packed.status.success(), "{}; type `cargo xtask plugins --modules`", seen(&packed));
        }
        folder
    })
}
