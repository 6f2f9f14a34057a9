//! Names of legacy files and of their copies.

use cutover_plugin::{Failure, sealed::Form};

/// What a file that was moved aside ends in.
const ASIDE: &str = ".retired";

/// What an encrypted file ends in.
const AGE: &str = ".age";

/// The longest name of a file on common file systems is 255 bytes; `.json.age` and a temporary name need some.
const LONGEST: usize = 200;

/// A legacy file's name without folder, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileName<'a> {
    /// The name as its copies have it: without `.age` and, but for PEM, without the ending of its form.
    pub(crate) stem: &'a str,
    /// The form of its text.
    pub(crate) form: Form,
}

impl<'a> FileName<'a> {
    /// Takes a name apart, as the `file` kind does; none if its ending is of no known form.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let plain = name.strip_suffix(AGE).unwrap_or(name);
        if plain == ".env" || plain.starts_with(".env.") {
            return Some(Self { stem: &plain[1..], form: Form::Dotenv });
        }
        let (stem, ending) = plain.rsplit_once('.')?;
        let form = match ending {
            "env" => Form::Dotenv,
            "json" => Form::Json,
            "yaml" | "yml" => Form::Yaml,
            "toml" => Form::Toml,
            // `tls.crt` and `tls.key` stand beside each other: they keep their endings.
            "pem" | "crt" | "key" => return Some(Self { stem: plain, form: Form::Pem }),
            _ => return None,
        };
        Some(Self { stem, form })
    }
}

/// Where a legacy file goes when it is retired. An encrypted one keeps its `.age`, so that it is still read as one.
pub(crate) fn aside(path: &str) -> String {
    path.strip_suffix(AGE).map_or_else(|| format!("{path}{ASIDE}"), |plain| format!("{plain}{ASIDE}{AGE}"))
}

/// Whether a file was moved aside.
pub(crate) fn is_aside(path: &str) -> bool {
    path.strip_suffix(AGE).unwrap_or(path).ends_with(ASIDE)
}

/// The file of a copy: `into`, the legacy file's folders and stem, the key if there is one, `.json.age`.
pub(crate) fn target(into: &str, source: &str, key: Option<&str>) -> Result<String, Failure> {
    let (folders, name) = source.rsplit_once('/').map_or((None, source), |(folders, name)| (Some(folders), name));
    let stem = FileName::parse(name).map_or(name, |file| file.stem);
    let segments = folders.into_iter().flat_map(|folders| folders.split('/')).chain([stem]).chain(key);
    let segments = segments.map(encode).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("{into}{}.json.age", segments.join("/")))
}

/// The path of a copy in a store that takes any name: the legacy file's folders and stem, and the key if there is one.
pub(crate) fn path_of(source: &str, key: Option<&str>) -> String {
    let (folders, name) = source.rsplit_once('/').map_or((None, source), |(folders, name)| (Some(folders), name));
    let stem = FileName::parse(name).map_or(name, |file| file.stem);
    folders.into_iter().chain([stem]).chain(key).collect::<Vec<_>>().join("/")
}

/// A name that every file system takes and that [`decode`] reads back: `=XX` for each byte that is no letter, digit,
/// `_`, `-` or `.`, and for a dot in front.
pub(crate) fn encode(name: &str) -> Result<String, Failure> {
    let mut encoded = String::new();
    for (index, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (byte == b'.' && index > 0) {
            encoded.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            encoded.extend(['=', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
        }
    }
    match encoded.len() {
        0 => Ok("=".to_owned()),
        1..=LONGEST => Ok(encoded),
        _ => Err(Failure::unsupported(format!("the name `{}…` is too long for a file", name.chars().take(40).collect::<String>()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name that `encode` was given.
    fn decode(encoded: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = encoded.strip_suffix('=').unwrap_or(encoded);
        while let Some((plain, escaped)) = rest.split_once('=') {
            bytes.extend(plain.bytes());
            bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
            rest = &escaped[2..];
        }
        bytes.extend(rest.bytes());
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn odd_names_are_safe_and_can_be_read_back() {
        for name in [
            "DB_PASSWORD",
            "",
            ".",
            "..",
            "../../etc",
            "a=b",
            "=",
            "=41",
            "a b",
            "päß",
            "a/b",
            ".hidden",
            "a.json",
            "nul\0",
            "line\nbreak",
            "%2F",
        ] {
            let encoded = encode(name).expect("a name");
            assert_eq!(decode(&encoded).as_deref(), Some(name), "{encoded}");
            assert!(!encoded.is_empty() && !encoded.starts_with('.') && !encoded.contains(['/', '\0', '\n', '%', '\\']), "{encoded}");
        }
        assert_ne!(encode("a b").expect("a name"), encode("a=20b").expect("a name"));
        assert!(matches!(encode(&"ü".repeat(100)), Err(Failure::Unsupported(_))));
    }

    #[test]
    fn targets_follow_the_legacy_tree() {
        let of = |source, key| target("new/", source, key).expect("a target");
        assert_eq!(of("payments/api.env", Some("DB_PASSWORD")), "new/payments/api/DB_PASSWORD.json.age");
        assert_eq!(of("payments/api.env.age", None), "new/payments/api.json.age");
        assert_eq!(of("my team/.env", Some("a/b")), "new/my=20team/env/a=2Fb.json.age");
        assert_eq!(path_of("payments/api.env.age", Some("DB PASSWORD")), "payments/api/DB PASSWORD");
        assert_eq!((path_of("tls.key", None), path_of(".env", Some("A"))), ("tls.key".to_owned(), "env/A".to_owned()));
    }

    #[test]
    fn only_known_endings_are_legacy_files() {
        assert_eq!(FileName::parse("a.b.yml"), Some(FileName { stem: "a.b", form: Form::Yaml }));
        assert_eq!(FileName::parse(".env"), Some(FileName { stem: "env", form: Form::Dotenv }));
        assert_eq!(FileName::parse(".env.prod").map(|file| file.stem), Some("env.prod"));
        assert_eq!(FileName::parse("tls.key.age"), Some(FileName { stem: "tls.key", form: Form::Pem }));
        assert_eq!((FileName::parse("README.md"), FileName::parse("id_rsa")), (None, None));
        assert_eq!((aside("a.env"), aside("a.env.age")), ("a.env.retired".to_owned(), "a.env.retired.age".to_owned()));
        assert!(["a.env", "a.env.age"].iter().all(|path| is_aside(&aside(path)) && FileName::parse(&aside(path)).is_none()));
    }
}
