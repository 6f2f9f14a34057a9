//! One secret of a source becomes a change, perhaps with a conflict, or a reason why not.

use cutover_plugin::{Action, Change, Failure, fingerprint};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    SOURCE, TARGET,
    copy::{CALL, Existing, History as HistoryChoice, Input, listed},
    history::{self, History, Reading},
    key::Key,
    loss,
    mount::{Kind, Mount},
    origin::{Base, CopiedKv, Numbering, Origin},
    planned::Planned,
    wanted::{Found, Slot, Wanted, kept},
};
use crate::{copy::Piece, instruction::Instruction};

/// Both ends of a step.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sides {
    /// None for a folder.
    pub(crate) source: Option<Mount>,
    pub(crate) target: Mount,
}

impl Sides {
    /// Whether rules on parameters that hold at the source cannot be written for the target.
    pub(crate) fn loses_constraints(&self) -> bool {
        self.target.is_versioned() && self.source.as_ref().is_some_and(|mount| !mount.is_versioned())
    }
}

/// What comes of a secret.
pub(crate) enum Offer {
    Change(Box<Change>),
    /// The source's key may be listed, but not read.
    Unreadable,
    /// One of the servers takes no such name: some refuse what others once stored.
    NotAddressable,
    /// It vanished between the list and the read.
    Gone,
    /// It has more versions than may be read now: it begins the next page.
    Later,
}

/// A secret as it was read, and requests that took.
pub(crate) struct Offered {
    pub(crate) offer: Offer,
    pub(crate) requests: u32,
}

/// Plans the copy of one secret, if it has no more versions than this.
pub(crate) fn offer(input: &Input, sides: &Sides, origin: Origin, target: Key, most: usize) -> Result<Offered, Failure> {
    let (of_key, without) = (origin.key().is_some(), |offer| Ok(Offered { offer, requests: 1 }));
    let source = match read(&origin, most) {
        Ok(Reading::Whole(source)) => source,
        Ok(Reading::TooMany(_)) => return without(Offer::Later),
        Ok(Reading::Absent) => return without(Offer::Gone),
        Err(Failure::Denied(_)) if of_key => return without(Offer::Unreadable),
        Err(Failure::InvalidInput(_)) if of_key => return Ok(not_addressable()),
        Err(failure) => return Err(failure),
    };
    let recover = if input.recover_deleted { soft_deleted(&source) } else { Vec::new() };
    let mut copied = CopiedKv {
        source_seen: source.digest(&[]),
        numbering: numbering(input, sides, &origin, &source),
        origin,
        target,
        kind: sides.target.kind,
        base: None,
        replace: false,
        planned: Planned::of(&source, &recover),
        recover,
        from_limits: sides.source.as_ref().map(|mount| mount.limits.clone()).unwrap_or_default(),
        to_limits: sides.target.limits.clone(),
        target_seen: None,
    };
    let found = match Found::read(&copied, Some(&source)) {
        Err(Failure::InvalidInput(_)) => return Ok(not_addressable()),
        found => found?,
    };
    let asked = u32::try_from(3 + source.versions.len() + found.history.as_ref().map_or(0, |history| history.versions.len()));
    let asked = asked.unwrap_or(u32::MAX);
    let there = found.history.is_some() || found.single.is_some();
    let equal = there && found.state == Wanted::of(&copied, &source, &found).state;
    let mut conflict = None;
    if there {
        copied.target_seen = Some(fingerprint(&json!(found.state)));
        conflict = settle(input, &mut copied, &source, &found, equal).err();
    }
    // Only from here on: what has run out at the target by now is no copy of what the source still has.
    copied.planned.timed = Planned::timed(&source, &copied.to_limits);
    let wanted = Wanted::of(&copied, &source, &found);
    if !equal && conflict.is_none() {
        conflict = in_the_way(&copied, &source, found.history.as_ref(), &wanted);
    }
    let mut change = change(copied, &source, &wanted, there, equal)?;
    change.conflict = conflict;
    Ok(Offered { offer: Offer::Change(Box::new(change)), requests: asked })
}

/// Deals with a target key that is there; or says why it is in the way.
fn settle(input: &Input, copied: &mut CopiedKv, source: &History, found: &Found, equal: bool) -> Result<(), String> {
    let text = match input.existing {
        Existing::Present | Existing::Merge if equal => return Ok(()),
        Existing::Merge => {
            let merged = merged(copied, source, found);
            return merged.map_err(|why| format!("the target has this key, and nothing can be merged into it: {why}"));
        }
        Existing::Present => "the target has this key with something else in it",
        Existing::Refuse if equal => "the target has this key already, equal: `existing = \"present\"` takes it as copied",
        Existing::Refuse => "the target has this key; remove it or choose another `existing`",
    };
    Err(text.to_owned())
}

/// Why the copy could not succeed.
fn in_the_way(copied: &CopiedKv, source: &History, present: Option<&History>, wanted: &Wanted) -> Option<String> {
    if copied.kind == Kind::V2 && !copied.origin.is_versioned() && !source.inexact.is_empty() {
        let numbers = listed(&source.inexact, source.inexact.len());
        let text = "KV v2 would answer with other digits than these numbers have";
        return Some(format!("{text}: {numbers}; write them as text (in quotes) first"));
    }
    let needed = requests(copied, source, present, wanted);
    let too_many = needed > usize::try_from(CALL).unwrap_or(usize::MAX);
    too_many.then(|| format!("its versions take {needed} requests, and one call may send {CALL}: leave it out with `skip`"))
}

/// Reads a secret; a key with more versions than can be handled at all is refused by name.
fn read(origin: &Origin, most: usize) -> Result<Reading, Failure> {
    match origin {
        Origin::Versioned(key) if most < history::MOST => History::read_up_to(SOURCE, key, most),
        _ => Ok(origin.read()?.map_or(Reading::Absent, Reading::Whole)),
    }
}

/// The most requests that one attempt of a copy can take: both sides are read, each version may need a timer of its own, and
/// one that is recovered is undeleted, read and deleted.
fn requests(copied: &CopiedKv, source: &History, present: Option<&History>, wanted: &Wanted) -> usize {
    let timed = wanted.slots.values().filter(|slot| matches!(slot, Slot::Value { deletion: Some(_), .. })).count();
    let there = present.map_or(0, |present| present.versions.len());
    12 + source.versions.len() + there + wanted.slots.len() + 2 * timed + 3 * copied.recover.len()
}

fn not_addressable() -> Offered {
    Offered { offer: Offer::NotAddressable, requests: 2 }
}

/// Adds the source's versions to a key that is there.
fn merged(copied: &mut CopiedKv, source: &History, found: &Found) -> Result<(), &'static str> {
    let Some(present) = &found.history else {
        copied.replace = true;
        return if source.latest().is_some() { Ok(()) } else { Err("the source has no readable version to put there") };
    };
    if source.current == 0 {
        return Err("the source has no version to add");
    }
    let base = Base { current: present.current, kept: kept(present, present.current), settings: present.settings.clone(), raised: false };
    copied.numbering = Numbering::Compact;
    copied.base = Some(base);
    let oldest = present.versions.keys().next().copied().unwrap_or(present.current + 1);
    // One more, so that a rollback can write the old value as the newest version.
    let room = Wanted::of(copied, source, found).current + 1 - oldest + 1;
    let base = copied.base.as_mut().expect("set above");
    base.settings.limits.never_delete = false;
    if base.settings.limits.surely_keeps(&copied.to_limits) < room {
        base.settings.limits.max_versions = room;
        base.raised = true;
    }
    Ok(())
}

fn change(copied: CopiedKv, source: &History, wanted: &Wanted, there: bool, equal: bool) -> Result<Change, Failure> {
    let target = copied.target.full();
    let mount = &copied.target.mount;
    let path = &copied.target.path;
    let (action, by_hand) = match (there, equal, copied.kind) {
        (true, true, _) => (Action::Update, "nothing was written: nothing is to be undone".to_owned()),
        (false, _, Kind::V2) => {
            (Action::Create, format!("at the target: bao kv metadata delete -mount={} {}", quoted(mount), quoted(path)))
        }
        (false, _, Kind::V1) => (Action::Create, format!("at the target: bao delete {}", quoted(&target))),
        (true, false, Kind::V2) => {
            let base = copied.base();
            (Action::Update, format!("at the target: bao kv rollback -version={base} -mount={} {}", quoted(mount), quoted(path)))
        }
        (true, false, Kind::V1) => (Action::Update, format!("put the captured document back to {target} at the target")),
    };
    let versions = wanted.slots.len();
    let what = match (equal, copied.kind) {
        (true, _) => format!("{} is at {target} already", copied.origin.shown()),
        (false, Kind::V1) => format!("copy {} to {target}", copied.origin.shown()),
        (false, Kind::V2) => {
            format!("copy {} to {target}, {versions} version{}", copied.origin.shown(), if versions == 1 { "" } else { "s" })
        }
    };
    let mut change = Change::new(action, copied.target.object(TARGET)).group(group(&copied.origin)).summary(what).by_hand(by_hand);
    if let (false, Some(key)) = (copied.recover.is_empty(), copied.origin.key()) {
        change = change.also(key.object(SOURCE));
    }
    let mut losses = loss::of_copy(&copied, source, wanted);
    if let Origin::File(piece) = &copied.origin {
        losses.extend(piece.losses());
    }
    loss::add(change, losses).instruct(&Instruction::CopyKv(Box::new(copied)))
}

fn numbering(input: &Input, sides: &Sides, origin: &Origin, source: &History) -> Numbering {
    let tombstones = source.current.saturating_sub(u64::try_from(source.versions.len()).unwrap_or(u64::MAX));
    let many = tombstones > u64::from(input.max_tombstones);
    let compact = input.history == HistoryChoice::Compact || many || sides.target.kind == Kind::V1 || !origin.is_versioned();
    if compact { Numbering::Compact } else { Numbering::Numbered }
}

fn soft_deleted(source: &History) -> Vec<u64> {
    source.versions.iter().filter(|(_, version)| version.is_deleted()).map(|(number, _)| *number).collect()
}

/// The first folder, or the name of a key in none.
fn group(origin: &Origin) -> &str {
    match origin {
        Origin::Versioned(key) | Origin::Single(key) => key.path.split('/').next().unwrap_or(&key.path),
        Origin::File(Piece { file, .. }) => crate::copy::group(file),
    }
}

/// A word as a POSIX shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
