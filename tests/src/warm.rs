//! A sandbox that all rigs of a process can share, with the guests it compiled kept between runs of the tests.

use std::sync::{Arc, OnceLock};

use cutover_runtime::sandbox::{Cache, Compiler, Limits, Sandbox, Witness};

use crate::components::root;

/// The shared sandbox: for tests that make many hosts with the same guests.
///
/// # Panics
/// If it cannot be set up.
#[must_use]
pub fn warm_sandbox() -> Arc<Sandbox> {
    static WARM: OnceLock<Arc<Sandbox>> = OnceLock::new();
    WARM.get_or_init(|| Arc::new(sandbox_within(Limits::default()))).clone()
}

/// A sandbox of its own over the same compiled guests, with somebody who watches them.
#[must_use]
pub fn watched_sandbox(witness: Arc<dyn Witness>) -> Arc<Sandbox> {
    Arc::new(sandbox_within(Limits::default()).watched_by(witness))
}

/// A sandbox of its own over the same compiled guests, with other limits.
///
/// # Panics
/// If it cannot be set up.
#[must_use]
pub fn sandbox_within(limits: Limits) -> Sandbox {
    let cache = Cache::open(root().join("target/compiled"), [7; 32].into()).expect("a folder for compiled guests");
    Sandbox::new(limits, Compiler::InProcess, Some(cache)).expect("a sandbox")
}
