//! Behind an irreversible step there is no way back for what it needs.

use std::collections::BTreeSet;

use cutover_engine::{Ending, Event, Phase, Recheck, Span, StuckReason};
use serde_json::json;

use crate::{
    health::Application,
    scene::{PLUGINS, RETIRE, Scene, TestClock, copy, phases, watching},
};

const DESTROY: &str = r#"
[[step]]
id = "destroy"
uses = "files.destroy-files"
changes = "steps.retire"
connections = { source = "legacy" }
irreversible = true
"#;

/// A second migration after all that, which nothing above depends on; its probe says no.
fn late(verify: &str) -> String {
    format!(
        "[[step]]\nid = \"late\"\nuses = \"files.copy-files\"\nwith = {{ into = \"late/\" }}\n\
         connections = {{ source = \"other\", target = \"store\" }}\n{verify}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_destroyed_whose_copy_is_no_longer_as_it_was_verified() {
    let clock = TestClock::new();
    let mut scene = Scene::at(clock.clone()).with_files(2);
    scene.rig.host.longest_wait = Span::seconds(60);
    let gate = "[[step]]\nid = \"rest\"\ngate = \"wait\"\nfor = \"1h\"\n";
    let text = scene.workflow("on_failure = \"pause\"", "", &[&copy(""), RETIRE, gate, DESTROY]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert!(matches!(rested.ending, Ending::Waiting { .. }), "{events:#?}");

    // The retired copy of the source is the last one of this secret now.
    std::fs::remove_file(scene.rig.path("store/a01/KEY.json.age")).expect("a copy");
    clock.advance(Span::seconds(3_601));
    let (rested, events) = scene.rig.resume(&rested.id).await.expect("a resume");
    assert_eq!(rested.ending, Ending::Paused, "{events:#?}");
    assert!(scene.rig.path("legacy/a01.env.retired").exists(), "it was not destroyed");
    let moved = |event: &Event| matches!(event, Event::Rechecked { relation: Recheck::TargetMoved, .. });
    assert_eq!(events.iter().filter(|event| moved(event)).count(), 1, "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_destroyed_at_the_source_stays_at_the_target() {
    let app = Application::start(async |_| 1).await;
    let scene = Scene::new().with_files(2);
    scene.rig.write("other/b.env", "KEY=late-value-0123456789\n");
    let (connection, verify) = watching(&app.url, "step");
    let text = scene.workflow("", &connection, &[&copy(""), RETIRE, DESTROY, &late(&verify)]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::Stuck, "{events:#?}");
    let open: BTreeSet<(String, String)> = rested
        .run
        .open()
        .map(|open| (rested.run.plan().name_of(open.change), format!("{:?}", open.reason)))
        .map(|(name, reason)| (name.split_once('/').map(|(step, _)| step.to_owned()).unwrap_or_default(), reason))
        .collect();
    let told = |step: &str, reason: StuckReason| (step.to_owned(), format!("{reason:?}"));
    assert_eq!(
        open,
        BTreeSet::from([
            told("copy", StuckReason::Needed),
            told("retire", StuckReason::Needed),
            told("destroy", StuckReason::Irreversible)
        ])
    );
    assert_eq!(scene.stored("a00/KEY.json.age"), Some(json!({"value": "value-00-0123456789abcdef"})));
    assert_eq!(scene.stored("a01/KEY.json.age"), Some(json!({"value": "value-01-0123456789abcdef"})));
    assert_eq!(scene.stored("late/b/KEY.json.age"), None, "what does not depend on it went back");
    assert!(phases(&rested.run).iter().all(|(name, phase)| !name.starts_with("late/") || *phase == Phase::RolledBack));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_reversible_retirement_everything_goes_back() {
    let app = Application::start(async |_| 1).await;
    let scene = Scene::new().with_files(2);
    scene.rig.write("other/b.env", "KEY=late-value-0123456789\n");
    let before = scene.tree();
    let (connection, verify) = watching(&app.url, "step");
    let text = scene.workflow("", &connection, &[&copy(""), RETIRE, &late(&verify)]);
    let (rested, events) = scene.rig.run(&text, &PLUGINS).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "{events:#?}");
    assert_eq!(scene.tree(), before);
}
