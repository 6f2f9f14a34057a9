//! The demo between two real servers: keys of one `OpenBao` move to another, with the shipped workflow and policies.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Stage, application::Application, say, scene};
use crate::{
    failed::{Failed, output},
    openbao, program,
};

const WORKFLOW: &str = "openbao-to-openbao.toml";
/// Ports of the old and the new server. In development mode a server takes the next port too.
const PORTS: [u16; 2] = [18_200, 18_210];
/// Of servers that live in memory for the time of the demo.
const ROOT: &str = "root-of-the-demo";
/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);
/// Made-up secrets; each key gets two versions.
const KEYS: [&str; 6] = ["payments/database", "payments/stripe", "payments/jwt", "mail/smtp", "mail/dkim", "web/session"];
/// What the values of the two are called.
const VERSIONS: [&str; 2] = ["old", "new"];
/// Variables, the server that each is for, and the policy of its token.
const TOKENS: [(&str, usize, &str); 4] =
    [("OLD_TOKEN", 0, "source"), ("OLD_RETIRE_TOKEN", 0, "source-retire"), ("NEW_TOKEN", 1, "target"), ("NEW_AUDIT_TOKEN", 1, "auditor")];

/// A server in memory that ends with its value.
struct Server {
    child: Child,
    program: PathBuf,
    port: u16,
}

/// Builds what is needed, then plays all acts in `target/demo-openbao`. Every act is checked.
pub(crate) fn play(root: &Path) -> Result<(), Failed> {
    let bao = openbao::install(root)?;
    super::build(root)?;
    let folder = root.join("target/demo-openbao");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
    let begun = Instant::now();
    let [old, new] = PORTS.map(|port| Server::start(&bao, port, &folder));
    let (old, new) = (old?, new?);
    let tokens = set(root, &folder, [&old, &new])?;
    let counted = new.client();
    let application = Application::counting(&folder, move || counted.keys().len())?;
    let stage = Stage { program: program::path(root), plugins: root.join("target/plugins"), folder: &folder, variables: tokens };
    acts(&stage, &application, &old, &new)?;
    println!("\nThe demo did what it should, in {} s. Both servers are ended.", begun.elapsed().as_secs());
    Ok(())
}

fn acts(stage: &Stage<'_>, application: &Application, old: &Server, new: &Server) -> Result<(), Failed> {
    say(&format!("The scene: {} keys with two versions each at {}, and an empty server at {}.", KEYS.len(), old.url(), new.url()));

    say("Act 1. Is the workflow right? And what would it do? It reads, and writes nothing. Each token has one of the policies beside it.");
    stage.cutover(&["validate", WORKFLOW], 0)?;
    stage.cutover(&["plan", WORKFLOW, "--out", "move.cutplan"], 0)?;
    new.client().has(0)?;

    say("Act 2. It runs, but the application cannot log in once more than one key has moved. All goes back by itself: exit code 10.");
    application.fail_after(1);
    stage.cutover(&["run", WORKFLOW, "--yes"], 10)?;
    new.client().has(0)?;
    old.client().is_readable(true)?;
    println!("(Checked here: the new server has no key, and the old one still gives its secrets.)");

    say("Act 3. The application is well again: cohort after cohort, a soak of five seconds, then the old versions are soft-deleted.");
    application.recover();
    let known = stage.runs()?;
    stage.cutover(&["run", WORKFLOW, "--yes"], 0)?;
    new.client().has(KEYS.len())?;
    new.client().is_readable(true)?;
    old.client().is_readable(false)?;
    println!("(Checked here: the new server gives every secret, the old one none.)");

    let run = stage.run_since(&known)?;

    say("Act 4. What has happened? Both runs are kept, with everything that they did.");
    stage.cutover(&["runs", "list"], 0)?;
    stage.cutover(&["runs", "show", &run], 0)?;

    say("Act 5. Second thoughts: even a completed run goes back, newest change first, each one checked.");
    stage.cutover(&["rollback", &run, "--yes"], 0)?;
    new.client().has(0)?;
    old.client().is_readable(true)?;
    println!("(Checked here: the new server has no key, and the old one gives its secrets again.)");
    let secrets: Vec<String> = KEYS.iter().flat_map(|key| VERSIONS.map(|version| secret(key, version))).collect();
    scene::no_secret_below(&stage.folder.join(".cutover"), &secrets)?;
    println!("(Checked here: no secret is in any file of the state folder.)");
    Ok(())
}

/// What a version of a key holds.
fn secret(key: &str, version: &str) -> String {
    format!("made-up-{version}-{}", key.replace('/', "-"))
}

/// Seeds the old server and makes the tokens and the folder.
fn set(root: &Path, folder: &Path, servers: [&Server; 2]) -> Result<Vec<(&'static str, String)>, Failed> {
    for key in KEYS {
        for version in VERSIONS {
            let field = format!("password={}", secret(key, version));
            servers[0].client().must(&["kv", "put", "-mount=secret", key, &field])?;
        }
    }
    let workflows = root.join("workflows");
    let path = workflows.join(WORKFLOW);
    let text = fs::read_to_string(&path).map_err(|error| Failed::at(&path, &error))?;
    let text = text.replace("http://127.0.0.1:8200", &servers[0].url()).replace("http://127.0.0.1:8210", &servers[1].url());
    fs::write(folder.join(WORKFLOW), text).map_err(|error| Failed::at(folder, &error))?;
    let mut tokens = Vec::new();
    for (variable, server, policy) in TOKENS {
        let client = servers[server].client();
        let rules = workflows.join("policies").join(format!("{policy}.hcl"));
        client.must(&["policy", "write", policy, &rules.display().to_string()])?;
        let wish = ["token", "create", &format!("-policy={policy}"), "-no-default-policy", "-ttl=1h", "-field=token"];
        tokens.push((variable, client.must(&wish)?.trim().to_owned()));
    }
    Ok(tokens)
}

impl Server {
    fn start(program: &Path, port: u16, folder: &Path) -> Result<Self, Failed> {
        let address = format!("127.0.0.1:{port}");
        if TcpStream::connect(&address).is_ok() {
            return Err(Failed(format!("something listens at {address} already: end it first")));
        }
        let mut command = Command::new(program);
        command.args(["server", "-dev", "-dev-no-store-token"]).arg(format!("-dev-root-token-id={ROOT}"));
        command.arg(format!("-dev-listen-address={address}")).env_clear().env("HOME", folder).current_dir(folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| Failed::at(program, &error))?;
        let server = Self { child, program: program.to_owned(), port };
        let begun = Instant::now();
        while output(server.client().command().args(["secrets", "list"])).is_none() {
            if begun.elapsed() > START {
                return Err(Failed(format!("the server at {address} does not start")));
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        Client { program: self.program.clone(), url: self.url() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to keep.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server's own command line, as root: it shares no code with what is shown.
struct Client {
    program: PathBuf,
    url: String,
}

impl Client {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("BAO_ADDR", &self.url).env("BAO_TOKEN", ROOT).stderr(Stdio::null());
        command
    }

    fn must(&self, args: &[&str]) -> Result<String, Failed> {
        output(self.command().args(args)).ok_or_else(|| Failed(format!("`bao {}` failed at {}", args.join(" "), self.url)))
    }

    /// The keys of the demo that have metadata.
    fn keys(&self) -> Vec<&'static str> {
        let is_there = |key: &&str| output(self.command().args(["kv", "metadata", "get", "-mount=secret", key])).is_some();
        KEYS.into_iter().filter(is_there).collect()
    }

    fn has(&self, count: usize) -> Result<(), Failed> {
        let found = self.keys();
        if found.len() == count { Ok(()) } else { Err(Failed(format!("{} has the keys {found:?}, not {count}", self.url))) }
    }

    /// Whether every key gives its newest secret, or none does.
    fn is_readable(&self, wanted: bool) -> Result<(), Failed> {
        for key in KEYS {
            let read = output(self.command().args(["kv", "get", "-mount=secret", "-field=password", key]));
            let right = read.as_deref().map(str::trim) == Some(&format!("made-up-new-{}", key.replace('/', "-")));
            if right != wanted || read.is_some() != wanted {
                return Err(Failed(format!("{key} at {} is not as it should be", self.url)));
            }
        }
        Ok(())
    }
}
