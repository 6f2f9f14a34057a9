//! Somebody who is told whenever a guest stands still: what its memories hold can be looked at then.
//!
//! No product needs one. The tests do: that no secret is in a guest's memory has to be seen from outside.

use std::sync::Arc;

use super::Sandbox;

/// Why a guest stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It called an import, which has not begun.
    Import,
    /// The call is over, whatever came of it. Its memories are still there.
    End,
}

/// Is told of every stop of every call, on the thread of the call. The guest goes on when this returns.
pub trait Witness: Send + Sync {
    /// `memory_bytes` is the size of all linear memories of the call together.
    fn stands_still(&self, stop: Stop, memory_bytes: usize);
}

impl Sandbox {
    /// Lets somebody watch the plugins that are loaded from now on.
    #[must_use]
    pub fn watched_by(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }
}
