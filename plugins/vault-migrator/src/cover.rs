//! What of a legacy file its copies hold: nothing else of it may be retired or destroyed.

use std::collections::BTreeSet;

use cutover_plugin::{Change, Failure, fingerprint, sealed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    instruction::Instruction,
    kv::Origin,
    name::{self, FileName},
};

/// Ids of changes are cut at 400 bytes and end in a fingerprint then (`Object::change_id`).
const UNCUT: usize = 400;

/// Names that a refusal gives; it counts the others.
const NAMED: usize = 5;

/// Which copies a legacy file has. It follows from the file and its step's input alone, not from the single copy: changes
/// that come from several pages of links are one only if they are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cover {
    /// One copy holds the whole document; else each holds one top-level key.
    pub(crate) whole: bool,
    /// The copies are keys of a KV mount; else they are files.
    pub(crate) kv: bool,
}

impl Cover {
    /// The legacy file that a copy is of, and how; none if the change is no copy of a file.
    pub(crate) fn of(copy: &Change) -> Result<Option<(String, Self)>, Failure> {
        Ok(match copy.instruction()? {
            Instruction::Copy(copied) => Some((copied.source, Self { whole: copied.key.is_none(), kv: false })),
            Instruction::CopyKv(copied) => match copied.origin {
                Origin::File(piece) => Some((piece.file, Self { whole: piece.key.is_none(), kv: true })),
                Origin::Versioned(_) | Origin::Single(_) => None,
            },
            _ => None,
        })
    }

    /// A conflict if the file has a key that none of the copies holds: it was added after they were planned.
    ///
    /// `text` is the token of the whole file, `copies` the ids of its copies, `seen` the text's fingerprint when planned. That
    /// each copy equals its key is not looked at here: the host has just checked the linked changes again.
    pub(crate) fn holds(self, file: &str, text: &Value, copies: &[String], seen: &str) -> Result<(), Failure> {
        if self.whole {
            return Ok(());
        }
        let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
        let form = FileName::parse(name).ok_or_else(|| Failure::invalid_input(format!("source:{file} is of no known format")))?.form;
        let token = text.as_str().ok_or_else(|| Failure::internal(format!("source:{file} came as no text")))?;
        let document = sealed::parse(token, form)?;
        let Some(keys) = document.as_object() else {
            return Err(Failure::conflict(format!("source:{file} has no names any more, but its copies are of single names: plan again")));
        };
        // All copies are of one file: the last part of an id is the key's.
        let copied: BTreeSet<&str> = copies.iter().filter_map(|id| id.rsplit('/').next()).collect();
        let missing: Vec<&str> = keys.keys().map(String::as_str).filter(|key| !copied.contains(self.last_part(key).as_str())).collect();
        // What has no copy as planned is a loss that was accepted, or its copy's id cannot be told.
        let as_planned = fingerprint(text) == seen && (self.kv || copies.iter().any(|id| id.len() > UNCUT));
        if missing.is_empty() || as_planned {
            return Ok(());
        }
        Err(Failure::conflict(format!(
            "source:{file} has {} without a linked copy, added after the plan; nothing was moved or deleted: plan again, or take \
             it out of the file and resume",
            listed(&missing)
        )))
    }

    /// What the id of a key's copy ends in, after the last slash; empty if a key has no copy whatever it holds.
    fn last_part(self, key: &str) -> String {
        if self.kv { key.to_owned() } else { name::encode(key).map(|name| format!("{name}.json.age")).unwrap_or_default() }
    }
}

fn listed(keys: &[&str]) -> String {
    let first = keys.iter().take(NAMED).map(|key| key.escape_debug().to_string()).collect::<Vec<_>>().join(", ");
    match keys.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{first} and {more} more"),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use cutover_plugin::testing::Folder;
    use serde_json::json;

    use super::*;

    const KEYS: Cover = Cover { whole: false, kv: false };

    /// Holds a file of these keys against copies of these ids.
    fn holds(cover: Cover, keys: &[&str], copies: &[&str], planned: bool) -> Result<(), Failure> {
        let document: Value = keys.iter().map(|key| ((*key).to_owned(), json!("v"))).collect::<serde_json::Map<_, _>>().into();
        let folder = Folder::new().sealing("source").install();
        let text = folder.token(&document.to_string().into());
        let seen = if planned { fingerprint(&text) } else { "another".to_owned() };
        let copies: Vec<String> = copies.iter().map(|id| (*id).to_owned()).collect();
        cover.holds("team/app.env", &text, &copies, &seen)
    }

    #[test]
    fn a_key_is_known_by_the_last_part_of_its_copys_id() {
        let copies = ["target:team/app/A.json.age", "target:team/app/odd=2Fname.json.age"];
        assert_eq!(holds(KEYS, &["A", "odd/name"], &copies, false), Ok(()));
        assert_eq!(holds(KEYS, &["A", "odd/name"], &copies, true), Ok(()));
        for stranger in ["B", "name", "odd", "AA", "", "a", "A.json.age", "=41"] {
            assert!(matches!(holds(KEYS, &["A", stranger], &copies, false), Err(Failure::Conflict(_))), "{stranger}");
            assert!(matches!(holds(KEYS, &["A", stranger], &copies, true), Err(Failure::Conflict(_))), "{stranger}");
        }
    }

    #[test]
    fn what_a_kv_mount_cannot_hold_stays_accepted_until_the_file_moves() {
        let kv = Cover { whole: false, kv: true };
        let copies = ["target:secret/team/app/A"];
        assert_eq!(holds(kv, &["A", "odd/A"], &copies, true), Ok(()));
        assert!(matches!(holds(kv, &["A", "odd/A"], &copies, false), Err(Failure::Conflict(_))));
        assert_eq!(holds(kv, &["A"], &copies, false), Ok(()));
    }

    #[test]
    fn an_id_that_was_cut_tells_nothing_while_the_file_is_as_planned() {
        let cut = format!("target:{}~0123", "f/".repeat(200));
        assert_eq!(holds(KEYS, &["A"], &[&cut], true), Ok(()));
        assert!(matches!(holds(KEYS, &["A"], &[&cut], false), Err(Failure::Conflict(_))));
    }

    #[test]
    fn a_refusal_names_some_keys_and_counts_the_others() {
        let keys: Vec<String> = (0..8).map(|number| format!("K{number}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let Err(Failure::Conflict(why)) = holds(KEYS, &keys, &[], false) else { panic!("none has a copy") };
        assert!(why.contains("K0, K1, K2, K3, K4 and 3 more"), "{why}");
    }
}
