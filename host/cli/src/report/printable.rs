//! Text of others (plugins, servers, file names) made safe for a terminal.

use std::borrow::Cow;

/// One line: line breaks, control characters and characters that reorder text are shown as escapes.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// Several lines: as [`line`], but line breaks stay.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_unsafe(c))
}

fn escape(text: &str, unsafe_char: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unsafe_char) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' if unsafe_char(c) => out.push_str("\\n"),
            '\t' if unsafe_char(c) => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if unsafe_char(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// C0, DEL and C1 steer terminals; the bidirectional controls of UAX #9 and zero-width characters can make one text look like another.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_steers_a_terminal() {
        assert_eq!(line("a\u{1b}[2Jb\r\n\t\u{9b}c\u{202e}"), "a\\u{1b}[2Jb\\r\\n\\t\\u{9b}c\\u{202e}");
        assert_eq!(lines("a\nb\u{7}"), "a\nb\\u{7}");
        assert!(matches!(line("größe ünïcode"), Cow::Borrowed(_)));
    }
}
