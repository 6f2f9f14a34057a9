//! What a call did, as the host saw it.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cutover_engine::{Failure, FailureCase, Object};
use serde::{Deserialize, Serialize};

use crate::connection::{WireResponse, WireResponseBody};

/// Everything the host noticed during one call.
#[derive(Default)]
pub struct Report {
    /// The first thing the plugin had no right to.
    pub violation: Option<Failure>,
    /// The connection that refused the last request, and with which status; none if that was not refused.
    pub denied: Option<(String, u16)>,
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

impl Report {
    /// What a call came to. What the host did not allow counts whatever the plugin says. A plugin that was denied something
    /// does not know by which connection, so that is added.
    ///
    /// # Errors
    /// The failure of the call.
    pub fn verdict<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Some(violation) = self.violation.take() {
            return Err(violation);
        }
        result.map_err(|failure| match self.denied.take() {
            Some((connection, status)) if failure.case == FailureCase::Denied && failure.code.is_none() => {
                Failure { text: format!("{}: connection `{connection}` answered {status}", failure.text), ..failure }
            }
            _ => failure,
        })
    }
}

/// One way to read an object: what must be refused after a retirement is this very request, with the same credential.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    /// What is read.
    pub object: Object,
    /// The template of the request's route.
    pub route: String,
    /// Method, path and query.
    pub request: String,
    /// The token of the credential that stood in for the connection's own.
    pub credential: Option<String>,
}

/// The status of a read of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// How it was read.
    pub access: Access,
    /// The status.
    pub status: u16,
}

/// What a call has shown of the ways that worked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldPath {
    /// They were refused.
    Refused,
    /// This one still works, although others like it were refused.
    Works(String),
    /// This one was not tried, or got no definite answer.
    Untried(String),
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
    /// What became of the requests that used to work. A definite refusal is a 401, a 403, or a 404 of a live server.
    ///
    /// A retirement may leave ways of another route open, as the metadata of a deleted secret; but of a route by which one way
    /// is refused, all must be, and of each object at least one.
    #[must_use]
    pub fn old_path(&self, alive: &HashSet<Access>) -> OldPath {
        let status: HashMap<&Access, u16> = self.answers.iter().map(|answer| (&answer.access, answer.status)).collect();
        let refused: Vec<&Access> =
            alive.iter().filter(|access| status.get(access).is_some_and(|status| matches!(status, 401 | 403 | 404))).collect();
        let routes: HashSet<&str> = refused.iter().map(|access| access.route.as_str()).collect();
        let objects: HashSet<&Object> = refused.iter().map(|access| &access.object).collect();
        let mut open: Vec<&Access> =
            alive.iter().filter(|access| routes.contains(access.route.as_str()) && !refused.contains(access)).collect();
        open.sort_unstable_by(|one, other| one.request.cmp(&other.request));
        if let Some(works) = open.iter().find(|access| status.get(*access).is_some_and(|status| (200..300).contains(status))) {
            return OldPath::Works(works.request.clone());
        }
        let missed = alive.iter().filter(|access| !objects.contains(&access.object)).map(|access| &access.request).min();
        match open.first().map(|access| &access.request).or(missed) {
            Some(untried) => OldPath::Untried(untried.clone()),
            None if refused.is_empty() => OldPath::Untried("no request worked before".to_owned()),
            None => OldPath::Refused,
        }
    }

    /// Whether one of these objects was read with a definite answer.
    pub fn read_any<'o>(&self, objects: impl IntoIterator<Item = &'o Object>) -> bool {
        objects.into_iter().any(|object| self.read.contains(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(route: &str, request: &str, path: &str) -> Access {
        let object = Object { role: "source".into(), member: None, path: path.into() };
        Access { object, route: route.into(), request: request.into(), credential: None }
    }

    fn report(answers: &[(&Access, u16)]) -> Report {
        let answers = answers.iter().map(|(access, status)| Answered { access: (*access).clone(), status: *status }).collect();
        Report { answers, ..Report::default() }
    }

    #[test]
    fn all_ways_of_a_refused_route_must_be_refused() {
        let (one, two) = (access("data/{+path}", "GET data/x?version=1", "x"), access("data/{+path}", "GET data/x?version=2", "x"));
        let metadata = access("metadata/{+path}", "GET metadata/x", "x");
        let alive: HashSet<Access> = [&one, &two, &metadata].map(Clone::clone).into();
        assert_eq!(report(&[(&one, 404), (&two, 403), (&metadata, 200)]).old_path(&alive), OldPath::Refused);
        assert_eq!(report(&[(&one, 404), (&two, 200)]).old_path(&alive), OldPath::Works("GET data/x?version=2".into()));
        assert_eq!(report(&[(&one, 404)]).old_path(&alive), OldPath::Untried("GET data/x?version=2".into()));
        assert_eq!(report(&[(&one, 404), (&two, 503)]).old_path(&alive), OldPath::Untried("GET data/x?version=2".into()));
    }

    #[test]
    fn a_request_that_never_worked_proves_nothing() {
        let alive: HashSet<Access> = [access("data/{+path}", "GET data/x", "x")].into();
        let elsewhere = access("data/{+path}", "GET data/x?version=999", "x");
        assert_eq!(report(&[(&elsewhere, 404)]).old_path(&alive), OldPath::Untried("GET data/x".into()));
        let other = Access { credential: Some("sealed:v1:other".into()), ..access("data/{+path}", "GET data/x", "x") };
        assert_eq!(report(&[(&other, 403)]).old_path(&alive), OldPath::Untried("GET data/x".into()));
        assert!(matches!(report(&[]).old_path(&HashSet::new()), OldPath::Untried(_)));
    }

    #[test]
    fn every_object_needs_a_refusal() {
        let (one, other) = (access("a/{+path}", "GET a/x", "x"), access("b/{+path}", "GET b/y", "y"));
        let alive: HashSet<Access> = [&one, &other].map(Clone::clone).into();
        assert_eq!(report(&[(&one, 404), (&other, 200)]).old_path(&alive), OldPath::Untried("GET b/y".into()));
        assert_eq!(report(&[(&one, 404), (&other, 404)]).old_path(&alive), OldPath::Refused);
    }
}
