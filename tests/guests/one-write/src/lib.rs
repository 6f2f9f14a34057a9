//! The guest of the benchmarks: as many changes as it is told, each one write. A page of its plan costs the same wherever
//! it lies, and the plan reads nothing, so that what is measured is the host.

use cutover_plugin::{
    Action, Change, Check, Context, Failure, Manifest, Migrator, Object, Operation, Page, Progress, Request, Role, Route, Snapshot, Stage,
    export_migrator,
};
use serde_json::{Value, json};

/// Changes of one page.
const PAGE: u64 = 200;

struct OneWrite;

impl Migrator for OneWrite {
    fn manifest() -> Manifest {
        let target = Role::one("target")
            .kind("http")
            .route(Route::read("GET", "/{+path}").public_response(""))
            .route(Route::write("PUT", "/{+path}").public_request(""))
            .route(Route::write("DELETE", "/{+path}").status_only());
        let input = json!({
            "type": "object",
            "properties": { "count": { "type": "integer", "minimum": 1 } },
            "required": ["count"],
            "additionalProperties": false,
        });
        Manifest::new("test:one-write", env!("CARGO_PKG_VERSION"), "puts a number to each of many places")
            .operation(Operation::migrate("put", "puts the numbers").input(input).role(target))
    }

    fn plan(_: &str, input: &Value, _: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
        let count = input["count"].as_u64().unwrap_or_default();
        let start = cursor.unwrap_or("0").parse::<u64>().map_err(|_| Failure::invalid_input("the cursor is not of this plugin"))?;
        let end = count.min(start + PAGE);
        let change = |number: u64| {
            let object = Object::new("target", &format!("items/{number}"));
            Change::new(Action::Create, object).summary("put a number").by_hand("delete it").instruct(&number)
        };
        let changes = (start..end).map(change).collect::<Result<_, _>>()?;
        Ok(Page::of(changes).followed_by((end < count).then(|| end.to_string())))
    }

    fn capture(_: &Context, _: &str, change: &Change) -> Result<Snapshot, Failure> {
        Ok(Snapshot { state: read(change)?, expected: Some(wanted(change)?) })
    }

    fn apply(_: &Context, _: &str, change: &Change, _: Option<&Value>, _: Option<&Value>) -> Result<Progress, Failure> {
        let object = object(change)?;
        Request::put(&object.path).json(wanted(change)?).send_to(object)?.expect_success("write the number")?;
        Ok(Progress::Done(None))
    }

    fn rollback(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, _: Option<&Value>) -> Result<Progress, Failure> {
        let object = object(change)?;
        let request = match pre_image {
            Some(value) => Request::put(&object.path).json(value.clone()),
            None => Request::delete(&object.path),
        };
        request.send_to(object)?.expect_success("take the number back")?;
        Ok(Progress::Done(None))
    }

    fn verify(
        _: &Context,
        _: &str,
        change: &Change,
        before: Option<&Value>,
        _: Option<&Value>,
        stage: Stage,
    ) -> Result<Vec<Check>, Failure> {
        let should = match stage {
            Stage::Applied | Stage::Retired => Some(wanted(change)?),
            Stage::RolledBack => before.cloned(),
        };
        Ok(vec![Check::application("reads-back", read(change)? == should, "it was read again")])
    }
}

fn object(change: &Change) -> Result<&Object, Failure> {
    change.subject.first().ok_or_else(|| Failure::invalid_input("a change without an object"))
}

fn wanted(change: &Change) -> Result<Value, Failure> {
    Ok(json!({ "n": change.instruction::<u64>()? }))
}

fn read(change: &Change) -> Result<Option<Value>, Failure> {
    let object = object(change)?;
    Ok(Request::get(&object.path).send_to(object)?.present("read the number")?.map(|present| present.value))
}

export_migrator!(OneWrite);

#[cfg(test)]
mod tests {
    use cutover_plugin::testing::Folder;

    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let input = json!({ "count": 450 });
        let second = OneWrite::plan("put", &input, &[], Some("200")).expect("a page");
        assert_eq!((second.changes.len(), second.changes[0].subject[0].path.as_str()), (200, "items/200"));
        assert!(OneWrite::plan("put", &input, &[], Some("400")).expect("a page").rest.is_empty());
    }

    #[test]
    fn puts_a_number_and_takes_it_back() {
        let place = Folder::new().install();
        let change = OneWrite::plan("put", &json!({ "count": 1 }), &[], None).expect("a page").changes.remove(0);
        OneWrite::apply(&Context::default(), "put", &change, None, None).expect("applied");
        assert_eq!(place.get("target", "items/0"), Some(json!({ "n": 0 })));
        OneWrite::rollback(&Context::default(), "put", &change, None, None).expect("back");
        assert_eq!((place.get("target", "items/0"), place.writes()), (None, 2));
    }
}
