//! `destroy-files`: a legacy file, or what was moved aside, is deleted. Nothing of it can be undone.

use cutover_plugin::{Action, Change, Check, Failure, Object, Operation, Page, Prior, Progress, Role, Route, Snapshot, Stage, fingerprint};
use serde_json::{Value, json};

use crate::{
    cover::Cover,
    folder::{self, Whole},
    instruction::{Destroyed, Instruction, Retired},
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
        let known = Known::of(link)?;
        let object = Object::new(SOURCE, &known.path);
        match changes.iter_mut().find(|change| change.subject.first() == Some(&object)) {
            Some(change) => change.links.push(link.id.clone()),
            None => changes.push(planned(object, known, link)?),
        }
    }
    Ok(Page::of(changes))
}

/// What is there, if its copies still hold all of it. `links` are the change's.
pub(crate) fn capture(destroyed: &Destroyed, links: &[String]) -> Result<Snapshot, Failure> {
    let whole = folder::whole(SOURCE, &destroyed.path)?;
    if let Some(whole) = &whole {
        let copies = if destroyed.copies.is_empty() { links } else { &destroyed.copies };
        destroyed.cover.holds(&destroyed.live, &whole.text, copies, &destroyed.seen)?;
    }
    Ok(Snapshot { state: whole.map(|whole| state(&whole)), expected: None })
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
    if folder::whole(SOURCE, &destroyed.path)?.map(|whole| state(&whole)).as_ref() == pre_image {
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

/// What a link tells of the file that is deleted.
struct Known {
    path: String,
    live: String,
    cover: Cover,
    copies: Vec<String>,
    seen: Option<String>,
}

impl Known {
    fn of(link: &Change) -> Result<Self, Failure> {
        if let Some((file, cover)) = Cover::of(link)? {
            return Ok(Self { path: file.clone(), live: file, cover, copies: Vec::new(), seen: None });
        }
        match link.instruction()? {
            Instruction::Retire(Retired { live, aside, cover, seen }) => {
                Ok(Self { path: aside, live, cover, copies: link.links.clone(), seen: Some(seen) })
            }
            _ => Err(Failure::invalid_input(format!(
                "`{NAME}` is linked to `retire-files`, or to copies of files, made by `copy-files` or `copy-kv`"
            ))),
        }
    }
}

fn planned(object: Object, known: Known, link: &Change) -> Result<Change, Failure> {
    let gone = || Failure::not_found(format!("{object} is there no longer"));
    let seen = match known.seen {
        Some(seen) => seen,
        None => fingerprint(&folder::whole(SOURCE, &known.path)?.ok_or_else(gone)?.text),
    };
    let Known { path, live, cover, copies, .. } = known;
    let change = Change::new(Action::Remove, object)
        .link(&link.id)
        .summary(format!("delete {path} for good"))
        .by_hand(format!("cannot be undone: restore {path} from a backup of the legacy folder"));
    let change = link.group.as_deref().into_iter().fold(change, Change::group);
    change.instruct(&Instruction::Destroy(Destroyed { path, live, cover, copies, seen }))
}

fn state(whole: &Whole) -> Value {
    json!({ "text": whole.text })
}

#[cfg(test)]
mod tests;
