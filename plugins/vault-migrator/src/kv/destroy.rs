//! `destroy-kv`: keys of the source are removed for good. Nothing of it can be undone.

use cutover_plugin::{Action, Change, Check, Failure, Loss, Operation, Page, Progress, Role, Route, Snapshot, Stage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    SOURCE,
    history::History,
    key::Key,
    mount::Kind,
    origin::Origin,
    retire::{REQUESTS, begin, join, refused, state},
    store,
    wanted::entries,
};
use crate::instruction::Instruction;

pub(crate) const NAME: &str = "destroy-kv";

/// One key of the source that is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestroyedKv {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    /// A fingerprint of it when planned: its movement is drift.
    pub(crate) seen: String,
}

pub(crate) fn operation() -> Operation {
    let key = "{+mount}/{+path}";
    let source = Role::one(SOURCE)
        .kind("vault")
        .route(Route::read("GET", "/v1/{+mount}/metadata/{+path}").object(key))
        .route(Route::read("GET", "/v1/{+mount}/data/{+path}").object(key))
        .route(Route::read("GET", "/v1/{+path}"))
        .route(Route::write("DELETE", "/v1/{+mount}/metadata/{+path}").object(key).status_only())
        .route(Route::write("DELETE", "/v1/{+path}").status_only());
    Operation::retire(NAME, "removes copied keys from the source for good: the way back ends").role(source).irreversible()
}

/// One change per key of the linked retirements, or of the linked copies of v1 keys. The cursor is the number of links that
/// earlier pages saw.
pub(crate) fn plan(linked: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    let mut requests = 0;
    for (number, link) in linked.iter().enumerate().skip(begin(cursor)?) {
        if requests >= REQUESTS {
            return Ok(Page::of(changes).followed_by(Some(number.to_string())));
        }
        let (key, kind, seen) = match link.instruction()? {
            Instruction::RetireKv(retired) => (retired.key, Kind::V2, Some(retired.seen)),
            Instruction::CopyKv(copied) => match copied.origin {
                Origin::Versioned(key) => {
                    let text = format!(
                        "{SOURCE}:{} has versions: retire it first, with proof that it can be read no more, and link `{NAME}` to that `retire-kv`",
                        key.full()
                    );
                    return Err(Failure::invalid_input(text));
                }
                Origin::Single(key) => (key, Kind::V1, None),
                Origin::File(_) => return Err(Failure::invalid_input("the copies are of files: delete these with `destroy-files`")),
            },
            _ => return Err(Failure::invalid_input(format!("`{NAME}` is linked to `retire-kv` or `copy-kv` only"))),
        };
        join(&mut changes, &key, link, |key, link| planned(key, kind, seen, link, &mut requests))?;
    }
    Ok(Page::of(changes))
}

pub(crate) fn capture(destroyed: &DestroyedKv) -> Result<Snapshot, Failure> {
    Ok(Snapshot { state: present(destroyed)?, expected: None })
}

pub(crate) fn apply(destroyed: &DestroyedKv, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    if let Some(present) = present(destroyed)? {
        if pre_image != Some(&present) {
            return Err(Failure::conflict(format!("{SOURCE}:{} was changed after it was captured", destroyed.key.full())));
        }
        match destroyed.kind {
            Kind::V1 => store::remove_single(SOURCE, &destroyed.key)?,
            Kind::V2 => store::remove(SOURCE, &destroyed.key)?,
        }
    }
    Ok(Progress::Done(None))
}

pub(crate) fn rollback(destroyed: &DestroyedKv, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    if present(destroyed)?.as_ref() == pre_image {
        return Ok(Progress::Done(None));
    }
    Err(Failure::unsupported(format!("{SOURCE}:{} was removed: only a backup has it", destroyed.key.full())))
}

pub(crate) fn verify(destroyed: &DestroyedKv, stage: Stage) -> Result<Vec<Check>, Failure> {
    let full = destroyed.key.full();
    let gone = present(destroyed)?.is_none();
    let detail = format!("{SOURCE}:{full} was read");
    Ok(match stage {
        Stage::Applied => vec![Check::application("removed", gone, detail)],
        Stage::RolledBack => vec![Check::application("still-there", !gone, detail)],
        Stage::Retired => {
            let answer = match destroyed.kind {
                Kind::V1 => store::knock(SOURCE, &destroyed.key),
                Kind::V2 => store::version(SOURCE, &destroyed.key, 0),
            };
            vec![Check::application("removed", gone, detail), refused(&format!("{SOURCE}:{full}"), answer)?]
        }
    })
}

/// The state of the key; none if there is no key.
fn present(destroyed: &DestroyedKv) -> Result<Option<Value>, Failure> {
    Ok(match destroyed.kind {
        Kind::V1 => store::single(SOURCE, &destroyed.key)?.map(|response| json!({ "value": response.body.unwrap_or_default()["data"] })),
        Kind::V2 => History::read(SOURCE, &destroyed.key)?.map(|history| state(&history)),
    })
}

fn planned(key: &Key, kind: Kind, planned_seen: Option<String>, link: &Change, requests: &mut usize) -> Result<Change, Failure> {
    let full = key.full();
    let gone = || Failure::not_found(format!("{SOURCE}:{full} is there no longer"));
    let origin = if kind == Kind::V1 { Origin::Single(key.clone()) } else { Origin::Versioned(key.clone()) };
    let history = origin.read()?.ok_or_else(gone)?;
    *requests += 1 + history.versions.len();
    let seen = planned_seen.unwrap_or_else(|| history.digest(&[]));
    let destroyed = DestroyedKv { key: key.clone(), kind, seen };
    let versions = entries(&history).len();
    let summary = format!("remove {full} for good: {versions} version{} with data", if versions == 1 { "" } else { "s" });
    let count = u32::try_from(versions).unwrap_or(u32::MAX).max(1);
    let mut change = Change::new(Action::Remove, key.object(SOURCE))
        .link(&link.id)
        .summary(summary)
        .by_hand(format!("cannot be undone: restore {full} from a backup of the source"))
        .loss(Loss { count, ..Loss::new("destroyed-at-source", "versions, and the key's metadata") });
    change.group.clone_from(&link.group);
    change.instruct(&Instruction::DestroyKv(destroyed))
}
