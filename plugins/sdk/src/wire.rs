//! Where the SDK's words meet the host: the generated bindings in a component, [`crate::testing`] elsewhere.

#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(target_arch = "wasm32")]
mod manifest;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use imports::{certificate_facts, claims, csr, generate, log, members, parse, render, send, sign};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{certificate_facts, claims, csr, generate, log, members, parse, render, send, sign};
