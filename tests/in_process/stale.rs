//! A source moves while old and new both work.

use cutover_engine::{Cause, Ending, Event, FailureCase, Phase, Recheck, Span};
use serde_json::json;

use crate::scene::{PLUGINS, RETIRE, Scene, TestClock, copy, phases};

const DUAL_RUN: &str = "dual_run = { from = \"copy\", until = \"retire\", min = \"1h\", max = \"72h\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_moves_during_the_dual_run_pauses_it_and_is_copied_again_before_anything_is_retired() {
    let clock = TestClock::new();
    let mut scene = Scene::at(clock.clone()).with_files(3);
    scene.rig.host.longest_wait = Span::seconds(60);
    let text = scene.workflow(DUAL_RUN, "", &[&copy(""), RETIRE]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert!(matches!(rested.ending, Ending::Waiting { .. }), "{events:#?}");

    scene.rig.write("legacy/a01.env", "KEY=rotated-0123456789abcdef\n");
    clock.advance(Span::seconds(3_601));
    let (rested, events) = scene.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Paused, "{events:#?}");
    let Some(Cause::Stale { change }) = rested.run.cause() else { panic!("{:?}", rested.run.cause()) };
    assert!(rested.run.plan().name_of(*change).contains("a01") && rested.run.is_stale(*change));
    assert!(scene.rig.path("legacy/a01.env").exists(), "it was not retired");
    assert_eq!(scene.stored("a01/KEY.json.age"), Some(json!({"value": "value-01-0123456789abcdef"})), "nothing was written unasked");

    let (mut rested, mut events) = scene.rig.resume(&rested.id).await.expect("a resume");
    let verified_at = events.iter().position(|event| matches!(event, Event::Checked { .. })).expect("the new value is verified");
    let plan = rested.run.plan();
    let retires = |change: &cutover_engine::ChangeNo| plan.name_of(*change).starts_with("retire/") && plan.name_of(*change).contains("a01");
    let moved_at =
        events.iter().position(|event| matches!(event, Event::Rechecked { change, relation: Recheck::Same, .. } if retires(change)));
    assert!(moved_at.is_none_or(|moved| verified_at < moved), "{events:#?}");
    if matches!(rested.ending, Ending::Waiting { .. }) {
        // What was copied anew soaks like everything else.
        clock.advance(Span::seconds(3_601));
        (rested, events) = scene.rig.resume(&rested.id).await.expect("a resume");
    }
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!(scene.stored("a01/KEY.json.age"), Some(json!({"value": "rotated-0123456789abcdef"})));
    let phases = phases(&rested.run);
    assert!(phases.iter().filter(|(name, _)| name.starts_with("retire/")).all(|(_, phase)| *phase == Phase::Proven), "{phases:?}");
    assert!(scene.rig.path("legacy/a01.env.retired").exists() && !scene.rig.path("legacy/a01.env").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_a_moved_source_still_goes_back_to_the_start() {
    let clock = TestClock::new();
    let mut scene = Scene::at(clock.clone()).with_files(2);
    scene.rig.host.longest_wait = Span::seconds(60);
    let (rested, _) = scene.rig.run(&scene.workflow(DUAL_RUN, "", &[&copy(""), RETIRE]), &PLUGINS).await.expect("a run");
    scene.rig.write("legacy/a00.env", "KEY=rotated-0123456789abcdef\n");
    clock.advance(Span::seconds(3_601));
    let (rested, _) = scene.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Paused);
    let (rested, events) = scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    let left: Vec<String> = scene.tree().into_keys().collect();
    assert_eq!(left, ["legacy/a00.env", "legacy/a01.env"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_added_during_the_dual_run_is_neither_retired_nor_lost() {
    let clock = TestClock::new();
    let mut scene = Scene::at(clock.clone()).with_files(2);
    scene.rig.host.longest_wait = Span::seconds(60);
    let text = scene.workflow(&format!("{DUAL_RUN}\non_failure = \"pause\""), "", &[&copy(""), RETIRE]);
    let (rested, _) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    let grown = "KEY=value-01-0123456789abcdef\nNEW_KEY=the-only-one-0123456789\n";
    scene.rig.write("legacy/a01.env", grown);
    clock.advance(Span::seconds(3_601));
    let (rested, events) = scene.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Paused, "{events:#?}");
    let failure = events.iter().find_map(|event| match event {
        Event::HookFailed { failure, .. } => Some(failure),
        _ => None,
    });
    let failure = failure.expect("the look before the retirement fails");
    assert_eq!(failure.case, FailureCase::Conflict);
    assert!(failure.text.contains("NEW_KEY without a linked copy") && failure.text.contains("plan again"), "{failure}");
    assert!(!format!("{events:?}").contains("the-only-one"));
    assert_eq!(std::fs::read_to_string(scene.rig.path("legacy/a01.env")).expect("it was not retired"), grown);

    // Taken out of the file, as the refusal says, the run goes on.
    scene.rig.write("legacy/a01.env", "KEY=value-01-0123456789abcdef\n");
    let (rested, events) = scene.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert!(scene.rig.path("legacy/a01.env.retired").exists());
}
