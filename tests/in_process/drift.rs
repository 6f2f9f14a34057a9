//! The world moves between plan and run.

use cutover_engine::{Ending, Phase, PlanError};
use cutover_runtime::{planner::PlanningError, runs::HostError};
use serde_json::json;

use crate::scene::{PLUGINS, RETIRE, Scene, copy, phases};

const REPLACE: &str = "with = { existing = \"replace\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_somebody_changed_after_the_plan_stops_the_run_before_any_write() {
    let scene = Scene::new().with_files(3);
    scene.store("a01/KEY.json.age", &json!({"value": "older"}));
    let text = scene.workflow("", "", &[&copy(REPLACE), RETIRE]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    scene.store("a01/KEY.json.age", &json!({"value": "somebody's"}));
    let before = scene.tree();
    let Err(HostError::Drift(drift)) = scene.rig.start(prepared, true).await else { panic!("the drift was not noticed") };
    let moved: Vec<&str> = drift.moved.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(moved.len(), 1, "{drift:?}");
    assert!(moved[0].starts_with("copy/") && moved[0].contains("a01"), "{drift:?}");
    assert!(drift.to_string().contains("nothing was written"), "{drift}");
    assert_eq!(scene.tree(), before);
    assert!(scene.rig.host.state.runs().expect("the state").is_empty(), "no run was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_moved_or_went_is_drift_too() {
    let scene = Scene::new().with_files(3);
    let text = scene.workflow("", "", &[&copy("")]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    scene.rig.write("legacy/a00.env", "KEY=rotated-0123456789abcdef\n");
    std::fs::remove_file(scene.rig.path("legacy/a02.env")).expect("it is there");
    scene.rig.write("legacy/b.env", "NEW=brand-new-0123456789\n");
    let Err(HostError::Drift(drift)) = scene.rig.start(prepared, true).await else { panic!("the drift was not noticed") };
    assert_eq!((drift.moved.len(), drift.new.len()), (2, 1), "{drift:?}");
    assert!(scene.tree().keys().all(|name| !name.starts_with("store/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_defer_the_rest_moves_and_what_drifted_is_listed_with_what_links_it() {
    let scene = Scene::new().with_files(3);
    scene.store("a01/KEY.json.age", &json!({"value": "older"}));
    let text = scene.workflow("on_drift = \"defer\"", "", &[&copy(REPLACE), RETIRE]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    scene.store("a01/KEY.json.age", &json!({"value": "somebody's"}));
    let (rested, events) = scene.rig.start(prepared, true).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!(rested.drift.moved.len(), 1);
    let phases = phases(&rested.run);
    let deferred: Vec<&String> = phases.iter().filter(|(_, phase)| **phase == Phase::Deferred).map(|(name, _)| name).collect();
    assert_eq!(deferred.len(), 2, "the copy and its retirement: {phases:?}");
    assert!(deferred.iter().all(|name| name.contains("a01")), "{deferred:?}");
    assert_eq!(scene.stored("a01/KEY.json.age"), Some(json!({"value": "somebody's"})));
    assert_eq!(scene.stored("a00/KEY.json.age"), Some(json!({"value": "value-00-0123456789abcdef"})));
    let tree = scene.tree();
    assert!(tree.contains_key("legacy/a01.env") && !tree.contains_key("legacy/a00.env") && !tree.contains_key("legacy/a02.env"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_made_where_a_copy_was_to_go_is_drift() {
    let scene = Scene::new().with_files(2);
    let text = scene.workflow("", "", &[&copy("")]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    scene.store("a01/KEY.json.age", &json!({"value": "somebody's"}));
    let before = scene.tree();
    let Err(HostError::Drift(drift)) = scene.rig.start(prepared, true).await else { panic!("the object is in the way") };
    assert_eq!((drift.moved.len(), drift.new.len()), (1, 0), "{drift:?}");
    let (name, how) = &drift.moved[0];
    assert!(name.contains("a01/KEY.json.age") && how.contains("the target holds another value"), "{drift:?}");
    assert!(drift.to_string().contains("nothing was written"), "{drift}");
    assert_eq!(scene.tree(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_defer_an_object_in_the_way_leaves_out_its_copy_and_the_rest_moves() {
    let scene = Scene::new().with_files(3);
    let text = scene.workflow("on_drift = \"defer\"", "", &[&copy(""), RETIRE]);
    let prepared = scene.rig.prepare(&text, &PLUGINS).await.expect("a plan");
    scene.store("a01/KEY.json.age", &json!({"value": "somebody's"}));
    let (rested, events) = scene.rig.start(prepared, true).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert!(matches!(&rested.drift.moved[..], [(_, how)] if how.contains("cannot be made any more")), "{:?}", rested.drift);
    let phases = phases(&rested.run);
    let deferred: Vec<&String> = phases.iter().filter(|(_, phase)| **phase == Phase::Deferred).map(|(name, _)| name).collect();
    assert_eq!(deferred.len(), 2, "the copy and its retirement: {phases:?}");
    assert!(deferred.iter().all(|name| name.contains("a01")), "{deferred:?}");
    assert_eq!(scene.stored("a01/KEY.json.age"), Some(json!({"value": "somebody's"})));
    assert_eq!(scene.stored("a02/KEY.json.age"), Some(json!({"value": "value-02-0123456789abcdef"})));
    let tree = scene.tree();
    assert!(tree.contains_key("legacy/a01.env") && !tree.contains_key("legacy/a00.env") && !tree.contains_key("legacy/a02.env"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_plan_names_every_conflict_and_is_refused() {
    let scene = Scene::new().with_files(8);
    for number in 1..8 {
        scene.store(&format!("a{number:02}/KEY.json.age"), &json!({"value": "somebody's"}));
    }
    let before = scene.tree();
    let text = scene.workflow("on_drift = \"defer\"", "", &[&copy(""), RETIRE]);
    let Err(HostError::Planning(PlanningError::Contradiction(problems))) = scene.rig.prepare(&text, &PLUGINS).await else {
        panic!("it must be refused")
    };
    let [PlanError::Conflict { step, first, count }] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!((step.as_str(), first.len(), *count), ("copy", 5, 7));
    assert!(first[0].0.as_str().contains("a01") && first[0].1.contains("another value"), "{first:?}");
    assert_eq!(scene.tree(), before);
}
