//! The very requests of a run, in order, each with the hook that sent it: from a run of few secrets, one at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use cutover_engine::{Ending, Event, Failure};
use cutover_runtime::{
    clock::{BoxFuture, SystemClock},
    connection::{
        Access, Backend, ConnectionConfig, Kind, Kinds, OpenError, Opening, SendError, VaultKind, WireBody, WireRequest, WireResponse,
    },
    disk::SystemDisk,
    policy::{Ground, KindTable, RequestPath},
};
use cutover_tests::{OpenBao, Rig, warm_sandbox};

use super::pair::{MOUNT, Pair};
use crate::setting;

/// Which part of a run a request is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Plan,
    PlanAgain,
    Copy,
    Retire,
}

/// A request about one secret, with `{key}` in place of its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) part: Part,
    /// The hook as people know it.
    pub(crate) hook: &'static str,
    pub(crate) connection: String,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Empty for none.
    pub(crate) body: String,
    pub(crate) status: u16,
}

/// What was recorded.
pub(crate) struct Recording {
    /// The requests about each secret: they are the same for all.
    pub(crate) of_each: Vec<Request>,
    /// How many were about no secret: lists, limits of mounts.
    pub(crate) others: usize,
}

/// How many secrets are recorded.
pub(super) const KEYS: usize = 5;

enum Entry {
    Sent(Request),
    /// What was sent about this secret and has no hook yet was this hook's.
    Told(String, Part, &'static str),
}

type Log = Arc<Mutex<Vec<Entry>>>;

/// Runs the workflow in this process over a few secrets with so many versions, on servers that keep an audit log.
pub(crate) async fn record(versions: usize, plugins: &BTreeMap<String, Vec<u8>>) -> Recording {
    let pair = Pair::new(KEYS, versions, true);
    let log = Log::default();
    let mut kinds = Kinds::system();
    kinds.add(Arc::new(Listener { inner: VaultKind::default(), log: log.clone() }));
    let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(SystemClock), kinds);
    rig.host.sandbox = warm_sandbox();
    let workflow = pair.workflow().replace("parallel = 16", "parallel = 1");
    let prepared = setting::plan_in(&rig, &workflow, plugins.clone(), pair.folder.path()).await;
    tell_planned(&log, &pair, Part::Plan);
    let seen = log.clone();
    let keys = pair.keys.clone();
    let observer = move |run: &cutover_engine::Run, _, event: &Event| match (event, event.change()) {
        (Event::Started { .. }, _) => keys.iter().for_each(|key| told(&seen, key, Part::PlanAgain, "plan again")),
        (event, Some(change)) => {
            let name = run.plan().name_of(change);
            let key =
                keys.iter().filter(|key| name.contains(key.as_str())).max_by_key(|key| key.len()).expect("a change is about a secret");
            let part = if name.starts_with("copy/") { Part::Copy } else { Part::Retire };
            if let Some(hook) = hook(event) {
                told(&seen, key, part, hook);
            }
        }
        _ => {}
    };
    let rested = rig.host.start(rig.host.new_id(), prepared, true, std::future::pending(), Box::new(observer)).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{:?}", rested.run.cause());
    let recording = sorted(&log.lock().expect("no panic"), &pair.keys);
    compare_with_audit(&pair, &log.lock().expect("no panic"), &pair.keys);
    recording
}

fn tell_planned(log: &Log, pair: &Pair, part: Part) {
    pair.keys.iter().for_each(|key| told(log, key, part, "plan"));
}

fn told(log: &Log, key: &str, part: Part, hook: &'static str) {
    log.lock().expect("no panic").push(Entry::Told(key.to_owned(), part, hook));
}

/// The hook whose end an event is.
fn hook(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Captured { .. } => "capture",
        Event::ApplyEnded { .. } => "apply",
        Event::Compared { .. } => "look after apply",
        Event::Checked { .. } => "verify",
        Event::Rechecked { .. } => "look at the copy",
        Event::Proved { .. } => "prove",
        Event::HookFailed { failure, .. } => panic!("a hook failed: {failure}"),
        _ => return None,
    })
}

fn sorted(log: &[Entry], keys: &[String]) -> Recording {
    let mut of_keys: Vec<Vec<Request>> = vec![Vec::new(); keys.len()];
    let mut others = 0;
    for (at, entry) in log.iter().enumerate() {
        let Entry::Sent(request) = entry else { continue };
        let Some(index) = key_of(&request.target, keys) else {
            others += 1;
            continue;
        };
        let key = &keys[index];
        let ended = log[at..].iter().find_map(|entry| match entry {
            Entry::Told(of, part, hook) if of == key => Some((*part, *hook)),
            _ => None,
        });
        let (part, hook) = ended.expect("each request is of a hook");
        let target = request.target.replace(key.as_str(), "{key}");
        of_keys[index].push(Request { part, hook, target, ..request.clone() });
    }
    let alike = |one: &Request, other: &Request| {
        Request { body: String::new(), ..one.clone() } == Request { body: String::new(), ..other.clone() }
            && one.body.len() == other.body.len()
    };
    let of_each = of_keys.swap_remove(0);
    for other in &of_keys {
        assert!(of_each.len() == other.len() && of_each.iter().zip(other).all(|(one, other)| alike(one, other)), "secrets are asked alike");
    }
    Recording { of_each, others }
}

/// What the servers' own logs have of each secret is what was recorded.
fn compare_with_audit(pair: &Pair, log: &[Entry], keys: &[String]) {
    for (server, is_old) in [(&pair.old, true), (&pair.new, false)] {
        let recorded = log.iter().filter(|entry| match entry {
            Entry::Sent(request) => key_of(&request.target, keys).is_some() && std::ptr::eq(pair.connection(&request.connection).0, server),
            Entry::Told(..) => false,
        });
        assert_eq!(recorded.count(), audited(server), "requests that the {} server saw", if is_old { "old" } else { "new" });
    }
}

/// Requests about secrets that came with a token of ours.
fn audited(server: &OpenBao) -> usize {
    let mut count = 0;
    server.each_audited(|entry| {
        let of_root = entry["auth"]["policies"].as_array().is_some_and(|policies| policies.contains(&"root".into()));
        let path = entry["request"]["path"].as_str().unwrap_or_default();
        let about_secret = path.starts_with(&format!("{MOUNT}/")) && path.contains("/db-");
        count += usize::from(entry["type"] == "request" && !of_root && about_secret);
    });
    count
}

/// Which secret a path is about.
fn key_of(target: &str, keys: &[String]) -> Option<usize> {
    let path = target.split('?').next().unwrap_or_default();
    keys.iter().position(|key| path.ends_with(&format!("/{key}")))
}

/// Kind `vault`, whose requests are noted.
struct Listener {
    inner: VaultKind,
    log: Log,
}

struct Listening {
    connection: String,
    inner: Arc<dyn Backend>,
    log: Log,
}

impl Kind for Listener {
    fn table(&self) -> &Arc<KindTable> {
        self.inner.table()
    }

    fn open<'a>(&'a self, config: &'a ConnectionConfig, opening: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async move {
            let inner = self.inner.open(config, opening).await?;
            Ok(Arc::new(Listening { connection: config.name.clone(), inner, log: self.log.clone() }) as Arc<dyn Backend>)
        })
    }
}

impl Backend for Listening {
    fn authority(&self) -> &str {
        self.inner.authority()
    }

    fn table(&self) -> &Arc<KindTable> {
        self.inner.table()
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move {
            let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let target = [vec![request.path.wire()], query].concat().join("?");
            let body = match &request.body {
                None => String::new(),
                Some(WireBody::Json(document)) => document.to_string(),
                Some(_) => panic!("{target}: a body that is no JSON"),
            };
            let (connection, method) = (self.connection.clone(), request.method.clone());
            let answer = self.inner.send(request).await?;
            let sent = Request { part: Part::Plan, hook: "", connection, method, target, body, status: answer.status };
            self.log.lock().expect("no panic").push(Entry::Sent(sent));
            Ok(answer)
        })
    }

    fn ground<'a>(&'a self, path: &'a RequestPath) -> BoxFuture<'a, Result<Option<Ground>, SendError>> {
        self.inner.ground(path)
    }

    fn health(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.inner.health()
    }

    fn access(&self, paths: Vec<String>) -> BoxFuture<'_, Result<Option<Access>, SendError>> {
        self.inner.access(paths)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
