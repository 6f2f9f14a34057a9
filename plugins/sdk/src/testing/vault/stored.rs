//! One key of a v2 mount as a server keeps it: `OpenBao` 2.7 was asked for each rule.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Versions that are kept if nobody says how many.
const KEPT_BY_DEFAULT: u64 = 10;

/// One version.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Its document, unsealed; none once it is destroyed.
    pub document: Option<Value>,
    /// Milliseconds since the Unix epoch.
    pub(super) created: u64,
    /// When it is or was deleted.
    pub(super) deletion: Option<u64>,
    /// Whether its data is gone for good.
    pub destroyed: bool,
}

/// A key with its versions and metadata, unsealed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    /// The versions that are kept.
    pub versions: BTreeMap<u64, Revision>,
    /// The newest number; 0 before there was one.
    pub current: u64,
    /// 0 until versions are pruned.
    pub(super) oldest: u64,
    /// What `metadata` writes say.
    pub max_versions: u64,
    /// What `metadata` writes say.
    pub cas_required: bool,
    /// Seconds.
    pub delete_after: u64,
    /// What `metadata` writes say.
    pub custom: Map<String, Value>,
    /// What `metadata` writes say.
    pub metadata_cas_required: bool,
    /// How many `metadata` writes there were.
    pub(super) metadata_number: u64,
}

/// A mount's config.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Config {
    pub(super) max_versions: u64,
    pub(super) cas_required: bool,
    pub(super) delete_after: u64,
}

impl Stored {
    /// Adds a version; false if `cas` does not fit, or is missing where it is needed.
    pub(super) fn write(&mut self, document: Value, cas: Option<u64>, config: Config, now: u64) -> bool {
        let needed = self.cas_required || config.cas_required;
        if cas.map_or(needed, |cas| cas != self.current) {
            return false;
        }
        let after = match (self.delete_after, config.delete_after) {
            (0, other) | (other, 0) => other,
            (one, other) => one.min(other),
        };
        let deletion = (after > 0).then(|| now + after * 1_000);
        self.current += 1;
        self.versions.insert(self.current, Revision { document: Some(document), created: now, deletion, destroyed: false });
        let keeps = match self.max_versions.max(config.max_versions) {
            0 => KEPT_BY_DEFAULT,
            most => most,
        };
        if self.current > keeps {
            self.oldest = self.current + 1 - keeps;
            self.versions = self.versions.split_off(&self.oldest);
        }
        true
    }

    /// Soft-deletes versions; silent where there is nothing to do.
    pub(super) fn delete(&mut self, numbers: &[u64], now: u64) {
        for (_, revision) in self.versions.iter_mut().filter(|(number, _)| numbers.contains(number)) {
            if !revision.destroyed && revision.deletion.is_none_or(|deletion| deletion > now) {
                revision.deletion = Some(now);
            }
        }
    }

    /// Takes soft deletions back; silent where there is nothing to do.
    pub(super) fn undelete(&mut self, numbers: &[u64], config: Config, now: u64) {
        let after = self.delete_after.max(config.delete_after);
        for number in numbers {
            if let Some(revision) = self.versions.get_mut(number).filter(|revision| !revision.destroyed) {
                revision.deletion = (after > 0).then(|| now + after * 1_000);
            }
        }
    }

    /// Destroys versions; silent where there is nothing to do.
    pub(super) fn destroy(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Some(revision) = self.versions.get_mut(number) {
                (revision.document, revision.destroyed) = (None, true);
            }
        }
    }

    /// Sets the fields that are given; false if `metadata_cas` does not fit, or is missing where it is needed.
    pub(super) fn set(&mut self, fields: &Value) -> bool {
        if fields["metadata_cas"].as_u64().map_or(self.metadata_cas_required, |cas| cas != self.metadata_number) {
            return false;
        }
        self.metadata_number += 1;
        if let Some(required) = fields["metadata_cas_required"].as_bool() {
            self.metadata_cas_required = required;
        }
        if let Some(most) = fields["max_versions"].as_u64() {
            self.max_versions = most;
        }
        if let Some(required) = fields["cas_required"].as_bool() {
            self.cas_required = required;
        }
        if let Some(after) = fields["delete_version_after"].as_str() {
            self.delete_after = after.trim_end_matches('s').parse().unwrap_or_default();
        }
        if let Some(custom) = fields["custom_metadata"].as_object() {
            self.custom.clone_from(custom);
        }
        true
    }

    /// The document of a version that can be read; 0 is the current one.
    pub fn live(&self, number: u64, now: u64) -> Option<&Value> {
        let number = if number == 0 { self.current } else { number };
        let revision = self.versions.get(&number)?;
        revision.document.as_ref().filter(|_| revision.deletion.is_none_or(|deletion| deletion > now))
    }

    /// `numbers`: whether the server numbers metadata.
    pub(super) fn metadata(&self, numbers: bool) -> Value {
        let versions: Map<String, Value> = self.versions.iter().map(|(number, revision)| (number.to_string(), revision.facts())).collect();
        let custom = if self.custom.is_empty() { Value::Null } else { self.custom.clone().into() };
        let mut document = json!({
            "cas_required": self.cas_required,
            "created_time": "2026-01-01T00:00:00Z",
            "current_version": self.current,
            "custom_metadata": custom,
            "delete_version_after": format!("{}h{}m{}s", self.delete_after / 3_600, self.delete_after / 60 % 60, self.delete_after % 60),
            "max_versions": self.max_versions,
            "oldest_version": self.oldest,
            "updated_time": "2026-01-01T00:00:00Z",
            "versions": versions,
        });
        if numbers {
            document["metadata_cas_required"] = self.metadata_cas_required.into();
            document["current_metadata_version"] = self.metadata_number.into();
        }
        document
    }
}

impl Revision {
    pub(super) fn facts(&self) -> Value {
        json!({
            "created_time": time(self.created),
            "deletion_time": self.deletion.map_or_else(String::new, time),
            "destroyed": self.destroyed,
        })
    }
}

/// RFC 3339, for times near the beginning of the fake's clock: 2026-01-01 and days after it.
fn time(millis: u64) -> String {
    let (days, rest) = ((millis - super::START) / 86_400_000, (millis - super::START) % 86_400_000);
    format!("2026-01-{:02}T{:02}:{:02}:{:02}.{:03}Z", 1 + days, rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000)
}
