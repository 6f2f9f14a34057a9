//! `destroy-files`: a legacy file, or what was moved aside, is deleted. Nothing of it can be undone.

use cutover_plugin::{Action, Change, Check, Failure, Object, Operation, Page, Prior, Progress, Role, Route, Snapshot, Stage};
use serde_json::{Value, json};

use crate::{
    folder,
    instruction::{Destroyed, Instruction},
    retire,
};

pub(crate) const NAME: &str = "destroy-files";

const SOURCE: &str = "source";

pub(crate) fn operation() -> Operation {
    let source =
        Role::one(SOURCE).kind("file").route(Route::read("GET", "/{+path}")).route(Route::write("DELETE", "/{+path}").status_only());
    Operation::retire(NAME, "deletes legacy files for good: the way back ends").role(source).irreversible()
}

/// One change per file: what a linked retire change moves aside, or the legacy file of a linked copy.
pub(crate) fn plan(linked: &[Change]) -> Result<Page, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    for link in linked {
        let (path, planned_etag) = match link.instruction()? {
            Instruction::Retire(retired) => (retired.aside, Some(retired.etag)),
            Instruction::Copy(copied) => (copied.source, None),
            Instruction::Destroy(_) => return Err(Failure::invalid_input(format!("`{NAME}` is linked to `retire-files` or `copy-files` only"))),
        };
        let object = Object::new(SOURCE, &path);
        match changes.iter_mut().find(|change| change.subject.first() == Some(&object)) {
            Some(change) => change.links.push(link.id.clone()),
            None => changes.push(planned(object, planned_etag, link)?),
        }
    }
    Ok(Page { changes, next: None, output: None })
}

pub(crate) fn capture(destroyed: &Destroyed) -> Result<Snapshot, Failure> {
    let state = folder::tag(SOURCE, &destroyed.path)?.map(|etag| json!({ "etag": etag }));
    Ok(Snapshot { state, expected: None })
}

pub(crate) fn apply(destroyed: &Destroyed, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    if let Some(etag) = folder::tag(SOURCE, &destroyed.path)? {
        if pre_image.and_then(|state| state["etag"].as_str()) != Some(&etag) {
            return Err(Failure::conflict(format!("{SOURCE}:{} was changed after it was captured", destroyed.path)));
        }
        folder::write(SOURCE, &destroyed.path, None, &Prior::Present(Some(etag)))?;
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
    let gone = folder::tag(SOURCE, &destroyed.path)?.is_none();
    let detail = format!("{SOURCE}:{} was read", destroyed.path);
    Ok(match stage {
        Stage::Applied => vec![Check::application("deleted", gone, detail)],
        Stage::RolledBack => vec![Check::application("still-there", !gone, detail)],
        Stage::Retired => vec![Check::application("deleted", gone, detail), retire::refused(&destroyed.path)?],
    })
}

fn planned(object: Object, planned_etag: Option<String>, link: &Change) -> Result<Change, Failure> {
    let path = object.path.clone();
    let etag = match planned_etag {
        Some(etag) => etag,
        None => folder::tag(SOURCE, &path)?.ok_or_else(|| Failure::not_found(format!("{object} is there no longer")))?,
    };
    let change = Change::new(Action::Remove, object)
        .link(&link.id)
        .summary(format!("delete {path} for good"))
        .by_hand(format!("cannot be undone: restore {path} from a backup of the legacy folder"));
    let change = link.group.as_deref().into_iter().fold(change, Change::group);
    change.instruct(&Instruction::Destroy(Destroyed { path, etag }))
}

#[cfg(test)]
mod tests;
