//! Giving up the way back is interrupted.

use std::sync::Arc;

use cutover_engine::{Ending, Event, Span};
use cutover_runtime::{journal::Record, key::KeyError, runs::HostError};

use crate::{
    health::Application,
    scene::{PLUGINS, Scene, TestClock, copy, watching},
};

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_back_when_its_time_is_over() {
    let clock = TestClock::new();
    let scene = Scene::at(clock.clone()).with_files(1);
    let text = scene.workflow("keep_pre_images = \"1h\"", "", &[&copy("")]);
    let (rested, _) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    clock.advance(Span::seconds(3_601));
    let before = scene.tree();
    let error = scene.rig.rollback(&rested.id, &[]).await.err().expect("no other run came in between");
    assert!(matches!(error, HostError::Key(KeyError::Destroyed { .. })), "{error:?}");
    assert_eq!(scene.tree(), before, "nothing was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_over_says_so_even_if_that_cannot_be_noted() {
    let scene = Arc::new(Scene::new().with_files(1));
    let meddler = scene.clone();
    let app = Application::start(move |_| {
        for run in std::fs::read_dir(meddler.rig.path("state/runs")).expect("runs").flatten() {
            let _ = std::fs::create_dir(run.path().join("ended"));
        }
        async { 0 }
    })
    .await;
    let (connection, verify) = watching(&app.url, "step");
    let text = scene.workflow("", &connection, &[&copy(&verify)]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_an_interrupted_expiry_finishes_it_and_says_so() {
    let scene = Scene::new().with_files(1);
    let (rested, _) = scene.rig.run(&scene.workflow("", "", &[&copy("")]), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed);
    let host = &scene.rig.host;
    let folder = host.state.run(&rested.id).expect("the run");
    let key = folder.data_key(&host.state_key).expect("its key");
    let resumed = folder.resume(key, host.entropy.clone(), None, |_: Record<Event>| Ok(())).expect("the run");
    resumed.journal.append(host.clock.now(), &Event::PreImagesDestroyed {}).expect("journaled");
    resumed.journal.close().expect("durable");

    let before = scene.tree();
    let error = scene.rig.rollback(&rested.id, &[]).await.err().expect("there is no way back");
    assert!(matches!(error, HostError::Key(KeyError::Destroyed { .. })), "{error:?}");
    assert!(matches!(folder.data_key(&host.state_key), Err(KeyError::Destroyed { .. })), "the key is gone now");
    assert_eq!(scene.tree(), before, "nothing was touched");
}
