//! Puts one JSON value to an HTTP path. From `wanted`, `read` and `write` the SDK makes plan, capture, apply, roll back,
//! verify and paging; `sdk/README.md` says what to implement where a place is more than that.

use cutover_plugin::{
    Failure, Manifest, Object, Operation, Place, Present, Prior, Request, Role, Route, Wanted, export_migrator,
    serde_json::{Value, json},
};

struct Plugin;

impl Place for Plugin {
    /// What the plugin offers and everything that it may ask for. The host refuses every other request.
    fn manifest() -> Manifest {
        // What is not named public here, the plugin sees as a token only.
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
        Manifest::new("example:my-plugin", env!("CARGO_PKG_VERSION"), "puts one value to an HTTP path")
            .operation(Operation::migrate("put", "puts one JSON value").input(input).role(target))
    }

    /// What should be there.
    fn wanted(input: &Value) -> Result<Vec<Wanted>, Failure> {
        let object = Object::new("target", input["path"].as_str().unwrap_or_default());
        Ok(vec![Wanted { summary: format!("put the value to {object}"), object, value: input["value"].clone() }])
    }

    /// What is there. `present` tells absence (404) from failure.
    fn read(object: &Object) -> Result<Option<Present>, Failure> {
        Request::get(&object.path).send_to(object)?.present("read the value")
    }

    /// Puts the value there, or takes away what is there, if it is still what was read.
    fn write(object: &Object, value: Option<&Value>, prior: &Prior) -> Result<(), Failure> {
        let request = match value {
            Some(value) => Request::put(&object.path).json(value.clone()),
            None => Request::delete(&object.path),
        };
        request.expecting(prior).send_to(object)?.expect_success("write the value").map(drop)
    }
}

export_migrator!(Plugin);

#[cfg(test)]
mod tests {
    use cutover_plugin::{Context, Migrator, testing::Folder};

    use super::*;

    #[test]
    fn puts_the_value_and_takes_it_back() {
        let server = Folder::new().with("target", "flag", json!(false)).install();
        let plan = Plugin::plan("put", &json!({"path": "flag", "value": true}), &[], None).expect("a plan");
        let (context, change) = (Context::default(), &plan.changes[0]);
        let before = Plugin::capture(&context, "put", change).expect("a snapshot").state;
        Plugin::apply(&context, "put", change, before.as_ref(), None).expect("applied");
        assert_eq!(server.get("target", "flag"), Some(json!(true)));
        Plugin::rollback(&context, "put", change, before.as_ref(), None).expect("rolled back");
        assert_eq!(server.get("target", "flag"), Some(json!(false)));
    }
}
