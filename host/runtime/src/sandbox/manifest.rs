//! The rules a manifest keeps beyond its types.

use std::collections::BTreeSet;

use cutover_engine::{Manifest, Operation, Role, Route};
use semver::Version;

use super::text;

/// Most operations, roles, routes, flows or losses in one list: more is no manifest that a person reads.
const ITEMS: usize = 256;
/// Longest prose, in bytes.
const PROSE_BYTES: usize = 2_000;
/// Longest path template, in bytes.
const TEMPLATE_BYTES: usize = 1_000;

/// Every broken rule, with its place; none for a good manifest.
pub(super) fn problems(manifest: &Manifest) -> Vec<String> {
    let mut found = Problems::default();
    if !manifest.name.split_once(':').is_some_and(|(namespace, name)| is_identifier(namespace) && is_identifier(name)) {
        found.add(format_args!("name `{}` is not of the form `namespace:name`", manifest.name));
    }
    if Version::parse(&manifest.version).is_err() {
        found.add(format_args!("version `{}` is no semantic version", manifest.version));
    }
    found.prose("summary", &manifest.summary);
    if manifest.operations.is_empty() {
        found.add(format_args!("there are no operations"));
    }
    found.names("operation", manifest.operations.iter().map(|operation| operation.name.as_str()));
    manifest.operations.iter().for_each(|each| operation(each, &mut found));
    found.names("loss", manifest.losses.iter().map(|loss| loss.code.as_str()));
    for loss in &manifest.losses {
        found.prose(&format!("losses.{}.description", loss.code), &loss.description);
    }
    found.0
}

/// Lower-case words joined by hyphens or underscores.
fn is_identifier(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: std::fmt::Arguments<'_>) {
        self.0.push(text::line(&problem.to_string(), PROSE_BYTES));
    }

    fn prose(&mut self, place: &str, prose: &str) {
        if prose.is_empty() || prose.len() > PROSE_BYTES || prose.chars().any(char::is_control) {
            self.add(format_args!("{place} is no line of at most {PROSE_BYTES} bytes"));
        }
    }

    fn names<'a>(&mut self, what: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            if index == ITEMS {
                return self.add(format_args!("there are more than {ITEMS} of `{what}`"));
            }
            if !is_identifier(name) {
                self.add(format_args!("{what} name `{name}` is not of lower-case letters, digits, `-` and `_`"));
            }
            if !seen.insert(name) {
                self.add(format_args!("{what} `{name}` is there twice"));
            }
        }
    }
}

fn operation(operation: &Operation, found: &mut Problems) {
    let name = &operation.name;
    found.prose(&format!("{name}.summary"), &operation.summary);
    for (what, schema) in [("input-schema", &operation.input_schema), ("output-schema", &operation.output_schema)] {
        if !schema.is_object() {
            found.add(format_args!("{name}.{what} is no JSON object"));
        }
    }
    found.names(&format!("{name}.role"), operation.roles.iter().map(|role| role.name.as_str()));
    operation.roles.iter().for_each(|each| role(name, each, found));
    for flow in operation.flows.iter().take(ITEMS) {
        for end in [&flow.from, &flow.to] {
            if operation.role(end).is_none() {
                found.add(format_args!("{name}.flows names `{end}`, which is no role of it"));
            }
        }
    }
    if operation.flows.len() > ITEMS {
        found.add(format_args!("{name} has more than {ITEMS} flows"));
    }
}

fn role(operation: &str, role: &Role, found: &mut Problems) {
    let place = format!("{operation}.{}", role.name);
    if role.kinds.is_empty() {
        found.add(format_args!("{place} has no connection kinds"));
    }
    found.names(&format!("{place}.kind"), role.kinds.iter().map(String::as_str));
    if role.routes.len() > ITEMS {
        found.add(format_args!("{place} has more than {ITEMS} routes"));
    }
    for each in role.routes.iter().take(ITEMS) {
        if let Err(problem) = route(each) {
            found.add(format_args!("{place}: route `{} {}`: {problem}", each.method, each.path));
        }
    }
}

fn route(route: &Route) -> Result<(), String> {
    if route.method.is_empty() || route.method.len() > 20 || !route.method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("the method is not in capitals".to_owned());
    }
    if !route.path.starts_with('/') {
        return Err("the path does not begin with a slash".to_owned());
    }
    let variables = template(&route.path)?;
    if let Some(twice) = variables.iter().enumerate().find_map(|(index, name)| variables[..index].contains(name).then_some(name)) {
        return Err(format!("variable `{twice}` is there twice"));
    }
    let Some(object) = &route.object else { return Ok(()) };
    match template(object)?.into_iter().find(|name| !variables.contains(name)) {
        Some(unknown) => Err(format!("the object has variable `{unknown}`, which the path has not")),
        None => Ok(()),
    }
}

/// The variables of a path template: `{name}` and `{+name}` of RFC 6570.
fn template(text: &str) -> Result<Vec<&str>, String> {
    if text.len() > TEMPLATE_BYTES {
        return Err(format!("a template is longer than {TEMPLATE_BYTES} bytes"));
    }
    if text.chars().any(|char| char.is_control() || matches!(char, ' ' | '?' | '#' | '\\')) {
        return Err("a template has a character that no path has".to_owned());
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("a template has a segment `.` or `..`".to_owned());
    }
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let inner = rest[open..].strip_prefix('{').ok_or("a `}` has no `{`")?;
        let (name, after) = inner.split_once('}').ok_or("a `{` has no `}`")?;
        let name = name.strip_prefix('+').unwrap_or(name);
        if !is_identifier(name) {
            return Err(format!("`{name}` is no name of a variable"));
        }
        variables.push(name);
        rest = after;
    }
    Ok(variables)
}

#[cfg(test)]
pub(super) mod tests {
    use cutover_engine::{Cardinality, Flow, LossCode, LossWeight, Purpose, ResponseRule, RouteClass};
    use serde_json::json;

    use super::*;

    /// A manifest without a fault.
    pub(in super::super) fn sample() -> Manifest {
        let route = Route {
            method: "PUT".into(),
            path: "/v1/{mount}/data/{+path}".into(),
            class: RouteClass::Write,
            object: Some("{mount}/{+path}".into()),
            response: ResponseRule::Status,
            public_response: Vec::new(),
            public_request: Vec::new(),
        };
        Manifest {
            name: "test:sample".into(),
            version: "1.2.3".into(),
            summary: "a sample".into(),
            operations: vec![Operation {
                name: "copy-all".into(),
                summary: "copies".into(),
                purpose: Purpose::Migrate,
                input_schema: json!({"type": "object"}),
                output_schema: json!({}),
                roles: vec![Role { name: "target".into(), kinds: vec!["vault".into()], cardinality: Cardinality::One, routes: vec![route] }],
                flows: vec![Flow { from: "target".into(), to: "target".into() }],
                server_chosen: Vec::new(),
                resumable: true,
                collapses: false,
                irreversible: false,
                self_checking: false,
            }],
            losses: vec![LossCode { code: "history".into(), weight: LossWeight::Material, description: "old versions".into(), residue: Vec::new() }],
        }
    }

    #[test]
    fn every_broken_rule_is_named_with_its_place() {
        assert_eq!(problems(&sample()), Vec::<String>::new());
        let told = |spoil: fn(&mut Manifest)| {
            let mut manifest = sample();
            spoil(&mut manifest);
            problems(&manifest).join("; ")
        };
        let route = |manifest: &mut Manifest, path: &str| manifest.operations[0].roles[0].routes[0].path = path.into();
        assert!(told(|m| m.name = "sample".into()).contains("`namespace:name`"));
        assert!(told(|m| m.version = "1.2".into()).contains("no semantic version"));
        assert!(told(|m| m.summary = "a\x1b[31m".into()).contains("summary is no line"));
        assert!(told(|m| m.operations.clear()).contains("no operations"));
        assert!(told(|m| m.operations.push(m.operations[0].clone())).contains("operation `copy-all` is there twice"));
        assert!(told(|m| m.losses.push(m.losses[0].clone())).contains("loss `history` is there twice"));
        assert!(told(|m| m.operations[0].name = "Copy".into()).contains("`Copy`"));
        assert!(told(|m| m.operations[0].input_schema = json!(true)).contains("copy-all.input-schema is no JSON object"));
        assert!(told(|m| m.operations[0].flows[0].to = "elsewhere".into()).contains("names `elsewhere`"));
        assert!(told(|m| m.operations[0].roles[0].kinds.clear()).contains("no connection kinds"));
        assert!(told(|m| m.operations[0].roles[0].routes[0].method = "Put".into()).contains("not in capitals"));
        assert!(told(|m| m.operations[0].roles[0].routes[0].object = Some("{other}".into())).contains("`other`"));
        for path in ["v1", "/a/{b", "/a/b}", "/{}", "/{a}/{a}", "/{+}", "/{a{b}}", "/a/../b", "/a?b", "/a b", "/{*a}"] {
            let mut manifest = sample();
            manifest.operations[0].roles[0].routes[0].object = None;
            route(&mut manifest, path);
            assert_eq!(problems(&manifest).len(), 1, "{path}");
        }
    }
}
