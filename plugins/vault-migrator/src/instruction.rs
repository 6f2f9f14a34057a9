//! What a change tells its later hooks and the steps that are linked to it.

use cutover_plugin::Seen;
use serde::{Deserialize, Serialize};

use crate::{
    cover::Cover,
    kv::{CopiedKv, DestroyedKv, RetiredKv},
};

/// The instruction of a change, by operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Instruction {
    /// `copy-files`
    Copy(Copied),
    /// `retire-files`
    Retire(Retired),
    /// `destroy-files`
    Destroy(Destroyed),
    /// `copy-kv`
    CopyKv(Box<CopiedKv>),
    /// `retire-kv`
    RetireKv(RetiredKv),
    /// `destroy-kv`
    DestroyKv(DestroyedKv),
}

/// One secret and its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copied {
    /// The legacy file.
    pub(crate) source: String,
    /// The top-level key of its document; none for the whole document.
    pub(crate) key: Option<String>,
    /// Whether the copy is `{"value": …}` or the document itself.
    pub(crate) wrapped: bool,
    /// The file of the copy.
    pub(crate) target: String,
    /// What the plan saw of both, tokens for secrets: its movement is drift.
    pub(crate) seen: Seen,
}

/// One legacy file that is moved aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retired {
    /// The legacy file.
    pub(crate) live: String,
    /// Where it goes.
    pub(crate) aside: String,
    /// What its linked copies hold of it.
    pub(crate) cover: Cover,
    /// A fingerprint of its text's token when planned: its movement is drift.
    pub(crate) seen: String,
}

/// One file that is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destroyed {
    /// The file: a legacy file, or one that was moved aside.
    pub(crate) path: String,
    /// The legacy file, under the name that its copies are of.
    pub(crate) live: String,
    /// What its copies hold of it.
    pub(crate) cover: Cover,
    /// Ids of its copies, if the link is its retirement; else the links are its copies.
    pub(crate) copies: Vec<String>,
    /// A fingerprint of the legacy file's text when planned: its movement is drift.
    pub(crate) seen: String,
}
