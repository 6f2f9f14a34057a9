//! What is in a KV mount, read over HTTP by a client that shares no code with the program: without times.

use std::collections::BTreeMap;

use cutover_tests::OpenBao;
use serde_json::{Map, Value, json};

/// Every key of a v2 mount: settings, number, and for each version its state and value.
pub(crate) fn keys(server: &OpenBao, mount: &str) -> BTreeMap<String, Value> {
    let paths = below(server, &format!("/v1/{mount}/metadata/"), "");
    paths.into_iter().map(|path| (path.clone(), key(server, mount, &path))).collect()
}

/// Every document of a v1 mount.
pub(crate) fn documents(server: &OpenBao, mount: &str) -> BTreeMap<String, Value> {
    let paths = below(server, &format!("/v1/{mount}/"), "");
    let read = |path: &String| server.must("GET", &format!("/v1/{mount}/{}", escaped(path)), Value::Null)["data"].clone();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// One key of a v2 mount; null if it is not there.
pub(crate) fn key(server: &OpenBao, mount: &str, path: &str) -> Value {
    let path = escaped(path);
    let metadata = server.ask("GET", &format!("/v1/{mount}/metadata/{path}"), Value::Null);
    if metadata.status == 404 {
        return Value::Null;
    }
    let data = &metadata.body["data"];
    let mut versions = Map::new();
    for (number, facts) in data["versions"].as_object().into_iter().flatten() {
        let read = server.ask("GET", &format!("/v1/{mount}/data/{path}?version={number}"), Value::Null);
        let entry = match (read.status, &facts["destroyed"]) {
            (200, _) => json!({"state": "live", "value": read.body["data"]["data"]}),
            (_, Value::Bool(true)) => json!({"state": "destroyed"}),
            _ => json!({"state": "deleted"}),
        };
        versions.insert(number.clone(), entry);
    }
    let settings = ["max_versions", "cas_required", "delete_version_after", "custom_metadata"];
    let settings: Map<String, Value> = settings.iter().map(|name| ((*name).to_owned(), data[name].clone())).collect();
    json!({"settings": settings, "current": data["current_version"], "versions": versions})
}

/// What a read without a number gives; null if nothing.
pub(crate) fn latest(key: &Value) -> Value {
    key["versions"][key["current"].to_string()]["value"].clone()
}

fn below(server: &OpenBao, list: &str, folder: &str) -> Vec<String> {
    let answer = server.ask("LIST", &format!("{list}{}", escaped(folder)), Value::Null);
    let mut found = Vec::new();
    for name in answer.body["data"]["keys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let path = format!("{folder}{name}");
        if name.ends_with('/') { found.append(&mut below(server, list, &path)) } else { found.push(path) }
    }
    found
}

/// A path as a request line takes it.
pub(crate) fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
