//! Behind an irreversible step there is no way back for what it needs.

use std::collections::BTreeSet;

use cutover_engine::{Ending, Phase, StuckReason};
use serde_json::json;

use crate::{
    health::Application,
    scene::{PLUGINS, RETIRE, Scene, copy, phases, watching},
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
