//! Somebody else writes to what the run made, and the run must go back.

use std::sync::Arc;

use cutover_engine::{Ending, Event, Phase, StuckReason};
use serde_json::json;

use crate::{
    health::Application,
    scene::{PLUGINS, Scene, copy, phases, watching},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_value_is_left_alone_and_everything_else_goes_back() {
    let scene = Scene::new().with_files(4);
    let before = scene.tree();
    let (rested, _) = scene.rig.run(&scene.workflow("", "", &[&copy("")]), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed);
    scene.store("a02/KEY.json.age", &json!({"value": "somebody's"}));

    let (rested, events) = scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    let open: Vec<_> = rested.run.open().collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].reason, StuckReason::Conflict);
    let name = rested.run.plan().name_of(open[0].change);
    assert!(name.contains("a02"), "{name}");
    assert_eq!(scene.stored("a02/KEY.json.age"), Some(json!({"value": "somebody's"})));
    assert_eq!(scene.tree().keys().filter(|name| name.starts_with("store/")).count(), 1, "the other three are gone");

    // Again without a word about it: it stays.
    let (rested, _) = scene.rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::Stuck);
    assert_eq!(scene.stored("a02/KEY.json.age"), Some(json!({"value": "somebody's"})));

    let (rested, events) = scene.rig.rollback(&rested.id, &[name]).await.expect("a rollback over it");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert_eq!(scene.tree(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_while_the_run_is_under_way_is_seen_when_it_turns() {
    let scene = Arc::new(Scene::new().with_files(3));
    let meddler = scene.clone();
    let app = Application::start(move |_| {
        meddler.store("a00/KEY.json.age", &json!({"value": "somebody's"}));
        async { 3 }
    })
    .await;
    let (connection, verify) = watching(&app.url, "step");
    let (rested, events) = scene.rig.run(&scene.workflow("", &connection, &[&copy(&verify)]), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    let phases = phases(&rested.run);
    assert_eq!(phases.values().filter(|phase| **phase == Phase::RolledBack).count(), 2, "{phases:?}");
    assert_eq!(rested.run.open().map(|open| open.reason).collect::<Vec<_>>(), [StuckReason::Conflict]);
    assert_eq!(scene.stored("a00/KEY.json.age"), Some(json!({"value": "somebody's"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_rotated_or_made_before_its_cohort_is_left_alone() {
    let scene = Arc::new(Scene::new().with_files(3));
    scene.store("a00/KEY.json.age", &json!({"value": "oldest"}));
    scene.store("a01/KEY.json.age", &json!({"value": "older"}));
    let meddler = scene.clone();
    let app = Application::start(move |_| {
        meddler.store("a01/KEY.json.age", &json!({"value": "rotated"}));
        meddler.store("a02/KEY.json.age", &json!({"value": "made"}));
        async { 0 }
    })
    .await;
    let (connection, verify) = watching(&app.url, "cohort");
    let step = copy("with = { existing = \"replace\" }\nrollout = { cohorts = [\"1\", \"100%\"] }\n");
    let (rested, events) = scene.rig.run(&scene.workflow("", &connection, &[&format!("{step}{verify}")]), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert!(events.iter().any(|event| matches!(event, Event::RollbackStarted { .. })), "the first cohort was replaced");
    assert_eq!(scene.stored("a00/KEY.json.age"), Some(json!({"value": "oldest"})), "and went back");
    assert_eq!(scene.stored("a01/KEY.json.age"), Some(json!({"value": "rotated"})));
    assert_eq!(scene.stored("a02/KEY.json.age"), Some(json!({"value": "made"})));
    let told = format!("{events:?}");
    assert!(told.contains("KEY.json.age is not what the plan saw there") && told.contains("plan again"), "{told}");
}
