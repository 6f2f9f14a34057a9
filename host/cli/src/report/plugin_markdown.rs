//! A plugin as a page of Markdown: what it offers, its inputs, and everything that it can ask for.

use std::fmt::Write as _;

use cutover_engine::{Cardinality, Operation, Role};
use serde_json::Value;

use super::{
    plugin::{PluginView, class_word, traits, weight_word},
    printable,
};

impl PluginView<'_> {
    /// GitHub-flavoured Markdown. Without file, size and digest, which differ from build to build.
    #[must_use]
    pub fn markdown(&self) -> String {
        let manifest = self.manifest();
        let mut out = String::from(super::GENERATED);
        let _ = writeln!(
            out,
            "# {}\n\nVersion {}, world `{}`: {}.\n",
            code(&manifest.name),
            manifest.version,
            self.world(),
            cell(&manifest.summary)
        );
        let _ = writeln!(out, "| operation | what it does | |\n|---|---|---|");
        for operation in &manifest.operations {
            let _ = writeln!(out, "| {} | {} | {} |", code(&operation.name), cell(&operation.summary), traits(operation));
        }
        manifest.operations.iter().for_each(|operation| section(&mut out, operation));
        if !manifest.losses.is_empty() {
            out.push_str("\n## Losses\n\nA material loss must be named in the step's `accept`; an inherent one is only told.\n\n");
            out.push_str("| code | weight | what is lost |\n|---|---|---|\n");
            for loss in &manifest.losses {
                let _ = writeln!(out, "| {} | {} | {} |", code(&loss.code), weight_word(loss.weight), cell(&loss.description));
            }
        }
        out
    }
}

fn section(out: &mut String, operation: &Operation) {
    let _ = writeln!(out, "\n## {}\n\n{}.", operation.name, capital(&operation.summary));
    inputs(out, &operation.input_schema);
    for role in &operation.roles {
        requests(out, role);
    }
    let flows: Vec<String> = operation.flows.iter().map(|flow| format!("from {} to {}", code(&flow.from), code(&flow.to))).collect();
    if flows.is_empty() {
        out.push_str("\nNo secret moves.\n");
    } else {
        let _ = writeln!(out, "\nSecrets may move {}.", flows.join(", "));
    }
}

fn inputs(out: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        out.push_str("\nIt has no inputs.\n");
        return;
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    out.push_str("\n| input | type | default | what |\n|---|---|---|---|\n");
    for (name, input) in properties {
        let default = match input.get("default") {
            Some(default) => code(&default.to_string()),
            None if required.contains(&name.as_str()) => "required".to_owned(),
            None => String::new(),
        };
        let what = input["description"].as_str().unwrap_or_default();
        let _ = writeln!(out, "| {} | {} | {default} | {} |", code(name), kind(input), cell(what));
    }
}

/// The type of an input in words.
fn kind(input: &Value) -> String {
    if let Some(values) = input["enum"].as_array() {
        return values.iter().map(|value| code(&value.to_string())).collect::<Vec<_>>().join(" or ");
    }
    match &input["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any value".to_owned(),
    }
}

fn requests(out: &mut String, role: &Role) {
    let many = if role.cardinality == Cardinality::Many { ", a set" } else { "" };
    let kinds = role.kinds.iter().map(|kind| code(kind)).collect::<Vec<_>>().join(" or ");
    let _ = writeln!(out, "\nRole {}: a connection of kind {kinds}{many}.\n\n| | request |\n|---|---|", code(&role.name));
    for route in &role.routes {
        let _ = writeln!(out, "| {} | {} |", class_word(route.class), code(&format!("{} {}", route.method, route.path)));
    }
}

/// Text of a plugin's author, which can neither format nor end the cell.
fn code(text: &str) -> String {
    format!("`{}`", printable::line(text).replace('`', "'").replace('|', "\\|"))
}

fn cell(text: &str) -> String {
    printable::line(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| cell(&first.to_uppercase().chain(letters).collect::<String>()))
}
