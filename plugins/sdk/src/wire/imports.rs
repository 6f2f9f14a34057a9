//! Calls to the host: the SDK's words to the contract's and back.

use serde_json::Value;

use crate::{
    bindings::migrator::cutover::plugin::{connection, log as journal, sealed, types},
    failure::Failure,
    log::Level,
    request::{Body, Request, Response},
    sealed::{CertificateFacts, Form, Generated, Kind},
};

pub(crate) fn send(role: &str, member: Option<&str>, request: &Request) -> Result<Response, Failure> {
    let request = connection::Request {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body: request.body.as_ref().map(|body| match body {
            Body::Json(document) => connection::Body::Json(document.to_string()),
            Body::Form(pairs) => connection::Body::Form(pairs.clone()),
            Body::Bytes(bytes) => connection::Body::Bytes(bytes.clone()),
        }),
        as_: request.credential.clone(),
    };
    let response = connection::send(role, member, &request)?;
    let body = response.body.as_deref().map(document).transpose()?;
    Ok(Response { status: response.status, headers: response.headers, body })
}

pub(crate) fn members(role: &str) -> Vec<String> {
    connection::members(role)
}

pub(crate) fn generate(label: &str, kind: &Kind) -> Result<Generated, Failure> {
    let kind = match kind {
        Kind::Password { length, alphabet } => sealed::Kind::Password(sealed::Password { length: *length, alphabet: alphabet.clone() }),
        Kind::P256 => sealed::Kind::KeyPair(sealed::KeyAlgorithm::P256),
        Kind::Ed25519 => sealed::Kind::KeyPair(sealed::KeyAlgorithm::Ed25519),
    };
    let generated = sealed::generate(label, &kind)?;
    Ok(Generated { secret: generated.secret, public: generated.public })
}

pub(crate) fn parse(token: &str, form: Form) -> Result<Value, Failure> {
    document(&sealed::parse(token, form.into())?)
}

pub(crate) fn render(document: &Value, form: Form) -> Result<String, Failure> {
    Ok(sealed::render(&document.to_string(), form.into())?)
}

pub(crate) fn sign(key: &str, message: &[u8]) -> Result<String, Failure> {
    Ok(sealed::sign(key, message)?)
}

pub(crate) fn csr(key: &str, names: &[String]) -> Result<String, Failure> {
    Ok(sealed::csr(key, names)?)
}

pub(crate) fn certificate_facts(certificate: &str) -> Result<CertificateFacts, Failure> {
    let facts = sealed::certificate_facts(certificate)?;
    Ok(CertificateFacts {
        subject: facts.subject,
        issuer: facts.issuer,
        serial: facts.serial,
        not_before: facts.not_before,
        not_after: facts.not_after,
        names: facts.names,
        fingerprint: facts.fingerprint,
    })
}

pub(crate) fn claims(token: &str) -> Result<Value, Failure> {
    document(&sealed::claims(token)?)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => journal::Level::Debug,
        Level::Info => journal::Level::Info,
        Level::Warn => journal::Level::Warn,
    };
    journal::write(level, message);
}

/// A document that the host gave.
pub(super) fn document(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::internal(format!("the host's JSON: {error}")))
}

impl From<Form> for sealed::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Json => Self::Json,
            Form::Yaml => Self::Yaml,
            Form::Toml => Self::Toml,
            Form::Dotenv => Self::Dotenv,
            Form::Pem => Self::Pem,
            Form::Base64 => Self::Base64,
            Form::Hex => Self::Hex,
            Form::Concat => Self::Concat,
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::InvalidInput(text) => Self::InvalidInput(text),
            types::Failure::Denied(text) => Self::Denied(text),
            types::Failure::NotFound(text) => Self::NotFound(text),
            types::Failure::Conflict(text) => Self::Conflict(text),
            types::Failure::RateLimited(seconds) => Self::RateLimited(seconds),
            types::Failure::Unavailable(text) => Self::Unavailable(text),
            types::Failure::Unsupported(text) => Self::Unsupported(text),
            types::Failure::Internal(text) => Self::Internal(text),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InvalidInput(text) => Self::InvalidInput(text),
            Failure::Denied(text) => Self::Denied(text),
            Failure::NotFound(text) => Self::NotFound(text),
            Failure::Conflict(text) => Self::Conflict(text),
            Failure::RateLimited(seconds) => Self::RateLimited(seconds),
            Failure::Unavailable(text) => Self::Unavailable(text),
            Failure::Unsupported(text) => Self::Unsupported(text),
            Failure::Internal(text) => Self::Internal(text),
        }
    }
}
