//! The only way out: backends that an operator declared, all speaking one form of request.
//!
//! A [`ConnectionConfig`] is opened by its [`Kind`] into one [`Backend`], or one for each member of a set. Requests
//! that arrive here were judged by [`crate::policy`] and hold plaintext where the plugin wrote tokens.
//! A new kind is one file: a [`Kind`] with its class table, registered in [`Kinds`].

mod credential;
mod declaration;
mod file;
mod http;
mod members;
mod number;
mod pace;
mod vault;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use cutover_engine::{Failure, FailureCase, Pointer, Span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    clock::{BoxFuture, Clock},
    hook::Form,
    policy::{Code, Ground, KindTable, RequestPath},
    secret::Secret,
};

pub use credential::Credentials;
pub use declaration::declared;
pub use file::FileKind;
pub use http::{HttpKind, Resolve, SystemResolver};
pub use pace::{Pace, Rate};
pub use vault::VaultKind;

/// A request as it leaves: secrets in plain. Its `Debug` shows method and path only.
pub struct WireRequest {
    /// In capitals.
    pub method: String,
    /// The path that was judged.
    pub path: RequestPath,
    /// Unencoded pairs.
    pub query: Vec<(String, String)>,
    /// Checked by the policy.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<WireBody>,
    /// Used in place of the connection's own credential.
    pub credential: Option<Arc<Secret>>,
}

impl WireRequest {
    /// A request of the host's own, without query, headers, body and credential.
    fn of_host(method: &str, path: RequestPath) -> Self {
        Self { method: method.to_owned(), path, query: Vec::new(), headers: Vec::new(), body: None, credential: None }
    }

    /// The same once more, for a server that refused it before it performed it.
    fn again(&self) -> Self {
        let body = self.body.as_ref().map(|body| match body {
            WireBody::Json(document) => WireBody::Json(document.clone()),
            WireBody::Form(pairs) => WireBody::Form(pairs.clone()),
            WireBody::Bytes(bytes) => WireBody::Bytes(bytes.clone()),
        });
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body,
            credential: self.credential.clone(),
        }
    }
}

impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireRequest({} {})", self.method, self.path)
    }
}

/// A request body, in plain. It has no `Debug`.
pub enum WireBody {
    /// A JSON document.
    Json(Value),
    /// `application/x-www-form-urlencoded` pairs.
    Form(Vec<(String, String)>),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A response as it came: nothing in it is public yet. Its `Debug` shows the status only.
pub struct WireResponse {
    /// HTTP status or its nearest.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: WireResponseBody,
    /// How many bytes the body had: for the limits of a hook call.
    pub bytes: u64,
    /// The form of a whole text, where the kind knows it from a name: only as that may a plugin have it parsed.
    pub form: Option<Form>,
}

impl WireResponse {
    /// The value of the first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for WireResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireResponse({})", self.status)
    }
}

/// A response body, in plain. It has no `Debug`.
pub enum WireResponseBody {
    /// Nothing.
    None,
    /// A JSON document; numbers keep their digits.
    Json(Value),
    /// UTF-8 text that is no JSON, or JSON nested too deep.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// Why there is no response.
#[derive(Debug)]
pub enum SendError {
    /// The request did not leave, or the server refused before it took it: nothing happened.
    NotSent {
        /// Why.
        failure: Failure,
    },
    /// The request may have left, and no usable answer came: a write has an unknown outcome.
    Lost {
        /// What broke, without content.
        text: String,
    },
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        Self::NotSent { failure }
    }
}

/// One connection, or one member of a set.
pub trait Backend: Send + Sync {
    /// Which place this is, with its namespace, such as `https://vault.corp:8200` or `file:/etc/app`: for locks, chains and plans.
    fn authority(&self) -> &str;
    /// The kind's own class table.
    fn table(&self) -> &Arc<KindTable>;
    /// Sends one request. Never leaves the operator's grant, never repeats a request that may have been performed.
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>>;
    /// Where a path leads, for kinds whose classes depend on it. Only asked for paths that no other route of the table fits.
    fn ground<'a>(&'a self, _path: &'a RequestPath) -> BoxFuture<'a, Result<Option<Ground>, SendError>> {
        Box::pin(async { Ok(None) })
    }
    /// The same without asking, if it was asked lately.
    fn known_ground(&self, _path: &RequestPath) -> Option<Ground> {
        None
    }
    /// Whether the backend can work now; the failure says in words what state it is in.
    fn health(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    /// What the connection's own credential can do at these paths, for kinds that can say so.
    fn access(&self, _paths: Vec<String>) -> BoxFuture<'_, Result<Option<Access>, SendError>> {
        Box::pin(async { Ok(None) })
    }
    /// Gives up what the host obtained from the backend for itself, such as a login. A later request obtains it again.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What a credential can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Path → verbs, such as `read` and `update`; none for what is refused.
    pub verbs: BTreeMap<String, Vec<String>>,
    /// The names of its policies.
    pub policies: Vec<String>,
    /// How long it lives from now if the host cannot prolong it; none is for longer than any run.
    pub ttl: Option<Span>,
    /// Why its policies and its life are not known, if they are not.
    pub untold: Option<String>,
    /// So many milliseconds the server's clock is ahead of this machine's, to a second; none if it does not say.
    pub ahead: Option<i64>,
}

/// A way to speak to a kind of backend.
pub trait Kind: Send + Sync {
    /// The class table; its `kind` is the name that workflows use.
    fn table(&self) -> &Arc<KindTable>;
    /// Opens a connection, with credentials read but nothing sent.
    fn open<'a>(&'a self, declaration: &'a ConnectionConfig, opening: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>>;
}

/// A connection as the operator declared it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionConfig {
    /// Its name in the workflow.
    pub name: String,
    /// The kind.
    pub kind: String,
    /// Where it is; for kinds that have one.
    pub url: Option<String>,
    /// The members: the connection is then a set.
    pub members: Option<Members>,
    /// At most so many requests.
    pub rate: Option<Rate>,
    /// Reads that are neither GET, HEAD nor LIST.
    pub reads: Vec<String>,
    /// Places of responses that are no secrets.
    pub public: Vec<Pointer>,
    /// Longest wait for one response, if not the usual one.
    pub timeout: Option<Span>,
    /// The kind's own settings; it refuses unknown ones.
    pub settings: Map<String, Value>,
    /// The folder that relative paths start from: the workflow's.
    pub folder: PathBuf,
}

/// The members of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Members {
    /// A CSV file with the columns `name` and `url`.
    File(PathBuf),
    /// Name → URL.
    Listed(BTreeMap<String, String>),
}

/// What opening needs from around it.
pub struct Opening {
    /// For pacing.
    pub clock: Arc<dyn Clock>,
    /// Reads credentials, each once.
    pub credentials: Credentials,
    /// For each request.
    pub limits: WireLimits,
    /// The key of content digests that stand for values, such as a file's `ETag`: they say nothing without it.
    pub digest_key: Zeroizing<[u8; 32]>,
}

/// Limits of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Until the connection, TLS included, stands.
    pub connect: Duration,
    /// From sending until the head of the response is here.
    pub first_byte: Duration,
    /// For everything.
    pub total: Duration,
    /// Of a response body, in bytes.
    pub body: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: Duration::from_secs(15), total: Duration::from_mins(1), body: 8 << 20 }
    }
}

/// Why a connection could not be opened. No variant holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No kind has that name.
    #[error("connection `{name}`: there is no kind `{kind}`; there are `{}`", known.join("`, `"))]
    UnknownKind {
        /// The connection.
        name: String,
        /// What was written.
        kind: String,
        /// What could be.
        known: Vec<String>,
    },
    /// The declaration is wrong.
    #[error("connection `{name}`: {problem}")]
    Declaration {
        /// The connection.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A credential cannot be read.
    #[error("connection `{name}`: the credential `{origin}` cannot be read: {problem}")]
    Credential {
        /// The connection.
        name: String,
        /// The source as written, never the value.
        origin: String,
        /// What went wrong.
        problem: String,
    },
    /// The members file is wrong.
    #[error("connection `{name}`: the members file `{}` is wrong: {problem}", path.display())]
    Members {
        /// The connection.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl OpenError {
    /// The diagnostic code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownKind { .. } | Self::Declaration { .. } => Code::DECLARATION,
            Self::Credential { .. } => Code::CREDENTIAL,
            Self::Members { .. } => Code::MEMBERS,
        }
    }

    fn declaration(config: &ConnectionConfig, problem: impl Into<String>) -> Self {
        Self::Declaration { name: config.name.clone(), problem: problem.into() }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        error.code().failure(FailureCase::InvalidInput, error.to_string())
    }
}

/// An opened connection.
pub enum Opened {
    /// One backend.
    One(Arc<dyn Backend>),
    /// A set: members in the file's order.
    Set(Vec<(String, Arc<dyn Backend>)>),
}

/// The kinds there are, by name.
#[derive(Clone, Default)]
pub struct Kinds(BTreeMap<&'static str, Arc<dyn Kind>>);

impl Kinds {
    /// `http`, `vault` and `file`.
    #[must_use]
    pub fn system() -> Self {
        let mut kinds = Self::default();
        kinds.add(Arc::new(VaultKind::default()));
        kinds.add(Arc::new(HttpKind::default()));
        kinds.add(Arc::new(FileKind::default()));
        kinds
    }

    /// Adds a kind, or replaces the one of that name.
    pub fn add(&mut self, kind: Arc<dyn Kind>) {
        self.0.insert(kind.table().kind, kind);
    }

    /// The class table of a kind: known without opening anything.
    #[must_use]
    pub fn table(&self, kind: &str) -> Option<&Arc<KindTable>> {
        self.0.get(kind).map(|kind| kind.table())
    }

    /// Opens a connection or every member of a set. Members share one pace only if they share a backend, so each has its own.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(&self, config: &ConnectionConfig, opening: &Opening) -> Result<Opened, OpenError> {
        let Some(kind) = self.0.get(config.kind.as_str()) else {
            let known = self.0.keys().map(|&kind| kind.to_owned()).collect();
            return Err(OpenError::UnknownKind { name: config.name.clone(), kind: config.kind.clone(), known });
        };
        let Some(listed) = &config.members else {
            return Ok(Opened::One(pace::paced(kind.open(config, opening).await?, config.rate, &opening.clock)));
        };
        if config.url.is_some() {
            return Err(OpenError::declaration(config, "it has both `url` and `members`; the members file has the urls"));
        }
        let listed: Vec<(String, String)> = match listed {
            Members::Listed(listed) => listed.clone().into_iter().collect(),
            Members::File(path) => members::read(&config.folder.join(path)).map_err(|problem| OpenError::Members {
                name: config.name.clone(),
                path: path.clone(),
                problem,
            })?,
        };
        let mut members = Vec::new();
        for (member, url) in listed {
            let one = ConnectionConfig { url: Some(url), members: None, ..config.clone() };
            members.push((member, pace::paced(kind.open(&one, opening).await?, config.rate, &opening.clock)));
        }
        Ok(Opened::Set(members))
    }
}

/// Reads a kind's own settings. The error names the setting, not its value.
fn settings<T: serde::de::DeserializeOwned>(config: &ConnectionConfig) -> Result<T, OpenError> {
    serde_json::from_value(Value::Object(config.settings.clone())).map_err(|error| OpenError::declaration(config, error.to_string()))
}
