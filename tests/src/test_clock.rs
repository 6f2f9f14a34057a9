//! A clock that jumps to whatever is waited for.

use std::sync::atomic::{AtomicU64, Ordering};

use cutover_engine::{Span, Timestamp};
use cutover_runtime::clock::{BoxFuture, Clock};

/// Time that passes only where somebody waits for it.
#[derive(Debug)]
pub struct TestClock(AtomicU64);

impl TestClock {
    /// Begins on 2026-01-01.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(1_767_225_600_000))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Span) {
        self.0.fetch_add(span.0, Ordering::SeqCst);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.fetch_max(deadline.0, Ordering::SeqCst);
            tokio::task::yield_now().await;
        })
    }
}
