//! Back: the target becomes what it was before.

use cutover_plugin::{Failure, Progress};
use serde_json::{Value, json};

use super::{
    TARGET,
    history::{History, Version},
    mount::Kind,
    origin::{Base, CopiedKv},
    settings::Settings,
    single,
    store::{self, Verb},
    wanted::{Found, kept, target_part},
    writing::{self, close_source},
};

pub(crate) fn rollback(copied: &CopiedKv, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
    close_source(copied)?;
    let found = Found::read(copied, None)?;
    let pre_image = target_part(copied, pre_image);
    if target_part(copied, found.state.as_ref()) == pre_image {
        return Ok(Progress::Done(memo.cloned()));
    }
    match (copied.kind, &found.history, &copied.base, pre_image) {
        (Kind::V1, ..) => single::rollback(copied, &found, pre_image, memo)?,
        (Kind::V2, Some(history), None, None) => {
            refuse_foreign(copied, history, memo)?;
            store::remove(TARGET, &copied.target)?;
        }
        (Kind::V2, Some(history), Some(base), Some(pre_image)) => unmerge(copied, history, base, pre_image)?,
        _ => return Err(conflict(copied, "is not as this change left it: nothing was written")),
    }
    Ok(Progress::Done(memo.cloned()))
}

/// Before a key with all its versions is removed: is all of it ours? Without a memo nobody knows what was written; the
/// host has compared before it called.
fn refuse_foreign(copied: &CopiedKv, history: &History, memo: Option<&Value>) -> Result<(), Failure> {
    let Some(wrote) = memo.map(|memo| &memo["wrote"]) else { return Ok(()) };
    let ours = |(number, version): (&u64, &Version)| match version {
        Version::Live { value, .. } => *value == json!({}) || wrote["versions"][number.to_string()]["value"] == *value,
        Version::Deleted | Version::Destroyed => true,
    };
    let newer = wrote["current"].as_u64().is_some_and(|current| history.current > current);
    if newer || !history.versions.iter().all(ours) {
        return Err(conflict(copied, "has versions that this change did not write"));
    }
    Ok(())
}

/// The old value becomes the newest version, ours are destroyed, the old settings come back.
fn unmerge(copied: &CopiedKv, history: &History, base: &Base, pre_image: &Value) -> Result<(), Failure> {
    if kept(history, base.current) != base.kept {
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
        store::write_metadata(TARGET, &copied.target, settings.fields())?;
    }
    Ok(())
}

fn conflict(copied: &CopiedKv, what: &str) -> Failure {
    Failure::conflict(format!("{TARGET}:{} {what}", copied.target.full()))
}
