//! The members of a set, from a CSV file that the operator keeps.

use std::{collections::BTreeSet, path::Path};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Reads `name,url` lines below that header. Names are unique; lines that begin with `#` and empty ones are skipped.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_BYTES {
        return Err("it is larger than 4 MiB".to_owned());
    }
    parse(&std::fs::read_to_string(path).map_err(|error| error.to_string())?)
}

fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let mut lines = lines.map(|(index, line)| (index + 1, line.trim())).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    if lines.next().is_none_or(|(_, header)| header.split(',').map(str::trim).ne(["name", "url"])) {
        return Err("its first line must be `name,url`".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    for (number, line) in lines {
        let Some((name, url)) = line.split_once(',').map(|(name, url)| (name.trim(), url.trim())) else {
            return Err(format!("line {number} has no comma"));
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
            return Err(format!("line {number}: a name has letters, digits, `-`, `_` and `.` only"));
        }
        if url.is_empty() || url.contains([',', '"']) {
            return Err(format!("line {number}: after the name there is one url, without quotes"));
        }
        if !seen.insert(name) {
            return Err(format!("line {number}: the name `{name}` is used twice"));
        }
        members.push((name.to_owned(), url.to_owned()));
    }
    if members.is_empty() { Err("it has no members".to_owned()) } else { Ok(members) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let members = parse("name,url\n# racks\nb, https://b:1\r\n\na,https://a:1\n").expect("two members");
        assert_eq!(members, [("b".to_owned(), "https://b:1".to_owned()), ("a".to_owned(), "https://a:1".to_owned())]);
    }

    #[test]
    fn unclear_files_are_refused() {
        for text in [
            "",
            "url,name\na,b",
            "a,https://a",
            "name,url\n",
            "name,url\na",
            "name,url\na,x\na,y",
            "name,url\na b,x",
            "name,url\na,x,y",
            "name,url\na,\"x\"",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
