//! A key: one secret of one KV mount.

use cutover_plugin::Object;
use serde::{Deserialize, Serialize};

/// One secret of one mount; both parts without slashes around them, unencoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) mount: String,
    pub(crate) path: String,
}

impl Key {
    pub(crate) fn new(mount: &str, path: &str) -> Self {
        Self { mount: mount.to_owned(), path: path.to_owned() }
    }

    /// The object, whatever the request.
    pub(crate) fn object(&self, role: &str) -> Object {
        Object::new(role, &self.full())
    }

    /// The mount and the path.
    pub(crate) fn full(&self) -> String {
        format!("{}/{}", self.mount, self.path)
    }
}

/// Whether a name in a folder's list can be asked for: servers refuse or rewrite empty and dot segments, and the host sends no
/// backslash and no control character but a tab.
pub(crate) fn addressable(name: &str) -> bool {
    let segment = name.strip_suffix('/').unwrap_or(name);
    !matches!(segment, "" | "." | "..") && !segment.contains(|c: char| matches!(c, '/' | '\\') || c.is_control() && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_object_whatever_its_name_holds() {
        assert_eq!(Key::new("team/secret", "app/data/x").object("target").to_string(), "target:team/secret/app/data/x");
    }

    #[test]
    fn only_whole_names_can_be_asked_for() {
        assert!(["a", "a b ", "a%2f", "\t", "ü", "a/", "...", " "].iter().all(|name| addressable(name)));
        assert!(["", "/", ".", "./", "..", "../", "//", "corp\\svc", "corp\\svc/", "a\nb", "\u{7f}"].iter().all(|name| !addressable(name)));
    }
}
