//! What a copy is of, and what its change tells later hooks.

use cutover_plugin::Failure;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    SOURCE,
    history::History,
    key::Key,
    mount::Kind,
    planned::Planned,
    settings::{Limits, Settings},
    store,
};
use crate::{copy, number};

/// One secret of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// A key with versions.
    Versioned(Key),
    /// A key of a v1 mount.
    Single(Key),
    /// A legacy file, or a part of it.
    File(copy::Piece),
}

/// How versions are numbered at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Numbering {
    /// As at the source: a version without data becomes a destroyed one.
    Numbered,
    /// One after the other: versions without data are left out.
    Compact,
}

/// A target key that is there already and gets more versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    /// Its newest version when planned; ours begin after it.
    pub(crate) current: u64,
    /// Its versions, as states have them.
    pub(crate) kept: Map<String, Value>,
    /// The settings it is to have: its own, with room for our versions.
    pub(crate) settings: Settings,
    /// Whether it keeps more versions than it did, for that room.
    pub(crate) raised: bool,
}

/// A key's copy, or a secret's of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopiedKv {
    pub(crate) origin: Origin,
    pub(crate) target: Key,
    pub(crate) kind: Kind,
    pub(crate) numbering: Numbering,
    /// What the target keeps, if it was there when planned and is merged with.
    pub(crate) base: Option<Base>,
    /// Whether a v1 target's document may be replaced.
    pub(crate) replace: bool,
    /// Soft-deleted versions of the source that are undeleted for the time of one read.
    pub(crate) recover: Vec<u64>,
    /// What the plan saw of the source's versions.
    pub(crate) planned: Planned,
    pub(crate) from_limits: Limits,
    pub(crate) to_limits: Limits,
    /// A fingerprint of what the plan read of the source: its movement is drift.
    pub(crate) source_seen: String,
    /// The same of the target; none if nothing was there.
    pub(crate) target_seen: Option<String>,
}

impl Origin {
    /// Reads the secret; none if it is gone.
    pub(crate) fn read(&self) -> Result<Option<History>, Failure> {
        match self {
            Self::Versioned(key) => History::read(SOURCE, key),
            Self::Single(key) => Ok(store::single(SOURCE, key)?.map(|response| {
                let inexact = number::inexact(&response);
                History::single(response.body.unwrap_or_default()["data"].clone(), inexact)
            })),
            Self::File(piece) => piece.read_with_numbers().map(|(document, inexact)| Some(History::single(document, inexact))),
        }
    }

    /// Whether the source still is as it was read, but for the states of these versions.
    pub(crate) fn is_still(&self, read: &History, apart_from: &[u64]) -> Result<bool, Failure> {
        Ok(match self {
            Self::Versioned(key) => History::digest_now(SOURCE, key, apart_from)? == read.digest(apart_from),
            _ => self.read()?.is_some_and(|now| now == *read),
        })
    }

    /// Whether there is no such secret any more.
    pub(crate) fn is_gone(&self) -> Result<bool, Failure> {
        match self {
            Self::Versioned(key) => Ok(store::metadata(SOURCE, key)?.is_none()),
            Self::Single(key) => Ok(store::single(SOURCE, key)?.is_none()),
            Self::File(_) => match self.read() {
                Err(Failure::NotFound(_)) => Ok(true),
                read => read.map(|read| read.is_none()),
            },
        }
    }

    /// Where it is, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Versioned(key) | Self::Single(key) => key.full(),
            Self::File(piece) => piece.shown(),
        }
    }

    /// The key, if it is in a KV mount.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Versioned(key) | Self::Single(key) => Some(key),
            Self::File(_) => None,
        }
    }
}

impl CopiedKv {
    /// Reads the source.
    pub(crate) fn source(&self) -> Result<History, Failure> {
        self.origin.read()?.ok_or_else(|| Failure::not_found(format!("{SOURCE}:{} is there no longer", self.origin.shown())))
    }

    /// The number of the last version that was there before ours.
    pub(crate) fn base(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.current)
    }
}
