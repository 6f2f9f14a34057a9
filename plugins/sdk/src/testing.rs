//! The host's side for native unit tests of a plugin: a scripted [`Host`], or an in-memory backend: [`Folder`] for
//! files, [`Vault`] for KV mounts.
//!
//! ```
//! use cutover_plugin::{Request, testing::Folder};
//! use serde_json::json;
//!
//! let store = Folder::new().sealing("source").with("source", "api.env", json!({"TOKEN": "hunter2"})).install();
//! let response = Request::get("api.env").send("source").expect("a response");
//! assert_eq!(response.body, Some(json!({"TOKEN": store.token(&json!("hunter2"))})));
//! ```

mod folder;
mod number;
mod pages;
mod vault;

use std::cell::RefCell;

use serde_json::Value;

pub use folder::{Folder, Installed};
pub use pages::pages;
pub use vault::{Server, Stored, Vault};

use crate::{
    failure::Failure,
    log::Level,
    request::{Request, Response},
    sealed::{CertificateFacts, Form, Generated, Kind},
};

/// The host of one test thread. What a test does not script is refused.
pub trait Host {
    /// Answers a request.
    fn send(&mut self, role: &str, member: Option<&str>, request: &Request) -> Result<Response, Failure>;

    /// The members of a role's connection.
    fn members(&mut self, role: &str) -> Vec<String> {
        drop(role.to_owned());
        Vec::new()
    }

    /// `sealed.generate`
    fn generate(&mut self, label: &str, _: &Kind) -> Result<Generated, Failure> {
        Err(unscripted("generate", label))
    }

    /// `sealed.parse`
    fn parse(&mut self, token: &str, _: Form) -> Result<Value, Failure> {
        Err(unscripted("parse", token))
    }

    /// `sealed.render`
    fn render(&mut self, _: &Value, form: Form) -> Result<String, Failure> {
        Err(unscripted("render", &format!("{form:?}")))
    }

    /// `sealed.sign`
    fn sign(&mut self, key: &str, _: &[u8]) -> Result<String, Failure> {
        Err(unscripted("sign", key))
    }

    /// `sealed.csr`
    fn csr(&mut self, key: &str, _: &[String]) -> Result<String, Failure> {
        Err(unscripted("csr", key))
    }

    /// `sealed.certificate-facts`
    fn certificate_facts(&mut self, certificate: &str) -> Result<CertificateFacts, Failure> {
        Err(unscripted("certificate-facts", certificate))
    }

    /// `sealed.claims`
    fn claims(&mut self, token: &str) -> Result<Value, Failure> {
        Err(unscripted("claims", token))
    }

    /// `log.write`
    fn log(&mut self, _: Level, _: &str) {}
}

fn unscripted(call: &str, subject: &str) -> Failure {
    Failure::unsupported(format!("this test scripts no `{call}` ({subject})"))
}

thread_local! {
    static HOST: RefCell<Option<Box<dyn Host>>> = const { RefCell::new(None) };
}

/// Makes this the host of the thread, in place of the one before.
pub fn install(host: impl Host + 'static) {
    HOST.with_borrow_mut(|slot| *slot = Some(Box::new(host)));
}

/// Calls the thread's host.
///
/// # Panics
/// If the thread has none: outside a component a plugin runs in tests only.
pub(crate) fn with_host<R>(call: impl FnOnce(&mut dyn Host) -> R) -> R {
    HOST.with_borrow_mut(|slot| call(slot.as_deref_mut().expect("a test installs a host before it calls a plugin")))
}
