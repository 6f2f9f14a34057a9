//! What a copy should hold, made from the source and the change alone; and the states that the host compares.
//!
//! A state of a v2 key is
//! `{"settings", "current", "versions": {"3": {"state": "live", "value", "expires"?} | {"state": "deleted"}}, "latest"}`,
//! with `"kept"` for the versions that a merged key had before, by fingerprints of their values. Versions without data (destroyed, pruned, never
//! written) are left out. Times are left out. `latest` is what a read without a number gives, null if nothing.
//! A state of a v1 key is `{"value"}`. Where versions of the source are undeleted for a read, the state is
//! `{"target": …, "recovered": {"2": "deleted"}}`.

use std::collections::BTreeMap;

use cutover_plugin::{Failure, fingerprint};
use serde_json::{Map, Value, json};

use super::{
    TARGET,
    history::{History, Version},
    mount::Kind,
    origin::{CopiedKv, Numbering, Origin},
    settings::{Limits, Settings},
    store,
};

/// One version that a copy should have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slot {
    /// A document, and when it is deleted at the source.
    Value { value: Value, deletion: Option<String> },
    /// A soft-deleted version of this number at the source, to be written and soft-deleted.
    Recovered(u64),
    /// A number without data.
    Tombstone,
}

/// What a copy should hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) settings: Settings,
    /// By their numbers at the target, without gaps.
    pub(crate) slots: BTreeMap<u64, Slot>,
    /// The newest version.
    pub(crate) current: u64,
    /// As the host compares it; none if nothing is wanted.
    pub(crate) state: Option<Value>,
}

impl Wanted {
    /// What follows from the source as it was read.
    pub(crate) fn of(copied: &CopiedKv, source: &History) -> Self {
        let settings = match &copied.base {
            Some(base) => base.settings.clone(),
            None => source.settings.carried(&copied.from_limits, &copied.to_limits),
        };
        let base = copied.base();
        let slots: BTreeMap<u64, Slot> = match copied.numbering {
            Numbering::Numbered => (1..=source.current).map(|number| (number, slot(copied, source, number))).collect(),
            Numbering::Compact => (base + 1..).zip(compact(copied, source)).collect(),
        };
        let current = slots.keys().next_back().copied().unwrap_or(base);
        let state = match copied.kind {
            Kind::V1 => source.latest().filter(|value| !is_empty(value)).map(|value| json!({ "value": value })),
            Kind::V2 => {
                let latest = match slots.get(&current) {
                    Some(Slot::Value { value, .. }) => Some(value),
                    _ => None,
                };
                let versions =
                    slots.iter().filter_map(|(number, slot)| Some((number.to_string(), slot.entry(&copied.to_limits)?))).collect();
                let mut state = state(&settings, current, versions, latest);
                if let Some(base) = &copied.base {
                    state["kept"] = base.kept.clone().into();
                }
                Some(state)
            }
        };
        let recovered: Map<String, Value> = copied.recover.iter().map(|number| (number.to_string(), json!("deleted"))).collect();
        Self { settings, slots, current, state: with_recovered(copied, state, recovered) }
    }

    /// The lowest number with data.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.slots.iter().find(|(_, slot)| **slot != Slot::Tombstone).map(|(number, _)| *number)
    }
}

impl Slot {
    fn entry(&self, to: &Limits) -> Option<Value> {
        let expire_anyway = Limits::default().deletes_after(to) > 0;
        match self {
            Self::Value { value, deletion } => Some(live(value, expire_anyway || (deletion.is_some() && !to.never_delete))),
            Self::Recovered(_) => Some(json!({ "state": "deleted" })),
            Self::Tombstone => None,
        }
    }
}

/// What is at a change's subject, as it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Found {
    /// The target key of a v2 mount.
    pub(crate) history: Option<History>,
    /// The target's document of a v1 mount.
    pub(crate) single: Option<Value>,
    /// As the host compares it.
    pub(crate) state: Option<Value>,
}

impl Found {
    /// Reads the target. The source counts where the change may write it.
    pub(crate) fn read(copied: &CopiedKv, source: Option<&History>) -> Result<Self, Failure> {
        let mut found = Self::default();
        let target = match copied.kind {
            Kind::V1 => {
                let response = store::single(TARGET, &copied.target)?;
                found.single = response.map(|response| response.body.unwrap_or_default()["data"].clone());
                found.single.as_ref().map(|value| json!({ "value": value }))
            }
            Kind::V2 => {
                found.history = History::read(TARGET, &copied.target)?;
                found.history.as_ref().map(|history| target_state(history, copied.base.is_some().then(|| copied.base())))
            }
        };
        let recovered = copied.recover.iter().map(|number| {
            let word = match source.and_then(|source| source.versions.get(number)) {
                Some(Version::Live { .. }) => "live",
                Some(Version::Deleted) => "deleted",
                Some(Version::Destroyed) | None => "destroyed",
            };
            (number.to_string(), Value::from(word))
        });
        found.state = with_recovered(copied, target, recovered.collect());
        Ok(found)
    }
}

/// The target's part of a state that [`Wanted`] or [`Found`] made.
pub(crate) fn target_part<'s>(copied: &CopiedKv, state: Option<&'s Value>) -> Option<&'s Value> {
    let state = state?;
    if copied.recover.is_empty() { Some(state) } else { Some(&state["target"]).filter(|target| !target.is_null()) }
}

/// A state's entry of a version that can be read.
pub(crate) fn live(value: &Value, expires: bool) -> Value {
    if expires { json!({ "state": "live", "value": value, "expires": true }) } else { json!({ "state": "live", "value": value }) }
}

/// The entries of versions that have data.
pub(crate) fn entries(history: &History) -> BTreeMap<u64, Value> {
    let entry = |version: &Version| match version {
        Version::Live { value, deletion } => Some(live(value, deletion.is_some())),
        Version::Deleted => Some(json!({ "state": "deleted" })),
        Version::Destroyed => None,
    };
    history.versions.iter().filter_map(|(number, version)| Some((*number, entry(version)?))).collect()
}

/// Whether a document holds nothing: v1 mounts refuse it.
pub(crate) fn is_empty(value: &Value) -> bool {
    value.as_object().is_none_or(Map::is_empty)
}

/// The versions of a source that a compact copy has, in order.
fn compact(copied: &CopiedKv, source: &History) -> Vec<Slot> {
    let numbers = source.versions.keys();
    let mut slots: Vec<Slot> = numbers.map(|number| slot(copied, source, *number)).filter(|slot| *slot != Slot::Tombstone).collect();
    // Without it an older version would become the current one: a secret that was taken away would be back.
    if source.current > 0 && slot(copied, source, source.current) == Slot::Tombstone {
        slots.push(Slot::Tombstone);
    }
    slots
}

fn slot(copied: &CopiedKv, source: &History, number: u64) -> Slot {
    match source.versions.get(&number) {
        Some(Version::Deleted | Version::Live { .. }) if copied.recover.contains(&number) => Slot::Recovered(number),
        Some(Version::Live { value, deletion }) => Slot::Value { value: value.clone(), deletion: deletion.clone() },
        Some(Version::Deleted | Version::Destroyed) | None => Slot::Tombstone,
    }
}

fn target_state(history: &History, base: Option<u64>) -> Value {
    let added = entries(history).into_iter().filter(|(number, _)| base.is_none_or(|base| *number > base));
    let added = added.map(|(number, entry)| (number.to_string(), entry)).collect();
    let mut state = state(&history.settings, history.current, added, history.latest());
    if let Some(base) = base {
        state["kept"] = kept(history, base).into();
    }
    state
}

/// A state's part for the versions up to `base`, with fingerprints in place of values: they are compared, never written.
pub(crate) fn kept(history: &History, base: u64) -> Map<String, Value> {
    let marked = |(number, mut entry): (u64, Value)| {
        if let Some(value) = entry.get_mut("value") {
            *value = fingerprint(value).into();
        }
        (number.to_string(), entry)
    };
    entries(history).into_iter().filter(|(number, _)| *number <= base).map(marked).collect()
}

fn state(settings: &Settings, current: u64, versions: Map<String, Value>, latest: Option<&Value>) -> Value {
    let versions = Value::Object(versions);
    json!({ "settings": settings.document(), "current": current, "versions": versions, "latest": latest })
}

fn with_recovered(copied: &CopiedKv, target: Option<Value>, recovered: Map<String, Value>) -> Option<Value> {
    let recovered = Value::Object(recovered);
    if copied.recover.is_empty() { target } else { Some(json!({ "target": target, "recovered": recovered })) }
}

impl Origin {
    /// Whether copies of it can have more than one version.
    pub(crate) const fn is_versioned(&self) -> bool {
        matches!(self, Self::Versioned(_))
    }
}
