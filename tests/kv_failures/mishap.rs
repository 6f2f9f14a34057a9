//! What a proxy does once, at the moment when a certain request is about to arrive.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::proxy::Hook;

/// Does `deed` before the `nth` request (counted from 1) that `of` is true for; everything is forwarded.
pub(crate) fn before_request(
    nth: usize,
    of: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    deed: impl Fn() + Send + Sync + 'static,
) -> Hook {
    let met = AtomicUsize::new(0);
    Arc::new(move |method, path| {
        if of(method, path) && met.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            deed();
        }
        true
    })
}

/// Whether a request writes a version.
pub(crate) fn is_version(method: &str, path: &str) -> bool {
    matches!(method, "PUT" | "POST") && path.starts_with("/v1/secret/data/")
}

/// Whether a request removes a key, as a rollback does.
pub(crate) fn is_removal(method: &str, path: &str) -> bool {
    method == "DELETE" && path.starts_with("/v1/secret/metadata/")
}
