//! The smallest plugin that moves something: PUTs one value to an HTTP path and reads it back.

use cutover_plugin::{Failure, Manifest, Object, Operation, Place, Present, Prior, Request, Role, Route, Wanted, export_migrator};
use serde_json::{Value, json};

struct Example;

impl Place for Example {
    fn manifest() -> Manifest {
        let target = Role::one("target")
            .kind("http")
            .route(Route::read("GET", "/{+path}").public_response(""))
            .route(Route::write("PUT", "/{+path}").public_request(""))
            .route(Route::write("DELETE", "/{+path}").status_only());
        let input = json!({
            "type": "object",
            "properties": { "path": { "type": "string", "minLength": 1 }, "value": {} },
            "required": ["path", "value"],
            "additionalProperties": false,
        });
        Manifest::new("cutover:example", env!("CARGO_PKG_VERSION"), "puts one value to an HTTP path")
            .operation(Operation::migrate("put", "puts one JSON value").input(input).role(target))
    }

    fn wanted(input: &Value) -> Result<Vec<Wanted>, Failure> {
        let object = Object::new("target", input["path"].as_str().unwrap_or_default());
        Ok(vec![Wanted { summary: format!("put the value to {object}"), object, value: input["value"].clone() }])
    }

    fn read(object: &Object) -> Result<Option<Present>, Failure> {
        Request::get(&object.path).send_to(object)?.present("read the value")
    }

    fn write(object: &Object, value: Option<&Value>, prior: &Prior) -> Result<(), Failure> {
        let request = match value {
            Some(value) => Request::put(&object.path).json(value.clone()),
            None => Request::delete(&object.path),
        };
        request.expecting(prior).send_to(object)?.expect_success("write the value").map(drop)
    }
}

export_migrator!(Example);

#[cfg(test)]
mod tests {
    use cutover_plugin::{Context, Migrator, testing::Folder};

    use super::*;

    #[test]
    fn puts_the_value_and_takes_it_back() {
        let server = Folder::new().with("target", "flag", json!(false)).install();
        let plan = Example::plan("put", &json!({"path": "flag", "value": true}), &[], None).expect("a plan");
        let (context, change) = (Context::default(), &plan.changes[0]);
        let before = Example::capture(&context, "put", change).expect("a snapshot").state;
        Example::apply(&context, "put", change, before.as_ref(), None).expect("applied");
        assert_eq!(server.get("target", "flag"), Some(json!(true)));
        Example::rollback(&context, "put", change, before.as_ref(), None).expect("rolled back");
        assert_eq!(server.get("target", "flag"), Some(json!(false)));
    }
}
