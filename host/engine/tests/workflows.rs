//! Workflow files as data: each valid one has no error, each invalid one exactly those of its `.err`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use cutover_engine::{Catalog, Digest, Offer, Span, Workflow, workflow_schema};
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows").join(name)
}

fn catalog() -> Catalog {
    let text = fs::read_to_string(folder("catalog.json")).expect("the catalog is there");
    let manifests: BTreeMap<String, cutover_engine::Manifest> = serde_json::from_str(&text).expect("the catalog is valid");
    let plugins = manifests.into_iter().map(|(alias, manifest)| (alias, Offer { digest: Digest::from_bytes([7; 32]), manifest }));
    Catalog { plugins: plugins.collect() }
}

fn files(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Everything that parse and check say, one problem and its help on a line each.
fn told(text: &str) -> String {
    let (workflow, mut problems) = Workflow::parse(text);
    problems.extend(workflow.iter().flat_map(|workflow| workflow.check(&catalog())));
    problems.sort_by_key(|problem| problem.place);
    let mut out = String::new();
    for problem in problems {
        let place = problem.place.map_or_else(String::new, |place| {
            let (line, column) = place.line_column(text);
            format!("{line}:{column}: ")
        });
        let severity = if problem.is_error() { "error" } else { "warning" };
        writeln!(out, "{place}{severity}[{}]: {}", problem.code, problem.message).expect("a string takes text");
        if let Some(help) = problem.help {
            writeln!(out, "  help: {help}").expect("a string takes text");
        }
    }
    out
}

#[test]
fn valid_workflows_have_no_problem() {
    for path in files("valid") {
        let text = fs::read_to_string(&path).expect("the file can be read");
        assert_eq!(told(&text), "", "{}", path.display());
    }
}

#[test]
fn invalid_workflows_are_told_everything_at_once() {
    for path in files("invalid") {
        let text = fs::read_to_string(&path).expect("the file can be read");
        let told = told(&text);
        let expected = path.with_extension("err");
        // To accept a new wording: CUTOVER_BLESS=1 cargo test -p cutover-engine, then read the difference.
        if std::env::var_os("CUTOVER_BLESS").is_some() {
            fs::write(&expected, &told).expect("the expectation can be written");
        }
        assert_eq!(told, fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn valid_workflows_fit_the_schema_and_unknown_inputs_do_not() {
    let schema = workflow_schema(Some(&catalog()));
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is valid");
    for path in files("valid") {
        let text = fs::read_to_string(&path).expect("the file can be read");
        let table: toml::Table = toml::from_str(&text).expect("the file is TOML");
        let mut value: Value = serde_json::to_value(table).expect("TOML has a JSON form");
        let problems: Vec<String> = validator.iter_errors(&value).map(|error| format!("{} {error}", error.instance_path())).collect();
        assert_eq!(problems, Vec::<String>::new(), "{}", path.display());
        value["step"][0]["with"]["mounts"] = json!("x");
        assert!(!validator.is_valid(&value), "{}", path.display());
    }
}

/// Language servers complete from the members of `oneOf` whose constants fit; of `if` and `then` they make nothing.
#[test]
fn an_editor_finds_the_inputs_and_roles_of_each_operation_beside_its_name() {
    let catalog = catalog();
    let schema = workflow_schema(Some(&catalog));
    let step = &schema["properties"]["step"]["items"];
    let variants = |schema: &Value| schema["oneOf"].as_array().cloned().unwrap_or_default();
    let probes = variants(&schema["$defs"]["step"]["properties"]["verify"]["items"]);
    let found: Vec<Value> = variants(step).into_iter().chain(probes).collect();
    let mut seen = 0;
    for (alias, offer) in &catalog.plugins {
        for operation in &offer.manifest.operations {
            let name = format!("{alias}.{}", operation.name);
            let variant = found.iter().find(|variant| variant["properties"]["uses"]["const"] == name.as_str());
            let properties = &variant.unwrap_or_else(|| panic!("{name} is not in {schema:#}"))["properties"];
            let keys = |value: &Value| value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect::<Vec<_>>();
            assert_eq!(keys(&properties["with"]["properties"]), keys(&operation.input_schema["properties"]), "{name}");
            let mut roles: Vec<String> = operation.roles.iter().map(|role| role.name.clone()).collect();
            roles.sort();
            assert_eq!(keys(&properties["connections"]["properties"]), roles, "{name}");
            seen += 1;
        }
    }
    assert_eq!(found.len(), seen + 1, "and one for gates");
    assert!(!schema.to_string().contains("\"then\""));
}

fn fanned() -> Workflow {
    let text = fs::read_to_string(folder("valid/fan.toml")).expect("the file can be read");
    Workflow::parse(&text).0.expect("the workflow is valid")
}

#[test]
fn a_step_fans_out_with_typed_inputs() {
    let workflow = fanned();
    let vars = BTreeMap::from([("regions".to_owned(), r#"{"eu": "a", "us": "b"}"#.to_owned()), ("soak".to_owned(), "60m".to_owned())]);
    let inputs = workflow.bind(&vars).expect("the variables fit");
    assert_eq!(inputs["soak"], json!("1h"));
    let scope = workflow.scope(inputs);
    let first = workflow.steps()[0].instances(&scope).expect("it expands");
    let ids: Vec<_> = first.iter().map(|instance| (instance.id.as_str(), instance.skipped)).collect();
    assert_eq!(ids, [("copy[\"eu\"]", false), ("copy[\"us\"]", true)]);
    assert_eq!(first[0].input, json!({"mount": "eu", "prefix": "a/"}));
    let reads: Vec<String> = workflow.steps()[1].reads().iter().map(ToString::to_string).collect();
    assert_eq!(reads, ["copy"]);
    let late = workflow.steps()[1].instances(&scope).expect_err("the output is not there");
    assert!(late[0].message.contains("there is no `steps` here"), "{late:?}");
    let scope = scope.with_steps(json!({"copy": {"eu": {"count": 9_007_199_254_740_993_u64}}}));
    assert_eq!(workflow.steps()[1].instances(&scope).expect("it expands")[0].input["keep"], json!(9_007_199_254_740_993_u64));
}

#[test]
fn variables_are_bound_by_type() {
    let workflow = fanned();
    let vars = [("region", "x"), ("regions", "{\"eu\": 1}"), ("soak", "soon")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let problems = workflow.bind(&vars.into()).expect_err("nothing fits");
    let codes: Vec<_> = problems.iter().map(|problem| (problem.code, problem.help.as_deref())).collect();
    assert_eq!(codes, [("CUT0210", Some("did you mean `regions`?")), ("CUT0317", None), ("CUT0317", None)]);
    let missing = workflow.bind(&BTreeMap::new()).expect_err("regions is required");
    assert_eq!(missing.len(), 1);
}

#[test]
fn lengths_of_time_come_from_inputs_and_must_fit_each_other() {
    let text = fs::read_to_string(folder("valid/soak.toml")).expect("the file can be read");
    let workflow = Workflow::parse(&text).0.expect("the workflow is valid");
    let bind = |vars: &[(&str, &str)]| {
        workflow.bind(&vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>())
    };
    let soak = |vars: &[(&str, &str)]| {
        let dual_run = workflow.dual_run.as_ref().expect("a dual run");
        dual_run.min.value.resolve(&workflow.scope(bind(vars).expect("the variables fit")))
    };
    assert_eq!(soak(&[]), Ok(Span::seconds(3_600)));
    assert_eq!(soak(&[("soak", "2h 30m")]), Ok(Span::seconds(9_000)));
    let codes = |vars: &[(&str, &str)]| {
        let problems = bind(vars).expect_err("the lengths do not fit");
        problems.iter().map(|problem| (problem.code, problem.place.map(|place| place.line_column(&text).0))).collect::<Vec<_>>()
    };
    assert_eq!(codes(&[("soak", "73h")]), [("CUT0305", Some(21))]);
    assert_eq!(codes(&[("waits", r#"{"quiet": "100h"}"#)]), [("CUT0305", Some(21))]);
    assert_eq!(codes(&[("waits", r#"{"quiet": "0s"}"#)]), [("CUT0319", Some(38))]);
    assert_eq!(codes(&[("waits", "{}")]), [("CUT0217", Some(38))]);
    // What the file alone shows is told with the file, not once more.
    let (broken, told) = Workflow::parse(&text.replace("min = \"${inputs.soak}\"", "min = \"100h\""));
    assert_eq!(told.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["CUT0305"]);
    assert!(broken.expect("an outline").bind(&BTreeMap::new()).is_ok());
}
