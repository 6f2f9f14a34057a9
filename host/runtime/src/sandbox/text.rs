//! Text written by plugins, made safe for terminals and logs.

use std::fmt::Write as _;

/// One line: control characters and those that change the direction of text are escaped, and what is beyond
/// `limit` bytes is cut.
pub(super) fn line(text: &str, limit: usize) -> String {
    printable(text, limit, |_| false)
}

/// The same, but line breaks stay.
pub(super) fn block(text: &str, limit: usize) -> String {
    printable(text, limit, |char| char == '\n')
}

fn printable(text: &str, limit: usize, kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for char in text.chars() {
        let before = out.len();
        if (char.is_control() && !kept(char)) || is_directional(char) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{}", char.escape_default());
        } else {
            out.push(char);
        }
        if out.len() > limit {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// The bidirectional controls of Unicode Standard Annex 9, and the separators that some terminals take for line breaks.
fn is_directional(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_moves_its_cursor() {
        assert_eq!(line("a\x1b]52;c;x\x07\r\nb\u{202e}", 100), "a\\u{1b}]52;c;x\\u{7}\\r\\nb\\u{202e}");
        assert_eq!(block("a\nb\x1b", 100), "a\nb\\u{1b}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(line("ééé", 4), "éé…");
        assert_eq!(line("éé", 4), "éé");
        assert_eq!(line("aaa\x1b", 5), "aaa…");
    }
}
