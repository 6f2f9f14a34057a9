//! What a call did, as the host saw it.

use std::collections::HashSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cutover_engine::{Failure, Object};
use serde::{Deserialize, Serialize};

use crate::connection::{WireResponse, WireResponseBody};

/// Everything the host noticed during one call.
#[derive(Default)]
pub struct Report {
    /// The first thing the plugin had no right to.
    pub violation: Option<Failure>,
    /// A write may have left without an answer.
    pub lost: Option<Failure>,
    /// Writes that were sent and not answered yet: none, unless the call was ended from outside.
    pub unanswered: u32,
    /// Objects that were read with a definite answer.
    pub read: HashSet<Object>,
    /// Objects for which a write was sent.
    pub written: HashSet<Object>,
    /// Answers to reads.
    pub answers: Vec<Answered>,
    /// Raw responses, if they are kept. In plain: they go to the sealed log and nowhere else.
    pub raw: Vec<RawResponse>,
}

/// The status of a read of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was read.
    pub object: Object,
    /// Method and path.
    pub request: String,
    /// The status.
    pub status: u16,
}

/// A response as it came: the last resort that does not depend on the plugin. It has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct RawResponse {
    /// Role, member and path.
    pub place: String,
    /// The status.
    pub status: u16,
    /// The body's text, or base64 of its bytes.
    pub body: String,
    /// Whether `body` is base64.
    pub base64: bool,
}

impl RawResponse {
    pub(crate) fn of(role: &str, member: Option<String>, path: &str, response: &WireResponse) -> Self {
        let place = member.map_or_else(|| format!("{role}:{path}"), |member| format!("{role}/{member}:{path}"));
        let (body, base64) = match &response.body {
            WireResponseBody::None => (String::new(), false),
            WireResponseBody::Json(document) => (document.to_string(), false),
            WireResponseBody::Text(text) => (text.clone(), false),
            WireResponseBody::Bytes(bytes) => (BASE64_STANDARD.encode(bytes), true),
        };
        Self { place, status: response.status, body, base64 }
    }
}

impl Report {
    /// Whether one of these requests, which used to work, was definitely refused: 401, 403, or 404 of a live server.
    #[must_use]
    pub fn saw_refusal(&self, alive: &HashSet<String>) -> bool {
        self.answers.iter().any(|answer| alive.contains(&answer.request) && matches!(answer.status, 401 | 403 | 404))
    }

    /// Whether one of these objects was read with a definite answer.
    pub fn read_any<'o>(&self, objects: impl IntoIterator<Item = &'o Object>) -> bool {
        objects.into_iter().any(|object| self.read.contains(object))
    }
}
