//! Back: the target becomes what it was before.

use cutover_plugin::{Failure, Progress};
use serde_json::{Value, json};

use super::{
    SOURCE, TARGET,
    history::{History, Version},
    mount::Kind,
    origin::{Base, CopiedKv},
    settings::Settings,
    single,
    store::{self, Verb},
    wanted::{Found, Slot, Wanted, is_of, target_part},
    writing::{self, close_source},
};

pub(crate) fn rollback(copied: &CopiedKv, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
    close_source(copied)?;
    let found = Found::read(copied, None)?;
    let pre_image = target_part(copied, pre_image);
    // By the operator's `--over` it goes, whoever wrote it.
    let over = memo.is_some_and(Value::is_null);
    let memo = memo.filter(|_| !over);
    if target_part(copied, found.state.as_ref()) == pre_image {
        return Ok(Progress::Done(memo.cloned()));
    }
    if !over && copied.origin.is_gone()? {
        let source = copied.origin.shown();
        let text = format!("may be the last copy, as {SOURCE}:{source} is there no longer: it stays, unless `--over` names this change");
        return Err(conflict(copied, &text));
    }
    match (copied.kind, &found.history, &copied.base, pre_image) {
        (Kind::V1, ..) if over => single::put(copied, pre_image.map(|state| &state["value"]))?,
        (Kind::V1, ..) => single::rollback(copied, &found, pre_image, memo)?,
        (Kind::V2, Some(history), None, None) => {
            if !over {
                refuse_foreign(copied, (&found, history), memo, None)?;
            }
            remove(copied, history)?;
        }
        (Kind::V2, Some(history), Some(base), Some(pre_image)) => {
            if !over {
                refuse_foreign(copied, (&found, history), memo, Some(&pre_image["latest"]))?;
            }
            unmerge(copied, history, base, pre_image)?;
        }
        _ => return Err(conflict(copied, "is not as this change left it: nothing was written")),
    }
    Ok(Progress::Done(memo.cloned()))
}

/// Before versions are removed: are all of them ours? Without a memo, as after an attempt that failed midway, what was
/// written can only be the beginning of what the source has. `old` is what an earlier attempt to go back wrote.
fn refuse_foreign(
    copied: &CopiedKv,
    (found, history): (&Found, &History),
    memo: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), Failure> {
    let added = || history.versions.iter().filter(|(number, _)| **number > copied.base());
    if added().all(|(_, version)| *version == Version::Destroyed) {
        return Ok(());
    }
    let wanted = match memo {
        None => Some(Wanted::of(copied, &copied.source()?, found)),
        Some(_) => None,
    };
    let planned = wanted.as_ref().and_then(|wanted| target_part(copied, wanted.state.as_ref()));
    let wrote = memo.map(|memo| &memo["wrote"]).or(planned).unwrap_or(&Value::Null);
    // What the source has deleted cannot be compared any more: the host has looked whose it is.
    let gone = |number: &u64| {
        wanted.as_ref().is_some_and(|wanted| matches!(wanted.slots.get(number), Some(Slot::Recovered(_) | Slot::Withdrawn(_))))
    };
    let last = wrote["current"].as_u64().filter(|_| old.is_none());
    let ours = |(number, version): (&u64, &Version)| match version {
        Version::Live { value, .. } => {
            let written = &wrote["versions"][number.to_string()]["value"];
            // Empty ones are tombstones: of the copy, or of an earlier attempt to go back, after the last that was written.
            let tombstone = (written.is_null() || memo.is_none()) && *value == json!({});
            tombstone || is_of(written, value) || old == Some(value) || gone(number)
        }
        Version::Deleted { .. } => last.is_none_or(|last| *number <= last),
        Version::Destroyed => true,
    };
    if !added().all(ours) {
        return Err(conflict(copied, "has versions that this change did not write"));
    }
    Ok(())
}

/// Removes a key that this change made. The servers remove whatever is there, without asking what it should be. So from here
/// on nobody may write without naming what they replace; then the next number is used up, so that who knew the newest one
/// can write no more; and only if nobody came in between is the key removed.
fn remove(copied: &CopiedKv, history: &History) -> Result<(), Failure> {
    let key = &copied.target;
    let mut closed = history.settings.clone();
    closed.limits.cas_required = true;
    closed.limits.metadata_cas = closed.limits.metadata_cas.map(|_| true);
    if history.settings != closed {
        store::write_metadata(TARGET, key, guards(&closed), history.metadata_number())?;
    }
    let last = history.current + 1;
    let mine = writing::write(key, last, &json!({})).and_then(|()| match store::metadata(TARGET, key)? {
        Some(now) if now["current_version"] != last => Err(conflict(copied, "was written while it was taken back: it stays")),
        Some(now) if Settings::of(&now) != closed => Err(conflict(copied, "got other settings while it was taken back: it stays")),
        _ => Ok(()),
    });
    match mine {
        Ok(()) => store::remove(TARGET, key),
        Err(failure @ Failure::Conflict(_)) => {
            // It is somebody else's now, with the rules for writers that it had. A write to a key that is gone would make one.
            if let Some(now) = store::metadata(TARGET, key)?.filter(|_| history.settings != closed) {
                store::write_metadata(TARGET, key, guards(&history.settings), store::metadata_number(&now))?;
            }
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

/// The rules for writers, as fields of a write.
fn guards(settings: &Settings) -> Value {
    let mut fields = json!({ "cas_required": settings.limits.cas_required });
    if let Some(required) = settings.limits.metadata_cas {
        fields["metadata_cas_required"] = required.into();
    }
    fields
}

/// The old value becomes the newest version, ours are destroyed, the old settings come back.
fn unmerge(copied: &CopiedKv, history: &History, base: &Base, pre_image: &Value) -> Result<(), Failure> {
    if base.kept_of(history) != base.kept {
        return Err(conflict(copied, "has other old versions than when it was planned"));
    }
    let mut newest = history.current;
    let old = Some(&pre_image["latest"]).filter(|latest| !latest.is_null());
    if let Some(old) = old.filter(|old| newest > base.current && history.latest() != Some(old)) {
        newest += 1;
        writing::write(&copied.target, newest, old)?;
    }
    let last = if old.is_some() { newest.saturating_sub(1) } else { newest };
    let ours = |number: &&u64| **number > base.current && **number <= last;
    let ours: Vec<u64> = history
        .versions
        .iter()
        .filter(|(_, version)| **version != Version::Destroyed)
        .map(|(number, _)| number)
        .filter(ours)
        .copied()
        .collect();
    store::change(Verb::Destroy, TARGET, &copied.target, &ours)?;
    let settings = Settings::parse(&pre_image["settings"]);
    if history.settings != settings {
        store::write_metadata(TARGET, &copied.target, settings.fields(), history.metadata_number())?;
    }
    Ok(())
}

fn conflict(copied: &CopiedKv, what: &str) -> Failure {
    Failure::conflict(format!("{TARGET}:{} {what}", copied.target.full()))
}
