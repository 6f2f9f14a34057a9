//! The trace of a run: one for each run, a span for each step and each change, part of the caller's trace.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::site::{GATE, SECRET, Site, probed_at, seen, server};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Runs the program with a caller's trace; gives the spans that it wrote.
fn traced(site: &Site, line: &str, exit: i32) -> Vec<Value> {
    let mut command = site.command(&format!("{line} --trace-file t.jsonl"));
    let output = command.env("TRACEPARENT", format!("00-{TRACE}-{PARENT}-01")).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(exit), "{line}: {}", seen(&output));
    spans(site)
}

fn spans(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("t.jsonl")).expect("a trace");
    assert!(!text.contains(SECRET) && !text.contains("sealed:v1:"), "{text}");
    let mut spans = Vec::new();
    for line in text.lines() {
        let request: Value = serde_json::from_str(line).expect("JSON");
        for resource in request["resourceSpans"].as_array().expect("resources") {
            assert!(resource["resource"]["attributes"].as_array().is_some_and(|all| all.iter().any(|one| one["key"] == "service.name")));
            spans.extend(resource["scopeSpans"][0]["spans"].as_array().expect("spans").iter().cloned());
        }
    }
    spans
}

fn attribute<'s>(span: &'s Value, name: &str) -> &'s Value {
    let found = span["attributes"].as_array().and_then(|all| all.iter().find(|one| one["key"] == name));
    found.map_or(&Value::Null, |one| &one["value"]["stringValue"])
}

fn named<'s>(spans: &'s [Value], name: &str) -> Vec<&'s Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// What holds for every trace.
fn is_whole(spans: &[Value], root: &str) {
    let ids: BTreeSet<&str> = spans.iter().filter_map(|span| span["spanId"].as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "each span has its own id");
    for span in spans {
        assert_eq!(span["traceId"].as_str().map(str::len), Some(32), "{span:#}");
        let time = |name: &str| span[name].as_str().and_then(|text| text.parse::<u64>().ok()).expect("nanoseconds");
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span:#}");
        let is_root = span["name"] == root;
        assert_eq!(is_root, !ids.contains(span["parentSpanId"].as_str().unwrap_or_default()), "{span:#}");
    }
}

#[test]
fn a_run_is_one_trace_of_the_caller_with_a_span_for_each_step_and_change() {
    let site = Site::new();
    let spans = traced(&site, "run w.toml --yes", 0);
    is_whole(&spans, "cutover run");
    assert!(spans.iter().all(|span| span["traceId"] == TRACE && span["status"] == serde_json::json!({})), "{spans:#?}");
    let root = named(&spans, "cutover run")[0];
    assert_eq!((&root["parentSpanId"], attribute(root, "cutover.ending")), (&PARENT.into(), &"completed".into()));
    let mut expected = BTreeSet::from(["cutover run".to_owned(), "copy".to_owned(), "retire".to_owned()]);
    for change in ["copy/target:app/API_KEY.json.age", "copy/target:app/DB_PASSWORD.json.age", "retire/source:app.env"] {
        expected.insert(change.to_owned());
        let span = named(&spans, change)[0];
        let step = named(&spans, change.split('/').next().unwrap_or_default())[0];
        assert_eq!((&span["parentSpanId"], attribute(span, "cutover.direction")), (&step["spanId"], &"forward".into()));
        assert_eq!(step["parentSpanId"], root["spanId"]);
        let wanted = if change.starts_with("retire") { "proven" } else { "verified" };
        assert_eq!(attribute(span, "cutover.change.state"), wanted, "{span:#}");
    }
    assert_eq!(spans.len(), expected.len(), "one span each");
    assert_eq!(spans.iter().filter_map(|span| span["name"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn what_failed_has_the_status_error_and_what_went_back_a_span_of_its_own() {
    let site = probed_at("", &server(0));
    let spans = traced(&site, "run w.toml --yes", 10);
    is_whole(&spans, "cutover run");
    for name in ["cutover run", "copy"] {
        let status = &named(&spans, name)[0]["status"];
        assert!(status["code"] == 2 && status["message"].is_string(), "{name}: {status}");
    }
    let directions: Vec<&Value> =
        named(&spans, "copy/target:app/API_KEY.json.age").iter().map(|span| attribute(span, "cutover.direction")).collect();
    assert_eq!(directions.iter().collect::<Vec<_>>().len(), 2, "{spans:#?}");
    assert!(directions.contains(&&"forward".into()) && directions.contains(&&"back".into()), "{directions:?}");
    assert!(named(&spans, "retire").is_empty(), "it never began");
    let step = named(&spans, "copy")[0];
    assert!(step["events"].as_array().is_some_and(|events| events.iter().any(|event| event["name"] == "observed")), "{step:#}");
}

#[test]
fn the_processes_of_a_run_share_a_trace_also_without_a_caller() {
    let site = Site::with("", "", "", GATE);
    site.cutover("run w.toml --yes --max-wait 1s --trace-file t.jsonl", 13);
    let first = spans(&site);
    site.cutover("rollback last --yes --trace-file t.jsonl", 0);
    let both = spans(&site);
    assert!(both.len() > first.len() && both.starts_with(&first), "the file goes on");
    let traces: BTreeSet<&str> = both.iter().filter_map(|span| span["traceId"].as_str()).collect();
    assert_eq!(traces.len(), 1, "{both:#?}");
    for name in ["cutover run", "cutover rollback"] {
        let root = named(&both, name)[0];
        assert!(root.get("parentSpanId").is_none() && root["status"] == serde_json::json!({}), "{root:#}");
    }
    site.cutover("run w.toml --yes --max-wait 1s --trace-file t.jsonl", 13);
    let other = spans(&site);
    assert_ne!(other[0]["traceId"], both[0]["traceId"], "another run is another trace, and begins its file anew");
}
