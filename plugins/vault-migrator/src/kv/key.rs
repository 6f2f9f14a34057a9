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

/// Words in the middle of a write's path. A key's own path may hold them too.
const INFIXES: [&str; 5] = ["data", "metadata", "delete", "undelete", "destroy"];

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

    /// The other objects that a write of this key could be read as: in `secret/data/app/data/x` the mount could be
    /// `secret/data/app`. The host wants all of them in the change's subject.
    pub(crate) fn other_readings(&self, role: &str) -> Vec<Object> {
        let full = self.full();
        let infixed = INFIXES.iter().map(|infix| format!("{}/{infix}/{}", self.mount, self.path));
        let mut others = Vec::new();
        for request in infixed.chain([full.clone()]) {
            let segments: Vec<&str> = request.split('/').collect();
            for index in (0..segments.len()).filter(|index| INFIXES.contains(&segments[*index])) {
                others.push([&segments[..index], &segments[index + 1..]].concat().join("/"));
            }
        }
        others.sort_unstable();
        others.dedup();
        others.into_iter().filter(|path| *path != full).map(|path| Object::new(role, &path)).collect()
    }
}

/// Whether a name in a folder's list can be asked for: servers refuse or rewrite empty and dot segments.
pub(crate) fn addressable(name: &str) -> bool {
    let segment = name.strip_suffix('/').unwrap_or(name);
    !matches!(segment, "" | "." | "..") && !segment.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keys_have_one_reading() {
        assert!(Key::new("secret", "app/db").other_readings("target").is_empty());
        assert_eq!(Key::new("secret", "app/db").object("target").to_string(), "target:secret/app/db");
    }

    #[test]
    fn keys_that_hold_an_infix_show_every_reading() {
        let others = Key::new("secret", "app/data/x").other_readings("target");
        let others: Vec<&str> = others.iter().map(|object| object.path.as_str()).collect();
        assert!(others.contains(&"secret/data/app/x") && others.contains(&"secret/app/x"), "{others:?}");
        assert!(!others.contains(&"secret/app/data/x"));
    }

    #[test]
    fn only_whole_names_can_be_asked_for() {
        assert!(["a", "a b ", "a%2f", "\t", "ü", "a/", "...", " "].iter().all(|name| addressable(name)));
        assert!(["", "/", ".", "./", "..", "../", "//"].iter().all(|name| !addressable(name)));
    }
}
