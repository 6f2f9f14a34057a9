//! What `cutover explain` knows: a page for each code of an error and each exit code.

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// A page of `docs/src/codes` or `docs/src/exit-codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// `CUT0104`, or the number of an exit code.
    pub code: &'static str,
    /// Markdown: a title, what happened, why, an example, what to type next.
    pub text: &'static str,
}

impl Page {
    /// The pages of codes, in order.
    pub fn codes() -> impl Iterator<Item = Self> {
        CODES.iter().map(|&(code, text)| Self { code, text })
    }

    /// The pages of exit codes.
    pub fn exit_codes() -> impl Iterator<Item = Self> {
        EXIT_CODES.iter().map(|&(code, text)| Self { code, text })
    }

    /// The page that somebody means who copied `CUT0104`, `error[CUT0104]:`, `0104`, `11` or `exit 11`.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        let name = name(word);
        Self::codes().chain(Self::exit_codes()).find(|page| page.code == name)
    }

    /// At most three pages whose codes look like `word`, the most similar first.
    #[must_use]
    pub fn nearest(word: &str) -> Vec<Self> {
        let name = name(word);
        let mut found: Vec<(usize, Self)> = Self::codes().map(|page| (strsim::damerau_levenshtein(&name, page.code), page)).collect();
        // The sort is stable: of equally similar ones the first code comes first.
        found.sort_by_key(|(distance, _)| *distance);
        found.into_iter().filter(|(distance, _)| *distance <= 2).take(3).map(|(_, page)| page).collect()
    }

    /// The words after the code in its first line.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.text.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, title)| title)
    }
}

/// The name of a page as its file has it.
fn name(word: &str) -> String {
    let word = word.trim().trim_end_matches(':').trim_end_matches(']');
    let word = word.rsplit(['[', ' ']).next().unwrap_or_default().to_ascii_uppercase();
    if word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()) { format!("CUT{word}") } else { word }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    use clap::{Parser as _, error::ErrorKind};

    use super::*;
    use crate::{args::Cli, exit_code::ExitCode};

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The codes that the sources name outside of tests.
    fn codes_in_sources(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                codes_in_sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") && !["tests.rs", "attacks.rs", "page.rs"].contains(&name) {
                let text = fs::read_to_string(&path).expect("text");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let words = code.match_indices("CUT").filter_map(|(at, _)| code.get(at..at + 7));
                found.extend(words.filter(|word| word[3..].bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let mut found = BTreeSet::new();
        for room in ["engine", "runtime", "cli"] {
            codes_in_sources(&checkout().join("host").join(room).join("src"), &mut found);
        }
        let pages: BTreeSet<String> = Page::codes().map(|page| page.code.to_owned()).collect();
        let missing: Vec<_> = found.difference(&pages).collect();
        assert!(missing.is_empty(), "write docs/src/codes/CODE.md and its line in docs/src/SUMMARY.md for {missing:?}");
        let left: Vec<_> = pages.difference(&found).collect();
        assert!(left.is_empty(), "no source has {left:?} any more: take their pages away");
        let exits: BTreeSet<String> = ExitCode::ALL.iter().map(|code| code.number().to_string()).collect();
        assert_eq!(Page::exit_codes().map(|page| page.code.to_owned()).collect::<BTreeSet<_>>(), exits);
    }

    #[test]
    fn every_page_says_what_happened_why_an_example_and_the_next_command() {
        for page in Page::codes().chain(Page::exit_codes()) {
            let heading = if page.code.starts_with("CUT") { page.code.to_owned() } else { format!("Exit code {}", page.code) };
            assert!(page.text.starts_with(&format!("# {heading}: {}\n\n", page.title())), "{heading}");
            let places: Vec<Option<usize>> =
                ["\n**Why:** ", "\n**For example:**\n\n```", "\n```\n\n**Next:** "].iter().map(|part| page.text.find(part)).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{heading}: {places:?}");
            assert!(page.text.lines().count() <= 32 && page.text.lines().all(|line| line.chars().count() <= 132), "{heading} is too long");
        }
    }

    #[test]
    fn the_titles_of_the_language_are_those_of_the_engine() {
        for explanation in cutover_engine::CODES {
            let page = Page::find(explanation.code).expect("a page");
            assert_eq!(page.title(), explanation.title, "{}", page.code);
        }
    }

    #[test]
    fn every_command_of_a_page_parses() {
        let mut parsed = 0;
        for page in Page::codes().chain(Page::exit_codes()) {
            let next = page.text.rsplit("**Next:** ").next().unwrap_or_default().replace('\n', " ");
            for command in next.split('`').skip(1).step_by(2).filter_map(|span| span.strip_prefix("cutover ")).filter(|rest| *rest != "= 1")
            {
                let words = command.split_whitespace().map(|word| word.trim_matches('\''));
                match Cli::try_parse_from(std::iter::once("cutover").chain(words)) {
                    // A command that is only named, such as `cutover plugin pack`.
                    Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
                    Err(error) if error.use_stderr() => panic!("{}: cutover {command}: {error}", page.code),
                    // Help and version are answers of the parser.
                    _ => parsed += 1,
                }
            }
        }
        assert!(parsed > 150, "{parsed}");
    }

    #[test]
    fn every_toml_example_is_toml() {
        for page in Page::codes().chain(Page::exit_codes()).filter(|page| page.code != "CUT0101") {
            let Some((_, rest)) = page.text.split_once("```toml\n") else { continue };
            let example = rest.split("\n```").next().unwrap_or_default();
            assert!(example.parse::<toml::Table>().is_ok(), "{}:\n{example}", page.code);
        }
    }

    #[test]
    fn the_book_has_every_page() {
        let summary = fs::read_to_string(checkout().join("docs/src/SUMMARY.md")).expect("a summary");
        let mut exits: Vec<Page> = Page::exit_codes().collect();
        exits.sort_by_key(|page| page.code.parse::<u8>().unwrap_or_default());
        let exits = exits.into_iter().map(|page| format!("  - [{}: {}](exit-codes/{}.md)", page.code, page.title(), page.code));
        let codes = Page::codes().map(|page| format!("  - [{}: {}](codes/{}.md)", page.code, page.title(), page.code));
        let expected: Vec<String> = exits.chain(codes).collect();
        let listed: Vec<&str> = summary.lines().filter(|line| line.contains("](codes/CUT") || line.contains("](exit-codes/")).collect();
        let missing: Vec<&String> = expected.iter().filter(|line| !listed.contains(&line.as_str())).collect();
        assert!(missing.is_empty(), "docs/src/SUMMARY.md lacks {missing:#?}");
        assert_eq!(listed, expected, "docs/src/SUMMARY.md has a page too many, or another order");
    }

    #[test]
    fn what_people_copy_is_found() {
        for word in ["CUT0104", "cut0104", "error[CUT0104]", "error[CUT0104]:", "0104", " CUT0104: "] {
            assert_eq!(Page::find(word).map(|page| page.code), Some("CUT0104"), "{word}");
        }
        assert_eq!(Page::find("exit 11").map(Page::title), Some("a person is needed"));
        assert_eq!(Page::find("CUT0100"), None);
        assert_eq!(Page::nearest("CUT014").first().map(|page| page.code), Some("CUT0104"));
        assert!(Page::nearest("nonsense").is_empty());
    }
}
