//! The path of a request in the one form that is judged, sent and used as an object's name.

use std::fmt;

use cutover_engine::Failure;

use super::code::Code;

/// The longest path, in bytes as written.
const MAX_BYTES: usize = 4_096;
/// The most segments: matching a template looks at every way to split them.
const MAX_SEGMENTS: usize = 128;

/// A path with one meaning: no dot segments, no empty ones, no slash or control character behind an escape.
///
/// What is sent is written anew from the decoded segments, so the backend gets exactly what was judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestPath {
    segments: Vec<String>,
    folder: bool,
}

impl RequestPath {
    /// Reads a percent-encoded path with a leading slash (RFC 3986 section 3.3).
    ///
    /// # Errors
    /// A refusal that says what makes the path unclear.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        Self::read(text).map_err(|rule| Code::PATH.refused(format!("the path `{}` is refused: {rule}", shown(text))))
    }

    /// Reads an object's name: a path that is not percent-encoded, with or without a leading slash.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_object(name: &str) -> Result<Self, Failure> {
        let mut encoded = String::from(if name.starts_with('/') { "" } else { "/" });
        escape_into(name, b"/-._~", &mut encoded);
        Self::read(&encoded).map_err(|rule| Code::PATH.refused(format!("the path `{}` is refused: {rule}", shown(name))))
    }

    /// The decoded segments, none of them empty.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether the path ends in a slash, as that of a LIST does.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.folder
    }

    /// The decoded path without slashes around it: the name of the object.
    #[must_use]
    pub fn object(&self) -> String {
        self.segments.join("/")
    }

    /// Whether [`Self::object`] is this name.
    #[must_use]
    pub fn names(&self, object: &str) -> bool {
        self.segments.iter().map(String::as_str).eq(object.split('/'))
    }

    /// The path to send. Everything but the characters of `pchar` (RFC 3986 section 3.3) is escaped.
    #[must_use]
    pub fn wire(&self) -> String {
        let mut out = String::new();
        for segment in &self.segments {
            out.push('/');
            escape_into(segment, b"-._~!$&'()*+,;=:@", &mut out);
        }
        if self.folder || self.segments.is_empty() {
            out.push('/');
        }
        out
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("it is longer than 4096 bytes");
        }
        let rest = text.strip_prefix('/').ok_or("it must begin with `/`")?;
        if let Some(bad) = text.bytes().find(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#' | b'\\')) {
            return Err(match bad {
                b'?' => "a query has its own place",
                b'#' => "it has a fragment",
                b'\\' => "it has a backslash",
                _ => "characters other than visible ASCII must be percent-encoded",
            });
        }
        let (rest, folder) = rest.strip_suffix('/').map_or((rest, false), |rest| (rest, true));
        if rest.is_empty() && folder {
            return Err("it has an empty segment");
        }
        let segments = if rest.is_empty() { Vec::new() } else { rest.split('/').map(segment).collect::<Result<Vec<_>, _>>()? };
        if segments.len() > MAX_SEGMENTS {
            return Err("it has more than 128 segments");
        }
        Ok(Self { segments, folder })
    }
}

impl fmt::Display for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wire())
    }
}

/// Percent-encodes every byte of `text` that is no letter, digit or one of `kept`.
pub fn escape_into(text: &str, kept: &[u8], out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
}

/// Text from a plugin as an error may show it: no control characters, not endless.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(200).flat_map(char::escape_debug).collect();
    if text.chars().nth(200).is_some() {
        out.push('…');
    }
    out
}

fn segment(text: &str) -> Result<String, &'static str> {
    let decoded = decode(text).ok_or("an escape is not `%` and two hexadecimal digits")?;
    let decoded = String::from_utf8(decoded).map_err(|_| "an escape gives no UTF-8")?;
    match decoded.as_str() {
        "" => Err("it has an empty segment"),
        "." | ".." => Err("it has a dot segment"),
        other if other.contains(['/', '\\']) => Err("a slash or backslash is hidden behind an escape"),
        // A tab is in names that people pasted; escaped it cannot end a line or a header.
        other if other.chars().any(|c| c.is_control() && c != '\t') => Err("it has a control character"),
        _ => Ok(decoded),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let (high, low) = (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclear_paths_are_refused() {
        let attacks = [
            "",
            "a",
            "v1/x",
            "//",
            "//evil.example/x",
            "/a//b",
            "/a/",
            "/./a",
            "/a/..",
            "/../a",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a/.%2e",
            "/%2e",
            "/a%2fb",
            "/a%2Fb",
            "/..%2f..%2fetc",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0aX: y",
            "/a\r\nX: y",
            "/a b",
            "/a?x=1",
            "/a#f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%ff",
            "/a%c0%af",
            "/é",
            "/a\0",
            "/a%7f",
            "/a%C2%85",
            "http://evil/x",
            "/a\t",
        ];
        for text in attacks {
            let result = RequestPath::parse(text);
            // A trailing slash is the one form that is allowed here: it names a folder.
            assert_eq!(result.is_ok(), text == "/a/", "{text:?}");
        }
        assert!(RequestPath::parse(&format!("/{}", "a/".repeat(129))).is_err());
        assert!(RequestPath::parse(&format!("/{}", "a".repeat(4_096))).is_err());
    }

    #[test]
    fn legal_odd_names_survive() {
        for (text, object, wire) in [
            ("/", "", "/"),
            ("/a/", "a", "/a/"),
            ("/a%20b/%C3%A9", "a b/é", "/a%20b/%C3%A9"),
            ("/a%3Ab@c", "a:b@c", "/a:b@c"),
            ("/%2e%2ea", "..a", "/..a"),
            ("/...", "...", "/..."),
            ("/a%3Fb%23c", "a?b#c", "/a%3Fb%23c"),
            // Decoded once and only once: to a backend that does as RFC 3986 says this is a name with a percent sign.
            ("/%252e%252e", "%2e%2e", "/%252e%252e"),
            ("/a;b=c,d", "a;b=c,d", "/a;b=c,d"),
            ("/a%09b", "a\tb", "/a%09b"),
        ] {
            let path = RequestPath::parse(text).expect(text);
            assert_eq!((path.object().as_str(), path.wire().as_str()), (object, wire), "{text}");
            assert_eq!(RequestPath::parse(&path.wire()), Ok(path), "{text}");
        }
    }

    #[test]
    fn refusals_show_no_control_characters() {
        let failure = RequestPath::parse("/a\r\nb").expect_err("refused");
        assert!(failure.text.contains("/a\\r\\nb"), "{}", failure.text);
    }
}
