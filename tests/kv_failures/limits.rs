//! Limits of mounts and keys: how many versions are kept, and for how long.

use cutover_tests::{KvVersion, OpenBao, differences, dump};
use serde_json::{Value, json};

use crate::{picture, site::Site, workflows::write};

fn metadata(server: &OpenBao, path: &str) -> Value {
    server.must("GET", &format!("/v1/secret/metadata/{path}"), Value::Null)["data"].clone()
}

#[test]
fn a_target_that_keeps_fewer_versions_gets_them_all_and_behaves_as_the_source() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    source.must("POST", "/v1/secret/config", json!({"max_versions": 30, "cas_required": true}));
    target.must("POST", "/v1/secret/config", json!({"max_versions": 2}));
    let fill = |path: &str, from: u64, to: u64| {
        for number in from..to {
            let body = json!({"data": {"n": number}, "options": {"cas": number}});
            source.must("PUT", &format!("/v1/secret/data/{path}"), body);
        }
    };
    fill("long", 0, 14);
    fill("later", 0, 8);
    // Its oldest versions go with the next write.
    source.must("PUT", "/v1/secret/metadata/later", json!({"max_versions": 40}));
    fill("later", 8, 9);
    let wanted = picture::keys(&source, "secret");
    let site = Site::between(&source, &target, &target.url());
    site.run("", 0);
    let found = picture::keys(&target, "secret");
    for (path, most) in [("long", 30), ("later", 40)] {
        assert_eq!(found[path]["versions"], wanted[path]["versions"], "{path}");
        assert_eq!(
            (&found[path]["settings"]["max_versions"], &found[path]["settings"]["cas_required"]),
            (&json!(most), &json!(true)),
            "{path}"
        );
    }
    assert_eq!(found.len(), 2);
}

#[test]
fn a_key_with_timers_keeps_the_time_that_each_version_has_left() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    write(&source, "timed", json!({"n": 1}));
    source.must("PUT", "/v1/secret/metadata/timed", json!({"delete_version_after": "3h"}));
    write(&source, "timed", json!({"n": 2}));
    source.must("PUT", "/v1/secret/metadata/timed", json!({"delete_version_after": "48h"}));
    write(&source, "timed", json!({"n": 3}));
    let before = dump(&source.url(), source.root(), "secret");
    let site = Site::between(&source, &target, &target.url());
    let document = site.run("", 0);
    assert!(document["losses"].to_string().contains("deletion-times"), "{document:#}");
    let after = dump(&target.url(), target.root(), "secret");
    // Give or take fifteen minutes, by a comparison that is not ours.
    assert_eq!(differences(&before, &after, 15), Vec::<String>::new());
    let until = |number: u64| match &after["timed"].versions[&number] {
        KvVersion::Live { until, .. } => until.clone(),
        other => panic!("{other:?}"),
    };
    assert!(until(1).is_empty() && !until(2).is_empty() && until(2) < until(3), "{after:#?}");
}

#[test]
fn a_target_mount_that_deletes_everything_is_refused_until_that_is_accepted_by_name() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    for number in 1..=2 {
        write(&source, "app", json!({ "n": number }));
    }
    let wanted = picture::keys(&source, "secret");
    target.must("POST", "/v1/secret/config", json!({"delete_version_after": "24h"}));
    let site = Site::between(&source, &target, &target.url());
    let document = site.run("", 1);
    assert!(document.to_string().contains("mount-expiry"), "{document:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    site.edit("accept = [", "accept = [\"mount-expiry\", ");
    let document = site.run("", 0);
    assert!(document["losses"].to_string().contains("mount-expiry"), "{document:#}");
    assert_eq!(picture::keys(&target, "secret"), wanted);
    assert!(metadata(&target, "app")["versions"]["1"]["deletion_time"].as_str().is_some_and(|time| !time.is_empty()));
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
}

#[test]
fn a_key_whose_metadata_is_guarded_is_copied_guarded_and_taken_back() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    write(&source, "app", json!({"n": 1}));
    write(&source, "app", json!({"n": 2}));
    source.must("PUT", "/v1/secret/metadata/app", json!({"custom_metadata": {"owner": "a"}, "metadata_cas_required": true}));
    // The target guards all its keys besides.
    target.must("POST", "/v1/secret/config", json!({"metadata_cas_required": true}));
    let wanted = picture::keys(&source, "secret");
    let site = Site::between(&source, &target, &target.url());
    site.run("", 0);
    assert_eq!(picture::keys(&target, "secret"), wanted);
    assert_eq!(metadata(&target, "app")["metadata_cas_required"], true);
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
}
