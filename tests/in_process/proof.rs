//! A retirement is proven by refusals of the very path that used to work, with the rights that used to work: nothing else is
//! a proof, whatever the plugin says.

use std::{collections::BTreeMap, sync::Arc};

use cutover_engine::{Ending, Event, Phase, Proof};
use cutover_runtime::{disk::SystemDisk, runs::Rested};
use cutover_tests::{MemoryKind, MemoryServer, Rig, TestClock, warm_sandbox};
use serde_json::{Value, json};

use crate::scene::phases;

/// A source whose two secrets are copied and then retired.
struct World {
    rig: Rig,
    servers: [Arc<MemoryServer>; 2],
}

impl World {
    fn new() -> Self {
        let kind = MemoryKind::new();
        let servers = ["https://source.test", "https://target.test"].map(|url| kind.server(url));
        for (path, secret) in
            [("s/1", "correct horse battery staple"), ("s/2", "tr0ub4dor-and-three-more"), ("s/3", "0123456789abcdef0123")]
        {
            servers[0].put(path, json!({ "password": secret }));
        }
        let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(TestClock::new()), kind.kinds());
        rig.host.sandbox = warm_sandbox();
        Self { rig, servers }
    }

    async fn run(&self, mode: &str) -> (Rested, Vec<Event>) {
        let workflow = format!(
            r#"
cutover = 1
name = "proof"
owner = "tests"

[plugins]
hostile = {{ path = "hostile.wasm" }}

[connections]
source = {{ kind = "http", url = "https://source.test" }}
target = {{ kind = "http", url = "https://target.test" }}
elsewhere = {{ kind = "http", url = "https://elsewhere.test" }}

[[step]]
id = "copy"
uses = "hostile.copy"
connections = {{ source = "source", target = "target", elsewhere = "elsewhere" }}

[[step]]
id = "retire"
uses = "hostile.retire"
changes = "steps.copy"
connections = {{ source = "source" }}
with = {{ mode = "{mode}" }}
"#
        );
        self.rig.run(&workflow, &[("hostile", "hostile")]).await.expect("a run")
    }

    fn documents(&self) -> [BTreeMap<String, Value>; 2] {
        [self.servers[0].documents(), self.servers[1].documents()]
    }
}

/// The plugin claims a proof in this mode; the host sees none, and everything goes back.
async fn proves_nothing(mode: &str) {
    let world = World::new();
    let before = world.documents();
    let (rested, events) = world.run(mode).await;
    let proofs: Vec<Proof> =
        events.iter().filter_map(|event| if let Event::Proved { proof, .. } = event { Some(*proof) } else { None }).collect();
    assert!(!proofs.is_empty() && proofs.iter().all(|proof| matches!(proof, Proof::Inconclusive | Proof::Open)), "{mode}: {proofs:?}");
    assert_eq!(rested.ending, Ending::RolledBack, "{mode}: {events:#?}");
    assert_eq!(world.documents(), before, "{mode}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_old_path_that_is_refused_to_those_who_used_it_is_a_proof() {
    let world = World::new();
    let (rested, events) = world.run("").await;
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    let phases = phases(&rested.run);
    assert!(phases.iter().any(|(name, phase)| name.starts_with("retire/") && *phase == Phase::Proven), "{phases:?}");
    let left: Vec<String> = world.servers[0].documents().into_keys().collect();
    assert_eq!(left, ["s/3", "s/retired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_a_path_that_nobody_used_is_no_proof() {
    proves_nothing("proof-unused-path").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_another_credential_is_no_proof() {
    proves_nothing("proof-other-credential").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_path_is_no_proof_while_another_still_answers() {
    proves_nothing("proof-one-of-two").await;
}
