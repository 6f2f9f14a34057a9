//! The connection kind of the benchmarks: numbers in memory, so that no backend is measured.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use cutover_engine::{Failure, FailureCase};
use cutover_runtime::{
    clock::BoxFuture,
    connection::{Backend, ConnectionConfig, Kind, OpenError, Opening, SendError, WireBody, WireRequest, WireResponse, WireResponseBody},
    policy::{KindTable, PUBLIC_HEADERS, Unlisted},
};
use serde_json::{Value, json};

/// Takes the place of kind `http`.
pub(crate) struct Memory {
    table: Arc<KindTable>,
    place: Arc<Place>,
}

/// What is stored: place `items/N` holds a number or nothing. Four bytes each, all there from the beginning.
pub(crate) struct Place {
    table: Arc<KindTable>,
    numbers: Vec<AtomicU32>,
    requests: AtomicU64,
    seen: Option<fn(&str)>,
}

impl Memory {
    /// Room for so many numbers. `seen` hears the method of every request.
    pub(crate) fn new(size: u32, seen: Option<fn(&str)>) -> Self {
        let table = Arc::new(KindTable {
            kind: "http",
            routes: Vec::new(),
            unlisted: Unlisted::ByMethod,
            owned_headers: &[],
            public_headers: PUBLIC_HEADERS,
        });
        let numbers = (0..size).map(|_| AtomicU32::new(0)).collect();
        let place = Place { table: table.clone(), numbers, requests: AtomicU64::new(0), seen };
        Self { table, place: Arc::new(place) }
    }

    /// The place behind every connection of this kind.
    pub(crate) fn place(&self) -> Arc<Place> {
        self.place.clone()
    }
}

impl Kind for Memory {
    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn open<'a>(&'a self, _: &'a ConnectionConfig, _: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async { Ok(self.place.clone() as Arc<dyn Backend>) })
    }
}

impl Place {
    /// How many requests were answered since the last call of this.
    pub(crate) fn take_requests(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// Answers one request; the whole backend.
    pub(crate) fn answer(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Option<Value>), Failure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(seen) = self.seen {
            seen(method);
        }
        let slot = path.rsplit('/').next().and_then(|name| name.parse::<usize>().ok()).and_then(|index| self.numbers.get(index));
        let slot = slot.ok_or_else(|| wrong("there is no such place"))?;
        match (method, body) {
            // Zero is nothing, so numbers are kept one higher.
            ("GET", None) => match slot.load(Ordering::Relaxed).checked_sub(1) {
                Some(number) => Ok((200, Some(json!({ "n": number })))),
                None => Ok((404, None)),
            },
            ("PUT", Some(body)) => {
                let number = body["n"].as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(|| wrong("no number"))?;
                slot.store(number + 1, Ordering::Relaxed);
                Ok((204, None))
            }
            ("DELETE", None) => {
                slot.store(0, Ordering::Relaxed);
                Ok((204, None))
            }
            _ => Err(wrong("there is no such request")),
        }
    }
}

impl Backend for Place {
    fn authority(&self) -> &'static str {
        "memory"
    }

    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move {
            let body = match &request.body {
                Some(WireBody::Json(body)) => Some(body),
                _ => None,
            };
            let (status, body) = self.answer(&request.method, &request.path.object(), body)?;
            let body = body.map_or(WireResponseBody::None, WireResponseBody::Json);
            Ok(WireResponse { status, headers: Vec::new(), body, bytes: 10, form: None })
        })
    }
}

fn wrong(text: &str) -> Failure {
    Failure { case: FailureCase::InvalidInput, code: None, text: text.to_owned() }
}
