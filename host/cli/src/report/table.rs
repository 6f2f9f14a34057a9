//! Rows in columns, for people only: programs read JSON.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use crate::report::{palette, printable};

/// Cells of plain text; columns are as wide as their widest cell and two spaces apart.
#[derive(Debug, Clone, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// A table with a heading row; an empty heading is not shown.
    pub fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(ToString::to_string).collect(), rows: Vec::new(), indent: 0 }
    }

    /// Spaces before each row.
    #[must_use]
    pub fn indented(mut self, spaces: usize) -> Self {
        self.indent = spaces;
        self
    }

    /// Adds a row. Cells may be text of others: they are made safe for a terminal here.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| printable::line(cell.as_ref()).into_owned()).collect());
    }

    /// The text, each row ended by a line break, without trailing spaces.
    #[must_use]
    pub fn text(&self) -> String {
        let widths = self.widths();
        let mut out = String::new();
        if !self.heading.is_empty() {
            let strong = palette::STRONG;
            let _ = writeln!(out, "{strong}{}{strong:#}", self.line(&self.heading, &widths));
        }
        for row in &self.rows {
            let _ = writeln!(out, "{}", self.line(row, &widths));
        }
        out
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in std::iter::once(&self.heading).chain(&self.rows) {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut out = " ".repeat(self.indent);
        for (cell, width) in cells.iter().zip(widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
        }
        out.truncate(out.trim_end().len());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_for_wide_characters() {
        let mut table = Table::new(&["NAME", "STATE"]).indented(1);
        table.row(["東京", "ok"]);
        table.row(["a", "done\nnow"]);
        table.row(["only"]);
        insta::assert_snapshot!(anstream::adapter::strip_str(&table.text()), @r"
         NAME  STATE
         東京  ok
         a     done\nnow
         only
        ");
    }
}
