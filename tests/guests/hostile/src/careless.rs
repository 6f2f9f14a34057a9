//! The ways in which a plugin of good will breaks a rule: no host can refuse them, the conformance kit finds them.

use cutover_plugin::{Change, Check, Failure, Prior, Request, Snapshot, log};
use serde_json::{Value, json};

use crate::honest;

/// A snapshot that hides something; none to be honest.
pub(crate) fn capture(mode: &str, change: &Change) -> Result<Option<Snapshot>, Failure> {
    match mode {
        // Leaves out a part of what apply overwrites.
        "capture-thin" => {
            let mut snapshot = honest::capture(change)?;
            for document in [&mut snapshot.state, &mut snapshot.expected].into_iter().flatten() {
                for object in &change.subject {
                    document[object.to_string()].as_object_mut().and_then(|fields| fields.remove("note"));
                }
            }
            Ok(Some(snapshot))
        }
        // Takes every answer but a success for absence.
        "capture-forgiving" => {
            let mut state = json!({});
            for object in &change.subject {
                let response = Request::get(&object.path).send_to(object)?;
                let found = (200..300).contains(&response.status);
                state[object.to_string()] = response.body.filter(|_| found).unwrap_or_default();
            }
            let expected = change.subject.iter().map(|object| Ok((object.to_string(), honest::source(object).unwrap_or_default())));
            let expected: serde_json::Map<String, Value> = expected.collect::<Result<_, Failure>>()?;
            Ok(Some(Snapshot { state: Some(state), expected: Some(expected.into()) }))
        }
        "log-note" => {
            for object in &change.subject {
                let note = honest::read(object)?.map(|present| present.value["note"].to_string());
                log::info(&format!("{object}: {}", note.unwrap_or_default()));
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// True if the mode was all that apply does.
pub(crate) fn apply(mode: &str, change: &Change) -> Result<bool, Failure> {
    match mode {
        // Writes whether or not it is there already.
        "apply-always" => {
            for object in &change.subject {
                let prior = Prior::of(honest::read(object)?.as_ref());
                put(object, honest::source(object)?, Some(&prior))?;
            }
            Ok(true)
        }
        // Tells the server nothing of what it expects to replace.
        "apply-blind" => {
            for object in &change.subject {
                let wanted = honest::source(object)?;
                if honest::read(object)?.map(|present| present.value) != Some(wanted.clone()) {
                    put(object, wanted, None)?;
                }
            }
            Ok(true)
        }
        // Knows all or nothing, not what a cut leaves.
        "apply-all-or-nothing" => {
            let mut done = 0;
            for object in &change.subject {
                done += usize::from(honest::read(object)?.map(|present| present.value) == Some(honest::source(object)?));
            }
            if done > 0 && done < change.subject.len() {
                return Err(Failure::conflict("somebody was here before"));
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// True if the mode was all that rollback does.
pub(crate) fn rollback(mode: &str, change: &Change, pre_image: Option<&Value>) -> Result<bool, Failure> {
    match mode {
        // Takes everything away, also what was there before.
        "rollback-destroys" => {
            for object in &change.subject {
                Request::delete(&object.path).send_to(object)?;
            }
            Ok(true)
        }
        "rollback-always" => {
            for object in &change.subject {
                let before = pre_image.map_or(Value::Null, |pre_image| pre_image[object.to_string()].clone());
                if before.is_null() { honest::write(object, &before)? } else { put(object, before, None)? }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Checks that say nothing; none to be honest.
pub(crate) fn verify(mode: &str, change: &Change) -> Result<Option<Vec<Check>>, Failure> {
    if mode != "verify-always" {
        return Ok(None);
    }
    for object in &change.subject {
        honest::read(object)?;
    }
    Ok(Some(vec![Check::application("fine", true, "it was read")]))
}

fn put(object: &cutover_plugin::Object, document: Value, prior: Option<&Prior>) -> Result<(), Failure> {
    let request = Request::put(&object.path).json(document);
    let request = match prior {
        Some(prior) => request.expecting(prior),
        None => request,
    };
    request.send_to(object)?.expect_success("write the copy").map(drop)
}
