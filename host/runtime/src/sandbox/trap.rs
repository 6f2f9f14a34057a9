//! How a call that ended without an answer is told: the kind of trap, never what was in memory.

use cutover_engine::{Failure, FailureCase};
use wasmtime::Trap;

use super::{code, import::Impure, limit::Exceeded};

/// The failure behind an error of Wasmtime.
///
/// Its own text is never used: parts of it are chosen by the guest.
pub(super) fn failure(error: &wasmtime::Error) -> Failure {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return exhausted(*exceeded);
    }
    if let Some(impure) = error.downcast_ref::<Impure>() {
        return told(FailureCase::Internal, code::IMPURE, impure.to_string());
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return told(FailureCase::Internal, code::TRAP, format!("the plugin trapped: {}", kind(*trap)));
    }
    // These two have no type of their own in Wasmtime 48.
    let text = error.root_cause().to_string();
    if text.starts_with("resource limit exceeded") {
        let text = "the plugin has more instances, memories or tables than one call may have";
        return told(FailureCase::Exhausted, code::INSTANCES, text.to_owned());
    }
    if text.starts_with("too much data is being copied") {
        let text = "the plugin moved more data in one transfer than it may";
        return told(FailureCase::Exhausted, code::TRANSFER, text.to_owned());
    }
    told(FailureCase::Internal, code::TRAP, "the plugin broke the rules of the component model".to_owned())
}

/// The failure of a call that ran into a limit.
pub(super) fn exhausted(exceeded: Exceeded) -> Failure {
    let code = match exceeded {
        Exceeded::Memory(_) => code::MEMORY,
        Exceeded::Tables(_) => code::TABLES,
        Exceeded::Time => code::TIME,
    };
    told(FailureCase::Exhausted, code, exceeded.to_string())
}

fn told(case: FailureCase, code: &str, text: String) -> Failure {
    Failure { case, code: Some(code.to_owned()), text }
}

/// The fixed words of a trap.
fn kind(trap: Trap) -> String {
    match trap {
        // What a panic becomes.
        Trap::UnreachableCodeReached => "`unreachable` was reached, as after a panic".to_owned(),
        trap => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
    }
}
