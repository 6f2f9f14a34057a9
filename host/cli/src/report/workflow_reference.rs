//! The reference of the workflow file, in Markdown for the book: made from the schema that editors use.

use std::fmt::Write as _;

use serde_json::Value;

/// One page: a section for each table of the file, with its keys.
#[must_use]
pub fn workflow(schema: &Value) -> String {
    let mut out = String::from(super::GENERATED);
    out.push_str("# The workflow file\n\n");
    out.push_str("A workflow is TOML 1.0. Keys are a closed list: an unknown key is an error. Steps run in the order of the file\n");
    out.push_str("unless `needs` says otherwise. A duration is written as `250ms`, `90s`, `10m`, `72h` or `1h 30m`.\n");
    section(&mut out, "Top level", "", schema);
    out
}

/// One table: its keys, then the tables below it.
fn section(out: &mut String, title: &str, path: &str, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let _ = writeln!(out, "\n## {title}\n");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, value) in properties {
        let need = if required.contains(&key.as_str()) { ", **required**" } else { "" };
        let _ = writeln!(out, "- `{key}` ({}{need}){}", kind(value), description(value));
    }
    for (key, value) in properties {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        tables(out, &below, value);
    }
}

/// The tables that a value can be or hold.
fn tables(out: &mut String, path: &str, value: &Value) {
    let inner = &value["additionalProperties"];
    if value["items"]["properties"].is_object() {
        section(out, &format!("`[[{path}]]`"), path, &value["items"]);
    } else if value["properties"].is_object() {
        section(out, &format!("`[{path}]`"), path, value);
    } else if inner["properties"].is_object() {
        section(out, &format!("`[{path}.NAME]`"), &format!("{path}.NAME"), inner);
    }
    for variant in inner["oneOf"].as_array().into_iter().flatten().filter(|variant| variant["properties"].is_object()) {
        let marked = variant["properties"]["kind"]["const"].as_str().map(|kind| format!("kind `{kind}`"));
        let named = variant["required"][0].as_str().map(|key| format!("by `{key}`"));
        let title = format!("`[{path}.NAME]`, {}", marked.or(named).unwrap_or_default());
        section(out, &title, &format!("{path}.NAME"), variant);
    }
}

/// The type of a value in words.
fn kind(value: &Value) -> String {
    let one_of = |values: &[Value]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
    if let Some(values) = value["enum"].as_array() {
        return one_of(values);
    }
    if let Some(value) = value.get("const") {
        return format!("`{value}`");
    }
    if let Some(variants) = value["oneOf"].as_array().filter(|variants| variants.iter().all(|variant| variant["type"].is_string())) {
        return variants.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match value["type"].as_str() {
        Some("string") if value["description"].as_str().is_some_and(|text| text.contains("`env:NAME`")) => "source of a secret".to_owned(),
        Some("string") if value["examples"][0].as_str().is_some_and(is_duration) => "duration".to_owned(),
        Some("array") if value["items"]["properties"].is_object() => "tables".to_owned(),
        Some("array") => format!("list of {}s", kind(&value["items"])),
        Some("object") if value["additionalProperties"]["type"].is_string() => {
            format!("table of {}s", kind(&value["additionalProperties"]))
        }
        Some("object") => "table".to_owned(),
        Some(other) => other.to_owned(),
        None => "any value".to_owned(),
    }
}

fn is_duration(text: &str) -> bool {
    text.strip_suffix(['s', 'm', 'h']).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is said of a value, or of the items of a list.
fn description(value: &Value) -> String {
    let text = value["description"].as_str().or_else(|| value["items"]["description"].as_str());
    let limits = match (value["minimum"].as_u64(), value["maximum"].as_u64()) {
        (Some(least), Some(most)) => format!(" From {least} to {most}."),
        _ => String::new(),
    };
    text.map(|text| format!(": {}{limits}", escaped(text))).unwrap_or_default()
}

/// `list<T>` is no HTML, but stays as it is in code.
fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() }).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_section_with_its_keys() {
        let text = workflow(&cutover_engine::workflow_schema(None));
        for part in [
            "## Top level\n",
            "- `name` (string, **required**): The workflow's name.\n",
            "- `on_drift` (`\"stop\"` or `\"defer\"`)",
            "## `[connections.NAME]`, kind `vault`\n",
            "## `[connections.NAME.approle]`\n",
            "## `[[step]]`\n",
            "## `[[step.verify]]`\n",
            "- `max` (duration, **required**): The deadline.",
            "- `token` (source of a secret): A token",
            "## `[plugins.NAME]`, by `path`\n",
            "list&lt;T> or map&lt;T>",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
