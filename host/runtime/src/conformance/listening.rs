//! The host's powers, with an ear for what the plugin logs.

use std::sync::Arc;

use cutover_engine::Failure;
use serde_json::Value;

use super::canary::Canaries;
use crate::{
    clock::BoxFuture,
    hook::{CertificateFacts, Form, GenerateKind, Generated, LogLevel, Powers, Request, Response},
    session::{Ledger, Session},
};

/// A session whose log lines are searched for canaries.
pub(super) struct Listening {
    pub(super) session: Arc<Session>,
    pub(super) canaries: Arc<Canaries>,
    pub(super) hook: &'static str,
}

impl Powers for Listening {
    fn send(&self, role: String, member: Option<String>, request: Request) -> BoxFuture<'_, Result<Response, Failure>> {
        self.session.send(role, member, request)
    }

    fn members(&self, role: &str) -> Vec<String> {
        self.session.members(role)
    }

    fn generate(&self, label: String, kind: GenerateKind) -> BoxFuture<'_, Result<Generated, Failure>> {
        self.session.generate(label, kind)
    }

    fn parse(&self, token: &str, form: Form) -> Result<Value, Failure> {
        self.session.parse(token, form)
    }

    fn render(&self, document: &Value, form: Form) -> Result<String, Failure> {
        self.session.render(document, form)
    }

    fn sign(&self, key: &str, message: &[u8]) -> Result<String, Failure> {
        self.session.sign(key, message)
    }

    fn csr(&self, key: &str, names: &[String]) -> Result<String, Failure> {
        self.session.csr(key, names)
    }

    fn certificate_facts(&self, certificate: &str) -> Result<CertificateFacts, Failure> {
        self.session.certificate_facts(certificate)
    }

    fn claims(&self, token: &str) -> Result<Value, Failure> {
        self.session.claims(token)
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.canaries.watch(&format!("{}: a log line", self.hook), message);
        self.session.log(level, message);
    }
}

/// Lets writes pass: under the kit nothing outlives the process, so nothing must be on record.
pub(super) struct NoRecord;

impl Ledger for NoRecord {
    fn write_sent<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u32, Failure>> {
        Box::pin(async { Ok(1) })
    }

    fn write_answered(&self, _: u32, _: u16) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn generated(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}
