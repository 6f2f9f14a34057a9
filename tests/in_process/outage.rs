//! A server is sealed for a while: forward work waits for it, the way back asks for a person, and both go on.

use std::sync::Arc;

use cutover_engine::{ChangeNo, Ending, Event, Span, StuckReason, Timestamp};
use cutover_runtime::{clock::Clock as _, disk::SystemDisk};
use cutover_tests::{MemoryKind, MemoryServer, Rig, TestClock, warm_sandbox};

const CHANGES: usize = 6;

struct World {
    rig: Rig,
    clock: Arc<TestClock>,
    server: Arc<MemoryServer>,
}

impl World {
    fn new() -> Self {
        let (kind, clock) = (MemoryKind::new(), Arc::new(TestClock::new()));
        let mut rig = Rig::with(Arc::new(SystemDisk), clock.clone(), kind.kinds());
        rig.host.sandbox = warm_sandbox();
        rig.host.longest_wait = Span::seconds(120);
        Self { rig, clock, server: kind.server("https://target.test") }
    }

    /// After that many writes the server is sealed for `seconds`.
    fn seal_after(&self, writes: usize, seconds: u64) -> Arc<std::sync::OnceLock<Timestamp>> {
        let sealed = Arc::new(std::sync::OnceLock::new());
        let (clock, since) = (self.clock.clone(), sealed.clone());
        self.server.after_effect(move |count| {
            if count >= writes {
                since.get_or_init(|| clock.now());
            }
        });
        let (clock, since) = (self.clock.clone(), sealed.clone());
        self.server.away(move || since.get().is_some_and(|since| clock.now() < since.after(Span::seconds(seconds))));
        sealed
    }

    fn workflow(&self, more: &str) -> String {
        format!(
            r#"
cutover = 1
name = "outage"
owner = "tests"

[plugins]
write = {{ path = "one-write.wasm" }}

[connections]
target = {{ kind = "http", url = "https://target.test" }}

[[step]]
id = "put"
uses = "write.put"
with = {{ count = {CHANGES} }}
connections = {{ target = "target" }}
rollout = {{ parallel = 2 }}
{more}
"#
        )
    }
}

const PLUGINS: [(&str, &str); 1] = [("write", "one-write")];

fn writes(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::WriteAnswered { status: 200, .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_is_waited_out() {
    let world = World::new();
    let sealed = world.seal_after(3, 60);
    let (rested, events) = world.rig.run(&world.workflow(""), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!((world.server.documents().len(), world.server.effects().len()), (CHANGES, CHANGES), "each was written once");
    assert!(world.clock.now() >= sealed.get().expect("it was sealed").after(Span::seconds(60)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_ends_the_process_and_a_resume_goes_on() {
    let world = World::new();
    let sealed = world.seal_after(3, 3_600);
    let (rested, events) = world.rig.run(&world.workflow(""), &PLUGINS).await.expect("a run");
    assert!(matches!(rested.ending, Ending::Waiting { .. }), "{events:#?}");
    let waits: Vec<String> = rested.run.outages().map(|(_, _, failure)| failure.to_string()).collect();
    assert!(!waits.is_empty() && waits.iter().all(|words| words.contains("503")), "{waits:?}");
    let stayed = world.clock.now().since(*sealed.get().expect("it was sealed"));
    // No upper bound: this clock also jumps while hooks are running.
    assert!(stayed > Span::seconds(60), "its budget is two minutes, not {stayed}");

    let (rested, events) = world.rig.resume(&rested.id).await.expect("a resume");
    assert!(matches!(rested.ending, Ending::Waiting { .. }), "it is still sealed: {events:#?}");
    world.clock.advance(Span::seconds(3_600));
    let (rested, events) = world.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!(world.server.effects().len(), CHANGES, "each was written once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_can_go_back_instead() {
    let world = World::new();
    world.seal_after(3, 3_600);
    let (rested, _) = world.rig.run(&world.workflow(""), &PLUGINS).await.expect("a run");
    assert!(matches!(rested.ending, Ending::Waiting { .. }));
    let (rested, events) = world.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    assert!(rested.run.open().all(|open| open.reason == StuckReason::Unreadable));
    world.clock.advance(Span::seconds(3_600));
    let (rested, events) = world.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert!(world.server.documents().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_on_the_way_back_is_stuck_and_a_resume_finishes() {
    let world = World::new();
    let (rested, _) = world.rig.run(&world.workflow(""), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed);
    world.seal_after(CHANGES + 2, 3_600);
    let (rested, events) = world.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    let left = world.server.documents().len();
    assert!((1..CHANGES).contains(&left), "{left}");
    world.clock.advance(Span::seconds(3_600));
    let (rested, events) = world.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert!(world.server.documents().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_may_bound_its_outages() {
    let world = World::new();
    world.seal_after(3, 3_600);
    let (rested, events) = world.rig.run(&world.workflow("retry = { wait = \"30s\" }"), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Stuck, "forward is over after 30 s, and back cannot be gone either: {events:#?}");
    assert_eq!(writes(&events), 3);
    world.clock.advance(Span::seconds(3_600));
    let (rested, _) = world.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::RolledBack);
    assert!(world.server.documents().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_outage_does_not_wait() {
    let world = World::new();
    world.server.mishaps("PUT /items/1", &[cutover_tests::Mishap::Status(403)]);
    let began = world.clock.now();
    let (rested, events) = world.rig.run(&world.workflow(""), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert!(rested.run.failure(ChangeNo(1)).is_some_and(|failure| !failure.case.is_retryable()));
    assert!(world.clock.now().since(began) < Span::seconds(20));
}
