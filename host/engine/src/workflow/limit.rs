//! Limits that are checked before a file is parsed, so that no text can exhaust memory or stack.

use crate::diagnostic::{Diagnostic, Place};

/// Largest file in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Most keys and table headers.
const MAX_KEYS: usize = 10_000;
/// Most levels of one value, and of one dotted key.
const MAX_DEPTH: usize = 32;

/// The first limit that the text breaks. Counts signs outside strings and comments, so it needs no parser.
pub(super) fn broken(text: &str) -> Option<Diagnostic> {
    if text.len() > MAX_BYTES {
        return Some(Diagnostic::error("CUT0102", None, format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len())));
    }
    let bytes = text.as_bytes();
    let (mut at, mut keys, mut brackets, mut dots) = (0, 0_usize, 0_usize, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += line_length(&bytes[at..]),
            b'"' | b'\'' => {
                at += string_length(&bytes[at..]);
                continue;
            }
            b'=' => (keys, dots) = (keys + 1, 0),
            b'[' | b'{' => {
                keys += usize::from(brackets == 0);
                (brackets, dots) = (brackets + 1, 0);
            }
            b']' | b'}' => (brackets, dots) = (brackets.saturating_sub(1), 0),
            b',' | b'\n' => dots = 0,
            b'.' => (dots, keys) = (dots + 1, keys + 1),
            _ => {}
        }
        if brackets > MAX_DEPTH || dots > MAX_DEPTH {
            let place = Place { start: at, end: at + 1 };
            return Some(Diagnostic::error("CUT0102", place, format!("this is nested more than {MAX_DEPTH} levels deep")));
        }
        at += 1;
    }
    // Dots of numbers and headers of arrays count as well: the limit is far above what people write.
    (keys > MAX_KEYS).then(|| Diagnostic::error("CUT0102", None, format!("the file has more than {MAX_KEYS} keys")))
}

fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len())
}

/// The length of the string that begins here; one on a single line ends with its line, closed or not.
fn string_length(bytes: &[u8]) -> usize {
    let quote = bytes[0];
    let long = bytes.starts_with(&[quote; 3]);
    let mut at = if long { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' && bytes.get(at + 1) != Some(&b'\n') => at += 1,
            b'\n' if !long => return at,
            byte if byte == quote && !long => return at + 1,
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_exhaust_memory_or_stack() {
        assert!(broken(&"a = 1\n".repeat(10_001)).is_some());
        assert!(broken(&" ".repeat((1 << 20) + 1)).is_some());
        assert!(broken(&format!("a = {}", "[".repeat(33))).is_some());
        assert!(broken(&format!("{}a = 1", "a.".repeat(33))).is_some());
        assert!(broken(&format!("a = '\n{}a = 1", "a.".repeat(33))).is_some());
    }

    #[test]
    fn strings_and_comments_are_no_structure() {
        let text = format!("a = \"{0}\" # {0}\nb = '''\n{0}'''\nc = '{0}'", "[.".repeat(40));
        assert_eq!(broken(&text), None);
    }
}
