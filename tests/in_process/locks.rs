//! One run has one host, and one target has one run.

use std::sync::Arc;

use cutover_engine::Ending;
use cutover_runtime::{
    lock::{LockError, LockFolder},
    runs::{Host, HostError},
};
use cutover_tests::Rig;
use tokio::sync::Notify;

use crate::{
    health::Application,
    scene::{PLUGINS, Scene, Tree, collect, copy, watching},
};

/// A run that stands at its probe until it may go on.
struct Standing {
    app: Application,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Standing {
    async fn new() -> Self {
        let (reached, go_on) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let (tell, wait) = (reached.clone(), go_on.clone());
        let app = Application::start(move |_| {
            let (tell, wait) = (tell.clone(), wait.clone());
            async move {
                tell.notify_one();
                wait.notified().await;
                0
            }
        })
        .await;
        Self { app, reached, go_on }
    }
}

/// The error of a lock that this process holds.
fn held(error: HostError) -> String {
    let HostError::Lock(error @ LockError::Held { .. }) = error else { panic!("{error:?}") };
    let LockError::Held { holder, .. } = &error else { unreachable!() };
    assert_eq!(holder.as_ref().map(|holder| holder.pid), Some(std::process::id()));
    assert_eq!(error.code(), "CUT4040");
    error.to_string()
}

fn files(rig: &Rig) -> Tree {
    let mut tree = Tree::new();
    collect(&rig.path("state"), "state", &mut tree);
    tree
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_on_a_run_is_refused_and_harms_nothing() {
    let scene = Scene::new().with_files(4);
    let standing = Standing::new().await;
    let (connection, verify) = watching(&standing.app.url, "step");
    let prepared = scene.rig.prepare(&scene.workflow("", &connection, &[&copy(&verify)]), &PLUGINS).await.expect("a plan");
    let second = Rig::new();
    let second_host = Host { state: scene.rig.host.state.clone(), locks: scene.rig.host.locks.clone(), ..second.host };
    let meddle = async {
        standing.reached.notified().await;
        let (state, world) = (files(&scene.rig), scene.tree());
        let id = scene.rig.host.state.runs().expect("the state").remove(0);
        let never = std::future::pending::<()>;
        let error = second_host.resume(&id, None, never(), Box::new(|_, _, _| {})).await.err().expect("the run is held");
        assert!(held(error).contains(id.as_str()));
        let error = second_host.rollback(&id, &[], None, never(), Box::new(|_, _, _| {})).await.err().expect("the run is held");
        assert!(held(error).contains(id.as_str()));
        // Looking needs no lock.
        assert_eq!(second_host.show(&id, None, |_, _, _| {}).expect("a look").run.ending(), None);
        assert_eq!((files(&scene.rig), scene.tree()), (state, world));
        standing.go_on.notify_one();
    };
    let (rested, ()) = tokio::join!(scene.rig.start(prepared, false), meddle);
    let (rested, events) = rested.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    assert_eq!(scene.tree().keys().filter(|name| name.starts_with("store/")).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_a_target_is_refused_whatever_its_state_folder() {
    let scene = Scene::new().with_files(4);
    let standing = Standing::new().await;
    let (connection, verify) = watching(&standing.app.url, "step");
    let prepared = scene.rig.prepare(&scene.workflow("", &connection, &[&copy(&verify)]), &PLUGINS).await.expect("a plan");
    let mut second = Rig::new();
    second.host.locks = LockFolder::at(&scene.rig.path("locks")).expect("the same folder");
    let meddle = async {
        standing.reached.notified().await;
        let world = scene.tree();
        let text = scene.workflow("", "", &[&copy("with = { into = \"elsewhere/\" }")]);
        let error = second.run(&text, &PLUGINS).await.err().expect("the target is held");
        assert!(held(error).contains("store"));
        assert_eq!(scene.tree(), world);
        assert!(second.host.state.runs().expect("a state").is_empty());
        standing.go_on.notify_one();
    };
    let (rested, ()) = tokio::join!(scene.rig.start(prepared, false), meddle);
    let (rested, events) = rested.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?}");
    let text = scene.workflow("", "", &[&copy("with = { into = \"elsewhere/\" }")]);
    let (rested, _) = second.run(&text, &PLUGINS).await.expect("the target is free now");
    assert_eq!(rested.ending, Ending::Completed);
}
