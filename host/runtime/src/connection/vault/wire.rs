//! Requests to one Vault or OpenBao, with what its answers mean whatever the request: blocked, sealed, redirected.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use cutover_engine::{Failure, FailureCase, Timestamp};

use super::{
    super::{
        Backend, SendError, WireRequest, WireResponse, WireResponseBody,
        http::place_of,
        pace::{MAX_WAIT, pause},
    },
    index::{BEHIND, INDEX, Indices},
    standing,
};
use crate::{
    clock::Clock,
    policy::{Code, RequestPath, one_more, shown},
};

/// The first pause after a 429 without `Retry-After`, in milliseconds; each further one is twice as long.
const FIRST_PAUSE: u64 = 1_000;
/// The longest of these pauses.
const MAX_PAUSE: u64 = 16_000;
/// Requests that were blocked together come back so many milliseconds apart.
const SPREAD: u64 = 25;
/// The path of the server's health, which says 429 for a standby.
const HEALTH: &str = "v1/sys/health";
/// How often a request may be passed on from standby to active node.
const MAX_HOPS: usize = 2;

/// A way to one server or its standbys. The operator granted each of them by name.
pub(super) struct Wire {
    /// The connection's name in the workflow.
    connection: String,
    /// The `url`, then the `standbys`.
    pub(super) places: Vec<Place>,
    /// The `url` without the namespace: health has none.
    pub(super) bare: Arc<dyn Backend>,
    pub(super) clock: Arc<dyn Clock>,
    /// Which place answered last.
    active: AtomicUsize,
    blocked_until: Mutex<Timestamp>,
    blocked: AtomicU64,
    indices: Arc<Indices>,
    /// The cluster that answers, if it says so.
    cluster: Mutex<Option<String>>,
}

/// A granted authority.
pub(super) struct Place {
    /// Scheme, host and port.
    pub(super) name: String,
    pub(super) backend: Arc<dyn Backend>,
}

impl Wire {
    pub(super) fn new(
        connection: String,
        places: Vec<Place>,
        bare: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        indices: Arc<Indices>,
    ) -> Self {
        Self {
            connection,
            places,
            bare,
            clock,
            active: AtomicUsize::new(0),
            blocked_until: Mutex::default(),
            blocked: AtomicU64::new(0),
            indices,
            cluster: Mutex::default(),
        }
    }

    /// The places besides the `url`, as the workflow would name them.
    fn standbys(&self) -> Vec<String> {
        self.places.iter().skip(1).map(|place| place.name.clone()).collect()
    }

    /// The `url`'s authority.
    pub(super) fn name(&self) -> &str {
        &self.places[0].name
    }

    /// Sends a request whose credential is in place. Answers that say that the server did not take it become failures.
    pub(super) async fn send(&self, request: &WireRequest) -> Result<WireResponse, SendError> {
        let begun = self.clock.now();
        let mut next_pause = FIRST_PAUSE;
        loop {
            self.wait_while_blocked(begun).await?;
            let response = self.pass_on(request).await?;
            if response.status != 429 || request.path.names(HEALTH) {
                return self.taken(request, response).await;
            }
            let now = self.clock.now();
            let asked = response.header("retry-after").and_then(|text| pause(text, now));
            let spread = self.blocked.fetch_add(1, Ordering::Relaxed) % 16 * SPREAD;
            let until = Timestamp(now.0.saturating_add(asked.unwrap_or(next_pause).saturating_add(spread)));
            next_pause = (next_pause * 2).min(MAX_PAUSE);
            let mut blocked = self.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
            *blocked = (*blocked).max(until);
        }
    }

    /// Whether the server can work now.
    pub(super) async fn health(&self) -> Result<(), Failure> {
        match self.bare.send(WireRequest::of_host("GET", path(&format!("/{HEALTH}")))).await {
            Ok(response) => match standing::problem(response.status) {
                None => Ok(()),
                Some(problem) => Err(self.state(&problem)),
            },
            Err(SendError::NotSent { failure }) => Err(failure),
            Err(SendError::Lost { text }) => Err(self.state(&format!("does not answer its health check: {text}"))),
        }
    }

    /// The failure of a request whose token the server does not know.
    pub(super) fn dead(&self) -> Failure {
        let (connection, server) = (shown(&self.connection), self.name());
        let text =
            format!("the token of connection `{connection}` is no longer valid, or never was: `{server}` refuses it whatever it asks");
        Code::LOGIN.failure(FailureCase::Denied, text)
    }

    async fn wait_while_blocked(&self, begun: Timestamp) -> Result<(), Failure> {
        let until = *self.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if until <= now {
            return Ok(());
        }
        if until.since(begun).0 > MAX_WAIT {
            let seconds = u32::try_from(until.since(now).0.div_ceil(1_000)).unwrap_or(u32::MAX);
            let text = format!("`{}` limits the rate of requests; the next one is in {seconds} s", self.name());
            return Err(Code::RATE.failure(FailureCase::RateLimited(seconds), text));
        }
        self.clock.sleep_until(until).await;
        Ok(())
    }

    /// Sends to the place that answered last; a redirect (RFC 9110 section 15.4.8) is followed to granted places only, with
    /// the very same request: of its location only the authority counts.
    async fn pass_on(&self, request: &WireRequest) -> Result<WireResponse, SendError> {
        let mut place = self.active.load(Ordering::Relaxed).min(self.places.len() - 1);
        for _ in 0..=MAX_HOPS {
            let sent = self.places[place].backend.send(self.up_to_date(request)).await;
            let Ok(response) = sent else {
                self.active.store(0, Ordering::Relaxed);
                return sent;
            };
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                self.active.store(place, Ordering::Relaxed);
                self.learn(&response);
                return Ok(response);
            }
            let location = response.header("location").and_then(place_of);
            place =
                location.as_ref().and_then(|location| self.places.iter().position(|place| place.name == *location)).ok_or_else(|| {
                    let from = &self.places[place].name;
                    let text = match location.as_deref().map(shown) {
                        None => format!("`{from}` redirects to somewhere unclear"),
                        Some(to) => {
                            let remedy = one_more(&self.connection, "standbys", &self.standbys(), &to);
                            format!(
                                "`{from}` redirects to `{to}`, which this connection may not reach; if it is the same cluster, {remedy}"
                            )
                        }
                    };
                    Code::REDIRECT.failure(FailureCase::Unavailable, text)
                })?;
        }
        let text = format!("`{}` and its standbys redirect to one another: there is no active node", self.name());
        Err(Code::SERVER_STATE.failure(FailureCase::Unavailable, text).into())
    }

    /// The request, to be answered by a node that is not behind what this process has seen.
    fn up_to_date(&self, request: &WireRequest) -> WireRequest {
        let mut again = request.again();
        let cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = cluster.as_ref().and_then(|cluster| self.indices.newest(cluster)) {
            again.headers.push((INDEX.to_owned(), index));
            again.headers.push((BEHIND.0.to_owned(), BEHIND.1.to_owned()));
        }
        again
    }

    fn learn(&self, response: &WireResponse) {
        if let Some(cluster) = response.header(INDEX).and_then(|text| self.indices.learn(text)) {
            *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Some(cluster);
        }
    }

    /// Tells answers apart that say that nothing was done from those that leave it open.
    async fn taken(&self, request: &WireRequest, response: WireResponse) -> Result<WireResponse, SendError> {
        let reads = matches!(request.method.as_str(), "GET" | "LIST" | "HEAD");
        match response.status {
            _ if request.path.names(HEALTH) => Ok(response),
            503 if says(&response, "sealed") => {
                let problem = self.health().await.err();
                Err(problem.unwrap_or_else(|| self.state("was sealed just now")).into())
            }
            // A mount that is being upgraded says 400, and takes nothing until it is done.
            400 if says(&response, "Upgrading from non-versioned") => Err(self.state("is upgrading the mount to version 2").into()),
            412 => Err(self.state("has not yet seen an earlier write").into()),
            500..=599 if reads => match self.health().await {
                Err(problem) => Err(problem.into()),
                Ok(()) => Err(self.state(&format!("answered {}", response.status)).into()),
            },
            500..=599 => Err(SendError::Lost { text: format!("`{}` answered {}", self.name(), response.status) }),
            _ => Ok(response),
        }
    }

    fn state(&self, problem: &str) -> Failure {
        Code::SERVER_STATE.failure(FailureCase::Unavailable, format!("`{}` {problem}", self.name()))
    }
}

/// A path of this program.
pub(super) fn path(text: &str) -> RequestPath {
    RequestPath::parse(text).expect("a path of this program has one meaning")
}

/// Whether one of the errors of an answer has these words. They are looked at and never shown: errors may quote values.
fn says(response: &WireResponse, words: &str) -> bool {
    let WireResponseBody::Json(document) = &response.body else { return false };
    let errors = document.get("errors").and_then(serde_json::Value::as_array);
    errors.is_some_and(|errors| errors.iter().any(|error| error.as_str().is_some_and(|error| error.contains(words))))
}
