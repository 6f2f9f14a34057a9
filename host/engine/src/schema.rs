//! The JSON Schema (2020-12) of workflow files, for editors: `cutover schema`.

use serde_json::{Map, Value, json};

use crate::manifest::{Catalog, Operation, Purpose};

/// The schema of a workflow file; with a catalog also of the plugins' own inputs.
#[must_use]
pub fn workflow_schema(catalog: Option<&Catalog>) -> Value {
    let operations = || {
        let plugins = catalog.into_iter().flat_map(|catalog| &catalog.plugins);
        plugins.flat_map(|(alias, offer)| {
            offer.manifest.operations.iter().map(move |operation| (format!("{alias}.{}", operation.name), operation))
        })
    };
    let probes: Vec<_> = operations().filter(|(_, operation)| operation.purpose == Purpose::Observe).collect();
    let tasks: Vec<_> = operations().filter(|(_, operation)| operation.purpose != Purpose::Observe).collect();
    let mut shared = Map::new();
    let step = step(&tasks, &probes, &mut shared);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cutover workflow",
        "type": "object",
        "required": ["cutover", "name", "step"],
        "additionalProperties": false,
        "properties": {
            "cutover": { "const": 1, "description": "The edition of the workflow language." },
            "name": name("The workflow's name."),
            "owner": text("Who answers for it; shown in plan and evidence."),
            "on_failure": choice(&["rollback", "pause"], "What follows a failure. Default rollback."),
            "on_drift": choice(&["stop", "defer"], "What follows a plan that no longer fits the world: defer leaves out the changes that moved. Default stop."),
            "keep_pre_images": duration("How long pre-images are kept after the end of a run. Default 72h."),
            "inputs": told(table(&input()), "What `--var NAME=VALUE` gives; used as `${inputs.NAME}`."),
            "plugins": told(table(&plugin()), "Plugins by the alias that `uses` begins with."),
            "connections": told(table(&connection()), "Backends: the only things that a step can reach."),
            "dual_run": told(dual_run(), "The span of the run in which old and new both work."),
            "step": { "type": "array", "description": "Steps, in the order in which they run.", "minItems": 1, "items": step },
        },
    });
    if !shared.is_empty() {
        schema["$defs"] = Value::Object(shared);
    }
    schema
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn name(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$", "description": description })
}

fn duration(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^[0-9]", "description": description, "examples": ["90s", "10m", "72h"] })
}

fn length(description: &str) -> Value {
    let description = format!("{description} A duration, or `${{inputs.NAME}}`.");
    json!({ "type": "string", "pattern": "^([0-9]|\\$\\{)", "description": description, "examples": ["10m", "72h", "${inputs.soak}"] })
}

fn credential(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^(env|file|exec):.", "description": format!("{description} `env:NAME`, `file:PATH` or `exec:COMMAND`.") })
}

fn choice(words: &[&str], description: &str) -> Value {
    json!({ "enum": words, "description": description })
}

fn count(least: u32, most: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

fn list(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

fn table(value: &Value) -> Value {
    json!({ "type": "object", "propertyNames": { "pattern": "^[a-z][a-z0-9_-]{0,63}$" }, "additionalProperties": value })
}

/// The same with a description.
fn told(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// A table with closed keys.
fn closed(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn pointers() -> Value {
    list(&json!({ "type": "string", "pattern": "^(/.*)?$", "description": "A JSON pointer; `*` stands for one segment." }))
}

fn input() -> Value {
    closed(
        &["type"],
        &json!({
            "type": { "type": "string", "pattern": "^((list|map)<)*(string|integer|number|boolean|duration)>*$", "description": "string, integer, number, boolean, duration, list<T> or map<T>." },
            "default": { "description": "The value if none is given." },
            "description": text("For help."),
        }),
    )
}

fn plugin() -> Value {
    let digest = json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": "The component it must be." });
    json!({ "oneOf": [
        closed(&["package", "version"], &json!({ "package": text("`namespace:name`, looked up in the plugin path."), "version": text("Such as `0.1`."), "digest": digest })),
        closed(&["path"], &json!({ "path": text("A file, relative to the workflow."), "digest": digest })),
    ] })
}

fn connection() -> Value {
    let members = json!({ "description": "A CSV file, or a table: name → address.", "oneOf": [{ "type": "string" }, { "type": "object", "additionalProperties": { "type": "string" } }] });
    let kind = |kind: &str| json!({ "const": kind });
    let insecure = json!({ "type": "boolean", "description": "Allow plain http beyond loopback." });
    json!({ "oneOf": [
        closed(&["kind"], &json!({
            "kind": kind("http"), "url": text("Grants exactly its own authority."), "members": members,
            "token": credential("A bearer token:"), "username": credential("Basic login:"), "password": credential("Basic login:"),
            "client_cert": credential("A TLS client certificate:"), "client_key": credential("Its key:"), "ca": credential("A CA to trust:"),
            "insecure": insecure, "socket": text("A unix socket."), "reads": list(&text("A read that is not GET or HEAD, as `POST /search`.")),
            "public": pointers(), "rate": count(1, 10_000, "Most requests per second."), "timeout": duration("Longest wait for a response."),
        })),
        closed(&["kind"], &json!({
            "kind": kind("file"), "path": text("A folder."), "members": members, "identity": credential("The age identity:"),
            "recipients": list(&text("`age1…` or `file:PATH`.")),
        })),
        closed(&["kind"], &json!({
            "kind": kind("vault"), "url": text("Grants exactly its own authority."), "members": members, "namespace": text("The namespace."),
            "standbys": list(&text("Another node of the cluster that requests may be passed on to.")),
            "token": credential("A token:"), "ca": credential("A CA to trust:"), "insecure": insecure,
            "approle": told(closed(&["role_id", "secret_id"], &json!({ "mount": text("Default `approle`."), "role_id": credential("The role id:"), "secret_id": credential("The secret id:") })), "Log in with an AppRole."),
            "jwt": told(closed(&["role", "token"], &json!({ "mount": text("Default `jwt`."), "role": text("The role."), "token": credential("The JWT:") })), "Log in with a JWT."),
        })),
    ] })
}

fn dual_run() -> Value {
    closed(
        &["from", "until", "max"],
        &json!({
            "from": name("The step that begins it."), "until": name("The step that ends it."), "min": length("The soak."), "max": length("The deadline."),
        }),
    )
}

/// The keys of a step that only waits.
const OF_A_GATE: [&str; 5] = ["id", "needs", "gate", "for", "until"];

fn step(tasks: &[(String, &Operation)], probes: &[(String, &Operation)], shared: &mut Map<String, Value>) -> Value {
    let bindings = json!({ "type": "object", "additionalProperties": { "type": "string" }, "description": "Role → connection." });
    let rollout = closed(
        &[],
        &json!({
            "cohorts": list(&json!({ "type": "string", "description": "How many changes are exposed so far, as `1`, `25%` or `100%`; or `group:NAME`. The next cohort waits for the checks of the last.", "pattern": "^([1-9][0-9]*|[1-9][0-9]?%|100%|group:.+)$" })),
            "parallel": count(1, 256, "Most changes at once. Default 8."),
            "max_failed": { "description": "How many changes may fail before the step does. Default 0.", "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+%$" }] },
        }),
    );
    let grant = closed(
        &["role", "pointer", "reason"],
        &json!({ "role": text("The role."), "pointer": text("A JSON pointer."), "reason": text("Stands in plan and evidence.") }),
    );
    let mut schema = closed(
        &["id"],
        &json!({
            "id": name("Unique in the file."),
            "uses": uses(),
            "with": { "type": "object", "description": "The operation's inputs." },
            "connections": bindings,
            "verify_with": told(bindings.clone(), "Role → connection with which the plugin verifies, where that is another credential."),
            "rollout": told(rollout, "How the changes of the step are exposed."),
            "accept": list(&text("A material loss.")),
            "timeout": duration("Longest hook call. Default 60s."),
            "deadline": duration("Longest time for one change. Default 24h."),
            "retry": told(closed(&[], &json!({ "attempts": count(1, 100, "Default 3."), "backoff": duration("Default 1s."), "wait": duration("How long an outage may last before the change fails. Default: until it is over.") })), "What follows a failed call."),
            "irreversible": { "type": "boolean", "description": "Must be true for an operation that has no way back." },
            "changes": { "type": "string", "description": "`steps.ID`: the step whose changes this one is about.", "pattern": "^steps\\." },
            "needs": list(&text("A step that must be done first. Without `needs`: the one above.")),
            "for_each": { "description": "A list or map, or a reference to one." },
            "when": text("A predicate over inputs, steps and each."),
            "plaintext": told(list(&grant), "Places that the plugin sees in plain, each with a reason."),
            "public": { "type": "object", "description": "Role → places of its answers that are no secret.", "additionalProperties": pointers() },
            "gate": { "const": "wait", "description": "A step that only waits, in place of `uses`." },
            "for": length("How long the gate waits."),
            "until": { "description": "When the gate opens: a time with a zone." },
            "verify": told(list(&probe(&bindings, probes, shared)), "Probes that must pass."),
        }),
    );
    if tasks.is_empty() {
        schema["oneOf"] = json!([{ "required": ["uses"] }, { "required": ["gate"] }]);
        return schema;
    }
    let gate = reduced("step", &["id", "gate"], OF_A_GATE);
    let keys = schema["properties"].as_object().into_iter().flat_map(Map::keys);
    let keys: Vec<String> = keys.filter(|key| !["gate", "for", "until"].contains(&key.as_str())).cloned().collect();
    let mut variants = per_operation("step", &["id", "uses"], &keys, tasks);
    variants.push(gate);
    shared.insert("step".to_owned(), schema);
    json!({ "oneOf": variants })
}

fn probe(bindings: &Value, probes: &[(String, &Operation)], shared: &mut Map<String, Value>) -> Value {
    let schema = closed(
        &["uses", "expect"],
        &json!({
            "uses": uses(),
            "connections": bindings,
            "with": { "type": "object", "description": "The operation's inputs." },
            "public": pointers(),
            "per": choice(&["change", "cohort", "step"], "Default step."),
            "every": duration("The time between samples. Default 10s."),
            "for": duration("How long it goes on looking."),
            "timeout": duration("Longest call. Default 60s."),
            "max_failures": count(0, 100_000, "How many samples may fail."),
            "expect": text("A predicate over result, inputs and each."),
        }),
    );
    if probes.is_empty() {
        return schema;
    }
    let keys: Vec<String> = schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let variants = per_operation("probe", &["uses", "expect"], &keys, probes);
    shared.insert("probe".to_owned(), schema);
    json!({ "oneOf": variants })
}

/// Without a catalog nobody knows the operations' names.
fn uses() -> Value {
    text("`plugin.operation`.")
}

/// A schema for each operation in place of one for all: with `if` and `then` no editor would offer the inputs of the operation
/// that `uses` names, and its roles.
fn per_operation(of: &str, required: &[&str], keys: &[String], operations: &[(String, &Operation)]) -> Vec<Value> {
    let variant = |(name, operation): &(String, &Operation)| {
        let roles: Map<String, Value> = operation.roles.iter().map(|role| (role.name.clone(), json!({ "type": "string" }))).collect();
        let named: Vec<&str> = operation.roles.iter().map(|role| role.name.as_str()).collect();
        let mut schema = reduced(of, required, keys);
        schema["properties"]["uses"] = json!({ "const": name, "description": operation.summary });
        schema["properties"]["with"] = told(embedded(name, &operation.input_schema), "The operation's inputs.");
        schema["properties"]["connections"] = told(closed(&named, &Value::Object(roles)), "Role → connection.");
        schema
    };
    operations.iter().map(variant).collect()
}

/// The shared schema `of` with these keys only.
fn reduced(of: &str, required: &[&str], keys: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    let reference = |key: &str| json!({ "$ref": format!("#/$defs/{of}/properties/{key}") });
    let properties: Map<String, Value> = keys.into_iter().map(|key| (key.as_ref().to_owned(), reference(key.as_ref()))).collect();
    closed(required, &Value::Object(properties))
}

/// A schema with an id of its own, so that its `#/$defs` still mean itself; references may stand for any value.
fn embedded(name: &str, schema: &Value) -> Value {
    let mut schema = or_reference(schema);
    if let Some(map) = schema.as_object_mut() {
        map.remove("$schema");
        map.insert("$id".to_owned(), format!("urn:cutover:{name}").into());
    }
    schema
}

/// Lets each property also be a text with `${…}`.
fn or_reference(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            *property = json!({ "anyOf": [or_reference(property), { "type": "string", "pattern": "\\$\\{" }] });
        }
    }
    schema
}
