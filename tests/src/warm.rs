//! A sandbox that all rigs of a process can share, with the guests it compiled kept between runs of the tests.

use std::sync::{Arc, OnceLock};

use cutover_runtime::sandbox::{Cache, Compiler, Limits, Sandbox};

use crate::components::root;

/// The shared sandbox: for tests that make many hosts with the same guests.
///
/// # Panics
/// If it cannot be set up.
#[must_use]
pub fn warm_sandbox() -> Arc<Sandbox> {
    static WARM: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let made = || {
        let cache = Cache::open(root().join("target/compiled"), [7; 32].into()).expect("a folder for compiled guests");
        Arc::new(Sandbox::new(Limits::default(), Compiler::InProcess, Some(cache)).expect("a sandbox"))
    };
    WARM.get_or_init(made).clone()
}
