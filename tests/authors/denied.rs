//! A refused request says the line of the workflow that grants it, and exactly that line does.

use std::sync::Arc;

use cutover_engine::{Ending, Event};
use cutover_runtime::disk::SystemDisk;
use cutover_tests::{MemoryKind, Rig, TestClock, warm_sandbox};
use serde_json::json;

/// Runs the guest `hostile` with a read that the operator did not name; `source` is how its connection is declared.
async fn run(source: &str) -> (Ending, Vec<String>) {
    let kind = MemoryKind::new();
    for number in 1..=3 {
        kind.server("https://source.test").put(&format!("s/{number}"), json!({ "password": format!("a secret of number {number}") }));
    }
    let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(TestClock::new()), kind.kinds());
    rig.host.sandbox = warm_sandbox();
    let workflow = format!(
        r#"
cutover = 1
name = "denied"
owner = "tests"

[plugins]
hostile = {{ path = "hostile.wasm" }}

{source}

[[step]]
id = "copy"
uses = "hostile.copy"
connections = {{ source = "source", target = "target", elsewhere = "target" }}
with = {{ mode = "unnamed-read" }}
"#
    );
    let (rested, events) = rig.run(&workflow, &[("hostile", "hostile")]).await.expect("a run");
    let refusal = |event: Event| match event {
        Event::ApplyEnded { outcome: cutover_engine::Outcome::Failed(failure), .. } => Some(failure.text),
        _ => None,
    };
    (rested.ending, events.into_iter().filter_map(refusal).collect())
}

/// The texts between backticks, in order, after these words.
fn quoted<'t>(text: &'t str, after: &str) -> Vec<&'t str> {
    let rest = text.split_once(after).unwrap_or_else(|| panic!("`{after}` is not in `{text}`")).1;
    rest.split('`').skip(1).step_by(2).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_the_line_that_a_refusal_names_grants_the_request() {
    let table = "[connections]\ntarget = { kind = \"http\", url = \"https://target.test\" }\n\n[connections.source]\nkind = \"http\"\nurl = \"https://source.test\"\n";
    let (ending, refusals) = run(table).await;
    assert_eq!((ending, refusals.len()), (Ending::RolledBack, 1), "{refusals:?}");
    let told = quoted(&refusals[0], "add the line ");
    assert_eq!(told[..2], ["reads = [\"POST /search\"]", "[connections.source]"]);

    let added = table.replace(told[1], &format!("{}\n{}", told[1], told[0]));
    assert_eq!(run(&added).await, (Ending::Completed, Vec::new()), "{added}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_for_a_connection_in_one_line() {
    let line = "source = { kind = \"http\", url = \"https://source.test\" }";
    let table = |line: &str| format!("[connections]\ntarget = {{ kind = \"http\", url = \"https://target.test\" }}\n{line}\n");
    let (_, refusals) = run(&table(line)).await;
    let told = quoted(&refusals[0], "or ");
    assert_eq!(told[..3], [", reads = [\"POST /search\"]", "}", "source = { … }"]);

    let end = line.rfind(told[1]).expect("a brace");
    let added = format!("{}{} {}", line[..end].trim_end(), told[0], &line[end..]);
    assert_eq!(run(&table(&added)).await, (Ending::Completed, Vec::new()), "{added}");
}
