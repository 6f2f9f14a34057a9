//! A run that orders a certificate is killed wherever it can be, and goes on as if nothing had been.

use std::{collections::BTreeMap, sync::Arc};

use cutover_engine::{Ending, RunId, StuckReason};
use cutover_runtime::{
    disk::{Disk, Fault, MemoryDisk},
    runs::HostError,
    state::StateFolder,
};
use cutover_tests::{FakeCa, MemoryKind, MemoryServer, Mishap, Rig, TestClock, warm_sandbox};
use serde_json::{Value, json};

const PLUGINS: [(&str, &str); 2] = [("certifier", "certifier"), ("example", "example")];

const CERTIFY: &str = r#"
cutover = 1
name = "certificates"
owner = "tests"

[plugins]
certifier = { path = "certifier.wasm" }
example = { path = "example.wasm" }

[connections]
authority = { kind = "http", url = "https://ca.test" }
store = { kind = "http", url = "https://store.test" }
flags = { kind = "http", url = "https://flags.test" }

[[step]]
id = "certify"
uses = "certifier.certify"
connections = { ca = "authority", store = "store" }

[[step]]
id = "announce"
uses = "example.put"
connections = { target = "flags" }
with = { path = "announced", value = true }
needs = ["certify"]
"#;

/// A world with an old certificate at one of three hosts, and a host on a disk that can crash.
struct World {
    disk: MemoryDisk,
    rig: Rig,
    store: Arc<MemoryServer>,
    flags: Arc<MemoryServer>,
    ca: Arc<FakeCa>,
}

impl World {
    fn new() -> Self {
        let (disk, kind, clock) = (MemoryDisk::new(), MemoryKind::new(), Arc::new(TestClock::new()));
        let store = kind.server("https://store.test");
        store.put("certs/b", json!({ "host": "b", "certificate": "the old one" }));
        store.put("certs/unrelated", json!({ "host": "x" }));
        let ca = FakeCa::on(&kind.server("https://ca.test"), clock.clone());
        let mut rig = Rig::with(Arc::new(disk.clone()), clock, kind.kinds());
        rig.host.sandbox = warm_sandbox();
        Self { disk, rig, store, flags: kind.server("https://flags.test"), ca }
    }

    /// The machine comes back with what had reached the disk.
    fn reboot(&mut self) {
        self.disk = self.disk.after_crash();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        self.rig.host.state = StateFolder::open(disk, &self.rig.path("state")).expect("the state folder");
    }

    fn run_id(&self) -> Option<RunId> {
        self.rig.host.state.runs().expect("a list of runs").pop()
    }

    /// Starts or goes on until it comes to rest or the machine dies.
    async fn drive(&self) -> Option<Ending> {
        let rested = match self.run_id() {
            Some(id) => self.rig.resume(&id).await,
            None => self.rig.run(CERTIFY, &PLUGINS).await,
        };
        match rested {
            Ok((rested, _)) => Some(rested.ending),
            // Killed after its last record: there is nothing left to do.
            Err(HostError::AtRest { ending, .. }) => Some(ending),
            Err(error) => {
                assert!(self.disk.is_crashed(), "{error}");
                None
            }
        }
    }

    fn journal_lines(&self) -> usize {
        let journal = self.rig.path("state/runs").join(self.run_id().expect("a run").as_str()).join("journal.jsonl");
        self.disk.read(&journal).expect("a journal").iter().filter(|byte| **byte == b'\n').count()
    }

    fn end(&self) -> End {
        let mut effects = self.store.effects();
        effects.sort();
        End { store: self.store.documents(), flags: self.flags.documents(), orders: self.ca.orders(), effects }
    }
}

/// What is there at the end, and what it took.
#[derive(Debug, PartialEq)]
struct End {
    store: BTreeMap<String, Value>,
    flags: BTreeMap<String, Value>,
    orders: usize,
    effects: Vec<String>,
}

/// A process that can be killed: what it had under way is gone with its runtime.
fn process<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn undisturbed(arrange: impl Fn(&World), ending: Ending) -> (End, usize) {
    let world = World::new();
    arrange(&world);
    assert_eq!(process(world.drive()), Some(ending));
    (world.end(), world.journal_lines())
}

/// Kills the machine once with `fault`, lets it come back and drives the run to its end.
fn killed(arrange: impl Fn(&World), fault: impl Fn(&World)) -> (End, Ending) {
    let mut world = World::new();
    arrange(&world);
    fault(&world);
    assert_eq!(process(world.drive()), None, "the machine died");
    world.reboot();
    let ending = process(world.drive()).expect("the second machine lives");
    (world.end(), ending)
}

fn after_line(lines: usize) -> impl Fn(&World) {
    move |world| world.disk.inject(Fault::CrashAfterLines { file: "journal.jsonl".to_owned(), lines, torn: 0 })
}

/// Dies when a write has taken effect and before anything of it can be put on record.
fn after_effect(nth: usize) -> impl Fn(&World) {
    move |world| {
        let disk = world.disk.clone();
        world.store.after_effect(move |count| {
            if count == nth {
                disk.inject(Fault::CrashAtOperation(1));
            }
        });
    }
}

fn forward(_: &World) {}

fn backward(world: &World) {
    world.flags.mishaps("PUT /announced", &[Mishap::Status(403); 4]);
}

#[test]
fn killed_at_every_record_on_the_way_forward_it_ends_as_undisturbed() {
    let (end, lines) = undisturbed(forward, Ending::Completed);
    assert_eq!((end.orders, end.effects.as_slice()), (1, ["PUT /certs/a", "PUT /certs/b", "PUT /certs/c"].map(String::from).as_slice()));
    for line in 1..=lines {
        let (after, ending) = killed(forward, after_line(line));
        assert_eq!((ending, &after), (Ending::Completed, &end), "killed at record {line} of {lines}");
    }
}

#[test]
fn killed_at_every_record_on_the_way_back_it_ends_as_undisturbed() {
    let (end, lines) = undisturbed(backward, Ending::RolledBack);
    let start = World::new().end();
    assert_eq!((&end.store, &end.flags), (&start.store, &start.flags));
    for line in 1..=lines {
        let (after, ending) = killed(backward, after_line(line));
        // Before the announcement was refused the run went forward; the second machine's announcement is refused too.
        assert_eq!((ending, &after), (Ending::RolledBack, &end), "killed at record {line} of {lines}");
    }
}

#[test]
fn killed_after_each_effect_no_write_is_repeated() {
    let (end, _) = undisturbed(forward, Ending::Completed);
    for nth in 1..=end.effects.len() {
        let (after, ending) = killed(forward, after_effect(nth));
        assert_eq!((ending, &after), (Ending::Completed, &end), "killed after effect {nth}");
    }
    let (end, _) = undisturbed(backward, Ending::RolledBack);
    assert_eq!(end.effects.len(), 6, "three writes there and three back: {:?}", end.effects);
    for nth in 1..=end.effects.len() {
        let (after, ending) = killed(backward, after_effect(nth));
        assert_eq!((ending, &after), (Ending::RolledBack, &end), "killed after effect {nth}");
    }
}

#[test]
fn a_refusal_after_the_second_write_leads_back_to_the_start() {
    let world = World::new();
    world.store.mishaps("PUT /certs/c", &[Mishap::Status(403)]);
    let start = world.end();
    assert_eq!(process(world.drive()), Some(Ending::RolledBack));
    let end = world.end();
    assert_eq!((end.store, end.flags, end.orders), (start.store, start.flags, 1));
    assert_eq!(end.effects, ["DELETE /certs/a", "PUT /certs/a", "PUT /certs/b", "PUT /certs/b"]);
}

#[test]
fn a_lost_answer_is_resolved_by_the_world() {
    let world = World::new();
    world.store.mishaps("PUT /certs/b", &[Mishap::AnswerLost]);
    let (undisturbed, _) = undisturbed(forward, Ending::Completed);
    assert_eq!(process(world.drive()), Some(Ending::Completed));
    assert_eq!(world.end(), undisturbed);
}

/// The machine dies when the announcement has taken effect and before anything of it is on record; then somebody else writes.
fn announced_and_overwritten() -> (World, RunId) {
    let mut world = World::new();
    let disk = world.disk.clone();
    world.flags.after_effect(move |_| disk.inject(Fault::CrashAtOperation(1)));
    assert_eq!(process(world.drive()), None, "the machine died");
    world.flags.put("announced", json!("somebody's"));
    world.reboot();
    let id = world.run_id().expect("a run");
    (world, id)
}

#[test]
fn a_foreign_value_after_a_write_that_nobody_saw_the_end_of_is_left_alone_on_the_way_back() {
    let (world, id) = announced_and_overwritten();
    let (rested, events) = process(world.rig.rollback(&id, &[])).expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    assert_eq!(world.end().flags, BTreeMap::from([("announced".to_owned(), json!("somebody's"))]));
    assert!(format!("{events:?}").contains("somebody else wrote target:announced"), "{events:#?}");
    let mut open = rested.run.open().map(|open| (rested.run.plan().name_of(open.change), open.reason));
    let (_, reason) = open.find(|(name, _)| name.starts_with("announce/")).expect("it is open");
    assert!(matches!(reason, StuckReason::Conflict | StuckReason::NotRestored), "{reason:?}");
}

#[test]
fn a_foreign_value_after_a_write_that_nobody_saw_the_end_of_is_left_alone_on_the_way_forward() {
    let (world, id) = announced_and_overwritten();
    let (rested, events) = process(world.rig.resume(&id)).expect("a resume");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    assert_eq!(world.end().flags, BTreeMap::from([("announced".to_owned(), json!("somebody's"))]));
}

#[test]
fn a_foreign_value_after_a_write_that_nobody_saw_the_end_of_goes_by_the_operators_word() {
    let (world, id) = announced_and_overwritten();
    let (rested, _) = process(world.rig.rollback(&id, &[])).expect("a rollback");
    let mut names = rested.run.open().map(|open| rested.run.plan().name_of(open.change));
    let name = names.find(|name| name.starts_with("announce/")).expect("it is open");
    let (rested, events) = process(world.rig.rollback(&id, &[name])).expect("a rollback over it");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert!(world.end().flags.is_empty());
}
