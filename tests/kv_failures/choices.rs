//! What a workflow can choose beside its defaults, each between two servers.

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    picture,
    site::Site,
    workflows::{seed, write},
};

fn servers() -> (OpenBao, OpenBao) {
    (OpenBao::start(), OpenBao::start())
}

/// The version of a key has this state on that server.
fn state(server: &OpenBao, path: &str, version: u64) -> Value {
    picture::key(server, "secret", path)["versions"][version.to_string()]["state"].clone()
}

#[test]
fn keys_are_destroyed_for_good_by_the_step_that_the_workflow_describes() {
    let (source, target) = servers();
    seed(&source, 3);
    let mut site = Site::between(&source, &target, &target.url());
    site.token(&source, "OLD_DESTROY_TOKEN", "source-destroy");
    let connection =
        format!("old-destroyer = {{ kind = \"vault\", url = \"{}\", token = \"env:OLD_DESTROY_TOKEN\" }}\nnew  ", source.url());
    site.edit("\nnew  ", &format!("\n{connection}"));
    for line in [
        "[[step]]",
        "id           = \"destroy\"",
        "uses         = \"vault.destroy-kv\"",
        "changes      = \"steps.retire\"",
        "connections  = { source = \"old-destroyer\" }",
        "irreversible = true",
        "accept       = [\"destroyed-at-source\"]",
    ] {
        site.edit(&format!("#   {line}\n"), "");
        site.append(&format!("{line}\n"));
    }
    let wanted = picture::keys(&source, "secret").len();
    let document = site.run("", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert!(document["losses"].to_string().contains("destroyed-at-source"), "{document:#}");
    assert_eq!(picture::keys(&source, "secret").len(), 0);
    assert_eq!(picture::keys(&target, "secret").len(), wanted);
}

#[test]
fn soft_deleted_versions_are_recovered_for_one_read_and_arrive_soft_deleted() {
    let (source, target) = servers();
    for version in 1..=3 {
        write(&source, "app", json!({"n": version}));
    }
    source.must("PUT", "/v1/secret/delete/app", json!({"versions": [2]}));
    let mut site = Site::between(&source, &target, &target.url());
    // Beside what source.hcl reads it needs what source-retire.hcl may do.
    site.token_with(&source, "OLD_TOKEN", &["source", "source-retire"]);
    site.edit("skip = \"${inputs.skip}\" }", "skip = \"${inputs.skip}\", recover_deleted = true }");
    let document = site.run("", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert!(!document["losses"].to_string().contains("deleted-version-data"), "{document:#}");
    assert_eq!([state(&target, "app", 2), state(&target, "app", 3)], ["deleted", "live"]);
    target.must("PUT", "/v1/secret/undelete/app", json!({"versions": [2]}));
    assert_eq!(picture::key(&target, "secret", "app")["versions"]["2"]["value"], json!({"n": 2}), "its data arrived");
    assert_eq!([1, 2, 3].map(|version| state(&source, "app", version)), ["deleted", "deleted", "deleted"]);
}

#[test]
fn a_recovery_is_taken_back_at_both_ends() {
    let (source, target) = servers();
    for version in 1..=2 {
        write(&source, "app", json!({"n": version}));
    }
    source.must("PUT", "/v1/secret/delete/app", json!({"versions": [1]}));
    let before = picture::keys(&source, "secret");
    let mut site = Site::between(&source, &target, &target.url());
    site.token_with(&source, "OLD_TOKEN", &["source", "source-retire"]);
    site.edit("skip = \"${inputs.skip}\" }", "skip = \"${inputs.skip}\", recover_deleted = true }");
    site.run("", 0);
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!((picture::keys(&source, "secret"), picture::keys(&target, "secret").len()), (before, 0));
}

#[test]
fn an_equal_key_is_taken_as_copied_and_another_one_refuses_the_plan() {
    let (source, target) = servers();
    write(&source, "equal", json!({"a": 1}));
    write(&source, "new", json!({"a": 2}));
    write(&target, "equal", json!({"a": 1}));
    let site = Site::between(&source, &target, &target.url());
    let told = site.run("", 1).to_string();
    assert!(told.contains("existing = ") && told.contains("present"), "{told}");
    let document = site.run("--var existing=present", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert_eq!(picture::key(&target, "secret", "equal")["current"], 1, "it was not written");
    assert_eq!(picture::latest(&picture::key(&target, "secret", "new")), json!({"a": 2}));
    assert_eq!(state(&source, "equal", 1), "deleted");
    // Its copy was there before the run: the way back leaves it, and gives the old path back.
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").into_keys().collect::<Vec<_>>(), ["equal"]);
    assert_eq!(state(&source, "equal", 1), "live");
    write(&target, "equal", json!({"a": "other"}));
    assert!(site.run("--var existing=present", 1).to_string().contains("with something else in it"));
}

#[test]
fn a_compact_history_leaves_out_what_has_no_data_and_says_so() {
    let (source, target) = servers();
    for version in 1..=4 {
        write(&source, "app", json!({"n": version}));
    }
    source.must("PUT", "/v1/secret/destroy/app", json!({"versions": [1, 3]}));
    let site = Site::between(&source, &target, &target.url());
    site.edit("skip = \"${inputs.skip}\" }", "skip = \"${inputs.skip}\", history = \"compact\" }");
    let document = site.run("", 0);
    assert!(document["losses"].to_string().contains("renumbered"), "{document:#}");
    let app = picture::key(&target, "secret", "app");
    assert_eq!(app["current"], 2);
    assert_eq!([&app["versions"]["1"]["value"], &app["versions"]["2"]["value"]], [&json!({"n": 2}), &json!({"n": 4})]);
}

#[test]
fn more_dropped_versions_than_wanted_make_a_copy_compact() {
    let (source, target) = servers();
    source.must("POST", "/v1/secret/config", json!({"max_versions": 2}));
    for version in 1..=6 {
        write(&source, "app", json!({"n": version}));
    }
    let site = Site::between(&source, &target, &target.url());
    site.edit("skip = \"${inputs.skip}\" }", "skip = \"${inputs.skip}\", max_tombstones = 3 }");
    let document = site.run("", 0);
    assert!(document["losses"].to_string().contains("pruned-versions"), "{document:#}");
    assert_eq!(picture::key(&target, "secret", "app")["current"], 2);
}

#[test]
fn a_key_that_may_be_listed_but_not_read_is_named_and_can_be_left_out() {
    let (source, target) = servers();
    seed(&source, 3);
    write(&source, "closed", json!({"v": 1}));
    let site = Site::between(&source, &target, &target.url());
    let shipped = source.ask("GET", "/v1/sys/policies/acl/source", Value::Null).body["data"]["policy"].clone();
    let shipped = shipped.as_str().expect("a policy");
    source.policy("source", &format!("{shipped}\npath \"secret/data/closed\" {{ capabilities = [\"deny\"] }}\n"));
    let told = site.run("", 1).to_string();
    assert!(told.contains("may not read") && told.contains("closed"), "{told}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    let document = site.run("--var skip=[\"closed\"]", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
}
