//! A v2 key with every version, as it is read.

use std::collections::BTreeMap;

use cutover_plugin::{Failure, fingerprint};
use serde_json::{Value, json};

use super::{duration, key::Key, settings::Settings, store};
use crate::number;

/// Versions that a key can have here. A hook asks for each version of both sides, and the host allows a call 1,000 requests.
pub(crate) const MOST: usize = 450;

/// One version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Version {
    /// It can be read.
    Live {
        /// Its document, a token for each scalar.
        value: Value,
        /// When the server will delete it (RFC 3339), if that is set.
        deletion: Option<String>,
    },
    /// It cannot be read, but it can be undeleted.
    Deleted {
        /// When it was deleted (RFC 3339).
        at: String,
        /// Whether it was its timer that did it.
        by_timer: bool,
    },
    /// Its data is gone for good.
    Destroyed,
}

impl Version {
    pub(crate) const fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted { .. })
    }

    /// Whether its timer has deleted it.
    pub(crate) const fn has_expired(&self) -> bool {
        matches!(self, Self::Deleted { by_timer: true, .. })
    }
}

/// A key with its settings and versions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct History {
    pub(crate) settings: Settings,
    /// The number of the newest version; 0 if there never was one.
    pub(crate) current: u64,
    /// The versions that the server still knows; lower numbers are pruned.
    pub(crate) versions: BTreeMap<u64, Version>,
    /// What was read of its metadata; null for a document without.
    facts: Value,
    /// When it was read, by the clock of its server, in milliseconds since the Unix epoch; none if the server does not say.
    pub(crate) read_at: Option<u64>,
    /// Where numbers are that KV v2 does not keep: see [`number`].
    pub(crate) inexact: Vec<String>,
}

/// What a read of a key found.
pub(crate) enum Reading {
    /// There is no such key.
    Absent,
    /// All of it.
    Whole(History),
    /// More versions than were asked for: so many. None was read.
    TooMany(usize),
}

impl History {
    /// Reads a key; none if there is none.
    pub(crate) fn read(role: &str, key: &Key) -> Result<Option<Self>, Failure> {
        match Self::read_up_to(role, key, MOST)? {
            Reading::Absent => Ok(None),
            Reading::Whole(history) => Ok(Some(history)),
            Reading::TooMany(versions) => Err(too_many(role, key, versions)),
        }
    }

    /// The states of a key's versions, without their documents; none if there is no key. Only of a version that has a time
    /// of deletion does the metadata not say whether that has come: it is read.
    pub(crate) fn states(role: &str, key: &Key) -> Result<Option<(Self, usize)>, Failure> {
        let Some(metadata) = store::metadata(role, key)? else { return Ok(None) };
        let versions = versions(&metadata, role, key)?;
        if versions.len() > MOST {
            return Err(too_many(role, key, versions.len()));
        }
        let mut requests = 1;
        let mut history = Self::of(&metadata);
        for (number, facts) in versions {
            let version = match (&facts["destroyed"], &facts["deletion_time"]) {
                (Value::Bool(true), _) => Version::Destroyed,
                (_, Value::String(time)) if time.is_empty() => Version::Live { value: Value::Null, deletion: None },
                _ => {
                    requests += 1;
                    history.version(role, key, number)?
                }
            };
            history.versions.insert(number, version);
        }
        history.facts = metadata;
        Ok(Some((history, requests)))
    }

    /// Reads a key if it has no more versions than this.
    pub(crate) fn read_up_to(role: &str, key: &Key, most: usize) -> Result<Reading, Failure> {
        let Some((metadata, read_at)) = store::dated_metadata(role, key)? else { return Ok(Reading::Absent) };
        let versions = versions(&metadata, role, key)?;
        if versions.len() > most {
            return Ok(Reading::TooMany(versions.len()));
        }
        let mut history = Self { read_at, ..Self::of(&metadata) };
        for (number, facts) in versions {
            let version = if facts["destroyed"] == true { Version::Destroyed } else { history.version(role, key, number)? };
            history.versions.insert(number, version);
        }
        history.facts = metadata;
        Ok(Reading::Whole(history))
    }

    /// A key that is one document and has no settings.
    pub(crate) fn single(value: Value, inexact: Vec<String>) -> Self {
        let facts = json!({ "single": value });
        let versions = BTreeMap::from([(1, Version::Live { value, deletion: None })]);
        Self { settings: Settings::default(), current: 1, versions, facts, read_at: None, inexact }
    }

    /// The value that a read without a number gives; none if it gives none.
    pub(crate) fn latest(&self) -> Option<&Value> {
        match self.versions.get(&self.current) {
            Some(Version::Live { value, .. }) => Some(value),
            _ => None,
        }
    }

    /// Changes when the key does, but for the states of these versions.
    pub(crate) fn digest(&self, apart_from: &[u64]) -> String {
        digest(&self.facts, apart_from)
    }

    /// [`History::digest`] of the key as it is now, without reading its versions.
    pub(crate) fn digest_now(role: &str, key: &Key, apart_from: &[u64]) -> Result<String, Failure> {
        Ok(digest(&store::metadata(role, key)?.unwrap_or_default(), apart_from))
    }

    /// How often its metadata was written, where the server counts that.
    pub(crate) fn metadata_number(&self) -> Option<u64> {
        store::metadata_number(&self.facts)
    }

    /// How many versions have been pruned.
    pub(crate) fn pruned(&self) -> u64 {
        self.versions.keys().next().map_or(self.current, |oldest| oldest - 1)
    }

    /// A key of this metadata whose versions are not yet read.
    fn of(metadata: &Value) -> Self {
        let current = metadata["current_version"].as_u64().unwrap_or_default();
        Self { settings: Settings::of(metadata), current, ..Self::default() }
    }

    fn version(&mut self, role: &str, key: &Key, number: u64) -> Result<Version, Failure> {
        let what = format!("read version {number} of {role}:{}", key.full());
        let response = store::version(role, key, number)?;
        let facts = response.body.as_ref().map(|body| &body["data"]["metadata"]).filter(|facts| facts.is_object());
        match (response.status, facts) {
            (404, Some(facts)) if facts["destroyed"] == true => Ok(Version::Destroyed),
            (404, Some(facts)) => {
                let time = |name: &str| facts[name].as_str().unwrap_or_default();
                let at = time("deletion_time");
                // Timers are set in seconds, and whoever deletes by hand does not hit the fraction.
                Ok(Version::Deleted { at: at.to_owned(), by_timer: duration::is_seconds_after(time("created_time"), at) })
            }
            (404, None) => Err(Failure::unavailable(format!("{what}: it vanished while the key was read"))),
            _ => {
                let deletion = facts.and_then(|facts| facts["deletion_time"].as_str()).filter(|time| !time.is_empty()).map(str::to_owned);
                self.inexact.extend(number::inexact(&response));
                let body = response.expect_success(&what)?.body.unwrap_or_default();
                Ok(Version::Live { value: body["data"]["data"].clone(), deletion })
            }
        }
    }
}

fn too_many(role: &str, key: &Key, versions: usize) -> Failure {
    let text = format!("{role}:{} has {versions} versions, and {MOST} are the most that can be handled", key.full());
    Failure::unsupported(format!("{text}: leave it out with `skip`, or let it keep fewer (`max_versions`)"))
}

/// What a key's metadata says of each version.
fn versions<'m>(metadata: &'m Value, role: &str, key: &Key) -> Result<Vec<(u64, &'m Value)>, Failure> {
    let odd = |_| Failure::internal(format!("{role}:{}: odd version number", key.full()));
    let versions = metadata["versions"].as_object().into_iter().flatten();
    versions.map(|(number, facts)| Ok((number.parse().map_err(odd)?, facts))).collect()
}

/// Changes when a key's metadata does, times and states included, but for the states of these versions. Not
/// `updated_time`: deletions do not change it, and nothing else would be missed without it.
fn digest(facts: &Value, apart_from: &[u64]) -> String {
    let mut versions = facts["versions"].clone();
    for number in apart_from {
        versions[number.to_string()] = Value::Null;
    }
    let names =
        ["single", "current_version", "max_versions", "cas_required", "delete_version_after", "custom_metadata", "metadata_cas_required"];
    fingerprint(&json!([versions, names.map(|name| &facts[name])]))
}
