//! What one hook call may send and receive.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cutover_engine::{Failure, FailureCase};

use super::code::Code;

/// The limits of one hook call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Requests.
    pub requests: u32,
    /// Bytes of all request bodies.
    pub bytes_out: u64,
    /// Bytes of all response bodies.
    pub bytes_in: u64,
    /// Requests at the same time.
    pub in_flight: u32,
}

impl Default for CallLimits {
    /// 1,000 requests (a change with every version of a key, and a page of a plan), 64 MiB each way, 8 at a time.
    fn default() -> Self {
        Self { requests: 1_000, bytes_out: 64 << 20, bytes_in: 64 << 20, in_flight: 8 }
    }
}

/// The counters of one hook call.
#[derive(Debug, Default)]
pub struct Budget {
    limits: CallLimits,
    requests: AtomicU32,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    in_flight: AtomicU32,
}

/// One request in flight; dropping it ends that.
#[derive(Debug)]
pub struct Permit<'a>(&'a Budget);

impl Budget {
    /// Fresh counters.
    #[must_use]
    pub fn new(limits: CallLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Counts a request with a body of `bytes` before it is sent.
    ///
    /// # Errors
    /// `Exhausted` if a limit is reached; the request must not be sent.
    pub fn admit(&self, bytes: u64) -> Result<Permit<'_>, Failure> {
        let running = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(self);
        if running >= self.limits.in_flight {
            return Err(exhausted(&format!("{} requests at the same time", self.limits.in_flight)));
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.limits.requests {
            return Err(exhausted(&format!("{} requests", self.limits.requests)));
        }
        if self.bytes_out.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.limits.bytes_out {
            return Err(exhausted(&format!("{} bytes sent", self.limits.bytes_out)));
        }
        Ok(permit)
    }
}

impl Permit<'_> {
    /// Counts the bytes of the response's body.
    ///
    /// # Errors
    /// `Exhausted` if there were too many; the response must not be given to the plugin.
    pub fn received(&self, bytes: u64) -> Result<(), Failure> {
        let before = self.0.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.0.limits.bytes_in {
            return Err(exhausted(&format!("{} bytes received", self.0.limits.bytes_in)));
        }
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn exhausted(what: &str) -> Failure {
    Code::BUDGET.failure(FailureCase::Exhausted, format!("a hook call is limited to {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: CallLimits = CallLimits { requests: 3, bytes_out: 10, bytes_in: 10, in_flight: 2 };

    #[test]
    fn requests_are_counted_even_when_they_end() {
        let budget = Budget::new(SMALL);
        for _ in 0..3 {
            budget.admit(0).expect("within the limit");
        }
        assert_eq!(budget.admit(0).expect_err("the fourth").case, FailureCase::Exhausted);
    }

    #[test]
    fn parallel_requests_are_bounded_and_come_back() {
        let budget = Budget::new(SMALL);
        let (first, _second) = (budget.admit(0).expect("one"), budget.admit(0).expect("two"));
        assert!(budget.admit(0).is_err());
        drop(first);
        assert!(budget.admit(0).is_ok());
    }

    #[test]
    fn bytes_are_counted_both_ways_without_overflow() {
        let budget = Budget::new(SMALL);
        let permit = budget.admit(10).expect("ten bytes");
        assert!(budget.admit(1).is_err());
        assert!(permit.received(10).is_ok() && permit.received(1).is_err());
        assert!(Budget::new(SMALL).admit(u64::MAX).is_err());
    }
}
