//! Not more requests than a backend wants: the operator's rate, and the pauses that the backend itself asks for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use cutover_engine::{Failure, FailureCase, Timestamp};

use super::{Access, Backend, SendError, WireRequest, WireResponse};
use crate::{
    clock::{BoxFuture, Clock},
    policy::{Code, Ground, KindTable, RequestPath},
};

/// The longest wait inside a hook call, in milliseconds. A longer one ends the call; the host calls again later.
pub(super) const MAX_WAIT: u64 = 20_000;
/// The longest pause that a backend can ask for, in milliseconds.
const MAX_PAUSE: u64 = 3_600_000;

/// At most so many requests in so much time, such as `50/s` or `600/m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rate {
    requests: u32,
    millis: u64,
}

impl Rate {
    /// Reads `50/s`, `600/m` or `1000/h`.
    ///
    /// # Errors
    /// Says how a rate is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rate = text.split_once('/').and_then(|(requests, unit)| {
            let millis = match unit {
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            Some(Self { requests: requests.parse().ok().filter(|&requests| requests > 0)?, millis })
        });
        rate.ok_or_else(|| format!("`{text}` is no rate; write for example `50/s` or `600/m`"))
    }
}

/// The turns of one backend, shared by all calls.
pub struct Pace {
    clock: Arc<dyn Clock>,
    rate: Option<Rate>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the bucket is full again, in microseconds since the epoch (the generic cell rate algorithm).
    full_at: u64,
    /// The backend's own pause ends here.
    paused_until: Timestamp,
}

impl Pace {
    /// Without `rate` only the backend's own pauses count.
    #[must_use]
    pub fn new(rate: Option<Rate>, clock: Arc<dyn Clock>) -> Self {
        Self { clock, rate, state: Mutex::default() }
    }

    /// Waits for a turn. A burst may use what one second of the rate allows, at least one request.
    ///
    /// # Errors
    /// `RateLimited` with the seconds to wait if that is too long for a hook call; no turn is used then.
    pub async fn turn(&self) -> Result<(), Failure> {
        let at = self.reserve(self.clock.now())?;
        self.clock.sleep_until(at).await;
        Ok(())
    }

    /// Learns from an answer: 429 and 503 with `Retry-After` (RFC 9110 section 10.2.3) pause every call.
    ///
    /// Without that header a 429 is no rate limit: Vault's health says 429 for a standby.
    pub fn learn(&self, response: &WireResponse) {
        if !matches!(response.status, 429 | 503) {
            return;
        }
        let now = self.clock.now();
        if let Some(millis) = response.header("retry-after").and_then(|text| pause(text, now)) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.paused_until = state.paused_until.max(Timestamp(now.0.saturating_add(millis.min(MAX_PAUSE))));
        }
    }

    fn reserve(&self, now: Timestamp) -> Result<Timestamp, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, full_at) = match self.rate {
            None => (state.paused_until.max(now), 0),
            Some(rate) => {
                let start = now.max(state.paused_until).0.saturating_mul(1_000);
                let each = (rate.millis * 1_000 / u64::from(rate.requests)).max(1);
                let burst = each.max(1_000_000) - each;
                let full_at = state.full_at.max(start) + each;
                let at = start.max(full_at.saturating_sub(burst + each));
                (Timestamp(at.div_ceil(1_000)), full_at)
            }
        };
        let wait = at.since(now).0;
        if wait > MAX_WAIT {
            let seconds = u32::try_from(wait.div_ceil(1_000)).unwrap_or(u32::MAX);
            return Err(Code::RATE.failure(FailureCase::RateLimited(seconds), format!("the next turn is in {seconds} s")));
        }
        state.full_at = full_at;
        Ok(at)
    }
}

/// The pause in milliseconds that a `Retry-After` asks for: seconds or an HTTP date.
pub(super) fn pause(text: &str, now: Timestamp) -> Option<u64> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(now.0)).as_millis().try_into().unwrap_or(u64::MAX))
}

/// A backend whose requests wait for their turn.
pub(super) fn paced(inner: Arc<dyn Backend>, rate: Option<Rate>, clock: &Arc<dyn Clock>) -> Arc<dyn Backend> {
    Arc::new(Paced { inner, pace: Pace::new(rate, Arc::clone(clock)) })
}

struct Paced {
    inner: Arc<dyn Backend>,
    pace: Pace,
}

impl Backend for Paced {
    fn authority(&self) -> &str {
        self.inner.authority()
    }

    fn table(&self) -> &Arc<KindTable> {
        self.inner.table()
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move {
            self.pace.turn().await?;
            let response = self.inner.send(request).await?;
            self.pace.learn(&response);
            Ok(response)
        })
    }

    fn ground<'a>(&'a self, path: &'a RequestPath) -> BoxFuture<'a, Result<Option<Ground>, SendError>> {
        // Mostly known already; what is asked for once per mount needs no turn.
        self.inner.ground(path)
    }

    fn known_ground(&self, path: &RequestPath) -> Option<Ground> {
        self.inner.known_ground(path)
    }

    fn health(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.inner.health()
    }

    fn access(&self, paths: Vec<String>) -> BoxFuture<'_, Result<Option<Access>, SendError>> {
        self.inner.access(paths)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::WireResponseBody;

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp(1_000_000)
        }

        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    fn pace(rate: Option<&str>) -> Pace {
        Pace::new(rate.map(|text| Rate::parse(text).expect("a rate")), Arc::new(FixedClock))
    }

    fn answer(status: u16, retry_after: &str) -> WireResponse {
        WireResponse {
            status,
            headers: vec![("retry-after".to_owned(), retry_after.to_owned())],
            body: WireResponseBody::None,
            bytes: 0,
            form: None,
        }
    }

    #[test]
    fn a_burst_is_one_second_of_the_rate() {
        let pace = pace(Some("4/s"));
        let turns: Vec<u64> = (0..8).map(|_| pace.reserve(Timestamp(1_000_000)).expect("a turn").0 - 1_000_000).collect();
        assert_eq!(turns, [0, 0, 0, 0, 250, 500, 750, 1_000]);
        assert_eq!(pace.reserve(Timestamp(1_010_000)).expect("a turn").0, 1_010_000, "the bucket fills again");
    }

    #[test]
    fn slow_rates_have_no_burst_and_long_waits_end_the_call() {
        let pace = pace(Some("6/m"));
        let turn = || pace.reserve(Timestamp(1_000_000)).map(|at| at.0 - 1_000_000).map_err(|failure| failure.case);
        assert_eq!([turn(), turn(), turn()], [Ok(0), Ok(10_000), Ok(20_000)]);
        assert_eq!([turn(), turn()], [Err(FailureCase::RateLimited(30)); 2], "a refused turn is not used up");
    }

    #[tokio::test]
    async fn the_backends_pause_holds_for_every_call() {
        let pace = pace(None);
        pace.learn(&answer(429, "5"));
        pace.learn(&answer(503, "2"));
        assert_eq!(pace.reserve(Timestamp(1_000_000)).expect("a turn").0, 1_005_000);
        pace.learn(&answer(429, "Thu, 01 Jan 1970 00:17:30 GMT"));
        assert_eq!(pace.turn().await.expect_err("50 s").case, FailureCase::RateLimited(50));
        pace.learn(&answer(429, "99999999999999999999"));
        pace.learn(&answer(429, "18446744073709551615"));
        assert_eq!(pace.turn().await.expect_err("an hour").case, FailureCase::RateLimited(3_600));
    }

    #[test]
    fn other_answers_do_not_pause() {
        let pace = pace(None);
        pace.learn(&answer(200, "30"));
        pace.learn(&answer(429, "soon"));
        assert_eq!(pace.reserve(Timestamp(1_000_000)).expect("a turn").0, 1_000_000);
        for text in ["", "5", "0/s", "5/d", "-1/s", "a/s"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
