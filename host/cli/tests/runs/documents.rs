//! What programs read: every document of `-o json` fits its schema, and every command and schema is in the book's table.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::OnceLock,
};

use clap::{Command, CommandFactory as _};
use jsonschema::Validator;
use serde_json::Value;

use crate::site::{GATE, Site, plugins, probed_at, server};

fn schemas() -> &'static BTreeMap<String, Validator> {
    static SCHEMAS: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let files = std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path());
        let schema = |file: std::path::PathBuf| {
            let text = std::fs::read_to_string(&file).expect("a file");
            let schema: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let validator = jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file.file_stem().expect("a name").to_string_lossy().into_owned(), validator)
        };
        files.map(schema).collect()
    })
}

fn problems(schema: &str, document: &Value) -> Vec<String> {
    let validator = schemas().get(schema).unwrap_or_else(|| panic!("no schema `{schema}`"));
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn fits(schema: &str, document: &Value) {
    assert_eq!(problems(schema, document), [] as [String; 0], "{schema}: {document:#}");
}

/// A line of jsonl: the header, an event, or the document at the end.
fn stream_fits(lines: &[Value], last: &str) {
    fits("event-header", &lines[0]);
    lines[1..lines.len() - 1].iter().for_each(|line| fits("event", line));
    fits(last, &lines[lines.len() - 1]);
}

#[test]
fn what_is_not_named_or_missing_is_found() {
    let document = serde_json::json!({"error": {"code": "CUT6001", "message": "", "causes": [], "help": []}, "exit": 64});
    fits("error", &document);
    for (place, value) in [("/exit", 3.into()), ("/error/code", "6001".into()), ("/error", Value::Null)] {
        let mut wrong = document.clone();
        *wrong.pointer_mut(place).expect("a place") = value;
        assert_ne!(problems("error", &wrong), [] as [String; 0], "{wrong}");
    }
    let mut more = document.clone();
    more["more"] = 1.into();
    let mut less = document;
    less["error"].as_object_mut().expect("an object").remove("help");
    assert!(!problems("error", &more).is_empty() && !problems("error", &less).is_empty());
}

#[test]
fn the_documents_of_workflows_and_plans_fit() {
    let site = Site::with("[dual_run]\nfrom = \"copy\"\nuntil = \"retire\"\nmax = \"72h\"", "", "", GATE);
    site.write("bad.toml", "cutover = 1\nname = \"x\"\n[[step]]\nid = \"a\"\nuess = \"b.c\"\n");
    for (line, exit, schema) in [
        ("", 0, "home"),
        ("init new", 0, "written"),
        ("validate w.toml", 0, "diagnostics"),
        ("validate bad.toml", 1, "diagnostics"),
        ("plan bad.toml", 1, "diagnostics"),
        ("fmt --check w.toml", 1, "fmt"),
        ("graph w.toml", 0, "graph"),
        ("schema w.toml --write", 0, "schema-written"),
        ("plan w.toml --out a.cutplan --detailed-exitcode", 2, "plan"),
        ("plan show a.cutplan", 0, "plan"),
        ("doctor w.toml", 0, "doctor"),
        ("explain", 0, "explain-list"),
        ("explain exit-codes", 0, "explain-list"),
        ("explain CUT0104", 0, "explain"),
        ("config show", 0, "config"),
        ("config show --origin", 0, "config"),
        ("man --dir man", 0, "written"),
        ("runs shw", 64, "error"),
        ("run no.toml --yes", 1, "error"),
        ("plugin new mover --lang rust", 0, "written"),
        ("plugin build new", 1, "error"),
    ] {
        fits(schema, &site.document(line, exit));
    }
    site.write("w2.toml", &std::fs::read_to_string(site.path("w.toml")).expect("text").replace("72h", "71h"));
    site.cutover("plan w2.toml --out b.cutplan", 0);
    fits("plan-diff", &site.document("plan diff a.cutplan b.cutplan", 0));
    let component = plugins().join("http-probe.wasm");
    fits("plugin-inspect", &site.document(&format!("plugin inspect {}", component.display()), 0));
    fits("plugin-pack", &site.document(&format!("plugin pack {} --out probe.wasm", component.display()), 0));
}

#[test]
fn the_documents_of_runs_fit() {
    let site = Site::with("", "", "", GATE);
    stream_fits(&site.lines("run w.toml --yes --max-wait 1s --events e.jsonl", 13), "ending");
    let written = std::fs::read_to_string(site.path("e.jsonl")).expect("events");
    let written: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    fits("event-header", &written[0]);
    written[1..].iter().for_each(|line| fits("event", line));
    for (line, exit, schema) in [
        ("", 0, "home"),
        ("runs list", 0, "runs-list"),
        ("runs show last", 13, "ending"),
        ("runs watch last", 13, "ending"),
        ("runs logs last", 0, "logs"),
        ("runs metrics", 0, "metrics"),
        ("runs pre-image last copy/target:app/API_KEY.json.age", 0, "pre-image"),
        ("rollback last --dry-run", 0, "rollback-dry-run"),
    ] {
        fits(schema, &site.document(line, exit));
    }
    stream_fits(&site.lines("rollback last --yes", 0), "ending");
    stream_fits(&site.lines("runs watch last", 0), "ending");
    stream_fits(&site.lines("runs logs last", 0), "logs");
    // One that completes has retirements and proofs, one whose probe fails a cause.
    let site = Site::new();
    stream_fits(&site.lines("run w.toml --yes", 0), "ending");
    let site = probed_at("", &server(0));
    stream_fits(&site.lines("run w.toml --yes", 10), "ending");
}

#[test]
fn every_command_and_every_schema_is_in_the_table_of_the_book() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/documents.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows: Vec<(&str, &str)> = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")).collect();
    let listed: BTreeSet<String> = rows.iter().map(|(command, _)| command.trim_matches('`').to_owned()).collect();
    let mut commands = vec!["cutover".to_owned()];
    leaves(&cutover_cli::args::Cli::command(), "cutover", &mut commands);
    let missing: Vec<&String> = commands.iter().filter(|command| !listed.contains(*command)).collect();
    assert!(missing.is_empty(), "not in docs/src/documents.md: {missing:?}");
    let named: BTreeSet<&str> = rows.iter().flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2)).collect();
    let unnamed: Vec<&String> = schemas().keys().filter(|schema| !named.contains(schema.as_str())).collect();
    assert!(unnamed.is_empty(), "schemas that the book does not name: {unnamed:?}");
}

fn leaves(command: &Command, path: &str, out: &mut Vec<String>) {
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        let path = format!("{path} {}", child.get_name());
        if child.get_subcommands().next().is_none() || !child.is_subcommand_required_set() {
            out.push(path.clone());
        }
        leaves(child, &path, out);
    }
}
