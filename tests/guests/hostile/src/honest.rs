//! What the plugin does where no mode says otherwise.

use cutover_plugin::{Change, Check, Failure, Object, Present, Prior, Request, Snapshot, Stage};
use serde_json::{Map, Value};

pub(crate) fn capture(change: &Change) -> Result<Snapshot, Failure> {
    let (mut state, mut expected) = (Map::new(), Map::new());
    for object in &change.subject {
        state.insert(object.to_string(), read(object)?.map_or(Value::Null, |present| present.value));
        expected.insert(object.to_string(), source(object)?);
    }
    Ok(Snapshot { state: Some(state.into()), expected: Some(expected.into()) })
}

pub(crate) fn apply(change: &Change) -> Result<(), Failure> {
    change.subject.iter().try_for_each(|object| write(object, &source(object)?))
}

pub(crate) fn rollback(change: &Change, pre_image: Option<&Value>) -> Result<(), Failure> {
    let before = |object: &Object| pre_image.map_or(Value::Null, |pre_image| pre_image[object.to_string()].clone());
    change.subject.iter().try_for_each(|object| write(object, &before(object)))
}

pub(crate) fn verify(change: &Change, pre_image: Option<&Value>, stage: Stage) -> Result<Vec<Check>, Failure> {
    let check = |object: &Object| {
        let present = read(object)?.map_or(Value::Null, |present| present.value);
        let should = match stage {
            Stage::RolledBack => pre_image.map_or(Value::Null, |pre_image| pre_image[object.to_string()].clone()),
            Stage::Applied | Stage::Retired => source(object)?,
        };
        Ok(Check::application("reads-back", present == should, format!("{object} was read again")))
    };
    change.subject.iter().map(check).collect()
}

/// The secret that an object is to hold: at the source it is `s/N` for `t/N`.
pub(crate) fn source(object: &Object) -> Result<Value, Failure> {
    let path = object.path.replace("t/", "s/");
    Ok(Request::get(&path).send("source")?.expect_success("read the secret")?.body.unwrap_or_default())
}

pub(crate) fn read(object: &Object) -> Result<Option<Present>, Failure> {
    Request::get(&object.path).send_to(object)?.present("read the copy")
}

/// Makes the object what it should be, `null` for absent.
pub(crate) fn write(object: &Object, wanted: &Value) -> Result<(), Failure> {
    let present = read(object)?;
    let request = match (&present, wanted) {
        (None, Value::Null) => return Ok(()),
        (Some(present), wanted) if present.value == *wanted => return Ok(()),
        (Some(_), Value::Null) => Request::delete(&object.path),
        (_, wanted) => Request::put(&object.path).json(wanted.clone()),
    };
    request.expecting(&Prior::of(present.as_ref())).send_to(object)?.expect_success("write the copy").map(drop)
}
