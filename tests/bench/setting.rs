//! A host of the benchmarks: the machine's disk and clock, connections in memory, compiled code from a cache.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use cutover_engine::{Ending, RunId, Workflow};
use cutover_runtime::{
    clock::SystemClock,
    connection::Kinds,
    disk::SystemDisk,
    runs::{Prepared, catalog},
    sandbox::{Cache, Compiler, Limits, Sandbox},
};
use cutover_tests::Rig;

use crate::memory::{Memory, Place};

/// A rig and the place that its connections lead to.
pub(crate) struct Setting {
    pub(crate) rig: Rig,
    pub(crate) place: Arc<Place>,
}

/// The guest whose changes are one write each.
const GUEST: &str = "one-write";

/// A sandbox with the default limits that keeps compiled code in `folder`.
pub(crate) fn sandbox(folder: &Path) -> Arc<Sandbox> {
    let cache = Cache::open(folder.join("code"), [7; 32].into()).expect("a cache");
    Arc::new(Sandbox::new(Limits::default(), Compiler::InProcess, Some(cache)).expect("a sandbox"))
}

/// Plans a workflow without mistakes, as `cutover run` does.
pub(crate) async fn plan(rig: &Rig, text: &str, components: BTreeMap<String, Vec<u8>>) -> Prepared {
    plan_in(rig, text, components, rig.folder.path()).await
}

/// The same for a workflow in another folder.
pub(crate) async fn plan_in(rig: &Rig, text: &str, components: BTreeMap<String, Vec<u8>>, folder: &Path) -> Prepared {
    let (workflow, mistakes) = Workflow::parse(text);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    let workflow = workflow.expect("a workflow");
    let problems = workflow.check(&catalog(&components).expect("a catalog"));
    assert!(problems.iter().all(|problem| !problem.is_error()), "{problems:#?}");
    let inputs = workflow.bind(&BTreeMap::new()).expect("no inputs");
    rig.host.prepare(&workflow, ("bench.toml", text), components, inputs, folder).await.expect("a plan")
}

impl Setting {
    /// With room for `size` changes, on this sandbox.
    pub(crate) fn new(size: u32, sandbox: Arc<Sandbox>) -> Self {
        let memory = Memory::new(size, None);
        let place = memory.place();
        let mut kinds = Kinds::default();
        kinds.add(Arc::new(memory));
        let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(SystemClock), kinds);
        rig.host.sandbox = sandbox;
        Self { rig, place }
    }

    /// A plan of `count` changes.
    pub(crate) async fn prepare(&self, count: u32) -> Prepared {
        plan(&self.rig, &workflow(count), [("guest".to_owned(), cutover_tests::component(GUEST).await)].into()).await
    }

    /// Runs a plan to its end without keeping its events.
    pub(crate) async fn run(&self, prepared: Prepared) -> RunId {
        let id = self.rig.host.new_id();
        let rested = self.rig.host.start(id, prepared, false, std::future::pending(), Box::new(|_, _, _| {})).await.expect("a run");
        assert_eq!(rested.ending, Ending::Completed, "{:?}", rested.run.cause());
        rested.id
    }

    /// The bytes of a file of a run.
    pub(crate) fn size_of(&self, id: &RunId, file: &str) -> u64 {
        let path = self.rig.host.state.run(id).expect("the run").path().join(file);
        std::fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).len()
    }
}

fn workflow(count: u32) -> String {
    format!(
        r#"
cutover = 1
name = "bench"
owner = "bench"

[plugins]
guest = {{ path = "{GUEST}.wasm" }}

[connections]
memory = {{ kind = "http", url = "http://localhost" }}

[[step]]
id = "put"
uses = "guest.put"
with = {{ count = {count} }}
connections = {{ target = "memory" }}
rollout = {{ parallel = 16 }}
"#
    )
}
