//! The only way out of the sandbox: a request to a role.

use serde_json::Value;

use crate::{change::Object, failure::Failure, wire};

/// A request. It names no authority: the operator's connection has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// In capitals; LIST is a method.
    pub method: String,
    /// Percent-encoded, with a leading slash.
    pub path: String,
    /// Unencoded pairs.
    pub query: Vec<(String, String)>,
    /// Without those that the host owns.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Body>,
    /// A sealed credential to use in place of the connection's own.
    pub credential: Option<String>,
}

/// A request body.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A JSON document; sealed values are whole leaves.
    Json(Value),
    /// A form; sealed values are whole values.
    Form(Vec<(String, String)>),
    /// Plain bytes; no sealed values.
    Bytes(Vec<u8>),
}

impl Request {
    /// A request for an object's path: unencoded, with or without a leading slash.
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: encode(path), query: Vec::new(), headers: Vec::new(), body: None, credential: None }
    }

    /// GET of this path, unencoded; the other constructors are alike.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// LIST, as Vault and the `file` kind have it.
    pub fn list(path: &str) -> Self {
        Self::new("LIST", path)
    }

    /// PUT.
    pub fn put(path: &str) -> Self {
        Self::new("PUT", path)
    }

    /// POST.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// DELETE.
    pub fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    /// One more query pair, unencoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A JSON body; sealed values are whole leaves.
    pub fn json(mut self, document: Value) -> Self {
        self.body = Some(Body::Json(document));
        self
    }

    /// A form body; sealed values are whole values.
    pub fn form(mut self, pairs: &[(&str, &str)]) -> Self {
        self.body = Some(Body::Form(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()));
        self
    }

    /// A body of plain bytes.
    pub fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.body = Some(Body::Bytes(bytes));
        self
    }

    /// A sealed credential in place of the connection's own.
    pub fn acting_as(mut self, token: &str) -> Self {
        self.credential = Some(token.to_owned());
        self
    }

    /// Lets the server refuse (412) if what is there is not this (RFC 9110 section 13.1).
    pub fn expecting(self, prior: &Prior) -> Self {
        match prior {
            Prior::Absent => self.header("if-none-match", "*"),
            Prior::Present(Some(etag)) => self.header("if-match", etag),
            Prior::Present(None) => self,
        }
    }

    /// Sends it to the connection that plays the role. Every status is a response.
    pub fn send(self, role: &str) -> Result<Response, Failure> {
        wire::send(role, None, &self)
    }

    /// Sends it to the role, or the member of it, that an object is at.
    pub fn send_to(self, object: &Object) -> Result<Response, Failure> {
        wire::send(&object.role, object.member.as_deref(), &self)
    }
}

/// The members of a role's connection, in order; empty if it is no set.
pub fn members(role: &str) -> Vec<String> {
    wire::members(role)
}

/// What the host shows of a response.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The HTTP status, or its nearest for other kinds.
    pub status: u16,
    /// The public headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What the route's rule shows of the body.
    pub body: Option<Value>,
}

impl Response {
    /// A public header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// This response if its status is a success, else the failure it stands for. `what` was wanted, for people.
    pub fn expect_success(self, what: &str) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.failure(what)) }
    }

    /// What a GET found: none for 404, a failure for anything else that is no success.
    pub fn present(self, what: &str) -> Result<Option<Present>, Failure> {
        if self.status == 404 {
            return Ok(None);
        }
        let response = self.expect_success(what)?;
        let etag = response.header("etag").map(str::to_owned);
        Ok(Some(Present { value: response.body.unwrap_or_default(), etag }))
    }

    /// The failure that this status stands for.
    pub fn failure(&self, what: &str) -> Failure {
        let text = format!("{what}: status {}", self.status);
        match self.status {
            401 | 403 => Failure::Denied(text),
            404 | 410 => Failure::NotFound(text),
            409 | 412 => Failure::Conflict(text),
            429 => Failure::RateLimited(self.header("retry-after").and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(1)),
            400 | 413 | 414 | 422 => Failure::InvalidInput(text),
            405 | 406 | 415 | 501 => Failure::Unsupported(text),
            408 | 500..=599 => Failure::Unavailable(text),
            _ => Failure::Internal(text),
        }
    }
}

/// Something that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// The document, with tokens for secrets.
    pub value: Value,
    /// The server's tag of this very content, if it gives one (RFC 9110 section 8.8.3).
    pub etag: Option<String>,
}

/// What a write expects to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prior {
    /// Nothing is there.
    Absent,
    /// Something is there, with this tag if the server gives one.
    Present(Option<String>),
}

impl Prior {
    /// What was read just now.
    pub fn of(present: Option<&Present>) -> Self {
        present.map_or(Self::Absent, |present| Self::Present(present.etag.clone()))
    }
}

/// A path as it goes into a request: a leading slash, and every byte but unreserved ones (RFC 3986 section 2.3) and
/// slashes percent-encoded.
fn encode(path: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::from("/");
    for byte in path.strip_prefix('/').unwrap_or(path).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Response {
        Response { status, headers: vec![("retry-after".to_owned(), "7".to_owned())], body: None }
    }

    #[test]
    fn a_path_cannot_leave_its_place() {
        assert_eq!(Request::get("a b/ü?x#%2F").path, "/a%20b/%C3%BC%3Fx%23%252F");
        assert_eq!(Request::get("/a").path, "/a");
        assert_eq!(Request::get("").path, "/");
    }

    #[test]
    fn only_404_is_absence() {
        assert_eq!(status(404).present("x"), Ok(None));
        assert!(matches!(status(401).present("x"), Err(Failure::Denied(_))));
        assert!(matches!(status(403).present("x"), Err(Failure::Denied(_))));
        assert!(matches!(status(503).present("x"), Err(Failure::Unavailable(_))));
        assert_eq!(status(429).present("x"), Err(Failure::RateLimited(7)));
    }

    #[test]
    fn a_write_says_what_it_expects() {
        let headers = |prior: Prior| Request::put("x").expecting(&prior).headers;
        assert_eq!(headers(Prior::Absent), [("if-none-match".to_owned(), "*".to_owned())]);
        assert_eq!(headers(Prior::Present(Some("\"1\"".to_owned()))), [("if-match".to_owned(), "\"1\"".to_owned())]);
        assert!(headers(Prior::Present(None)).is_empty());
    }
}
