//! Two steps that write to one object, one after the other.

use std::sync::Arc;

use cutover_engine::{ChangeNo, Ending, FailureCase, RunId, Span};
use serde_json::{Value, json};

use crate::scene::{PLUGINS, Scene, TestClock, copy};

const TARGET: &str = "a00/KEY.json.age";

/// After an hour the same object gets the value of another folder.
const LATER: &str = r#"
[[step]]
id = "rest"
gate = "wait"
for = "1h"

[[step]]
id = "replace"
uses = "files.copy-files"
with = { existing = "replace" }
connections = { source = "other", target = "store" }
"#;

/// A run that has made the first of the two writes and waits.
async fn half_way(clock: &Arc<TestClock>) -> (Scene, RunId) {
    let mut scene = Scene::at(clock.clone()).with_files(1);
    scene.rig.write("other/a00.env", "KEY=second-value-0123456789\n");
    scene.rig.host.longest_wait = Span::seconds(60);
    let text = scene.workflow("on_failure = \"pause\"", "", &[&copy(""), LATER]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert!(matches!(rested.ending, Ending::Waiting { .. }), "{events:#?}");
    assert_eq!(scene.stored(TARGET), Some(first()));
    (scene, rested.id)
}

fn first() -> Value {
    json!({"value": "value-00-0123456789abcdef"})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_write_takes_what_the_first_left_and_both_go_back() {
    let clock = TestClock::new();
    let (scene, id) = half_way(&clock).await;
    clock.advance(Span::seconds(3_601));
    let (rested, events) = scene.rig.resume(&id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!(scene.stored(TARGET), Some(json!({"value": "second-value-0123456789"})));

    let (rested, events) = scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert_eq!(scene.stored(TARGET), None, "nothing was there before the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_between_the_two_is_a_conflict_of_the_second() {
    let clock = TestClock::new();
    let (scene, id) = half_way(&clock).await;
    let foreign = json!({"value": "somebody's"});
    scene.store(TARGET, &foreign);
    clock.advance(Span::seconds(3_601));
    let (rested, events) = scene.rig.resume(&id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Paused, "{events:#?}");
    let plan = rested.run.plan();
    let second = ChangeNo(1);
    assert!(plan.name_of(second).starts_with("replace/"), "{}", plan.name_of(second));
    assert_eq!(rested.run.failure(second).map(|failure| failure.case), Some(FailureCase::Conflict), "{events:#?}");
    assert_eq!(scene.stored(TARGET), Some(foreign.clone()), "it was not overwritten");

    let (rested, _) = scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck);
    assert_eq!(scene.stored(TARGET), Some(foreign), "nor on the way back");
}
