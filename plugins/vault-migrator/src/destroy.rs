//! `destroy-files`: a legacy file, or what was moved aside, is deleted. Nothing of it can be undone.

use cutover_plugin::{Action, Change, Check, Failure, Object, Operation, Page, Prior, Progress, Role, Route, Snapshot, Stage, fingerprint};
use serde_json::{Value, json};

use crate::{
    folder,
    instruction::{Destroyed, Instruction},
    kv::Origin,
    retire,
};

pub(crate) const NAME: &str = "destroy-files";

const SOURCE: &str = "source";

pub(crate) fn operation() -> Operation {
    let source = Role::one(SOURCE)
        .kind("file")
        .route(Route::read("GET", "/{+path}").opaque())
        .route(Route::write("DELETE", "/{+path}").status_only());
    Operation::retire(NAME, "deletes legacy files for good: the way back ends").role(source).irreversible()
}

/// One change per file: what a linked retire change moves aside, or the legacy file of a linked copy.
pub(crate) fn plan(linked: &[Change]) -> Result<Page, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    for link in linked {
        let (path, planned_seen) = match link.instruction()? {
            Instruction::Retire(retired) => (retired.aside, Some(retired.seen)),
            Instruction::Copy(copied) => (copied.source, None),
            Instruction::CopyKv(copied) if matches!(copied.origin, Origin::File(_)) => match copied.origin {
                Origin::File(piece) => (piece.file, None),
                Origin::Versioned(_) | Origin::Single(_) => continue,
            },
            _ => {
                return Err(Failure::invalid_input(format!("`{NAME}` is linked to `retire-files` or `copy-files` only")));
            }
        };
        let object = Object::new(SOURCE, &path);
        match changes.iter_mut().find(|change| change.subject.first() == Some(&object)) {
            Some(change) => change.links.push(link.id.clone()),
            None => changes.push(planned(object, planned_seen, link)?),
        }
    }
    Ok(Page { changes, next: None, output: None })
}

pub(crate) fn capture(destroyed: &Destroyed) -> Result<Snapshot, Failure> {
    let state = folder::whole(SOURCE, &destroyed.path)?.map(|whole| json!({ "text": whole.text }));
    Ok(Snapshot { state, expected: None })
}

pub(crate) fn apply(destroyed: &Destroyed, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    if let Some(whole) = folder::whole(SOURCE, &destroyed.path)? {
        if pre_image.map(|state| &state["text"]) != Some(&whole.text) {
            return Err(Failure::conflict(format!("{SOURCE}:{} was changed after it was captured", destroyed.path)));
        }
        folder::write(SOURCE, &destroyed.path, None, &Prior::Present(Some(whole.etag)))?;
    }
    Ok(Progress::Done(None))
}

pub(crate) fn rollback(destroyed: &Destroyed, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    if capture(destroyed)?.state.as_ref() == pre_image {
        return Ok(Progress::Done(None));
    }
    Err(Failure::unsupported(format!("{SOURCE}:{} was deleted: only a backup has it", destroyed.path)))
}

pub(crate) fn verify(destroyed: &Destroyed, stage: Stage) -> Result<Vec<Check>, Failure> {
    let gone = folder::whole(SOURCE, &destroyed.path)?.is_none();
    let detail = format!("{SOURCE}:{} was read", destroyed.path);
    Ok(match stage {
        Stage::Applied => vec![Check::application("deleted", gone, detail)],
        Stage::RolledBack => vec![Check::application("still-there", !gone, detail)],
        Stage::Retired => vec![Check::application("deleted", gone, detail), retire::refused(&destroyed.path)?],
    })
}

fn planned(object: Object, planned_seen: Option<String>, link: &Change) -> Result<Change, Failure> {
    let path = object.path.clone();
    let gone = || Failure::not_found(format!("{object} is there no longer"));
    let seen = match planned_seen {
        Some(seen) => seen,
        None => fingerprint(&folder::whole(SOURCE, &path)?.ok_or_else(gone)?.text),
    };
    let change = Change::new(Action::Remove, object)
        .link(&link.id)
        .summary(format!("delete {path} for good"))
        .by_hand(format!("cannot be undone: restore {path} from a backup of the legacy folder"));
    let change = link.group.as_deref().into_iter().fold(change, Change::group);
    change.instruct(&Instruction::Destroy(Destroyed { path, seen }))
}

#[cfg(test)]
mod tests;
