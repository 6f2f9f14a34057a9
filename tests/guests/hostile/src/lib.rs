//! Copies three secrets, retires two, and misbehaves on the way as its input says: one plugin, many ways to be wrong.
//!
//! Without a mode it is honest. Each mode changes one hook only, so that what the host says is about that.

mod attack;
mod careless;
mod guess;
mod honest;
mod retirement;

use cutover_plugin::{
    Change, Check, Context, Failure, Manifest, Migrator, Operation, Page, Progress, Role, Route, Snapshot, Stage, export_migrator,
};
use serde_json::{Value, json};

struct Hostile;

impl Migrator for Hostile {
    fn manifest() -> Manifest {
        let source =
            Role::one("source").kind("http").route(Route::read("GET", "/{+path}")).route(Route::read("POST", "/search").public_request(""));
        let target = Role::one("target")
            .kind("http")
            .route(Route::read("GET", "/{+path}").public_response("/note"))
            .route(Route::read("GET", "/sealed/{+path}").object("{+path}"))
            .route(Route::write("PUT", "/{+path}").public_request("/note").status_only())
            .route(Route::write("DELETE", "/{+path}").status_only());
        let elsewhere =
            Role::one("elsewhere").kind("http").route(Route::read("GET", "/{+path}")).route(Route::write("PUT", "/{+path}").status_only());
        let input = json!({
            "type": "object",
            "properties": { "mode": { "type": "string", "default": "" } },
            "additionalProperties": false,
        });
        let copy = Operation::migrate("copy", "copies three secrets")
            .input(input.clone())
            .output(json!({ "type": "object", "properties": { "copied": { "type": "integer" } } }))
            .role(source)
            .role(target)
            .role(elsewhere)
            .flow("source", "target");
        Manifest::new("test:hostile", env!("CARGO_PKG_VERSION"), "misbehaves on demand")
            .operation(copy)
            .operation(retirement::operation(input))
    }

    fn plan(operation: &str, input: &Value, linked: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
        let mode = input["mode"].as_str().unwrap_or_default();
        if operation == retirement::NAME {
            return Ok(Page::of(retirement::planned(mode, linked)?));
        }
        attack::while_planning(mode)?;
        let changes = vec![attack::planned(mode)?; if mode == "plan-doubles" { 2 } else { 1 }];
        let output = (mode == "wrong-output").then(|| json!({ "copied": "three" }));
        Ok(Page { changes, rest: attack::pages(mode, cursor.unwrap_or_default()), output })
    }

    fn capture(_: &Context, operation: &str, change: &Change) -> Result<Snapshot, Failure> {
        if operation == retirement::NAME {
            return retirement::capture(&mode(change), change);
        }
        if let Some(snapshot) = careless::capture(&mode(change), change)? {
            return Ok(snapshot);
        }
        match attack::capture(&mode(change), change)? {
            Some(snapshot) => Ok(snapshot),
            None => honest::capture(change),
        }
    }

    fn apply(_: &Context, operation: &str, change: &Change, _: Option<&Value>, _: Option<&Value>) -> Result<Progress, Failure> {
        if operation == retirement::NAME {
            retirement::apply(&mode(change), change)?;
        } else if !careless::apply(&mode(change), change)? && !attack::apply(&mode(change), change)? {
            honest::apply(change)?;
        }
        Ok(Progress::Done(None))
    }

    fn rollback(_: &Context, operation: &str, change: &Change, pre_image: Option<&Value>, _: Option<&Value>) -> Result<Progress, Failure> {
        if operation == retirement::NAME {
            retirement::rollback(change, pre_image)?;
            return Ok(Progress::Done(None));
        }
        if !careless::rollback(&mode(change), change, pre_image)? && !attack::rollback(&mode(change), change)? {
            honest::rollback(change, pre_image)?;
        }
        attack::after_rollback(&mode(change))?;
        Ok(Progress::Done(None))
    }

    fn verify(
        _: &Context,
        operation: &str,
        change: &Change,
        pre_image: Option<&Value>,
        _: Option<&Value>,
        stage: Stage,
    ) -> Result<Vec<Check>, Failure> {
        if operation == retirement::NAME {
            return retirement::verify(&mode(change), change, pre_image, stage);
        }
        if let Some(checks) = careless::verify(&mode(change), change)? {
            return Ok(checks);
        }
        match attack::verify(&mode(change), stage)? {
            Some(checks) => Ok(checks),
            None => honest::verify(change, pre_image, stage),
        }
    }
}

fn mode(change: &Change) -> String {
    change.instruction["mode"].as_str().unwrap_or_default().to_owned()
}

export_migrator!(Hostile);
