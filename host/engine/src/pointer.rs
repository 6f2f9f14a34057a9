//! JSON pointers (RFC 6901) in which `*` stands for any one segment.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// A pattern of places in a JSON document. A place below a matching place matches too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer {
    segments: Vec<String>,
}

impl Pointer {
    /// Reads `""` (the whole document), `/a/b`, `/versions/*/state`.
    ///
    /// # Errors
    /// If the text is neither empty nor begins with a slash, or has a `~` that is not `~0` or `~1` (RFC 6901 section 3).
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        let rest = text.strip_prefix('/').ok_or_else(|| format!("`{text}` is no JSON pointer: it must begin with `/`"))?;
        let segments = rest
            .split('/')
            .map(|segment| unescape(segment).ok_or_else(|| format!("`{text}` is no JSON pointer: `~` must be `~0` or `~1`")));
        Ok(Self { segments: segments.collect::<Result<_, _>>()? })
    }

    /// Whether the place at `path` (segments, unescaped) is this one or below it.
    #[must_use]
    pub fn covers(&self, path: &[&str]) -> bool {
        self.segments.len() <= path.len() && self.segments.iter().zip(path).all(|(want, have)| want == "*" || want == have)
    }

    /// Takes the places it names out of a document. The whole-document pointer leaves `null`.
    pub fn remove_from(&self, document: &mut Value) {
        remove(document, &self.segments);
    }
}

fn unescape(segment: &str) -> Option<String> {
    let mut out = String::with_capacity(segment.len());
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '~' {
            match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            }
        } else {
            c
        });
    }
    Some(out)
}

fn remove(document: &mut Value, segments: &[String]) {
    let Some((first, rest)) = segments.split_first() else {
        *document = Value::Null;
        return;
    };
    match document {
        Value::Object(map) if rest.is_empty() && first == "*" => map.clear(),
        Value::Object(map) if rest.is_empty() => drop(map.remove(first)),
        Value::Object(map) => map.iter_mut().filter(|(key, _)| first == "*" || first == *key).for_each(|(_, value)| remove(value, rest)),
        // Elements are blanked, not removed: removal would move the ones after them.
        Value::Array(items) => {
            items
                .iter_mut()
                .enumerate()
                .filter(|(index, _)| first == "*" || *first == index.to_string())
                .for_each(|(_, value)| remove(value, rest));
        }
        _ => {}
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn without(mut document: Value, pointer: &str) -> Value {
        Pointer::parse(pointer).expect("a pointer").remove_from(&mut document);
        document
    }

    #[test]
    fn a_star_stands_for_one_segment() {
        assert_eq!(without(json!({"v": {"1": {"t": 1, "s": "a"}, "2": {"t": 2}}}), "/v/*/t"), json!({"v": {"1": {"s": "a"}, "2": {}}}));
        assert_eq!(without(json!([{"t": 1}, {"t": 2}]), "/1/t"), json!([{"t": 1}, {}]));
        assert_eq!(without(json!({"a": 1}), ""), json!(null));
    }

    #[test]
    fn covers_what_is_below() {
        let pointer = Pointer::parse("/a~1b/*").expect("a pointer");
        assert!(pointer.covers(&["a/b", "x"]) && pointer.covers(&["a/b", "x", "y"]));
        assert!(!pointer.covers(&["a/b"]) && !pointer.covers(&["a", "b"]));
        assert_eq!(pointer.to_string(), "/a~1b/*");
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        assert!(Pointer::parse("a").is_err() && Pointer::parse("/~2").is_err() && Pointer::parse("/~").is_err());
    }
}
