//! Requests and responses between our form and that of HTTP.

use bytes::Bytes;
use cutover_engine::{Failure, FailureCase};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde_json::Value;

use crate::{
    connection::{WireBody, WireRequest, WireResponse, WireResponseBody},
    policy::{Code, escape_into},
};

/// How deep a response may nest; beyond that it is text.
const MAX_DEPTH: usize = 64;

/// Writes a request. `owned` are the headers that no plugin can set: the connection's own and the host's.
pub(super) fn request(base: &str, owned: HeaderMap, from: WireRequest) -> Result<Request<Full<Bytes>>, Failure> {
    let wrong = |what: &str| Code::REQUEST.failure(FailureCase::InvalidInput, format!("{what} cannot be sent"));
    let mut headers = owned;
    if !from.headers.is_empty() {
        let mut asked = HeaderMap::new();
        for (name, value) in &from.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("a header's name"))?;
            asked.insert(name, HeaderValue::from_str(value).map_err(|_| wrong("a header's value"))?);
        }
        asked.extend(headers);
        headers = asked;
    }
    let (body, media) = match from.body {
        None => (Bytes::new(), None),
        Some(WireBody::Json(value)) => (Bytes::from(value.to_string()), Some("application/json")),
        Some(WireBody::Form(pairs)) => (Bytes::from(pairs_text(&pairs)), Some("application/x-www-form-urlencoded")),
        Some(WireBody::Bytes(bytes)) => (Bytes::from(bytes), Some("application/octet-stream")),
    };
    if let Some(media) = media {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(media));
    }
    let mut uri = format!("{base}{}", from.path.wire());
    if !from.query.is_empty() {
        uri.push('?');
        uri.push_str(&pairs_text(&from.query));
    }
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::from_bytes(from.method.as_bytes()).map_err(|_| wrong("the method"))?;
    *request.uri_mut() = uri.parse().map_err(|_| wrong("the path"))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The headers of every request to this host.
pub(super) fn of_every_request(host: &str) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(host).map_err(|_| "the host has characters that no header can hold")?);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("cutover/", env!("CARGO_PKG_VERSION"))));
    Ok(headers)
}

/// A header with a credential: never shown by `Debug`, never in a compression table.
pub(super) fn credential(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "a credential has characters that no header can hold")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a response. JSON is read as JSON if the server calls it so or names no type; what cannot be read stays text or bytes.
pub(super) fn response(status: u16, headers: &HeaderMap, body: Bytes) -> WireResponse {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media == "application/json" || media.ends_with("+json");
    let bytes = body.len() as u64;
    let body = if body.is_empty() {
        WireResponseBody::None
    } else if let Some(value) = is_json.then(|| document(&body)).flatten() {
        WireResponseBody::Json(value)
    } else {
        String::from_utf8(body.into()).map_or_else(|error| WireResponseBody::Bytes(error.into_bytes()), WireResponseBody::Text)
    };
    // A value that is no text has no use here; it is left out rather than changed.
    let headers = headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    WireResponse { status, headers: headers.collect(), body, bytes, form: None }
}

fn document(bytes: &[u8]) -> Option<Value> {
    // Most documents have fewer brackets than that, which is seen faster.
    let brackets = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    (brackets <= MAX_DEPTH || depth(bytes) <= MAX_DEPTH).then(|| serde_json::from_slice(bytes).ok()).flatten()
}

/// The deepest nesting of JSON text, read without recursion.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// `application/x-www-form-urlencoded` text; a space is `%20`, which every reader takes.
fn pairs_text(pairs: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        escape_into(name, b"-._~", &mut out);
        out.push('=');
        escape_into(value, b"-._~", &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(media: &str, body: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(media).expect("a media type"));
        match response(200, &headers, Bytes::copy_from_slice(body)).body {
            WireResponseBody::None => "none".to_owned(),
            WireResponseBody::Json(value) => format!("json {value}"),
            WireResponseBody::Text(text) => format!("text {}", text.len()),
            WireResponseBody::Bytes(bytes) => format!("bytes {}", bytes.len()),
        }
    }

    #[test]
    fn bodies_are_read_by_what_they_are() {
        let big = br#"{"n":12345678901234567890123.10}"#;
        assert_eq!(read("application/json; charset=utf-8", big), r#"json {"n":12345678901234567890123.10}"#);
        assert_eq!(read("application/problem+json", b"[1]"), "json [1]");
        assert_eq!(read("text/plain", b"[1]"), "text 3");
        assert_eq!(read("application/json", b"[1"), "text 2");
        assert_eq!(read("application/json", b"\xff\xfe"), "bytes 2");
        assert_eq!(read("application/json", b""), "none");
    }

    #[test]
    fn deep_documents_stay_text() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read("application/json", nested(64).as_bytes()).starts_with("json"));
        assert!(read("application/json", nested(65).as_bytes()).starts_with("text"));
        assert!(read("application/json", nested(100_000).as_bytes()).starts_with("text"));
        assert_eq!(depth(br#"{"a\"[[[[": "]]["}"#), 1);
    }

    #[test]
    fn pairs_cannot_break_out() {
        let pairs = [("a b".to_owned(), "1&c=2#é\r\n".to_owned()), ("x".to_owned(), String::new())];
        assert_eq!(pairs_text(&pairs), "a%20b=1%26c%3D2%23%C3%A9%0D%0A&x=");
    }
}
