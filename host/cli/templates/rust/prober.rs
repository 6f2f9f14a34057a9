//! Asks an HTTP path and tells its status and one public field.

use cutover_plugin::{
    Change, Context, Failure, Manifest, Operation, Prober, Request, Role, Route, export_prober,
    serde_json::{Value, json},
};

struct Plugin;

impl Prober for Plugin {
    /// What the plugin offers and everything that it may ask for. The host refuses every other request.
    fn manifest() -> Manifest {
        let input = json!({
            "type": "object",
            "properties": { "path": { "type": "string", "minLength": 1 } },
            "required": ["path"],
            "additionalProperties": false,
        });
        let output = json!({
            "type": "object",
            "properties": { "status": { "type": "integer" }, "ready": { "type": ["boolean", "null"] } },
            "required": ["status", "ready"],
        });
        // What is not named public here, the plugin sees as a token only.
        let target = Role::one("target").kind("http").route(Route::read("GET", "/{+path}").public_response("/ready"));
        Manifest::new("example:my-plugin", env!("CARGO_PKG_VERSION"), "asks an HTTP path")
            .operation(Operation::observe("get", "status and readiness of one GET").input(input).output(output).role(target))
    }

    /// One observation; a workflow's `expect` judges it.
    fn observe(_: &Context, _: &str, input: &Value, _: Option<&Change>) -> Result<Value, Failure> {
        let response = Request::get(input["path"].as_str().unwrap_or_default()).send("target")?;
        let body = response.body.unwrap_or_default();
        Ok(json!({ "status": response.status, "ready": body["ready"].as_bool() }))
    }
}

export_prober!(Plugin);

#[cfg(test)]
mod tests {
    use cutover_plugin::testing::Folder;

    use super::*;

    #[test]
    fn tells_whether_it_is_ready() {
        let _server = Folder::new().with("target", "health", json!({"ready": true})).install();
        let seen = Plugin::observe(&Context::default(), "get", &json!({"path": "health"}), None).expect("an observation");
        assert_eq!(seen["status"], 200);
    }
}
