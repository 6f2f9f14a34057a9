//! From bytes of a text to its lines and columns.

/// Where the lines of a text begin: found once, since every problem of a large file asks.
#[derive(Debug)]
pub(super) struct LineStarts<'a> {
    source: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineStarts<'a> {
    pub(super) fn of(source: &'a str) -> Self {
        let starts = std::iter::once(0).chain(source.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { source, starts }
    }

    /// Line and column of a byte, both from 1, the column in characters. A byte inside a character stands for the character,
    /// one behind the text for its end.
    pub(super) fn position(&self, byte: usize) -> (usize, usize) {
        let byte = self.source.floor_char_boundary(byte.min(self.source.len()));
        let line = self.starts.partition_point(|start| *start <= byte);
        (line, self.source[self.starts[line - 1]..byte].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let lines = LineStarts::of("a\nß = 1\n");
        let positions = [0, 1, 2, 3, 4, 8, 9, 900].map(|byte| lines.position(byte));
        assert_eq!(positions, [(1, 1), (1, 2), (2, 1), (2, 1), (2, 2), (2, 6), (3, 1), (3, 1)]);
        assert_eq!(LineStarts::of("").position(0), (1, 1));
    }
}
