//! Writing to a v2 key: each write names the version it replaces, and what the servers do silently is read back.

use cutover_plugin::Failure;
use serde_json::{Value, json};

use super::{
    SOURCE, TARGET, duration,
    history::{History, Version},
    key::Key,
    origin::CopiedKv,
    settings::Settings,
    store::{self, Verb},
    wanted::{Slot, Wanted},
};

/// Writes one copy's versions.
pub(crate) struct Writing<'w> {
    pub(crate) copied: &'w CopiedKv,
    pub(crate) wanted: &'w Wanted,
    /// Expired versions that are written as empty documents and soft-deleted.
    pub(crate) emptied: Vec<u64>,
    /// Milliseconds since the Unix epoch, by the clock that the source's timers have.
    pub(crate) now: u64,
    /// Settings that the key has at the moment; none before there is a key.
    pub(crate) settings: Option<Settings>,
    /// The number of these settings, where the server counts them.
    pub(crate) metadata_number: Option<u64>,
}

impl Writing<'_> {
    /// Gives the key these settings, if it does not have them.
    pub(crate) fn set(&mut self, settings: Settings) -> Result<(), Failure> {
        if self.settings.as_ref() != Some(&settings) {
            store::write_metadata(TARGET, &self.copied.target, settings.fields(), self.metadata_number)?;
            self.settings = Some(settings);
            self.metadata_number = self.metadata_number.map(|number| number + 1);
        }
        Ok(())
    }

    /// Writes the versions after `current`.
    pub(crate) fn versions(&mut self, current: u64) -> Result<(), Failure> {
        for (number, slot) in self.wanted.slots.range(current + 1..) {
            match slot {
                Slot::Value { value, deletion } => {
                    self.expire(deletion.as_deref())?;
                    write(&self.copied.target, *number, value)?;
                }
                Slot::Recovered(at_source) => {
                    let value = recovered(self.copied, *at_source)?;
                    self.expire(None)?;
                    write(&self.copied.target, *number, &value)?;
                }
                Slot::Expired(_) => {
                    self.expire(None)?;
                    write(&self.copied.target, *number, &json!({}))?;
                }
                Slot::Withdrawn(_) => {
                    return Err(Failure::internal("what the source has taken away is refused before anything is written"));
                }
                Slot::Destroyed(_) | Slot::Tombstone => write(&self.copied.target, *number, &json!({}))?,
            }
        }
        Ok(())
    }

    /// Lets the next version be deleted when the source's is: the key's time begins with each write.
    fn expire(&mut self, deletion: Option<&str>) -> Result<(), Failure> {
        let Some(mut settings) = self.settings.clone() else { return Ok(()) };
        let left = deletion.and_then(duration::epoch_millis).map(|end| end.saturating_sub(self.now).div_ceil(1_000).max(1));
        settings.limits.delete_after = match (deletion, left) {
            (None, _) => 0,
            (Some(_), Some(left)) => left,
            (Some(_), None) => self.wanted.settings.limits.delete_after,
        };
        self.set(settings)
    }

    /// Gives the versions the states that they should have; says whether there was anything to do.
    pub(crate) fn states(&self) -> Result<bool, Failure> {
        if self.wanted.slots.values().all(|slot| matches!(slot, Slot::Value { .. })) {
            return Ok(false);
        }
        let (destroy, delete) = self.open(&self.metadata()?);
        store::change(Verb::Destroy, TARGET, &self.copied.target, &destroy)?;
        store::change(Verb::Delete, TARGET, &self.copied.target, &delete)?;
        Ok(!destroy.is_empty() || !delete.is_empty())
    }

    /// Deletions and destructions answer success even where they do nothing.
    pub(crate) fn read_back(&self) -> Result<(), Failure> {
        let metadata = self.metadata()?;
        let (destroy, delete) = self.open(&metadata);
        if destroy.is_empty() && delete.is_empty() && Settings::of(&metadata) == self.wanted.settings {
            return Ok(());
        }
        let full = self.copied.target.full();
        Err(Failure::unavailable(format!("{TARGET}:{full} did not take all states and settings that it was given")))
    }

    /// Versions that are still to be destroyed, and to be soft-deleted.
    fn open(&self, metadata: &Value) -> (Vec<u64>, Vec<u64>) {
        let facts = |number: &u64| metadata["versions"].get(number.to_string());
        let is_whole = |(number, _): &(&u64, &Slot)| facts(number).is_some_and(|facts| facts["destroyed"] != true);
        // One that has a timer can be read until its time has come. What was deleted by hand has a time as well.
        let is_live = |(number, _): &(&u64, &Slot)| {
            let of = |facts: &'_ Value, name: &str| facts[name].as_str().unwrap_or_default().to_owned();
            facts(number).filter(|facts| facts["destroyed"] != true).is_some_and(|facts| {
                let (created, deletion) = (of(facts, "created_time"), of(facts, "deletion_time"));
                let is_due = duration::epoch_millis(&deletion).is_some_and(|time| time > self.now);
                deletion.is_empty() || (is_due && duration::is_seconds_after(&created, &deletion))
            })
        };
        let is_deleted = |(number, slot): &(&u64, &Slot)| match slot {
            Slot::Recovered(_) | Slot::Withdrawn(_) => true,
            Slot::Expired(_) => self.emptied.contains(number),
            Slot::Value { .. } | Slot::Destroyed(_) | Slot::Tombstone => false,
        };
        let slots = || self.wanted.slots.iter();
        let destroy = slots().filter(|(_, slot)| slot.is_bare()).filter(is_whole).map(|(number, _)| *number);
        let delete = slots().filter(is_deleted).filter(is_live).map(|(number, _)| *number);
        (destroy.collect(), delete.collect())
    }

    fn metadata(&self) -> Result<Value, Failure> {
        Ok(store::metadata(TARGET, &self.copied.target)?.unwrap_or_default())
    }
}

/// Writes version `number`. One that is there already is fine if it holds the same.
pub(crate) fn write(target: &Key, number: u64, value: &Value) -> Result<(), Failure> {
    let what = format!("write version {number} of {TARGET}:{}", target.full());
    let response = store::write(TARGET, target, number - 1, value)?;
    if response.status != 400 {
        let written = response.expect_success(&what)?.body.unwrap_or_default()["data"]["version"].as_u64();
        return match written {
            Some(written) if written != number => Err(Failure::conflict(format!("{what}: the server made it version {written}"))),
            _ => Ok(()),
        };
    }
    let there = store::version(TARGET, target, number)?;
    match there.status {
        200 if there.body.as_ref().is_some_and(|body| body["data"]["data"] == *value) => Ok(()),
        200 => Err(Failure::conflict(format!("{what}: somebody else wrote it"))),
        404 if store::metadata(TARGET, target)?.unwrap_or_default()["current_version"].as_u64().unwrap_or_default() < number - 1 => {
            Err(Failure::conflict(format!("{what}: the versions before it are gone")))
        }
        404 if there.body.as_ref().is_some_and(|body| body["data"]["metadata"].is_object()) => {
            Err(Failure::conflict(format!("{what}: somebody else wrote and deleted it")))
        }
        404 => Err(Failure::invalid_input(format!("{what}: the server refused the document (status 400)"))),
        _ => Err(there.failure(&what)),
    }
}

/// The document of a soft-deleted version of the source: undeleted, read, deleted again.
fn recovered(copied: &CopiedKv, number: u64) -> Result<Value, Failure> {
    let key = copied.origin.key().ok_or_else(|| Failure::internal("only keys have versions to recover"))?;
    let what = format!("recover version {number} of {SOURCE}:{}", key.full());
    store::change(Verb::Undelete, SOURCE, key, &[number])?;
    let response = store::version(SOURCE, key, number);
    store::change(Verb::Delete, SOURCE, key, &[number])?;
    let body = response?.expect_success(&what)?.body.unwrap_or_default();
    Ok(body["data"]["data"].clone())
}

/// Soft-deletes what a crash in the middle of a recovery left open at the source.
pub(crate) fn close_source(copied: &CopiedKv) -> Result<(), Failure> {
    let (Some(key), false) = (copied.origin.key(), copied.recover.is_empty()) else { return Ok(()) };
    let source = History::read(SOURCE, key)?.unwrap_or_default();
    let open = |number: &&u64| matches!(source.versions.get(number), Some(Version::Live { .. }));
    let open: Vec<u64> = copied.recover.iter().filter(open).copied().collect();
    store::change(Verb::Delete, SOURCE, key, &open)
}
