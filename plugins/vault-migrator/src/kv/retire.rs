//! `retire-kv`: each live version of a copied key is soft-deleted at the source, and each is tried.

use cutover_plugin::{Action, Change, Check, Failure, Loss, Operation, Page, Progress, Role, Route, Snapshot, Stage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    SOURCE,
    history::{History, Version},
    key::Key,
    loss,
    offer::quoted,
    origin::Origin,
    store::{self, Verb},
    wanted::entries,
};
use crate::instruction::Instruction;

pub(crate) const NAME: &str = "retire-kv";

/// One key of the source that is retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetiredKv {
    pub(crate) key: Key,
    /// Its digest when planned: its movement is drift.
    pub(crate) seen: String,
}

pub(crate) fn operation() -> Operation {
    let key = "{+mount}/{+path}";
    let state = |infix: &str| Route::write("PUT", &format!("/v1/{{+mount}}/{infix}/{{+path}}")).object(key).public_request("/versions");
    let source = Role::one(SOURCE)
        .kind("vault")
        .route(Route::read("GET", "/v1/{+mount}/metadata/{+path}").object(key))
        .route(Route::read("GET", "/v1/{+mount}/data/{+path}").object(key))
        .route(state("delete"))
        .route(state("undelete"));
    Operation::retire(NAME, "soft-deletes every live version of copied keys at the source").role(source)
}

/// Requests after which a page of a plan ends, with room below what the host allows one call for a key with many versions.
pub(crate) const REQUESTS: usize = 300;

/// One change per key of the linked copies. The cursor is the number of copies that earlier pages saw.
pub(crate) fn plan(linked: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    let mut requests = 0;
    for (number, copy) in linked.iter().enumerate().skip(begin(cursor)?) {
        if requests >= REQUESTS {
            return Ok(Page::of(changes).followed_by(Some(number.to_string())));
        }
        let Instruction::CopyKv(copied) = copy.instruction()? else {
            return Err(Failure::invalid_input(format!("`{NAME}` is linked to the changes of `copy-kv` only")));
        };
        match &copied.origin {
            Origin::Versioned(key) => join(&mut changes, key, copy, |key, copy| planned(key, copy, &mut requests))?,
            Origin::Single(key) => {
                let text = "a v1 mount deletes for good: give the way back up with `destroy-kv`, in an irreversible step";
                return Err(Failure::unsupported(format!("{SOURCE}:{}: {text}", key.full())));
            }
            Origin::File(_) => return Err(Failure::invalid_input("the copies are of files: retire these with `retire-files`")),
        }
    }
    Ok(Page::of(changes))
}

/// The number of linked changes that earlier pages saw.
pub(crate) fn begin(cursor: Option<&str>) -> Result<usize, Failure> {
    cursor.map_or(Ok(0), str::parse).map_err(|_| Failure::invalid_input("the cursor is not of this plugin"))
}

/// Adds a link to the change of a key, or makes that change.
pub(crate) fn join(
    changes: &mut Vec<Change>,
    key: &Key,
    link: &Change,
    planned: impl FnOnce(&Key, &Change) -> Result<Change, Failure>,
) -> Result<(), Failure> {
    let object = key.object(SOURCE);
    match changes.iter_mut().find(|change| change.subject.first() == Some(&object)) {
        Some(change) => change.links.push(link.id.clone()),
        None => changes.push(planned(key, link)?),
    }
    Ok(())
}

pub(crate) fn capture(retired: &RetiredKv) -> Result<Snapshot, Failure> {
    let history = read(&retired.key)?;
    let deleted: Map<String, Value> =
        entries(&history).into_keys().map(|number| (number.to_string(), json!({ "state": "deleted" }))).collect();
    let expected = json!({ "current": history.current, "versions": deleted });
    Ok(Snapshot { state: Some(state(&history)), expected: Some(expected) })
}

pub(crate) fn apply(retired: &RetiredKv, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    let history = read(&retired.key)?;
    refuse_foreign(retired, &history, pre_image)?;
    store::change(Verb::Delete, SOURCE, &retired.key, &numbers(&history, is_live))?;
    let after = read(&retired.key)?;
    let left = numbers(&after, is_live);
    if after.current != history.current || !left.is_empty() {
        return Err(Failure::conflict(format!("{SOURCE}:{} still has versions that can be read: {left:?}", retired.key.full())));
    }
    Ok(Progress::Done(None))
}

pub(crate) fn rollback(retired: &RetiredKv, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    let history = read(&retired.key)?;
    if Some(&state(&history)) == pre_image {
        return Ok(Progress::Done(None));
    }
    refuse_foreign(retired, &history, pre_image)?;
    let live = was_live(pre_image);
    let gone: Vec<u64> =
        live.iter().filter(|number| matches!(history.versions.get(number), None | Some(Version::Destroyed))).copied().collect();
    if !gone.is_empty() {
        return Err(Failure::not_found(format!("{SOURCE}:{} has lost versions {gone:?} for good", retired.key.full())));
    }
    let deleted = numbers(&history, Version::is_deleted);
    let back: Vec<u64> = live.into_iter().filter(|number| deleted.contains(number)).collect();
    store::change(Verb::Undelete, SOURCE, &retired.key, &back)?;
    let after = read(&retired.key)?;
    let still: Vec<u64> = back.into_iter().filter(|number| !after.versions.get(number).is_some_and(is_live)).collect();
    if !still.is_empty() {
        return Err(Failure::unavailable(format!("{SOURCE}:{}: versions {still:?} were not undeleted", retired.key.full())));
    }
    Ok(Progress::Done(None))
}

pub(crate) fn verify(retired: &RetiredKv, pre_image: Option<&Value>, stage: Stage) -> Result<Vec<Check>, Failure> {
    let live = was_live(pre_image);
    let full = retired.key.full();
    if stage == Stage::RolledBack {
        let history = read(&retired.key)?;
        let back = numbers(&history, is_live) == live;
        return Ok(vec![Check::application(
            "undeleted",
            back,
            format!("{SOURCE}:{full} was read: exactly versions {live:?} must be readable"),
        )]);
    }
    if stage == Stage::Retired && live.is_empty() {
        return Ok(vec![Check::inconclusive("not-provable", format!("{SOURCE}:{full} had no version that could be read"))]);
    }
    let mut checks = Vec::new();
    if stage == Stage::Applied {
        let history = read(&retired.key)?;
        let left = numbers(&history, is_live);
        checks.push(Check::application("soft-deleted", left.is_empty(), format!("{SOURCE}:{full} was read: versions {left:?} are live")));
    }
    for number in live.into_iter().filter(|_| stage == Stage::Retired) {
        checks.push(refused(&format!("version {number} of {SOURCE}:{full}"), store::version(SOURCE, &retired.key, number))?);
    }
    Ok(checks)
}

/// The check that a read is refused to whoever still uses the old path. Only a definite refusal passes.
pub(crate) fn refused(what: &str, answer: Result<cutover_plugin::Response, Failure>) -> Result<Check, Failure> {
    const CHECK: &str = "old-path-refused";
    Ok(match answer {
        Ok(response) => {
            let detail = format!("a read of {what} was answered with status {}", response.status);
            match response.status {
                401 | 403 | 404 => Check::application(CHECK, true, detail),
                200..=299 => Check::application(CHECK, false, detail),
                _ => Check::inconclusive(CHECK, detail),
            }
        }
        // No answer is an outage, which the host waits out: it proves nothing either way.
        Err(failure) => return Err(failure),
    })
}

/// A key that must be there.
pub(crate) fn read(key: &Key) -> Result<History, Failure> {
    History::read(SOURCE, key)?.ok_or_else(|| gone(key))
}

fn gone(key: &Key) -> Failure {
    Failure::not_found(format!("{SOURCE}:{} is there no longer", key.full()))
}

/// The state of a source key: its number and its versions with data.
pub(crate) fn state(history: &History) -> Value {
    let versions: Map<String, Value> = entries(history).into_iter().map(|(number, entry)| (number.to_string(), entry)).collect();
    json!({ "current": history.current, "versions": versions })
}

/// The numbers of versions in a state.
pub(crate) fn numbers(history: &History, wanted: impl Fn(&Version) -> bool) -> Vec<u64> {
    history.versions.iter().filter(|(_, version)| wanted(version)).map(|(number, _)| *number).collect()
}

pub(crate) fn is_live(version: &Version) -> bool {
    matches!(version, Version::Live { .. })
}

fn planned(key: &Key, copy: &Change, requests: &mut usize) -> Result<Change, Failure> {
    let (history, asked) = History::states(SOURCE, key)?.ok_or_else(|| gone(key))?;
    *requests += asked;
    let live = numbers(&history, is_live);
    let deleted = numbers(&history, Version::is_deleted).len();
    let scheduled = numbers(&history, |version| matches!(version, Version::Live { deletion: Some(_), .. })).len();
    let full = key.full();
    let list = live.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let by_hand = if live.is_empty() {
        "nothing was written: nothing is to be undone".to_owned()
    } else {
        format!("at the source: bao kv undelete -versions={list} -mount={} {}", quoted(&key.mount), quoted(&key.path))
    };
    let summary = format!(
        "soft-delete {} live version{} of {full}; `destroy-kv` would take away {} with data and the metadata",
        live.len(),
        if live.len() == 1 { "" } else { "s" },
        live.len() + deleted
    );
    let mut change = Change::new(Action::Remove, key.object(SOURCE)).link(&copy.id).summary(summary).by_hand(by_hand);
    change.group.clone_from(&copy.group);
    if scheduled > 0 {
        let detail = "a rollback undeletes versions without their timers, also where these have run out since";
        let count = u32::try_from(scheduled).unwrap_or(u32::MAX);
        change = loss::add(change, vec![Loss { count, ..Loss::new("deletion-times", detail) }]);
    }
    change.instruct(&Instruction::RetireKv(RetiredKv { key: key.clone(), seen: history.digest(&[]) }))
}

/// Versions that can come and go here are those of the pre-image: everything else is somebody else's.
fn refuse_foreign(retired: &RetiredKv, history: &History, pre_image: Option<&Value>) -> Result<(), Failure> {
    let Some(before) = pre_image else { return Err(Failure::internal("a key that was there has a pre-image")) };
    let same = |(number, entry): (u64, Value)| {
        let old = &before["versions"][number.to_string()];
        entry["state"] == "deleted" && !old.is_null() || entry["value"] == old["value"]
    };
    if before["current"] == history.current && entries(history).into_iter().all(same) {
        return Ok(());
    }
    Err(Failure::conflict(format!("{SOURCE}:{} was changed after it was captured", retired.key.full())))
}

fn was_live(pre_image: Option<&Value>) -> Vec<u64> {
    let versions = pre_image.and_then(|state| state["versions"].as_object());
    let live = versions.into_iter().flatten().filter(|(_, entry)| entry["state"] == "live");
    let mut numbers: Vec<u64> = live.filter_map(|(number, _)| number.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
