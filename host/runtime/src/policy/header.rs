//! Which headers a plugin may set.

use cutover_engine::Failure;

use super::{code::Code, path::shown};

/// The most headers of one request.
const MAX_COUNT: usize = 32;
/// The most bytes of all names and values of one request.
const MAX_BYTES: usize = 16 * 1024;

/// Headers that are the host's: framing, routing, credentials, and ways to say another method or path.
const OWNED: [&str; 22] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "accept-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
/// Beginnings of names that are the host's.
const OWNED_PREFIXES: [&str; 3] = ["proxy-", "x-forwarded-", "sec-"];

/// Checks the headers of a plugin's request. `of_kind` are the names (lower case) that the connection's kind owns too;
/// one that ends in `-` stands for all that begin so.
///
/// # Errors
/// A refusal that names the header, never its value.
pub(super) fn check(headers: &[(String, String)], of_kind: &[&str]) -> Result<(), Failure> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_COUNT || bytes > MAX_BYTES {
        return Err(Code::HEADER.refused(format!("a request may have {MAX_COUNT} headers and {MAX_BYTES} bytes of them")));
    }
    let mut seen = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let rule = if !is_token(name) {
            "its name is no token (RFC 9110 section 5.6.2)"
        } else if !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t') {
            "its value has characters other than visible ASCII"
        } else if OWNED.contains(&lower.as_str())
            || of_kind.iter().any(|owned| lower == *owned || owned.ends_with('-') && lower.starts_with(owned))
            || OWNED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        {
            "it belongs to the host"
        } else if seen.contains(&lower) {
            "it is given twice"
        } else {
            seen.push(lower);
            continue;
        };
        return Err(Code::HEADER.refused(format!("the header `{}` is refused: {rule}", shown(name))));
    }
    Ok(())
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_host_and_smuggling_are_refused() {
        let attacks = [
            ("Host", "evil"),
            ("hOST", "evil"),
            ("Authorization", "Bearer x"),
            ("Cookie", "a=b"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "0"),
            ("Connection", "close, x"),
            ("Upgrade", "h2c"),
            ("Proxy-Authorization", "x"),
            ("proxy-anything", "x"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("Forwarded", "for=x"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Original-URL", "/admin"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("HTTP2-Settings", "x"),
            ("Accept-Encoding", "gzip"),
            ("x-vault-token", "x"),
            ("X-Vault-Namespace", "x"),
            ("X-Vault-Wrap-TTL", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nhost", "x"),
            ("host ", "x"),
            ("x-a", "b\r\nhost: evil"),
            ("x-a", "b\nc"),
            ("x-a", "b\0"),
            ("x-a", "é"),
        ];
        for (name, value) in attacks {
            let failure = check(&[(name.to_owned(), value.to_owned())], &["x-vault-"]).expect_err(name);
            assert_eq!(failure.code.as_deref(), Some("CUT3208"));
            assert!(!failure.text.contains("evil") && !failure.text.contains('\n'), "{}", failure.text);
        }
    }

    #[test]
    fn ordinary_headers_pass_once() {
        let header = |name: &str| (name.to_owned(), "application/json; v=1".to_owned());
        assert_eq!(check(&[header("accept"), header("If-Match"), header("content-type")], &[]), Ok(()));
        assert!(check(&[header("accept"), header("Accept")], &[]).is_err());
        assert!(check(&vec![header("x"); 33], &[]).is_err());
        assert!(check(&[("x".to_owned(), "v".repeat(MAX_BYTES))], &[]).is_err());
    }
}
