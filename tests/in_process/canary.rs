//! Secrets of many shapes go through runs of every ending. Whenever a plugin stands still, its memories are searched for
//! them; afterwards every byte that the host left.

use std::{
    error::Error,
    fmt::Write as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use cutover_engine::{Ending, Event};
use cutover_runtime::{disk::SystemDisk, runs::HostError};
use cutover_tests::{
    GuestMemory, MemoryKind, Rig, TestClock,
    canary::{canaries, spellings},
    watched_sandbox,
};
use serde_json::{Map, Value, json};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    health::Application,
    scene::{PLUGINS, RETIRE, Scene, Tree, collect, copy, watching},
};

/// Where secrets are found, as `place: name`.
fn hits(tree: &Tree, canaries: &[(String, String)]) -> Vec<String> {
    let search = memories(canaries);
    let found = |(place, content): (&String, &Vec<u8>)| {
        search.search(content).into_iter().map(|name| format!("{place}: {name}")).collect::<Vec<_>>()
    };
    tree.iter().flat_map(found).collect()
}

/// Everything that anybody logs in this process.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Log;

struct Text<'t>(&'t mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut Text(&mut LOGGED.lock().unwrap_or_else(PoisonError::into_inner)));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, record: &span::Record<'_>) {
        record.record(&mut Text(&mut LOGGED.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        logged.push_str(event.metadata().target());
        event.record(&mut Text(&mut logged));
        logged.push('\n');
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn log_everything() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| tracing::subscriber::set_global_default(Log).expect("no other test takes the log"));
}

/// A search of the plugins' memories for every spelling of these secrets.
fn memories(canaries: &[(String, String)]) -> Arc<GuestMemory> {
    let needles =
        |(name, secret): &(String, String)| spellings(secret).into_iter().map(|spelling| (name.clone(), spelling)).collect::<Vec<_>>();
    GuestMemory::searched_for(canaries.iter().flat_map(needles))
}

/// What a run said and left: the state folder, its events, its errors and the log; and what its plugins had in memory.
struct Left {
    scene: Scene,
    texts: Tree,
    memories: Arc<GuestMemory>,
}

impl Left {
    fn new(mut scene: Scene) -> Self {
        log_everything();
        let memories = memories(&canaries());
        scene.rig.host.sandbox = watched_sandbox(memories.clone());
        Self { scene, texts: Tree::new(), memories }
    }

    fn events(&mut self, name: &str, events: &[Event]) {
        let told = format!("{events:?}\n{}", serde_json::to_string(events).expect("events are journaled as JSON"));
        self.texts.insert(format!("events {name}"), told.into_bytes());
    }

    fn error(&mut self, name: &str, error: &HostError) {
        let mut told = format!("{error:?}\n{error}\n");
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = writeln!(told, "{cause:?}\n{cause}");
            source = cause.source();
        }
        self.texts.insert(format!("error {name}"), told.into_bytes());
    }

    /// All of it, searched.
    fn hits(&self, canaries: &[(String, String)]) -> Vec<String> {
        let mut tree = self.texts.clone();
        collect(&self.scene.rig.path("state"), "state", &mut tree);
        collect(&self.scene.rig.path("locks"), "locks", &mut tree);
        collect(&self.scene.rig.path("store"), "store", &mut tree);
        tree.insert("log".to_owned(), LOGGED.lock().unwrap_or_else(PoisonError::into_inner).clone().into_bytes());
        assert!(tree.keys().any(|name| name.ends_with("journal.jsonl")) && tree.keys().any(|name| name.ends_with("sealed.log")));
        let seen = self.memories.seen();
        assert!(seen.imports > 0 && seen.ends > 0 && seen.largest > 0 && seen.unseen == 0, "{seen:?}");
        let in_memory = seen.hits.into_iter().map(|hit| format!("guest memory: {hit}"));
        hits(&tree, canaries).into_iter().chain(in_memory).collect()
    }
}

/// A scene whose legacy folder holds every canary as JSON, and what they all look like in the store.
fn stocked() -> Scene {
    let scene = Scene::new();
    let document: Map<String, Value> = canaries().into_iter().map(|(name, secret)| (name, Value::from(secret))).collect();
    scene.rig.write("legacy/all.json", &Value::from(document).to_string());
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_that_a_run_leaves_holds_a_secret() {
    let canaries = canaries();
    let app = Application::start(async |_| 0).await;
    let mut left = Left::new(stocked());
    let (connection, verify) = watching(&app.url, "cohort");
    let text = left.scene.workflow("", &connection, &[&copy(&verify), RETIRE]);
    let prepared = left.scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    left.texts.insert("plan".to_owned(), left.scene.rig.host.with_key(&prepared).expect("a text").into_bytes());
    let (rested, events) = left.scene.rig.start(prepared, true).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    left.events("forward", &events);
    for (name, secret) in &canaries {
        assert_eq!(left.scene.stored(&format!("all/{name}.json.age")), Some(json!({ "value": secret })), "{name} arrived whole");
    }
    assert_eq!(left.hits(&canaries), Vec::<String>::new());
    let (rested, events) = left.scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack);
    left.events("backward", &events);
    assert_eq!(left.hits(&canaries), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_what_a_failing_run_leaves() {
    let canaries = canaries();
    let app = Application::start(async |_| 1).await;
    let mut left = Left::new(stocked());
    let (connection, verify) = watching(&app.url, "step");
    let text = left.scene.workflow("", &connection, &[&copy(&verify)]);
    let (rested, events) = left.scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    left.events("rolled back", &events);

    // Stuck over a foreign value, which is a secret too.
    let (rested, _) = left.scene.rig.run(&left.scene.workflow("", "", &[&copy("")]), &PLUGINS).await.expect("a run");
    left.scene.store("all/words.json.age", &json!({ "value": canaries[0].1 }));
    let (rested, events) = left.scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck);
    left.events("stuck", &events);
    let told = rested.run.open().map(|open| format!("{open:?}")).collect::<String>();
    left.texts.insert("open".to_owned(), told.into_bytes());

    // In the way of a plan, and of a run.
    let error = left.scene.rig.run(&left.scene.workflow("", "", &[&copy("")]), &PLUGINS).await.err().expect("it is in the way");
    left.error("conflict", &error);
    assert_eq!(left.hits(&canaries), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_the_error_about_a_broken_file() {
    let canaries = canaries();
    let mut left = Left::new(Scene::new().with_files(1));
    // One run for a journal and a sealed log.
    left.scene.rig.run(&left.scene.workflow("", "", &[&copy("")]), &PLUGINS).await.expect("a run");
    let secret = |number: usize| &canaries[number].1;
    let broken = [
        ("b.json", format!(r#"{{"key": "{}" "next": {}}}"#, secret(0), secret(2))),
        ("c.json", format!(r#"["{}", {}]"#, secret(0), secret(1))),
        ("d.toml", format!("key = \"{}\" {}\n{} = = 1\n", secret(0), secret(1), secret(2))),
        ("e.yaml", format!("key: \"{}\n  - {}: [\n*{}", secret(0), secret(1), secret(2))),
        ("f.env", format!("KEY='{}\n{} = {}\n=\"{}", secret(0), secret(1), secret(2), secret(3))),
        ("g.pem", format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END {}-----\n", secret(3), secret(1))),
        ("h.json", format!(r#"{{"{0}": 1, "{0}": 2}}"#, secret(2))),
    ];
    let mut refused = 0;
    for (name, text) in &broken {
        left.scene.rig.write(&format!("legacy/{name}"), text);
        match left.scene.rig.run(&left.scene.workflow("", "", &[&copy(&format!("with = {{ prefix = \"{name}\" }}"))]), &PLUGINS).await {
            Ok((rested, events)) => {
                left.events(name, &events);
                left.texts.insert(format!("cause {name}"), format!("{:?}", rested.run.cause()).into_bytes());
            }
            Err(error) => {
                refused += 1;
                left.error(name, &error);
            }
        }
        std::fs::remove_file(left.scene.rig.path("legacy").join(name)).expect("it is there");
    }
    assert!(refused >= 4, "broken files are refused: {refused}");
    // Names of keys are no secrets in a document; in a broken one nothing is a name.
    assert_eq!(left.hits(&canaries), Vec::<String>::new());
}

/// Shows the plugin what is at `/note`, and nothing else.
const SHOWN: &str = r#"
cutover = 1
name = "shown"
owner = "tests"

[plugins]
hostile = { path = "hostile.wasm" }

[connections]
source = { kind = "http", url = "https://source.test" }
target = { kind = "http", url = "https://target.test" }
elsewhere = { kind = "http", url = "https://elsewhere.test" }

[[step]]
id = "copy"
uses = "hostile.copy"
connections = { source = "source", target = "target", elsewhere = "elsewhere" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_makes_public_is_found_in_memory_and_what_stands_beside_it_is_not() {
    // Of this test alone: other tests' plugins may be in the same process.
    let shown = ("shown".to_owned(), "a-canary-at-a-public-place".to_owned());
    let sealed = ("sealed".to_owned(), "a-canary-at-a-sealed-place".to_owned());
    let kind = MemoryKind::new();
    let (source, target) = (kind.server("https://source.test"), kind.server("https://target.test"));
    for path in ["s/1", "s/2", "s/3"] {
        source.put(path, json!({ "password": sealed.1 }));
    }
    target.put("t/1", json!({ "note": shown.1, "password": sealed.1 }));
    let memories = memories(&[shown, sealed]);
    let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(TestClock::new()), kind.kinds());
    rig.host.sandbox = watched_sandbox(memories.clone());
    let (rested, events) = rig.run(SHOWN, &[("hostile", "hostile")]).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!(target.documents()["t/2"], json!({ "password": "a-canary-at-a-sealed-place" }));
    let seen = memories.seen();
    assert!(seen.hits.contains("Import: shown") && seen.unseen == 0, "{seen:?}");
    assert!(seen.hits.iter().all(|hit| hit.ends_with("shown")), "{seen:?}");
}

#[test]
fn the_search_finds_what_is_planted() {
    log_everything();
    let canaries = canaries();
    let secret = canaries[1].1.as_bytes();
    let around = |text: String| format!("…{text}…").into_bytes();
    let planted = [
        ("clear", [&b"\0\xff"[..], secret, b"\0"].concat()),
        ("hex", around(hex::encode([&b"x"[..], secret, b"y"].concat()))),
        ("HEX", around(hex::encode_upper(secret))),
        ("0", around(STANDARD.encode([secret, b"tail"].concat()))),
        ("1", around(URL_SAFE.encode([b"a", secret, b"tail"].concat()))),
        ("2", around(STANDARD.encode([b"ab", secret, b"tail"].concat()))),
        ("3", around(STANDARD.encode([b"abc", secret].concat()))),
    ];
    for (name, content) in planted {
        let tree = Tree::from([(name.to_owned(), content)]);
        assert!(hits(&tree, &canaries).iter().any(|hit| hit == &format!("{name}: words")), "{name}");
    }
    for (name, secret) in &canaries {
        let tree = Tree::from([("json".to_owned(), json!({ "x": secret }).to_string().into_bytes())]);
        assert!(!hits(&tree, &canaries).is_empty(), "{name}");
    }
    tracing::info!(word = "a-word-only-this-test-logs", "planted");
    assert!(LOGGED.lock().unwrap_or_else(PoisonError::into_inner).contains("a-word-only-this-test-logs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_a_word_of_the_plan_or_the_journal_stops_nothing() {
    let scene = Scene::new();
    for (name, value) in [("payments", "payments"), ("words", "back-looked"), ("endings", "completed"), ("requests", "WriteSent")] {
        scene.rig.write(&format!("legacy/{name}.env"), &format!("KEY={value}\n"));
    }
    let (rested, events) = scene.rig.run(&scene.workflow("", "", &[&copy("")]), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    // Whoever can write one value of the source has no way to take the way back.
    scene.rig.write("legacy/words.env", "KEY=rollback-requested\n");
    let (rested, events) = scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
}
