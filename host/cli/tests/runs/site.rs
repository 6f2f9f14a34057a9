//! A folder to run in, as a person has it.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use serde_json::Value;

pub(crate) const SECRET: &str = "correct horse battery staple";
/// The test key pair of the age format's own implementations.
pub(crate) const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// The plugins, packed once by the program itself from what `cargo xtask plugins --modules` built.
pub(crate) fn plugins() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a checkout");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plugins-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["vault-migrator", "http-probe"] {
            let module = root.join("target/guests/wasm32-unknown-unknown/release").join(format!("{}.wasm", name.replace('-', "_")));
            let out = folder.join(format!("{name}.wasm"));
            let words = ["plugin", "pack", module.to_str().expect("UTF-8"), "--out", out.to_str().expect("UTF-8")];
            let packed = command(&folder, &words).output().expect("the program starts");
            assert!(packed.status.success(), "{}; type `cargo xtask plugins --modules`", seen(&packed));
        }
        folder
    })
}

pub(crate) fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(words).current_dir(folder).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn seen(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{:?}\n--- stdout\n{out}--- stderr\n{err}", output.status.code())
}

/// A step that waits for an hour.
pub(crate) const GATE: &str = "[[step]]\nid = \"soak\"\ngate = \"wait\"\nfor = \"1h\"\n";

/// A folder with a legacy file, an empty store and a workflow.
pub(crate) struct Site(pub(crate) tempfile::TempDir);

impl Site {
    /// `head` goes before the connections, `verify` after the first step, `tail` behind all steps.
    pub(crate) fn with(head: &str, connections: &str, verify: &str, tail: &str) -> Self {
        let site = Self(tempfile::tempdir().expect("a folder"));
        site.write("id.txt", IDENTITY);
        site.write("legacy/app.env", &format!("DB_PASSWORD={SECRET}\nAPI_KEY=k-0123456789abcdef\n"));
        std::fs::create_dir_all(site.path("store")).expect("a folder");
        site.write(
            "w.toml",
            &format!(
                r#"cutover = 1
name = "files"
owner = "tests"
{head}
[plugins]
files = {{ package = "cutover:vault-migrator", version = "0.1" }}
probe = {{ package = "cutover:http-probe", version = "0.1" }}

[connections]
legacy = {{ kind = "file", path = "legacy" }}
store = {{ kind = "file", path = "store", identity = "file:id.txt", recipients = ["{RECIPIENT}"] }}
{connections}
[[step]]
id = "copy"
uses = "files.copy-files"
connections = {{ source = "legacy", target = "store" }}
{verify}
{tail}
[[step]]
id = "retire"
uses = "files.retire-files"
changes = "steps.copy"
connections = {{ source = "legacy" }}
"#
            ),
        );
        site
    }

    pub(crate) fn new() -> Self {
        Self::with("", "", "", "")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = ["--plugin-path", plugins().to_str().expect("UTF-8")].into_iter().chain(line.split_whitespace()).collect();
        command(self.0.path(), &words)
    }

    /// Runs the program to its end, expects an exit code and that no secret is in what it says.
    pub(crate) fn cutover(&self, line: &str, exit: i32) -> Output {
        let output = self.command(line).output().expect("the program starts");
        let text = seen(&output);
        assert_eq!(output.status.code(), Some(exit), "{line}: {text}");
        assert!(!text.contains(SECRET), "{line}: {text}");
        output
    }

    /// As [`Self::cutover`], with the document on stdout, whose `exit` must be that of the process.
    pub(crate) fn document(&self, line: &str, exit: i32) -> Value {
        let output = self.cutover(&format!("{line} -o json"), exit);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", seen(&output)));
        assert_eq!(document["exit"], exit, "{document:#}");
        document
    }

    /// As [`Self::cutover`], with each line on stdout.
    pub(crate) fn lines(&self, line: &str, exit: i32) -> Vec<Value> {
        let output = self.cutover(&format!("{line} -o jsonl"), exit);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    pub(crate) fn is_as_before(&self) -> bool {
        self.path("legacy/app.env").exists() && !self.path("store/app/DB_PASSWORD.json.age").exists()
    }
}

/// Answers every request with a status, after `good` requests with 500.
pub(crate) fn server(good: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let answered = AtomicUsize::new(0);
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let status = if answered.fetch_add(1, Ordering::SeqCst) < good { "200 OK" } else { "500 Broken" };
            let _ =
                write!(stream, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
        }
    });
    address
}

/// Takes connections and requests, answers none, and tells of each request.
pub(crate) fn silent_server() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (asked, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            open.push(stream);
            let _ = asked.send(());
        }
    });
    (address, told)
}

/// A site whose copy is probed at that address.
pub(crate) fn probed_at(head: &str, address: &str) -> Site {
    let connection = format!("app = {{ kind = \"http\", url = \"{address}\", reads = [\"GET /health\"] }}\n");
    let verify = "[[step.verify]]\nuses = \"probe.get\"\nconnections = { target = \"app\" }\nwith = { path = \"/health\" }\nexpect = \"result.status == 200\"\n";
    Site::with(head, &connection, verify, "")
}
