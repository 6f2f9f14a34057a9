//! What somebody takes away at the source while both places work.

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{picture, site::Site, workflows::write};

/// Two keys of two versions, copied, in the soak.
fn in_dual_run(soak: &str) -> (OpenBao, OpenBao, Site) {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    for key in ["app", "web"] {
        write(&source, key, json!({"n": 1}));
        write(&source, key, json!({"n": 2}));
    }
    let site = Site::between(&source, &target, &target.url());
    // What arises in the run has nobody's consent.
    site.edit("accept = [\"deleted-version-data\", \"renumbered\"]", "accept = []");
    site.edit("default = \"5s\"", &format!("default = \"{soak}\""));
    let waiting = site.run("--max-wait 1s", 13);
    assert_eq!(waiting["ending"], "waiting", "{waiting:#}");
    (source, target, site)
}

fn state(server: &OpenBao, version: &str) -> Value {
    picture::key(server, "secret", "app")["versions"][version]["state"].clone()
}

#[test]
fn a_run_goes_back_but_for_what_may_be_the_last_copy() {
    let (source, target, site) = in_dual_run("1h");
    source.must("DELETE", "/v1/secret/metadata/app", Value::Null);
    let stuck = site.document("rollback last --yes", 11);
    assert!(stuck["open"].to_string().contains("may be the last copy"), "{stuck:#}");
    let left = picture::keys(&target, "secret");
    assert_eq!((left.len(), picture::latest(&left["app"])), (1, json!({"n": 2})), "{left:#?}");
    // By the operator's word it goes.
    let back = site.document("rollback last --over copy/target:secret/app --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
}

#[test]
fn a_key_that_is_gone_at_the_source_is_named_and_nothing_is_retired() {
    let (source, target, site) = in_dual_run("2s");
    source.must("DELETE", "/v1/secret/metadata/app", Value::Null);
    site.document("resume last", 12);
    let document = site.document("resume last", 11);
    assert!(document.to_string().contains("source:secret/app is there no longer"), "{document:#}");
    // The others have gone back; this one may be the last copy.
    assert_eq!(picture::keys(&target, "secret").into_keys().collect::<Vec<_>>(), ["app"]);
    assert!(!picture::latest(&picture::key(&source, "secret", "web")).is_null());
}

#[test]
fn a_version_that_is_soft_deleted_at_the_source_keeps_its_data_at_the_target() {
    let (source, target, site) = in_dual_run("2s");
    source.must("PUT", "/v1/secret/delete/app", json!({"versions": [2]}));
    let paused = site.document("resume last", 12);
    assert_eq!(paused["ending"], "paused", "{paused:#}");
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert_eq!((state(&target, "1"), state(&target, "2")), (json!("live"), json!("deleted")));
    target.must("PUT", "/v1/secret/undelete/app", json!({"versions": [2]}));
    assert_eq!(picture::latest(&picture::key(&target, "secret", "app")), json!({"n": 2}), "nothing is lost");
}

#[test]
fn a_soft_deletion_that_was_followed_is_taken_back_with_its_key() {
    let (source, target, site) = in_dual_run("2s");
    source.must("PUT", "/v1/secret/delete/app", json!({"versions": [2]}));
    site.document("resume last", 12);
    site.document("resume last", 0);
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    assert_eq!((state(&source, "1"), state(&source, "2")), (json!("live"), json!("deleted")));
}

#[test]
fn a_version_that_is_destroyed_at_the_source_is_never_destroyed_at_the_target_for_it() {
    let (source, target, site) = in_dual_run("2s");
    source.must("PUT", "/v1/secret/destroy/app", json!({"versions": [1]}));
    site.document("resume last", 12);
    let document = site.document("resume last", 11);
    let open = document["open"].to_string();
    assert!(open.contains("version 1 of source:secret/app was destroyed after the plan"), "{document:#}");
    assert_eq!(state(&source, "2"), "live", "nothing was retired");
    assert_eq!((state(&target, "1"), state(&target, "2")), (json!("live"), json!("live")), "a person decides");
}
