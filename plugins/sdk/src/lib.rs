//! What authors of `cutover` plugins use.
//!
//! A plugin that moves things implements [`Migrator`], or the smaller [`Place`] where a thing can be read and
//! written; one that only looks implements [`Prober`]. One macro makes the component:
//! [`export_migrator!`] or [`export_prober!`].
//!
//! ```
//! use cutover_plugin::{Context, Change, Failure, Manifest, Operation, Prober, Request, Role, Route};
//! use serde_json::{Value, json};
//!
//! struct Ping;
//!
//! impl Prober for Ping {
//!     fn manifest() -> Manifest {
//!         let target = Role::one("target").kind("http").route(Route::read("GET", "/{+path}").status_only());
//!         Manifest::new("example:ping", "0.1.0", "asks whether a page is there").operation(Operation::observe("ping", "one GET").role(target))
//!     }
//!
//!     fn observe(_: &Context, _: &str, input: &Value, _: Option<&Change>) -> Result<Value, Failure> {
//!         let response = Request::get(input["path"].as_str().unwrap_or_default()).send("target")?;
//!         Ok(json!({ "status": response.status }))
//!     }
//! }
//!
//! cutover_plugin::export_prober!(Ping);
//! ```
//!
//! What an author meets, in this order: [`Manifest`] (what the plugin offers and asks for), [`Change`] (what it
//! plans), [`Request`] and [`Response`] (its only way out), [`sealed`] (work on secrets it cannot see), [`Failure`]
//! (why it stopped). A secret is always a token; see [`sealed::is_token`]. [`Guard`] writes an object and puts it back without
//! writing over what somebody else put there; a [`Place`] has it built in. Outside wasm the host's side is
//! [`testing`], so a plugin's logic has plain unit tests.

#[doc(hidden)]
pub mod bindings;
mod change;
mod failure;
mod fingerprint;
mod guard;
pub mod log;
mod manifest;
mod migrator;
mod place;
mod prober;
mod request;
pub mod sealed;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod wire;

pub use change::{Action, Change, Loss, Object};
pub use failure::Failure;
pub use fingerprint::fingerprint;
pub use guard::{Guard, Seen};
pub use manifest::{LossCode, Manifest, Operation, Role, Route};
pub use migrator::{Check, Context, Migrator, Page, Plane, Progress, Snapshot, Stage, Verdict};
pub use place::{Place, Wanted};
pub use prober::Prober;
pub use request::{Body, Present, Prior, Request, Response, members};
// Authors need the very same version.
pub use serde_json;
