//! A live probe says no: everything goes back.

use cutover_engine::{Cause, Ending, Event, Phase, Verdict, Watched};

use crate::{
    health::Application,
    scene::{PLUGINS, Scene, copy, phases, watching},
};

const COHORTS: &str = "rollout = { cohorts = [\"1\", \"50%\", \"100%\"] }";

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_says_no_after_the_second_cohort_takes_everything_back() {
    let app = Application::start(async |asked| if asked < 2 { 0 } else { 7 }).await;
    let scene = Scene::new().with_files(8);
    scene.rig.write("store/of-somebody-else.txt", "stays");
    let before = scene.tree();
    let (connection, verify) = watching(&app.url, "cohort");
    let text = scene.workflow("", &connection, &[&copy(&format!("{COHORTS}\n{verify}"))]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert_eq!(scene.tree(), before, "both folders are byte for byte as they were");
    assert_eq!(app.asked(), 2);
    let Some(Cause::Probe { detail, .. }) = rested.run.cause() else { panic!("{:?}", rested.run.cause()) };
    assert!(detail.contains("auth_failures=7"), "{detail}");
    assert!(rested.run.open().next().is_none());
    let counts = phases(&rested.run);
    assert_eq!(counts.values().filter(|phase| **phase == Phase::RolledBack).count(), 4, "half of eight: {counts:?}");
    assert_eq!(counts.values().filter(|phase| **phase == Phase::Planned).count(), 4, "the others never began: {counts:?}");
    let observed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Observed { scope, verdict, .. } => Some((*scope, *verdict)),
            _ => None,
        })
        .collect();
    assert_eq!(observed, [(Watched::Cohort(0), Verdict::Pass), (Watched::Cohort(1), Verdict::Fail)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_answer_is_no_pass() {
    let app = Application::start(async |_| 0).await;
    let url = app.url.clone();
    drop(app);
    let scene = Scene::new().with_files(2);
    let before = scene.tree();
    let (connection, verify) = watching(&url, "step");
    let (rested, events) = scene.rig.run(&scene.workflow("", &connection, &[&copy(&verify)]), &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    let Some(Cause::Probe { detail, .. }) = rested.run.cause() else { panic!("{:?}", rested.run.cause()) };
    assert!(detail.contains("too little was seen"), "{detail}");
    assert_eq!(scene.tree(), before);
}
