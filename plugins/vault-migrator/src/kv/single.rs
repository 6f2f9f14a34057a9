//! Targets without versions: read, compare, write, read again. There is no compare-and-set.

use cutover_plugin::Failure;
use serde_json::Value;

use super::{
    TARGET,
    origin::CopiedKv,
    store,
    wanted::{Found, Wanted},
};

/// Writes what is wanted, if what is there is the pre-image or ours.
pub(crate) fn apply(
    copied: &CopiedKv,
    wanted: &Wanted,
    found: &Found,
    pre_image: Option<&Value>,
    memo: Option<&Value>,
) -> Result<(), Failure> {
    let there = found.single.as_ref();
    let before = pre_image.map(|state| &state["value"]);
    let wrote = memo.map(|memo| &memo["wrote"]["value"]).filter(|value| !value.is_null());
    if before.is_some() && !copied.replace {
        return Err(Failure::conflict(format!("{TARGET}:{} was made by somebody else after the plan", copied.target.full())));
    }
    if there != before && (there.is_none() || there != wrote) {
        return Err(foreign(copied));
    }
    let Some(wanted) = wanted.state.as_ref().map(|state| &state["value"]) else {
        let text = format!("{} has no document any more that {TARGET}:{} could hold", copied.origin.shown(), copied.target.full());
        return Err(Failure::conflict(format!("{text}, and what it holds would be gone for good: remove it there if it is to go")));
    };
    put(copied, Some(wanted))
}

/// Puts the pre-image back, if what is there is ours.
pub(crate) fn rollback(copied: &CopiedKv, found: &Found, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<(), Failure> {
    let before = pre_image.map(|state| &state["value"]);
    if found.single.as_ref() == before {
        return Ok(());
    }
    // Without a memo, as after an attempt that failed, it can only be what the source has.
    let wanted = if memo.is_none() { Wanted::of(copied, &copied.source()?, found).state } else { None };
    let wrote = memo.map(|memo| &memo["wrote"]).or(wanted.as_ref()).map(|state| &state["value"]);
    if found.single.as_ref() != wrote {
        return Err(foreign(copied));
    }
    put(copied, before)
}

/// Writes a document, or removes it for none, and reads it again.
pub(super) fn put(copied: &CopiedKv, value: Option<&Value>) -> Result<(), Failure> {
    match value {
        Some(value) => store::write_single(TARGET, &copied.target, value)?,
        None => store::remove_single(TARGET, &copied.target)?,
    }
    let response = store::single(TARGET, &copied.target)?;
    let there = response.map(|response| response.body.unwrap_or_default()["data"].clone());
    if there.as_ref() == value {
        return Ok(());
    }
    Err(Failure::conflict(format!("{TARGET}:{} holds something else than was just written", copied.target.full())))
}

fn foreign(copied: &CopiedKv) -> Failure {
    Failure::conflict(format!("{TARGET}:{} is neither as it was captured nor as this change left it", copied.target.full()))
}
