//! There: the target becomes what is wanted, from whatever an earlier attempt left.

use cutover_plugin::{Context, Failure, Progress, Snapshot};
use serde_json::{Value, json};

use super::{
    TARGET,
    history::{History, Version},
    mount::Kind,
    origin::{CopiedKv, Origin},
    settings::{Limits, Settings},
    single,
    wanted::{Found, Slot, Wanted, target_part},
    writing::{Writing, close_source},
};

pub(crate) fn capture(copied: &CopiedKv) -> Result<Snapshot, Failure> {
    let source = copied.source()?;
    let state = Found::read(copied, Some(&source))?.state;
    Ok(Snapshot { state, expected: Wanted::of(copied, &source).state })
}

pub(crate) fn apply(context: &Context, copied: &CopiedKv, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
    let source = copied.source()?;
    let wanted = Wanted::of(copied, &source);
    let found = Found::read(copied, Some(&source))?;
    let done = json!({ "wrote": target_part(copied, wanted.state.as_ref()) });
    if found.state != wanted.state {
        let pre_image = target_part(copied, pre_image);
        match copied.kind {
            Kind::V1 => single::apply(copied, &wanted, &found, pre_image, memo)?,
            Kind::V2 => {
                refuse_foreign(copied, &wanted, found.history.as_ref(), pre_image, memo)?;
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
        && super::wanted::kept(present, base.current) != base.kept
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
    let wrote = |number: u64| memo.map(|memo| &memo["wrote"]["versions"][number.to_string()]["value"]);
    for (number, slot) in wanted.slots.range(..=present.current) {
        let ours = match (slot, present.versions.get(number)) {
            (Slot::Value { value, .. }, Some(Version::Live { value: there, .. })) => value == there,
            (Slot::Tombstone, None | Some(Version::Destroyed)) | (Slot::Recovered(_), Some(Version::Deleted)) => true,
            (Slot::Tombstone, Some(Version::Live { value, .. })) => *value == json!({}) || wrote(*number) == Some(value),
            (Slot::Tombstone, Some(Version::Deleted)) => memo.is_some(),
            (Slot::Recovered(_), Some(Version::Live { .. })) => matches!(copied.origin, Origin::Versioned(_)),
            _ => false,
        };
        if !ours {
            return conflict(&format!("has a version {number} that this change did not write"));
        }
    }
    Ok(())
}
