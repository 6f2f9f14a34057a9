//! What a copy should hold, made from the source and the change alone; and the states that the host compares.
//!
//! A state of a v2 key is
//! `{"settings", "current", "versions": {"3": {"state": "live", "value", "expires"?} | {"state": "deleted"}}, "latest"}`,
//! with `"kept"` for the versions that a merged key had before, by fingerprints of their values. Versions without data (destroyed, pruned, never
//! written) are left out. Times are left out. `latest` is what a read without a number gives, null if nothing.
//! A version that a timer will delete, as planned, is `{"state": "timed", "value"}` with a fingerprint, before its time and after
//! it: nobody has written, and nothing has moved. Where the target knows no timers it is `{"state": "live", "value"}`.
//! A state of a v1 key is `{"value"}`. Where versions of the source are undeleted for a read, the state is
//! `{"target": …, "recovered": {"2": "deleted"}}`.

use std::collections::BTreeMap;

use cutover_plugin::{Failure, fingerprint};
use serde_json::{Map, Value, json};

use super::{
    TARGET,
    history::{History, Version},
    mount::Kind,
    origin::{Base, CopiedKv, Numbering, Origin},
    planned::Timed,
    settings::Settings,
    store,
};

/// One version that a copy should have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slot {
    /// A document, and when it is deleted at the source.
    Value { value: Value, deletion: Option<String> },
    /// A soft-deleted version of this number at the source, to be written and soft-deleted.
    Recovered(u64),
    /// A version of this number that was soft-deleted at the source after the plan: so is its copy, which keeps its data.
    Withdrawn(u64),
    /// A version of this number whose timer has run out at the source: its copy is as it is. Without one the number is taken by
    /// an empty document, soft-deleted.
    Expired(u64),
    /// A version of this number that was destroyed at the source after the plan: a number without data, but no copy is destroyed
    /// for it.
    Destroyed(u64),
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
    /// What follows from the source as it was read and the change. What is at the target counts for versions alone that timers or
    /// people have deleted at both sides since the plan: there is more than one way in which these are as they should be.
    pub(crate) fn of(copied: &CopiedKv, source: &History, found: &Found) -> Self {
        let settings = match &copied.base {
            Some(base) => base.settings.clone(),
            None => source.settings.carried(&copied.from_limits, &copied.to_limits),
        };
        let slot = |number: u64| slot(copied, source, number);
        let slots: BTreeMap<u64, Slot> = match copied.numbering {
            Numbering::Numbered => (1..=source.current).map(|number| (number, slot(number))).collect(),
            Numbering::Compact => (copied.base() + 1..).zip(copied.compact(source).into_iter().map(slot)).collect(),
        };
        let current = slots.keys().next_back().copied().unwrap_or(copied.base());
        let state = match copied.kind {
            Kind::V1 => single(copied, source, found).map(|value| json!({ "value": value })),
            Kind::V2 => {
                let there = |number: &u64| found.history.as_ref().and_then(|history| history.versions.get(number));
                let entries = slots.iter().filter_map(|(number, slot)| Some((*number, slot.entry(copied, *number, there(number))?)));
                Some(state(&settings, current, entries.collect(), copied.base.as_ref().map(|base| base.kept.clone())))
            }
        };
        let recovered: Map<String, Value> = copied.recover.iter().map(|number| (number.to_string(), json!("deleted"))).collect();
        Self { settings, slots, current, state: with_recovered(copied, state, recovered) }
    }

    /// The lowest number with data.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.slots.iter().find(|(_, slot)| !slot.is_bare()).map(|(number, _)| *number)
    }
}

impl Slot {
    /// Whether it is a number without data.
    pub(crate) const fn is_bare(&self) -> bool {
        matches!(self, Self::Destroyed(_) | Self::Tombstone)
    }

    /// The entry of a state for this version of the target, where this is there.
    fn entry(&self, copied: &CopiedKv, number: u64, there: Option<&Version>) -> Option<Value> {
        let timed = copied.timed(number);
        match (self, timed, there) {
            // It lives on there, by another timer than the one that has ended its copy.
            (Self::Value { value, deletion }, Some(timed), Some(version)) if version.has_expired() && timed.is_moved(deletion.as_ref()) => {
                Some(live(value, copied.expires(deletion.is_some())))
            }
            (Self::Value { value, deletion }, Some(_), _) => Some(ticking(fingerprint(value), copied.expires(deletion.is_some()))),
            (Self::Value { value, deletion }, None, _) => Some(live(value, copied.expires(deletion.is_some()))),
            (Self::Expired(_), Some(timed), Some(Version::Live { value, .. })) if fingerprint(value) == timed.value => {
                Some(as_planned(copied, timed))
            }
            (Self::Expired(_) | Self::Withdrawn(_), Some(timed), Some(version)) if version.has_expired() => Some(as_planned(copied, timed)),
            (Self::Expired(_) | Self::Withdrawn(_) | Self::Recovered(_), ..) => Some(deleted()),
            (Self::Destroyed(_) | Self::Tombstone, ..) => None,
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
                found.history.as_ref().map(|history| target_state(copied, history))
            }
        };
        let recovered = copied.recover.iter().map(|number| {
            let word = match source.and_then(|source| source.versions.get(number)) {
                Some(Version::Live { .. }) => "live",
                // What is gone is not open either, and this change cannot bring it back.
                _ => "deleted",
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
        Version::Deleted { .. } => Some(deleted()),
        Version::Destroyed => None,
    };
    history.versions.iter().filter_map(|(number, version)| Some((*number, entry(version)?))).collect()
}

/// Whether a document holds nothing: v1 mounts refuse it.
pub(crate) fn is_empty(value: &Value) -> bool {
    value.as_object().is_none_or(Map::is_empty)
}

/// The entry of a version that cannot be read.
fn deleted() -> Value {
    json!({ "state": "deleted" })
}

/// The entry of a version of this fingerprint that a timer deletes, if the target `expires` it.
fn ticking(value: String, expires: bool) -> Value {
    json!({ "state": if expires { "timed" } else { "live" }, "value": value })
}

/// The same as it was planned.
fn as_planned(copied: &CopiedKv, timed: &Timed) -> Value {
    ticking(timed.value.clone(), copied.expires(timed.until.is_some()))
}

fn slot(copied: &CopiedKv, source: &History, number: u64) -> Slot {
    match source.versions.get(&number) {
        Some(Version::Deleted { .. } | Version::Live { .. }) if copied.recover.contains(&number) => Slot::Recovered(number),
        Some(Version::Live { value, deletion }) => Slot::Value { value: value.clone(), deletion: deletion.clone() },
        Some(Version::Deleted { at, .. }) if copied.planned.has_expired(number, at) => Slot::Expired(number),
        Some(Version::Deleted { .. }) if !copied.planned.lacks(number) => Slot::Withdrawn(number),
        Some(Version::Destroyed) if !copied.planned.lacks(number) => Slot::Destroyed(number),
        Some(Version::Deleted { .. } | Version::Destroyed) | None => Slot::Tombstone,
    }
}

/// What a target without versions should hold. A document whose timer has run out at the source stays as it was copied.
fn single<'v>(copied: &CopiedKv, source: &'v History, found: &'v Found) -> Option<&'v Value> {
    let latest = match slot(copied, source, source.current) {
        Slot::Expired(number) => {
            let timed = copied.planned.timed.iter().find(|timed| timed.number == number);
            found.single.as_ref().filter(|value| timed.is_some_and(|timed| timed.value == fingerprint(value)))
        }
        _ => source.latest(),
    };
    latest.filter(|value| !is_empty(value))
}

fn target_state(copied: &CopiedKv, history: &History) -> Value {
    let entry = |number: u64, version: &Version| match (version, copied.timed(number)) {
        (Version::Live { value, deletion }, Some(_)) => Some(ticking(fingerprint(value), deletion.is_some())),
        (Version::Live { value, deletion }, None) => Some(live(value, deletion.is_some())),
        (Version::Deleted { by_timer: true, .. }, Some(timed)) => Some(as_planned(copied, timed)),
        (Version::Deleted { .. }, _) => Some(deleted()),
        (Version::Destroyed, _) => None,
    };
    let added = history.versions.range(copied.base() + 1..);
    let added = added.filter_map(|(number, version)| Some((*number, entry(*number, version)?))).collect();
    let kept = copied.base.as_ref().map(|base| base.kept_of(history));
    let mut state = state(&history.settings, history.current, added, kept);
    if history.current <= copied.base() {
        state["latest"] = history.latest().cloned().unwrap_or_default();
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

impl Base {
    /// [`kept`] of the key as it is now. A version whose timer has run out since the plan is as it was.
    pub(crate) fn kept_of(&self, history: &History) -> Map<String, Value> {
        let mut kept = kept(history, self.current);
        for (number, entry) in &mut kept {
            let expired = number.parse().is_ok_and(|number: u64| history.versions.get(&number).is_some_and(Version::has_expired));
            if let Some(planned) = self.kept.get(number).filter(|planned| expired && planned["expires"] == true) {
                entry.clone_from(planned);
            }
        }
        kept
    }
}

/// Whether what a state or a memo says of a version's value is this document, or its fingerprint.
pub(crate) fn is_of(said: &Value, document: &Value) -> bool {
    said == document || said.as_str() == Some(fingerprint(document).as_str())
}

fn state(settings: &Settings, current: u64, entries: BTreeMap<u64, Value>, kept: Option<Map<String, Value>>) -> Value {
    let latest = entries.get(&current).map(|entry| entry["value"].clone());
    let versions: Map<String, Value> = entries.into_iter().map(|(number, entry)| (number.to_string(), entry)).collect();
    let mut state = json!({ "settings": settings.document(), "current": current, "versions": versions, "latest": latest });
    if let Some(kept) = kept {
        state["kept"] = kept.into();
    }
    state
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
