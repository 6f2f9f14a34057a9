//! Outside a component: every call goes to the test's host.

use serde_json::Value;

use crate::{
    failure::Failure,
    log::Level,
    request::{Request, Response},
    sealed::{CertificateFacts, Form, Generated, Kind},
    testing::with_host,
};

pub(crate) fn send(role: &str, member: Option<&str>, request: &Request) -> Result<Response, Failure> {
    with_host(|host| host.send(role, member, request))
}

pub(crate) fn members(role: &str) -> Vec<String> {
    with_host(|host| host.members(role))
}

pub(crate) fn generate(label: &str, kind: &Kind) -> Result<Generated, Failure> {
    with_host(|host| host.generate(label, kind))
}

pub(crate) fn parse(token: &str, form: Form) -> Result<Value, Failure> {
    with_host(|host| host.parse(token, form))
}

pub(crate) fn render(document: &Value, form: Form) -> Result<String, Failure> {
    with_host(|host| host.render(document, form))
}

pub(crate) fn sign(key: &str, message: &[u8]) -> Result<String, Failure> {
    with_host(|host| host.sign(key, message))
}

pub(crate) fn csr(key: &str, names: &[String]) -> Result<String, Failure> {
    with_host(|host| host.csr(key, names))
}

pub(crate) fn certificate_facts(certificate: &str) -> Result<CertificateFacts, Failure> {
    with_host(|host| host.certificate_facts(certificate))
}

pub(crate) fn claims(token: &str) -> Result<Value, Failure> {
    with_host(|host| host.claims(token))
}

pub(crate) fn log(level: Level, message: &str) {
    with_host(|host| host.log(level, message));
}
