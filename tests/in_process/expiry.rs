//! Giving up the way back is interrupted.

use cutover_engine::{Ending, Event};
use cutover_runtime::{journal::Record, key::KeyError, runs::HostError};

use crate::scene::{PLUGINS, Scene, copy};

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
