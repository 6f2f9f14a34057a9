//! Ends the old paths of two copied secrets and marks them as retired; as its input says it claims a proof that is none.
//!
//! Without a mode it is honest: both paths go, and each is tried with the rights that used to work.

use cutover_plugin::{Action, Change, Check, Failure, Object, Operation, Present, Request, Role, Route, Snapshot, Stage};
use serde_json::{Map, Value, json};

pub(crate) const NAME: &str = "retire";

const SOURCE: &str = "source";
const OLD: [&str; 2] = ["s/1", "s/2"];
const MARK: &str = "s/retired";

pub(crate) fn operation(input: Value) -> Operation {
    let source = Role::one(SOURCE)
        .kind("http")
        .route(Route::read("GET", "/{+path}").public_response("/note"))
        .route(Route::write("PUT", "/{+path}").public_request("/note").status_only())
        .route(Route::write("DELETE", "/{+path}").status_only());
    Operation::retire(NAME, "ends two old paths").input(input).role(source)
}

pub(crate) fn planned(mode: &str, linked: &[Change]) -> Result<Vec<Change>, Failure> {
    let planned = |copy: &Change| {
        let [first, second, mark] = [OLD[0], OLD[1], MARK].map(|path| Object::new(SOURCE, path));
        let change = Change::new(Action::Remove, first).also(second).also(mark).link(&copy.id);
        change.summary("retire two secrets").by_hand("put the old secrets back").instruct(&json!({ "mode": mode }))
    };
    linked.iter().map(planned).collect()
}

pub(crate) fn capture(mode: &str, change: &Change) -> Result<Snapshot, Failure> {
    let (mut state, mut expected) = (Map::new(), Map::new());
    for object in &change.subject {
        let present = read(object)?.map_or(Value::Null, |present| present.value);
        expected.insert(object.path.clone(), if object.path == MARK { json!({ "note": "retired" }) } else { left(mode, object, &present) });
        state.insert(object.path.clone(), present);
    }
    Ok(Snapshot { state: Some(state.into()), expected: Some(expected.into()) })
}

pub(crate) fn apply(mode: &str, change: &Change) -> Result<(), Failure> {
    let wanted = capture(mode, change)?.expected;
    put_all(change, wanted.as_ref())
}

pub(crate) fn rollback(change: &Change, pre_image: Option<&Value>) -> Result<(), Failure> {
    put_all(change, pre_image)
}

pub(crate) fn verify(mode: &str, change: &Change, pre_image: Option<&Value>, stage: Stage) -> Result<Vec<Check>, Failure> {
    if stage == Stage::Retired {
        // Looks at what was written, and at no old path besides those that are to be the proof.
        let marked = read(&Object::new(SOURCE, MARK))?.is_some();
        let refused =
            |(path, status)| Check::application("refused", status >= 400, format!("a read of {path} was answered with status {status}"));
        let checks = tried(mode, pre_image)?.into_iter().map(refused);
        return Ok(checks.chain([Check::application("marked", marked, "the mark was read")]).collect());
    }
    let now = capture(mode, change)?;
    let should = if stage == Stage::RolledBack { pre_image } else { now.expected.as_ref() };
    Ok(vec![Check::application("reads-back", now.state.as_ref() == should, "all was read again")])
}

/// The paths that are tried as a proof, with their answers.
fn tried(mode: &str, pre_image: Option<&Value>) -> Result<Vec<(&'static str, u16)>, Failure> {
    let first = || Request::get(OLD[0]);
    let requests = match mode {
        // Nobody ever used it: that it is refused says nothing of the old path, which still answers.
        "proof-unused-path" => vec![(OLD[0], first().query("version", "999"))],
        // Somebody else is refused: those who used the old path are not.
        "proof-other-credential" => {
            let token = pre_image.map_or("", |before| before[OLD[0]]["password"].as_str().unwrap_or_default());
            vec![(OLD[0], first().acting_as(token))]
        }
        // The other one still answers.
        "proof-one-of-two" => vec![(OLD[0], first())],
        _ => OLD.map(|path| (path, Request::get(path))).into(),
    };
    requests.into_iter().map(|(path, request)| Ok((path, request.send(SOURCE)?.status))).collect()
}

/// What an old path holds once it is "retired".
fn left(mode: &str, object: &Object, present: &Value) -> Value {
    let stays = match mode {
        "proof-unused-path" | "proof-other-credential" => true,
        "proof-one-of-two" => object.path == OLD[1],
        _ => false,
    };
    if stays { present.clone() } else { Value::Null }
}

fn put_all(change: &Change, documents: Option<&Value>) -> Result<(), Failure> {
    let document = |object: &Object| documents.map_or(Value::Null, |documents| documents[&object.path].clone());
    change.subject.iter().try_for_each(|object| crate::honest::write(object, &document(object)))
}

fn read(object: &Object) -> Result<Option<Present>, Failure> {
    crate::honest::read(object)
}
