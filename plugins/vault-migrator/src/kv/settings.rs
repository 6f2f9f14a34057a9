//! Limits and other settings of a mount or a key, and how the two work together.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::duration;

/// Versions that a mount keeps if neither it nor the key says how many.
const KEPT_BY_DEFAULT: u64 = 10;

/// What a mount or a key limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Versions that are kept; 0 is "not said here".
    pub(crate) max_versions: u64,
    /// Whether each write must name the current version.
    pub(crate) cas_required: bool,
    /// Seconds after which a version is deleted; 0 is "not said here".
    pub(crate) delete_after: u64,
    /// Whether a mount switches deletion by time off for all its keys.
    pub(crate) never_delete: bool,
    /// Whether each write of metadata must name the current one; none where the server has no such rule: `OpenBao` has.
    pub(crate) metadata_cas: Option<bool>,
}

impl Limits {
    /// Reads them of a mount's config or a key's metadata.
    pub(crate) fn of(document: &Value) -> Self {
        let after = document["delete_version_after"].as_str().unwrap_or("0s");
        Self {
            max_versions: document["max_versions"].as_u64().unwrap_or_default(),
            cas_required: document["cas_required"].as_bool().unwrap_or_default(),
            delete_after: duration::seconds(after).unwrap_or_default(),
            never_delete: after.starts_with('-'),
            metadata_cas: document["metadata_cas_required"].as_bool(),
        }
    }

    /// Without what is only said to be off: a server that has a rule says so, one that has none does not.
    pub(crate) fn in_force(&self) -> Self {
        Self { metadata_cas: self.metadata_cas.filter(|required| *required), ..self.clone() }
    }

    /// Versions that are kept of a key with these limits: the larger of both, 10 if neither says.
    pub(crate) fn keeps(&self, mount: &Self) -> u64 {
        match self.max_versions.max(mount.max_versions) {
            0 => KEPT_BY_DEFAULT,
            most => most,
        }
    }

    /// Versions that are kept in any case. Some documents say that the key's own number counts, even if it is the smaller one.
    pub(crate) fn surely_keeps(&self, mount: &Self) -> u64 {
        if self.max_versions == 0 { self.keeps(mount) } else { self.max_versions }
    }

    /// Seconds after which a version of a key with these limits is deleted: the smaller of both that is not 0.
    pub(crate) fn deletes_after(&self, mount: &Self) -> u64 {
        match (self.delete_after, mount.delete_after) {
            _ if mount.never_delete => 0,
            (0, other) | (other, 0) => other,
            (one, other) => one.min(other),
        }
    }
}

/// What a key's metadata holds apart from its versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    /// Names and texts of the operator, none of them secret.
    pub(crate) custom: Map<String, Value>,
}

impl Settings {
    /// Reads them of a key's metadata.
    pub(crate) fn of(metadata: &Value) -> Self {
        let custom = metadata["custom_metadata"].as_object().cloned().unwrap_or_default();
        Self { limits: Limits::of(metadata), custom }
    }

    /// Settings with which a key of `to` behaves as this key of `from` does.
    pub(crate) fn carried(&self, from: &Limits, to: &Limits) -> Self {
        let mut limits = self.limits.clone();
        limits.never_delete = false;
        if limits.keeps(to) < self.limits.keeps(from) {
            limits.max_versions = self.limits.keeps(from);
        }
        limits.cas_required |= from.cas_required && !to.cas_required;
        let of_mount = from.metadata_cas == Some(true) && to.metadata_cas != Some(true);
        limits.metadata_cas = to.metadata_cas.map(|_| of_mount || self.limits.metadata_cas == Some(true));
        if limits.deletes_after(to) != self.limits.deletes_after(from) {
            limits.delete_after = self.limits.deletes_after(from);
        }
        Self { limits, custom: self.custom.clone() }
    }

    /// Those of a key of this mount that nobody has set.
    pub(crate) fn untouched(mount: &Limits) -> Self {
        Self { limits: Limits { metadata_cas: mount.metadata_cas.map(|_| false), ..Limits::default() }, custom: Map::new() }
    }

    /// Their part of a state.
    pub(crate) fn document(&self) -> Value {
        json!({
            "max_versions": self.limits.max_versions,
            "cas_required": self.limits.cas_required,
            "delete_version_after": self.limits.delete_after,
            "custom_metadata": self.custom,
            "metadata_cas_required": self.limits.metadata_cas,
        })
    }

    /// [`Settings::document`], read back.
    pub(crate) fn parse(document: &Value) -> Self {
        let limits = Limits {
            max_versions: document["max_versions"].as_u64().unwrap_or_default(),
            cas_required: document["cas_required"].as_bool().unwrap_or_default(),
            delete_after: document["delete_version_after"].as_u64().unwrap_or_default(),
            never_delete: false,
            metadata_cas: document["metadata_cas_required"].as_bool(),
        };
        Self { limits, custom: document["custom_metadata"].as_object().cloned().unwrap_or_default() }
    }

    /// The fields of a write.
    pub(crate) fn fields(&self) -> Value {
        let mut fields = json!({
            "max_versions": self.limits.max_versions,
            "cas_required": self.limits.cas_required,
            "delete_version_after": format!("{}s", self.limits.delete_after),
            "custom_metadata": self.custom,
        });
        if let Some(required) = self.limits.metadata_cas {
            fields["metadata_cas_required"] = required.into();
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_versions: u64, delete_after: u64) -> Limits {
        Limits { max_versions, delete_after, ..Limits::default() }
    }

    #[test]
    fn the_larger_number_and_the_smaller_time_count() {
        assert_eq!(
            [(0, 0), (3, 0), (0, 20), (3, 20), (30, 20)].map(|(key, mount)| limits(key, 0).keeps(&limits(mount, 0))),
            [10, 3, 20, 20, 30]
        );
        assert_eq!(
            [(0, 0), (0, 20), (3, 20), (30, 20)].map(|(key, mount)| limits(key, 0).surely_keeps(&limits(mount, 0))),
            [10, 20, 3, 30]
        );
        assert_eq!(
            [(0, 0), (9, 0), (0, 7), (9, 7), (5, 7)].map(|(key, mount)| limits(0, key).deletes_after(&limits(0, mount))),
            [0, 9, 7, 7, 5]
        );
        let never = Limits::of(&json!({"delete_version_after": "-1s"}));
        assert_eq!(limits(0, 9).deletes_after(&never), 0);
    }

    #[test]
    fn a_key_takes_along_what_it_had_of_its_mount() {
        let key = Settings::default();
        let from = Limits { max_versions: 20, cas_required: true, delete_after: 60, ..Limits::default() };
        assert_eq!(key.carried(&from, &Limits::default()).limits, from);
        assert_eq!(key.carried(&from, &from), key);
        assert_eq!(key.carried(&limits(5, 0), &limits(30, 0)), key);
        assert_eq!(
            Settings { limits: limits(3, 0), custom: Map::new() }.carried(&limits(20, 0), &Limits::default()).limits.max_versions,
            20
        );
    }

    #[test]
    fn a_rule_that_only_some_servers_have_goes_along_where_it_can() {
        let with = |metadata_cas| Limits { metadata_cas, ..Limits::default() };
        let carried =
            |key, from, to| Settings { limits: with(key), custom: Map::new() }.carried(&with(from), &with(to)).limits.metadata_cas;
        assert_eq!(carried(None, None, None), None);
        assert_eq!(carried(None, None, Some(false)), Some(false));
        assert_eq!(carried(Some(true), Some(false), Some(false)), Some(true));
        assert_eq!(carried(Some(false), Some(true), Some(false)), Some(true));
        assert_eq!(carried(Some(false), Some(true), Some(true)), Some(false));
        assert_eq!(carried(Some(true), Some(false), None), None);
        assert_eq!(with(Some(false)).in_force(), Limits::default());
        assert_eq!(Settings::untouched(&with(Some(true))).limits, with(Some(false)));
        assert!(Settings::default().fields().get("metadata_cas_required").is_none());
    }

    #[test]
    fn states_are_read_back() {
        let metadata = json!({"max_versions": 3, "cas_required": true, "delete_version_after": "1h0m0s", "custom_metadata": {"a": "b"}});
        let settings = Settings::of(&metadata);
        assert_eq!(Settings::parse(&settings.document()), settings);
        assert_eq!(settings.fields()["delete_version_after"], "3600s");
    }
}
