//! The plugin's own checks of a copy, made with the credentials of `verify_with` if the workflow gives some.

use cutover_plugin::{Check, Failure, Stage};
use serde_json::Value;

use super::{
    TARGET,
    mount::Kind,
    origin::CopiedKv,
    wanted::{Found, Slot, Wanted, target_part},
};

pub(crate) fn verify(copied: &CopiedKv, pre_image: Option<&Value>, stage: Stage) -> Result<Vec<Check>, Failure> {
    if stage == Stage::RolledBack {
        let found = Found::read(copied, None)?;
        let back = is_back(copied, target_part(copied, found.state.as_ref()), target_part(copied, pre_image));
        let detail = format!("{TARGET}:{} was read again and compared with what was there before", copied.target.full());
        return Ok(vec![Check::application("reads-as-before", back, detail)]);
    }
    let source = copied.source()?;
    let found = Found::read(copied, Some(&source))?;
    let wanted = Wanted::of(copied, &source, &found);
    let (there, should) = (target_part(copied, found.state.as_ref()), target_part(copied, wanted.state.as_ref()));
    let named = |what: &str| format!("{what} of {TARGET}:{} compared with {}", copied.target.full(), copied.origin.shown());
    if copied.kind == Kind::V1 {
        return Ok(vec![Check::application("reads-back", there == should, named("the document"))]);
    }
    let same = |name: &str| there.map(|state| &state[name]) == should.map(|state| &state[name]);
    let versions = wanted.slots.len();
    Ok(vec![
        Check::application(
            "versions-read-back",
            same("versions") && same("current") && same("kept"),
            format!("{}{}", named(&format!("{versions} versions")), expired(copied, &wanted, &found)),
        ),
        Check::application("settings-read-back", same("settings"), named("limits and custom metadata")),
    ])
}

/// Which versions of the target cannot be compared any more, as planned, and which were never copied as they ran out before.
fn expired(copied: &CopiedKv, wanted: &Wanted, found: &Found) -> String {
    let versions = || found.history.iter().flat_map(|history| &history.versions);
    let ran_out = versions().filter(|(number, version)| version.has_expired() && copied.timed(**number).is_some());
    let is_expired = |number: &u64| matches!(wanted.slots.get(number), Some(Slot::Expired(_)));
    let never = versions().filter(|(number, version)| is_expired(number) && version.is_deleted() && !version.has_expired());
    let told =
        |what: &str, numbers: Vec<String>| if numbers.is_empty() { String::new() } else { format!("; {what}: {}", numbers.join(", ")) };
    let ran_out = told("the timers of these have run out since", ran_out.map(|(number, _)| number.to_string()).collect());
    ran_out + &told("never copied, as their timers had run out before", never.map(|(number, _)| number.to_string()).collect())
}

/// Whether a state is the one before; of a merged key, whether what can be restored is.
fn is_back(copied: &CopiedKv, now: Option<&Value>, before: Option<&Value>) -> bool {
    match (now, before) {
        (Some(now), Some(before)) if copied.base.is_some() => ["kept", "latest", "settings"].iter().all(|name| now[name] == before[name]),
        _ => now == before,
    }
}
