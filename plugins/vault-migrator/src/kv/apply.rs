//! There: the target becomes what is wanted, from whatever an earlier attempt left.

use cutover_plugin::{Context, Failure, Progress, Snapshot, fingerprint};
use serde_json::{Value, json};

use super::{
    SOURCE, TARGET,
    history::{History, Version},
    mount::Kind,
    origin::{CopiedKv, Origin},
    settings::{Limits, Settings},
    single,
    wanted::{Found, Slot, Wanted, is_of, target_part},
    writing::{Writing, close_source},
};

pub(crate) fn capture(copied: &CopiedKv) -> Result<Snapshot, Failure> {
    let source = match copied.source() {
        // No state is equal to that: nothing can be copied any more. What was can be looked at, and taken back.
        Err(Failure::NotFound(_)) => {
            return Ok(Snapshot { state: Found::read(copied, None)?.state, expected: Some(json!({ "source": "gone" })) });
        }
        source => source?,
    };
    let found = Found::read(copied, Some(&source))?;
    let expected = Wanted::of(copied, &source, &found).state;
    Ok(Snapshot { state: found.state, expected })
}

pub(crate) fn apply(context: &Context, copied: &CopiedKv, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
    let source = copied.source()?;
    let found = Found::read(copied, Some(&source))?;
    let wanted = Wanted::of(copied, &source, &found);
    let done = json!({ "wrote": target_part(copied, wanted.state.as_ref()) });
    if found.state != wanted.state {
        let pre_image = target_part(copied, pre_image);
        match copied.kind {
            Kind::V1 => single::apply(copied, &wanted, &found, pre_image, memo)?,
            Kind::V2 => {
                refuse_foreign(copied, &wanted, found.history.as_ref(), pre_image, memo)?;
                refuse_loss(copied, &wanted, found.history.as_ref())?;
                // What a timer of the source has left is counted by the source's clock, whatever this machine's says.
                write(source.read_at.unwrap_or(context.now), copied, &wanted, found.history.as_ref())?;
            }
        }
    }
    if !copied.origin.is_still(&source, &copied.recover)? {
        let note = format!("{} was changed while it was copied", copied.origin.shown());
        return Ok(Progress::Again { after_seconds: 1, memo: done, note });
    }
    Ok(Progress::Done(Some(done)))
}

fn write(now: u64, copied: &CopiedKv, wanted: &Wanted, present: Option<&History>) -> Result<(), Failure> {
    let current = present.map_or(0, |history| history.current);
    let fresh = wanted.slots.range(current + 1..).count();
    let changes = wanted.slots.values().any(|slot| !matches!(slot, Slot::Value { deletion: None, .. }));
    let mut writing = Writing {
        copied,
        wanted,
        emptied: emptied(copied, wanted, present),
        now,
        settings: present.map(|history| history.settings.clone()),
        metadata_number: present.map_or(copied.to_limits.metadata_cas.map(|_| 0), History::metadata_number),
    };
    let opening = opening(copied, wanted, present)?;
    let first = match fresh {
        _ if fresh > 1 || changes => opening,
        0 => wanted.settings.clone(),
        // One write needs no guard against others: it names the version it replaces.
        _ => Settings { limits: Limits { cas_required: wanted.settings.limits.cas_required, ..opening.limits }, ..opening },
    };
    // A first version makes a key that has these settings by itself.
    if present.is_some() || fresh == 0 || first != Settings::untouched(&copied.to_limits) {
        writing.set(first)?;
    }
    writing.versions(current)?;
    let silent = writing.states()?;
    if writing.settings.clone().unwrap_or_else(|| Settings::untouched(&copied.to_limits)) != wanted.settings {
        writing.set(wanted.settings.clone())?;
    }
    close_source(copied)?;
    if silent || writing.settings.is_some() { writing.read_back() } else { Ok(()) }
}

/// Settings for the time of the writes: room for every version, no timers, and nobody writes without looking.
fn opening(copied: &CopiedKv, wanted: &Wanted, present: Option<&History>) -> Result<Settings, Failure> {
    let mut settings = wanted.settings.clone();
    settings.limits.cas_required = true;
    settings.limits.delete_after = 0;
    let merged = copied.base.is_some();
    let kept = present.filter(|_| merged).and_then(|history| history.versions.keys().next().copied());
    let Some(lowest) = kept.or_else(|| wanted.lowest()) else { return Ok(settings) };
    // One more where a rollback would write the old value as the newest version.
    let room = wanted.current + u64::from(merged) + 1 - lowest;
    if settings.limits.surely_keeps(&copied.to_limits) >= room {
        return Ok(settings);
    }
    if merged {
        let text = format!("{TARGET}:{} keeps too few versions for what the source has by now: plan again", copied.target.full());
        return Err(Failure::conflict(text));
    }
    settings.limits.max_versions = room;
    Ok(settings)
}

/// Expired versions whose document cannot be had any more, and of which the target has no copy: an empty document takes the number.
fn emptied(copied: &CopiedKv, wanted: &Wanted, present: Option<&History>) -> Vec<u64> {
    let expired = wanted.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Expired(_))).map(|(number, _)| *number);
    let is_copied = |number: u64| match present.and_then(|present| present.versions.get(&number)) {
        Some(Version::Live { value, .. }) => copied.timed(number).is_some_and(|timed| timed.value == fingerprint(value)),
        Some(Version::Deleted { .. } | Version::Destroyed) => true,
        None => false,
    };
    expired.filter(|number| !is_copied(*number)).collect()
}

/// A conflict unless what is there is the pre-image, or the beginning of what this change writes.
fn refuse_foreign(
    copied: &CopiedKv,
    wanted: &Wanted,
    present: Option<&History>,
    pre_image: Option<&Value>,
    memo: Option<&Value>,
) -> Result<(), Failure> {
    let conflict = |what: &str| Err(Failure::conflict(format!("{TARGET}:{} {what}", copied.target.full())));
    if pre_image.is_some() && copied.base.is_none() {
        return conflict(if copied.target_seen.is_some() {
            "was taken as copied, but the source has moved since: plan again"
        } else {
            "was made by somebody else after the plan"
        });
    }
    let Some(present) = present else {
        return if copied.base.is_some() { conflict("is there no longer") } else { Ok(()) };
    };
    if let Some(base) = &copied.base
        && base.kept_of(present) != base.kept
    {
        return conflict("has other versions than when it was planned");
    }
    if present.current > wanted.current {
        return conflict("has newer versions that this change did not write");
    }
    let custom = &present.settings.custom;
    let before = memo.and_then(|memo| memo["wrote"]["settings"]["custom_metadata"].as_object());
    if !custom.is_empty() && *custom != wanted.settings.custom && before != Some(custom) {
        return conflict("has custom metadata that this change did not write");
    }
    let wrote = |number: u64, value: &Value| memo.is_some_and(|memo| is_of(&memo["wrote"]["versions"][number.to_string()]["value"], value));
    let planned = |number: u64, value: &Value| copied.timed(number).is_some_and(|timed| timed.value == fingerprint(value));
    for (number, slot) in wanted.slots.range(..=present.current) {
        let there = present.versions.get(number);
        if let (Slot::Value { deletion, .. }, Some(Version::Deleted { by_timer, .. })) = (slot, there)
            && !copied.timed(*number).is_some_and(|timed| *by_timer && !timed.is_moved(deletion.as_ref()))
        {
            return conflict(&format!(
                "has deleted version {number}, which {SOURCE}:{} has not: undelete it here, or plan again",
                copied.origin.shown()
            ));
        }
        let ours = match (slot, there) {
            (Slot::Value { value, .. }, Some(Version::Live { value: there, .. })) => value == there,
            (Slot::Value { .. }, Some(version)) if copied.timed(*number).is_some() && version.has_expired() => true,
            (Slot::Destroyed(_) | Slot::Tombstone, None | Some(Version::Destroyed)) => true,
            (Slot::Recovered(_) | Slot::Withdrawn(_) | Slot::Expired(_), Some(Version::Deleted { .. })) => true,
            (Slot::Destroyed(_) | Slot::Tombstone, Some(Version::Live { value, .. })) => *value == json!({}) || wrote(*number, value),
            (Slot::Withdrawn(_), Some(Version::Live { value, .. })) => planned(*number, value) || wrote(*number, value),
            (Slot::Expired(_), Some(Version::Live { value, .. })) => planned(*number, value) || *value == json!({}),
            (Slot::Destroyed(_) | Slot::Tombstone, Some(Version::Deleted { .. })) => memo.is_some(),
            (Slot::Recovered(_), Some(Version::Live { .. })) => matches!(copied.origin, Origin::Versioned(_)),
            _ => false,
        };
        if !ours {
            return conflict(&format!("has a version {number} that this change did not write"));
        }
    }
    Ok(())
}

/// A conflict where the source has taken away since the plan what it held then, and following it would end a copy or skip one:
/// the plan has named no such loss.
fn refuse_loss(copied: &CopiedKv, wanted: &Wanted, present: Option<&History>) -> Result<(), Failure> {
    let (source, target) = (copied.origin.shown(), copied.target.full());
    let what = |number: u64, how: &str| format!("version {number} of {SOURCE}:{source} was {how} after the plan");
    for (number, slot) in &wanted.slots {
        let there = present.and_then(|present| present.versions.get(number));
        let has_data = match there {
            Some(Version::Live { value, .. }) => slot.is_bare() && *value != json!({}) || matches!(slot, Slot::Withdrawn(_)),
            Some(Version::Deleted { .. }) => true,
            Some(Version::Destroyed) | None => false,
        };
        let why = match slot {
            Slot::Withdrawn(at) if !has_data => {
                format!("{}, and there is no copy of it: undelete it there, or plan again", what(*at, "soft-deleted"))
            }
            Slot::Destroyed(at) if has_data => {
                let done = what(*at, "destroyed");
                format!("{done}, and {TARGET}:{target} still has it as version {number}: destroy that one, too, if it is to go")
            }
            Slot::Destroyed(at) if there.is_none() && copied.planned.held.contains(at) => {
                format!("{}, before it was copied: plan again", what(*at, "destroyed"))
            }
            _ => continue,
        };
        return Err(Failure::conflict(why));
    }
    Ok(())
}
