//! `retire-files`: each legacy file is moved aside, and its old path is tried.

use cutover_plugin::{Action, Change, Check, Failure, Object, Operation, Page, Progress, Role, Route, Snapshot, Stage, fingerprint};
use serde_json::{Value, json};

use crate::{
    cover::Cover,
    folder::{self, Whole},
    instruction::{Instruction, Retired},
    name,
};

pub(crate) const NAME: &str = "retire-files";

const SOURCE: &str = "source";

/// What is at the old path and aside.
struct Places {
    live: Option<Whole>,
    aside: Option<Whole>,
}

pub(crate) fn operation() -> Operation {
    let source =
        Role::one(SOURCE).kind("file").route(Route::read("GET", "/{+path}").opaque()).route(Route::write("MOVE", "/{+path}").status_only());
    Operation::retire(NAME, "moves legacy files aside once their copies are in use").role(source)
}

/// One change per legacy file of the linked copies.
pub(crate) fn plan(linked: &[Change]) -> Result<Page, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    for copy in linked {
        let (file, cover) = Cover::of(copy)?.ok_or_else(not_of_files)?;
        let object = Object::new(SOURCE, &file);
        match changes.iter_mut().find(|change| change.subject.first() == Some(&object)) {
            Some(change) => change.links.push(copy.id.clone()),
            None => changes.push(planned(object, cover, copy)?),
        }
    }
    Ok(Page::of(changes))
}

/// What is there, if its copies, of these ids, still hold all of it.
pub(crate) fn capture(retired: &Retired, copies: &[String]) -> Result<Snapshot, Failure> {
    let places = places(retired)?;
    // What is aside was looked at before it went there, and a look on the way back is about where it is.
    if let Places { live: Some(whole), aside: None } = &places {
        retired.cover.holds(&retired.live, &whole.text, copies, &retired.seen)?;
    }
    let gone = || Failure::not_found(format!("{SOURCE}:{} is there no longer", retired.live));
    let moved = &places.live.as_ref().or(places.aside.as_ref()).ok_or_else(gone)?.text;
    Ok(Snapshot { state: Some(state(&places)), expected: Some(json!({ "live": null, "aside": moved })) })
}

pub(crate) fn apply(retired: &Retired, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    let places = places(retired)?;
    let captured = pre_image.and_then(of_the_file);
    match (&places.live, &places.aside) {
        (Some(_), Some(_)) => return Err(Failure::conflict(format!("{SOURCE}:{} is in the way", retired.aside))),
        (None, None) => return Err(Failure::not_found(format!("{SOURCE}:{} is there no longer", retired.live))),
        (Some(whole), None) | (None, Some(whole)) if captured != Some(&whole.text) => {
            return Err(Failure::conflict(format!("{SOURCE}:{} was changed after it was captured", retired.live)));
        }
        (Some(whole), None) => folder::rename(SOURCE, &retired.live, &retired.aside, &whole.etag)?,
        (None, Some(_)) => {}
    }
    Ok(Progress::Done(None))
}

pub(crate) fn rollback(retired: &Retired, pre_image: Option<&Value>) -> Result<Progress, Failure> {
    let places = places(retired)?;
    if Some(&state(&places)) == pre_image {
        return Ok(Progress::Done(None));
    }
    match (&places.live, &places.aside) {
        (None, Some(whole)) => folder::rename(SOURCE, &retired.aside, &retired.live, &whole.etag)?,
        (None, None) => return Err(Failure::not_found(format!("{SOURCE}:{} is gone: there is nothing to move back", retired.aside))),
        (Some(_), _) => return Err(Failure::conflict(format!("somebody else wrote {SOURCE}:{}", retired.live))),
    }
    Ok(Progress::Done(None))
}

/// What was captured is at the one place, and nothing at the other.
pub(crate) fn verify(retired: &Retired, pre_image: Option<&Value>, stage: Stage) -> Result<Vec<Check>, Failure> {
    let places = places(retired)?;
    let captured = pre_image.and_then(of_the_file);
    let is_it = |place: &Option<Whole>| place.as_ref().is_some_and(|whole| Some(&whole.text) == captured);
    let moved = places.live.is_none() && is_it(&places.aside);
    let detail = format!("{SOURCE}:{} and {SOURCE}:{} were read", retired.live, retired.aside);
    Ok(match stage {
        Stage::Applied => vec![Check::application("moved-aside", moved, detail)],
        Stage::RolledBack => vec![Check::application("moved-back", is_it(&places.live) && places.aside.is_none(), detail)],
        Stage::Retired => vec![Check::application("moved-aside", moved, detail), refused(&retired.live)?],
    })
}

/// The check that a path is refused to whoever still uses it. Only a definite refusal passes.
pub(crate) fn refused(path: &str) -> Result<Check, Failure> {
    const CHECK: &str = "old-path-refused";
    Ok(match folder::knock(SOURCE, path) {
        Ok(response) => {
            let detail = format!("a read of {SOURCE}:{path} was answered with status {}", response.status);
            match response.status {
                401 | 403 | 404 | 410 => Check::application(CHECK, true, detail),
                200..=299 => Check::application(CHECK, false, detail),
                _ => Check::inconclusive(CHECK, detail),
            }
        }
        // No answer is an outage, which the host waits out: it proves nothing either way.
        Err(failure) => return Err(failure),
    })
}

fn not_of_files() -> Failure {
    Failure::invalid_input(format!("`{NAME}` is linked to copies of files only, made by `copy-files` or `copy-kv`"))
}

fn planned(object: Object, cover: Cover, copy: &Change) -> Result<Change, Failure> {
    let live = object.path.clone();
    let aside = name::aside(&live);
    let whole = folder::whole(SOURCE, &live)?.ok_or_else(|| Failure::not_found(format!("{object} is there no longer")))?;
    let mut change = Change::new(Action::Remove, object)
        .also(Object::new(SOURCE, &aside))
        .link(&copy.id)
        .summary(format!("move {live} aside to {aside}"))
        .by_hand(format!("in the legacy folder: mv '{aside}' '{live}'"));
    change.group.clone_from(&copy.group);
    if folder::whole(SOURCE, &aside)?.is_some() {
        change = change.conflict(format!("{SOURCE}:{aside} is in the way: move or delete it first"));
    }
    change.instruct(&Instruction::Retire(Retired { live, aside, cover, seen: fingerprint(&whole.text) }))
}

/// The file of a captured state, wherever it was.
fn of_the_file(state: &Value) -> Option<&Value> {
    [&state["live"], &state["aside"]].into_iter().find(|text| !text.is_null())
}

fn places(retired: &Retired) -> Result<Places, Failure> {
    Ok(Places { live: folder::whole(SOURCE, &retired.live)?, aside: folder::whole(SOURCE, &retired.aside)? })
}

fn state(places: &Places) -> Value {
    let text = |whole: &Option<Whole>| whole.as_ref().map(|whole| whole.text.clone());
    json!({ "live": text(&places.live), "aside": text(&places.aside) })
}

#[cfg(test)]
mod tests;
