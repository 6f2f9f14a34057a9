//! In-memory servers with KV mounts of both versions, as exact as their answers matter to a plugin.

mod answer;
mod stored;

use std::{
    cell::{RefCell, RefMut},
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    rc::Rc,
};

use serde_json::Value;

use super::{Folder, Host};
use crate::{
    failure::Failure,
    log::Level,
    request::{Request, Response},
    sealed::Form,
};

use stored::Config;
pub use stored::Stored;

/// 2026-01-01T00:00:00Z, when the fake's clock begins.
const START: u64 = 1_767_225_600_000;

/// What a mount holds.
#[derive(Debug, Clone)]
enum Keys {
    V1(BTreeMap<String, Value>),
    V2(Config, BTreeMap<String, Stored>),
}

/// What happens to one of the next writes.
enum Fate {
    /// Somebody else acts just before it.
    Preceded(Box<dyn FnOnce(&mut Vault)>),
    /// It is done, but its answer is lost.
    Unanswered,
    /// It does not arrive.
    Lost,
    /// It answers success and does nothing.
    Ignored,
}

/// Servers before a test begins: one per role. Roles without a mount are folders.
#[derive(Default)]
pub struct Vault {
    mounts: BTreeMap<(String, String), Keys>,
    folder: Folder,
    now: u64,
    requests: Vec<String>,
    fates: VecDeque<(usize, Fate)>,
    writes: usize,
    broken: Vec<(String, u16)>,
    policies: BTreeMap<(String, String), Value>,
    unnumbered: BTreeSet<String>,
    date: Option<String>,
}

impl Vault {
    /// No mount yet.
    pub fn new() -> Self {
        Self { now: START, ..Self::default() }
    }

    /// The folders of roles that have no mount.
    pub fn folder(mut self, folder: Folder) -> Self {
        self.folder = folder;
        self
    }

    /// One more mount without versions.
    pub fn v1(mut self, role: &str, mount: &str) -> Self {
        self.mounts.insert((role.to_owned(), mount.to_owned()), Keys::V1(BTreeMap::new()));
        self
    }

    /// One more mount with versions, and what its config says.
    pub fn v2(mut self, role: &str, mount: &str, max_versions: u64, delete_after: u64) -> Self {
        let config = Config { max_versions, delete_after, cas_required: false };
        self.mounts.insert((role.to_owned(), mount.to_owned()), Keys::V2(config, BTreeMap::new()));
        self
    }

    /// One more policy of a server, with what the host tells of it: an array of `{"path", "rules"}`.
    pub fn policy(mut self, role: &str, name: &str, told: Value) -> Self {
        self.policies.insert((role.to_owned(), name.to_owned()), told);
        self
    }

    /// A server that does not number metadata: Vault, where `OpenBao` does.
    pub fn unnumbered(mut self, role: &str) -> Self {
        self.unnumbered.insert(role.to_owned());
        self
    }

    /// Makes it the thread's host.
    pub fn install(self) -> Server {
        let server = Server(Rc::new(RefCell::new(self)));
        super::install(Server(Rc::clone(&server.0)));
        server
    }

    /// Somebody writes a version, or the document of a v1 key.
    ///
    /// # Panics
    /// If there is no such mount.
    pub fn put(&mut self, role: &str, mount: &str, path: &str, document: Value) {
        self.now += 1;
        let now = self.now;
        match self.keys(role, mount) {
            Keys::V1(keys) => drop(keys.insert(path.to_owned(), document)),
            Keys::V2(config, keys) => {
                let config = *config;
                let stored = keys.entry(path.to_owned()).or_default();
                let current = stored.current;
                stored.write(document, Some(current), config, now);
            }
        }
    }

    /// Somebody changes a v2 key by other means.
    ///
    /// # Panics
    /// If there is no such v2 mount.
    pub fn change(&mut self, role: &str, mount: &str, path: &str, change: impl FnOnce(&mut Stored, u64)) {
        let now = self.now;
        let Keys::V2(_, keys) = self.keys(role, mount) else { panic!("{role}:{mount} is no v2 mount") };
        change(keys.entry(path.to_owned()).or_default(), now);
    }

    /// Somebody else sends a request of their own; what is answered is no concern of the test.
    ///
    /// # Panics
    /// If the request has a path that is none.
    pub fn as_somebody(&mut self, role: &str, request: &Request) {
        let path = request.path.trim_start_matches("/v1/");
        self.write(role, path, request).expect("a request of a test");
    }

    /// Somebody removes a key with everything.
    ///
    /// # Panics
    /// If there is no such mount.
    pub fn remove(&mut self, role: &str, mount: &str, path: &str) {
        match self.keys(role, mount) {
            Keys::V1(keys) => drop(keys.remove(path)),
            Keys::V2(_, keys) => drop(keys.remove(path)),
        }
    }

    fn keys(&mut self, role: &str, mount: &str) -> &mut Keys {
        self.mounts.get_mut(&(role.to_owned(), mount.to_owned())).expect("a test makes a mount before it uses it")
    }
}

impl Stored {
    /// Soft-deletes versions, as somebody else.
    pub fn soft_delete(&mut self, numbers: &[u64], now: u64) {
        self.delete(numbers, now);
    }

    /// Destroys versions, as somebody else.
    pub fn destroy_versions(&mut self, numbers: &[u64]) {
        self.destroy(numbers);
    }

    /// Schedules the deletion of a version.
    pub fn schedule(&mut self, number: u64, at: u64) {
        if let Some(revision) = self.versions.get_mut(&number) {
            revision.deletion = Some(at);
        }
    }

    /// The state of each version that is kept, and its document if it can be read.
    pub fn shown(&self, now: u64) -> BTreeMap<u64, (&'static str, Option<Value>)> {
        let word = |revision: &stored::Revision| match revision.deletion {
            _ if revision.destroyed => "destroyed",
            Some(deletion) if deletion <= now => "deleted",
            Some(_) => "scheduled",
            None => "live",
        };
        self.versions.iter().map(|(number, revision)| (*number, (word(revision), self.live(*number, now).cloned()))).collect()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("mounts", &self.mounts).finish_non_exhaustive()
    }
}

/// A test's hold on the servers while a plugin runs on them.
#[derive(Debug)]
pub struct Server(Rc<RefCell<Vault>>);

impl Server {
    /// Somebody writes a version, or the document of a v1 key.
    pub fn put(&self, role: &str, mount: &str, path: &str, document: Value) {
        self.vault().put(role, mount, path, document);
    }

    /// Somebody changes a v2 key by other means.
    pub fn change(&self, role: &str, mount: &str, path: &str, change: impl FnOnce(&mut Stored, u64)) {
        self.vault().change(role, mount, path, change);
    }

    /// A v2 key.
    pub fn get(&self, role: &str, mount: &str, path: &str) -> Option<Stored> {
        match self.vault().keys(role, mount) {
            Keys::V2(_, keys) => keys.get(path).cloned(),
            Keys::V1(_) => None,
        }
    }

    /// The document of a v1 key.
    pub fn single(&self, role: &str, mount: &str, path: &str) -> Option<Value> {
        match self.vault().keys(role, mount) {
            Keys::V1(keys) => keys.get(path).cloned(),
            Keys::V2(..) => None,
        }
    }

    /// The paths of a mount, in order.
    pub fn paths(&self, role: &str, mount: &str) -> Vec<String> {
        match self.vault().keys(role, mount) {
            Keys::V1(keys) => keys.keys().cloned().collect(),
            Keys::V2(_, keys) => keys.keys().cloned().collect(),
        }
    }

    /// Removes a key with everything.
    pub fn remove(&self, role: &str, mount: &str, path: &str) {
        self.vault().remove(role, mount, path);
    }

    /// Somebody else acts just before the `nth` write from now, 0 being the next.
    pub fn before_write(&self, nth: usize, act: impl FnOnce(&mut Vault) + 'static) {
        self.fate(nth, Fate::Preceded(Box::new(act)));
    }

    /// The `nth` write from now is done, but its answer is lost.
    pub fn lose_answer(&self, nth: usize) {
        self.fate(nth, Fate::Unanswered);
    }

    /// The `nth` write from now does not arrive.
    pub fn lose_write(&self, nth: usize) {
        self.fate(nth, Fate::Lost);
    }

    /// The `nth` write from now answers success and does nothing.
    pub fn ignore_write(&self, nth: usize) {
        self.fate(nth, Fate::Ignored);
    }

    /// Lets requests whose `METHOD role:path` begins with this answer with a status; 0 takes that back.
    pub fn break_requests(&self, beginning: &str, status: u16) {
        let mut vault = self.vault();
        vault.broken.retain(|(broken, _)| broken != beginning);
        if status > 0 {
            vault.broken.push((beginning.to_owned(), status));
        }
    }

    /// All requests so far, as `METHOD role:path`.
    pub fn requests(&self) -> Vec<String> {
        self.vault().requests.clone()
    }

    /// How many requests so far could write.
    pub fn writes(&self) -> usize {
        self.vault().writes
    }

    /// Milliseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.vault().now
    }

    /// From now on answers of mounts say this date (RFC 9110 section 6.6.1).
    pub fn dated(&self, date: impl Into<String>) {
        self.vault().date = Some(date.into());
    }

    /// Lets time pass.
    pub fn wait(&self, millis: u64) {
        self.vault().now += millis;
    }

    /// The token of a value.
    pub fn token(&self, value: &Value) -> Value {
        self.vault().folder.seal(value)
    }

    fn fate(&self, nth: usize, fate: Fate) {
        let mut vault = self.vault();
        let at = vault.writes + nth;
        vault.fates.push_back((at, fate));
    }

    fn vault(&self) -> RefMut<'_, Vault> {
        self.0.borrow_mut()
    }
}

impl Host for Server {
    fn send(&mut self, role: &str, _: Option<&str>, request: &Request) -> Result<Response, Failure> {
        self.vault().answer(role, request)
    }

    fn parse(&mut self, token: &str, form: Form) -> Result<Value, Failure> {
        Err(Failure::unsupported(format!("this fake parses no {form:?} ({token})")))
    }

    fn log(&mut self, _: Level, _: &str) {}
}
