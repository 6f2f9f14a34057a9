//! What a hook call is and what it may ask of the host: plain messages, no Wasmtime types.
//!
//! The sandbox calls [`Powers`]; a session implements it. Keeping this seam message-shaped lets the sandbox
//! move into a process of its own.
#![expect(missing_docs, reason = "the fields of messages are told in `wit/`")]

use cutover_engine::{ChangeBody, Failure, Timestamp};
use serde_json::Value;

use crate::clock::BoxFuture;

/// `context` of `wit/types.wit`.
#[derive(Debug, Clone)]
pub struct HookContext {
    /// The run's id; empty while planning.
    pub run: String,
    /// The change's id.
    pub change: String,
    /// Counts from 1.
    pub attempt: u32,
    /// When the call began.
    pub now: Timestamp,
    /// When the host ends it.
    pub deadline: Timestamp,
    /// The same for every attempt of one hook of one change.
    pub idempotency_key: String,
}

/// One call of an exported function. Every call gets a fresh instance.
#[derive(Debug, Clone)]
pub enum Call {
    /// `migration.plan`
    Plan { operation: String, input: Value, linked: Vec<ChangeBody>, cursor: Option<String> },
    /// `migration.capture`
    Capture { context: HookContext, operation: String, change: ChangeBody },
    /// `migration.apply`
    Apply { context: HookContext, operation: String, change: ChangeBody, pre_image: Option<Value>, memo: Option<Value> },
    /// `migration.rollback`
    Rollback { context: HookContext, operation: String, change: ChangeBody, pre_image: Option<Value>, memo: Option<Value> },
    /// `migration.verify`
    Verify { context: HookContext, operation: String, change: ChangeBody, pre_image: Option<Value>, memo: Option<Value>, stage: Stage },
    /// `probe.observe`
    Observe { context: HookContext, operation: String, input: Value, change: Option<ChangeBody> },
}

/// When `verify` is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// After apply.
    Applied,
    /// After rollback.
    RolledBack,
    /// After a retire change was applied.
    Retired,
}

/// What a call returned. The variant fits the call's.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A part of a plan.
    Page { changes: Vec<ChangeBody>, rest: Vec<String>, output: Option<Value> },
    /// What is there and what should be.
    Snapshot { state: Option<Value>, expected: Option<Value> },
    /// How far a writing hook came: finished, with a memo.
    Done { memo: Option<Value> },
    /// How far a writing hook came: call again.
    Again { after_seconds: u32, memo: Value, note: String },
    /// The plugin's own checks.
    Checks(Vec<Check>),
    /// An observation.
    Observation(Value),
}

/// One named check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The same in every run.
    pub name: String,
    /// `identity`, `application` or `telemetry`.
    pub plane: &'static str,
    /// What it found.
    pub verdict: cutover_engine::Verdict,
    /// Without values.
    pub detail: String,
}

/// A request as the plugin wrote it: tokens where secrets go.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// With a leading slash.
    pub path: String,
    /// Unencoded pairs.
    pub query: Vec<(String, String)>,
    /// Without those that the host owns.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Body>,
    /// A sealed credential to use in place of the connection's own.
    pub credential: Option<String>,
}

/// A request body.
#[derive(Debug, Clone)]
pub enum Body {
    /// A document; tokens are whole leaves.
    Json(Value),
    /// A form; tokens are whole values.
    Form(Vec<(String, String)>),
    /// Plain bytes.
    Bytes(Vec<u8>),
}

/// What the plugin gets to see of a response.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status or its nearest.
    pub status: u16,
    /// Public headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What the route's rule shows.
    pub body: Option<Value>,
}

/// What `sealed.generate` makes.
#[derive(Debug, Clone)]
pub enum GenerateKind {
    /// A password of `length` characters of `alphabet`.
    Password { length: u32, alphabet: Option<String> },
    /// ECDSA P-256 (FIPS 186-5).
    P256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// What `sealed.generate` returns.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The token.
    pub secret: String,
    /// The public key as SPKI PEM.
    pub public: Option<String>,
}

/// Forms a secret text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 8259.
    Json,
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
    /// `NAME=value` lines.
    Dotenv,
    /// RFC 7468.
    Pem,
    /// RFC 4648 section 4.
    Base64,
    /// RFC 4648 section 8.
    Hex,
    /// A list of strings, joined.
    Concat,
}

/// A certificate's public facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// RFC 4514 text.
    pub subject: String,
    /// RFC 4514 text.
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// DNS names, IP addresses and URIs.
    pub names: Vec<String>,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// For the operator.
    Info,
    /// Something to look at.
    Warn,
}

/// The host's side of one hook call. A failure goes to the guest; one the host finds unforgivable is also
/// remembered by the session, whatever the guest makes of it.
pub trait Powers: Send + Sync {
    /// `connection.send`
    fn send(&self, role: String, member: Option<String>, request: Request) -> BoxFuture<'_, Result<Response, Failure>>;
    /// `connection.members`
    fn members(&self, role: &str) -> Vec<String>;
    /// `sealed.generate`
    fn generate(&self, label: String, kind: GenerateKind) -> BoxFuture<'_, Result<Generated, Failure>>;
    /// `sealed.parse`
    fn parse(&self, token: &str, form: Form) -> Result<Value, Failure>;
    /// `sealed.render`
    fn render(&self, document: &Value, form: Form) -> Result<String, Failure>;
    /// `sealed.sign`
    fn sign(&self, key: &str, message: &[u8]) -> Result<String, Failure>;
    /// `sealed.csr`
    fn csr(&self, key: &str, names: &[String]) -> Result<String, Failure>;
    /// `sealed.certificate-facts`
    fn certificate_facts(&self, certificate: &str) -> Result<CertificateFacts, Failure>;
    /// `sealed.claims`
    fn claims(&self, token: &str) -> Result<Value, Failure>;
    /// `log.write`
    fn log(&self, level: LogLevel, message: &str);
}
