//! Servers in memory, reached by connections of kind `http`: documents by path, with versions, preconditions, a log of all
//! requests, and mishaps on order. `sealed/PATH` is another way to the document `PATH`. A query `version` other than the
//! document's own finds nothing, and whoever comes with a credential in place of the connection's is refused.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use cutover_engine::{Failure, FailureCase};
use cutover_runtime::{
    clock::BoxFuture,
    connection::{
        Backend, ConnectionConfig, Kind, Kinds, OpenError, Opening, SendError, WireBody, WireRequest, WireResponse, WireResponseBody,
    },
    policy::{KindTable, PUBLIC_HEADERS, Unlisted},
};
use serde_json::{Value, json};

/// The kind `http`, but every server is in memory: one for each URL.
pub struct MemoryKind {
    table: Arc<KindTable>,
    servers: Mutex<BTreeMap<String, Arc<MemoryServer>>>,
}

/// One server.
pub struct MemoryServer {
    table: Arc<KindTable>,
    authority: String,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    documents: BTreeMap<String, Document>,
    versions: u64,
    log: Vec<Exchange>,
    mishaps: Vec<(String, VecDeque<Mishap>)>,
    service: Option<Service>,
    after_effect: Option<AfterEffect>,
    away: Option<Away>,
}

#[derive(Clone)]
struct Document {
    version: u64,
    value: Value,
}

/// Answers requests that are more than documents; none leaves them to the documents.
type Service = Box<dyn Fn(&str, &str, Option<&Value>) -> Option<(u16, Value)> + Send + Sync>;

/// Told after each write that changed something how many there were.
type AfterEffect = Box<dyn Fn(usize) + Send + Sync>;

/// Whether the server answers nothing but 503 now.
type Away = Box<dyn Fn() -> bool + Send + Sync>;

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// `METHOD /path`.
    pub request: String,
    /// The status; 0 if no answer came back.
    pub status: u16,
    /// The body, as the server saw it.
    pub body: Option<Value>,
    /// Whether it changed what the server holds.
    pub effect: bool,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing; the request after it may fare worse.
    None,
    /// It takes effect and the answer is lost.
    AnswerLost,
    /// It never leaves.
    NotSent,
    /// The server refuses with this status and does nothing.
    Status(u16),
}

impl MemoryKind {
    /// No servers yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let table = KindTable {
            kind: "http",
            routes: Vec::new(),
            unlisted: Unlisted::ByMethod,
            owned_headers: &[],
            public_headers: PUBLIC_HEADERS,
        };
        Arc::new(Self { table: Arc::new(table), servers: Mutex::default() })
    }

    /// The system's kinds, with this one as `http`.
    #[must_use]
    pub fn kinds(self: &Arc<Self>) -> Kinds {
        let mut kinds = Kinds::system();
        kinds.add(self.clone());
        kinds
    }

    /// The server at a URL; an empty one if nobody asked before.
    ///
    /// # Panics
    /// Never: nobody panics while holding the lock.
    pub fn server(&self, url: &str) -> Arc<MemoryServer> {
        let mut servers = self.servers.lock().expect("nobody panics while holding it");
        let made = || MemoryServer { table: self.table.clone(), authority: url.to_owned(), content: Mutex::default() };
        servers.entry(url.to_owned()).or_insert_with(|| Arc::new(made())).clone()
    }
}

impl Kind for MemoryKind {
    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn open<'a>(&'a self, declaration: &'a ConnectionConfig, _: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async move { Ok(self.server(declaration.url.as_deref().unwrap_or_default()) as Arc<dyn Backend>) })
    }
}

impl MemoryServer {
    /// Puts a document there, as somebody else would.
    pub fn put(&self, path: &str, value: Value) {
        let mut content = self.content();
        content.put(path, value);
    }

    /// All documents by path.
    #[must_use]
    pub fn documents(&self) -> BTreeMap<String, Value> {
        self.content().documents.iter().map(|(path, document)| (path.clone(), document.value.clone())).collect()
    }

    /// All requests so far.
    #[must_use]
    pub fn log(&self) -> Vec<Exchange> {
        self.content().log.clone()
    }

    /// The requests that changed something, each `METHOD /path`.
    #[must_use]
    pub fn effects(&self) -> Vec<String> {
        self.log().into_iter().filter(|exchange| exchange.effect).map(|exchange| exchange.request).collect()
    }

    /// What shall go wrong with the next requests that are exactly `METHOD /path`, one after the other.
    pub fn mishaps(&self, request: &str, mishaps: &[Mishap]) {
        self.content().mishaps.push((request.to_owned(), mishaps.iter().copied().collect()));
    }

    /// Answers requests that are more than documents. It gets method, path and body; none leaves the request to the documents.
    pub fn serve(&self, service: impl Fn(&str, &str, Option<&Value>) -> Option<(u16, Value)> + Send + Sync + 'static) {
        self.content().service = Some(Box::new(service));
    }

    /// Is told after each write that changed something how many there were, before its answer leaves.
    pub fn after_effect(&self, told: impl Fn(usize) + Send + Sync + 'static) {
        self.content().after_effect = Some(Box::new(told));
    }

    /// Answers every request with 503, as a sealed server does, as long as this says so.
    pub fn away(&self, away: impl Fn() -> bool + Send + Sync + 'static) {
        self.content().away = Some(Box::new(away));
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("nobody panics while holding it")
    }

    fn answer(&self, request: &WireRequest) -> Result<WireResponse, SendError> {
        let mut content = self.content();
        let line = format!("{} {}", request.method, request.path);
        let is_away = content.away.as_ref().is_some_and(|away| away());
        let mishap = if is_away { Mishap::Status(503) } else { content.mishap(&line) };
        let answered = match mishap {
            Mishap::NotSent => {
                let text = "the connection was refused".to_owned();
                return Err(Failure { case: FailureCase::Unavailable, code: Some("CUT3231".to_owned()), text }.into());
            }
            Mishap::Status(status) => Answered { status, ..Answered::default() },
            Mishap::None | Mishap::AnswerLost => content.perform(request),
        };
        let lost = mishap == Mishap::AnswerLost;
        let status = if lost { 0 } else { answered.status };
        content.log.push(Exchange { request: line, status, body: body_of(request), effect: answered.effect });
        if answered.effect
            && let Some(told) = &content.after_effect
        {
            told(content.log.iter().filter(|exchange| exchange.effect).count());
        }
        if lost { Err(SendError::Lost { text: "the connection broke before the answer".to_owned() }) } else { Ok(answered.response()) }
    }
}

impl Backend for MemoryServer {
    fn authority(&self) -> &str {
        &self.authority
    }

    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move { self.answer(&request) })
    }
}

/// What a request came to.
#[derive(Default)]
struct Answered {
    status: u16,
    etag: Option<u64>,
    body: Option<Value>,
    effect: bool,
}

impl Answered {
    fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    fn response(self) -> WireResponse {
        let headers = self.etag.map(|version| ("etag".to_owned(), format!("\"{version}\""))).into_iter().collect();
        let bytes = self.body.as_ref().map_or(0, |body| body.to_string().len() as u64);
        let body = self.body.map_or(WireResponseBody::None, WireResponseBody::Json);
        WireResponse { status: self.status, headers, body, bytes, form: None }
    }
}

impl Content {
    fn mishap(&mut self, line: &str) -> Mishap {
        let ordered = self.mishaps.iter_mut().find(|(request, mishaps)| request == line && !mishaps.is_empty());
        ordered.and_then(|(_, mishaps)| mishaps.pop_front()).unwrap_or(Mishap::None)
    }

    fn put(&mut self, path: &str, value: Value) -> u64 {
        self.versions += 1;
        self.documents.insert(path.to_owned(), Document { version: self.versions, value });
        self.versions
    }

    fn perform(&mut self, request: &WireRequest) -> Answered {
        let object = request.path.object();
        let path = object.strip_prefix("sealed/").unwrap_or(&object).to_owned();
        let body = body_of(request);
        if let Some((status, answer)) = self.service.as_ref().and_then(|service| service(&request.method, &path, body.as_ref())) {
            return Answered { status, body: Some(answer), effect: status == 201, ..Answered::default() };
        }
        if request.credential.is_some() {
            return Answered::status(403);
        }
        let asked = request.query.iter().find(|(name, _)| name == "version").map(|(_, version)| version);
        let is_asked = |document: &&Document| asked.is_none_or(|asked| *asked == document.version.to_string());
        let present = self.documents.get(&path).filter(is_asked).cloned();
        let header = |name: &str| request.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let version = present.as_ref().map(|present| format!("\"{}\"", present.version));
        let stale = header("if-match").is_some_and(|etag| Some(etag) != version.as_deref());
        match (request.method.as_str(), present) {
            ("GET", Some(found)) => Answered { status: 200, etag: Some(found.version), body: Some(found.value), effect: false },
            ("LIST", _) => Answered { status: 200, body: Some(self.names(&path)), ..Answered::default() },
            ("PUT" | "DELETE", present) if stale || (header("if-none-match") == Some("*") && present.is_some()) => Answered::status(412),
            ("PUT", present) => {
                let value = body.unwrap_or_default();
                let effect = present.is_none_or(|present| present.value != value);
                Answered { status: 200, etag: Some(self.put(&path, value)), effect, body: None }
            }
            ("DELETE", Some(_)) => {
                self.documents.remove(&path);
                Answered { status: 204, effect: true, ..Answered::default() }
            }
            ("GET" | "DELETE", None) => Answered::status(404),
            _ => Answered::status(405),
        }
    }

    fn names(&self, folder: &str) -> Value {
        let names = self.documents.keys().filter_map(|path| path.strip_prefix(folder)).map(|name| name.trim_start_matches('/'));
        json!({ "keys": names.collect::<Vec<_>>() })
    }
}

fn body_of(request: &WireRequest) -> Option<Value> {
    match request.body.as_ref()? {
        WireBody::Json(value) => Some(value.clone()),
        WireBody::Form(pairs) => Some(pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()),
        WireBody::Bytes(bytes) => Some(Value::from(String::from_utf8_lossy(bytes).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use cutover_runtime::policy::RequestPath;

    use super::*;

    fn send(server: &MemoryServer, method: &str, path: &str, header: Option<(&str, &str)>, body: Option<Value>) -> Result<u16, SendError> {
        let request = WireRequest {
            method: method.to_owned(),
            path: RequestPath::parse(path).expect("a path"),
            query: Vec::new(),
            headers: header.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.map(WireBody::Json),
            credential: None,
        };
        server.answer(&request).map(|response| response.status)
    }

    #[test]
    fn preconditions_hold_and_effects_are_counted() {
        let server = MemoryKind::new().server("https://a.test");
        let put = |header, value: i32| send(&server, "PUT", "/x", header, Some(json!(value))).expect("an answer");
        assert_eq!(put(Some(("if-none-match", "*")), 1), 200);
        assert_eq!(put(Some(("if-none-match", "*")), 2), 412);
        assert_eq!(put(Some(("if-match", "\"1\"")), 1), 200);
        assert_eq!(put(Some(("if-match", "\"1\"")), 3), 412);
        assert_eq!(server.effects(), ["PUT /x"], "writing the same again is no effect");
    }

    #[test]
    fn a_lost_answer_took_effect_and_a_refused_request_did_not() {
        let server = MemoryKind::new().server("https://a.test");
        server.mishaps("PUT /x", &[Mishap::AnswerLost, Mishap::Status(503), Mishap::NotSent]);
        let put = |value: i32| send(&server, "PUT", "/x", None, Some(json!(value)));
        assert!(matches!(put(1), Err(SendError::Lost { .. })));
        assert_eq!(put(2).expect("an answer"), 503);
        assert!(matches!(put(3), Err(SendError::NotSent { .. })));
        assert_eq!(server.documents()["x"], json!(1));
    }
}
