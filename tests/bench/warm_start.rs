//! From the start of a process to its first hook, with compiled code in the cache.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_runtime::{clock::SystemClock, connection::Kinds, disk::SystemDisk};
use cutover_tests::Rig;

use crate::{
    memory::Memory,
    setting::{plan, sandbox},
    table::{Row, median, ms},
};

const ROUNDS: usize = 11;

/// Milliseconds until the plan's hook asks for something, and until the run's first write.
pub(crate) fn measure(folder: &Path) -> Vec<Row> {
    // Once to fill the cache.
    one_start(folder);
    let starts: Vec<(Duration, Duration)> = (0..ROUNDS).map(|_| one_start(folder)).collect();
    let hook = median(starts.iter().map(|start| start.0).collect());
    let write = median(starts.iter().map(|start| start.1).collect());
    vec![Row {
        what: "warm start of a run to its first hook".to_owned(),
        measured: format!("{}; first write after {}", ms(hook), ms(write)),
        against: "process start".to_owned(),
        result: hook.as_secs_f64() * 1000.0,
        target: 50.0,
        unit: "ms",
    }]
}

fn one_start(folder: &Path) -> (Duration, Duration) {
    let itself = std::env::current_exe().expect("this program");
    let begun = Instant::now();
    let mut child = Command::new(itself).arg("one-start").arg(folder).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let (mut hook, mut write) = (None, None);
    for line in lines {
        match line.expect("text").as_str() {
            "GET" => drop(hook.get_or_insert_with(|| begun.elapsed())),
            "PUT" => drop(write.get_or_insert_with(|| begun.elapsed())),
            other => panic!("the child said `{other}`"),
        }
    }
    assert!(child.wait().expect("it ends").success());
    (hook.expect("a first hook"), write.expect("a first write"))
}

/// The child's side: plans and runs one change, and prints the method of every request as it comes.
pub(crate) async fn start(folder: &Path) {
    let component = folder.join("one-start.wasm");
    if !component.exists() {
        std::fs::write(&component, cutover_tests::component("example").await).expect("a file");
    }
    let mut kinds = Kinds::default();
    kinds.add(Arc::new(Memory::new(1, Some(|method| println!("{method}")))));
    let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(SystemClock), kinds);
    rig.host.sandbox = sandbox(folder);
    let component = std::fs::read(component).expect("the component");
    let prepared = plan(&rig, WORKFLOW, [("example".to_owned(), component)].into()).await;
    rig.start(prepared, false).await.expect("a run");
}

const WORKFLOW: &str = r#"
cutover = 1
name = "start"
owner = "bench"

[plugins]
example = { path = "example.wasm" }

[connections]
memory = { kind = "http", url = "http://localhost" }

[[step]]
id = "put"
uses = "example.put"
with = { path = "items/0", value = { n = 7 } }
connections = { target = "memory" }
"#;
