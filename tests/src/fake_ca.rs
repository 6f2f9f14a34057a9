//! A certificate authority that takes its time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use cutover_engine::{Span, Timestamp};
use cutover_runtime::clock::Clock;
use serde_json::{Value, json};

use crate::MemoryServer;

/// How long an order takes.
const ISSUING: Span = Span::seconds(90);

/// Takes orders by idempotency key and issues each after 90 seconds of the clock.
pub struct FakeCa {
    orders: Mutex<Vec<Order>>,
    too_early: AtomicUsize,
}

struct Order {
    key: String,
    ready: Timestamp,
}

impl FakeCa {
    /// Lets a server answer as this authority.
    pub fn on(server: &MemoryServer, clock: Arc<dyn Clock>) -> Arc<Self> {
        let ca = Arc::new(Self { orders: Mutex::default(), too_early: AtomicUsize::new(0) });
        let serving = ca.clone();
        server.serve(move |method, path, body| match (method, path.strip_prefix("orders/")) {
            ("POST", _) if path == "orders" => Some(serving.order(body.unwrap_or(&Value::Null), clock.now())),
            ("GET", Some(id)) => Some(serving.look(id, clock.now())),
            _ => None,
        });
        ca
    }

    /// How many orders there are.
    ///
    /// # Panics
    /// Never: nobody panics while holding the lock.
    pub fn orders(&self) -> usize {
        self.orders.lock().expect("nobody panics while holding it").len()
    }

    /// How often somebody asked for an order that was not ready.
    pub fn asked_too_early(&self) -> usize {
        self.too_early.load(Ordering::SeqCst)
    }

    fn order(&self, body: &Value, now: Timestamp) -> (u16, Value) {
        let mut orders = self.orders.lock().expect("nobody panics while holding it");
        let key = body["key"].as_str().unwrap_or_default();
        if let Some(known) = orders.iter().position(|order| order.key == key) {
            return (200, json!({ "id": known.to_string() }));
        }
        orders.push(Order { key: key.to_owned(), ready: now.after(ISSUING) });
        (201, json!({ "id": (orders.len() - 1).to_string() }))
    }

    fn look(&self, id: &str, now: Timestamp) -> (u16, Value) {
        let orders = self.orders.lock().expect("nobody panics while holding it");
        let order = id.parse::<usize>().ok().and_then(|id| orders.get(id));
        match order {
            Some(order) if now >= order.ready => {
                (200, json!({ "status": "valid", "certificate": format!("-----BEGIN CERTIFICATE----- number {id} of the fake authority") }))
            }
            Some(_) => {
                self.too_early.fetch_add(1, Ordering::SeqCst);
                (200, json!({ "status": "pending" }))
            }
            None => (404, json!({})),
        }
    }
}
