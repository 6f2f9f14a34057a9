//! Asks an HTTP endpoint and tells what it says, without secrets.

use cutover_plugin::{
    Change, Context, Failure, Manifest, Operation, Prober, Request, Response, Role, Route, export_prober, sealed::is_token,
};
use serde_json::{Map, Value, json};

struct HttpProbe;

/// The host measures a request's time; a guest has no clock.
const LATENCY: &str = "x-cutover-latency-ms";

impl Prober for HttpProbe {
    fn manifest() -> Manifest {
        let input = json!({
            "type": "object",
            "properties": { "path": { "type": "string", "minLength": 1, "description": "path below the connection's URL, unencoded" } },
            "required": ["path"],
            "additionalProperties": false,
        });
        let output = json!({
            "type": "object",
            "properties": {
                "status": { "type": "integer" },
                "latency_ms": { "type": "integer" },
                "body": { "description": "the JSON body without its sealed parts" },
            },
            "required": ["status"],
        });
        let target = Role::one("target").kind("http").route(Route::read("GET", "/{+path}"));
        Manifest::new("cutover:http-probe", env!("CARGO_PKG_VERSION"), "asks an HTTP endpoint").operation(
            Operation::observe("get", "status, latency and public JSON fields of one GET").input(input).output(output).role(target),
        )
    }

    fn observe(_: &Context, operation: &str, input: &Value, _: Option<&Change>) -> Result<Value, Failure> {
        if operation != "get" {
            return Err(Failure::invalid_input(format!("there is no operation `{operation}`")));
        }
        let path = input["path"].as_str().ok_or_else(|| Failure::invalid_input("`path` is missing"))?;
        Ok(told(&Request::get(path).send("target")?))
    }
}

export_prober!(HttpProbe);

/// The observation: the body's public fields, with the status and the latency over them.
fn told(response: &Response) -> Value {
    let body = response.body.clone().and_then(without_tokens);
    let mut result = match &body {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    };
    if let Some(body) = body {
        result.insert("body".to_owned(), body);
    }
    result.remove("latency_ms");
    if let Some(latency) = response.header(LATENCY).and_then(|text| text.parse::<u64>().ok()) {
        result.insert("latency_ms".to_owned(), latency.into());
    }
    result.insert("status".to_owned(), response.status.into());
    result.into()
}

/// What is left of a document without sealed leaves. Elements of a list are blanked, so that the others keep their places.
fn without_tokens(document: Value) -> Option<Value> {
    match document {
        Value::Object(fields) => {
            let left = fields.into_iter().filter_map(|(name, value)| Some((name, without_tokens(value)?)));
            Some(left.collect::<Map<_, _>>().into())
        }
        Value::Array(items) => Some(items.into_iter().map(|item| without_tokens(item).unwrap_or_default()).collect()),
        leaf => (!is_token(&leaf)).then_some(leaf),
    }
}

#[cfg(test)]
mod tests {
    use cutover_plugin::testing::{self, Host};

    use super::*;

    struct Page(Response);

    impl Host for Page {
        fn send(&mut self, role: &str, _: Option<&str>, request: &Request) -> Result<Response, Failure> {
            assert_eq!((role, request.method.as_str(), request.path.as_str()), ("target", "GET", "/health/deep"));
            Ok(self.0.clone())
        }
    }

    fn observed(status: u16, latency: Option<&str>, body: Option<Value>) -> Value {
        let headers = latency.map(|text| (LATENCY.to_owned(), text.to_owned())).into_iter().collect();
        testing::install(Page(Response { status, headers, body }));
        HttpProbe::observe(&Context::default(), "get", &json!({"path": "/health/deep"}), None).expect("an observation")
    }

    #[test]
    fn tells_public_fields_only() {
        let body = json!({"auth_failures": 0, "password": "sealed:v1:00", "nodes": [{"up": true, "key": "sealed:v1:11"}, "sealed:v1:22"]});
        let shown = json!({"auth_failures": 0, "nodes": [{"up": true}, null]});
        assert_eq!(
            observed(200, Some("12"), Some(body)),
            json!({"status": 200, "latency_ms": 12, "auth_failures": 0, "nodes": shown["nodes"], "body": shown})
        );
    }

    #[test]
    fn a_body_cannot_pretend_another_status() {
        let result = observed(500, None, Some(json!({"status": 200, "latency_ms": 1, "body": "mine"})));
        assert_eq!(result, json!({"status": 500, "body": {"status": 200, "latency_ms": 1, "body": "mine"}}));
        assert_eq!(observed(204, None, None), json!({"status": 204}));
    }

    #[test]
    fn no_answer_is_no_observation() {
        struct Dead;
        impl Host for Dead {
            fn send(&mut self, _: &str, _: Option<&str>, _: &Request) -> Result<Response, Failure> {
                Err(Failure::unavailable("connection refused"))
            }
        }
        testing::install(Dead);
        assert!(matches!(HttpProbe::observe(&Context::default(), "get", &json!({"path": "x"}), None), Err(Failure::Unavailable(_))));
    }
}
