//! A page about a code, for the terminal: the Markdown of these pages without its marks.

use std::fmt::Write as _;

use crate::{page::Page, report::palette};

/// The page with ANSI styles; examples are indented.
#[must_use]
pub fn text(page: Page) -> String {
    let strong = palette::STRONG;
    let mut out = String::new();
    let mut in_example = false;
    for line in page.text.lines() {
        let _ = if line.starts_with("```") {
            in_example = !in_example;
            Ok(())
        } else if in_example {
            writeln!(out, "{}", format!("    {line}").trim_end())
        } else if let Some(title) = line.strip_prefix("# ") {
            writeln!(out, "{strong}{title}{strong:#}")
        } else if let Some((label, rest)) = line.strip_prefix("**").and_then(|line| line.split_once("**")) {
            writeln!(out, "{strong}{label}{strong:#}{rest}")
        } else {
            writeln!(out, "{line}")
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_like_text() {
        let page = Page::find("CUT0104").expect("a page");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(page)), @r#"
        CUT0104: unknown key

        The file has a key that this place does not know. The help names the nearest one
        if there is one.

        Why: Keys are a closed list, so that a slip of the pen cannot silently
        switch off a check or a limit.

        For example:

            [[step]]
            id = "copy"
            uess = "vault.copy-files"     # `uses` is meant

        Next: Correct the key, then: `cutover validate workflow.toml`.
        `cutover schema workflow.toml --write` lets your editor complete keys.
        "#);
    }

    #[test]
    fn no_mark_is_left_over() {
        for page in Page::codes().chain(Page::exit_codes()) {
            let text = text(page);
            assert!(!text.contains("```") && !text.contains("**"), "{text}");
        }
    }
}
