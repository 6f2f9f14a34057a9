//! Timers that run out while a run is under way: nobody has written, and nothing has moved.

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{picture, site::Site, workflows::write};

/// A key of three versions. The second one can be read for so long, in seconds: long enough for a copy.
fn timed(seconds: u64) -> OpenBao {
    let source = OpenBao::start();
    let timer = |after: u64| source.must("PUT", "/v1/secret/metadata/app", json!({ "delete_version_after": format!("{after}s") }));
    write(&source, "app", json!({"n": 1}));
    timer(seconds);
    write(&source, "app", json!({"n": 2}));
    timer(0);
    write(&source, "app", json!({"n": 3}));
    source
}

/// Asks until the server does not give a version of `app` any more: its timer is the clock of these tests.
fn run_out(server: &OpenBao, version: u64) {
    while server.ask("GET", &format!("/v1/secret/data/app?version={version}"), Value::Null).status == 200 {}
}

fn states(server: &OpenBao) -> Vec<Value> {
    let key = picture::key(server, "secret", "app");
    key["versions"].as_object().into_iter().flatten().map(|(_, version)| version["state"].clone()).collect()
}

/// A run in its dual run, with a soak of so long.
fn in_dual_run(source: &OpenBao, target: &OpenBao, soak: &str) -> Site {
    let site = Site::between(source, target, &target.url());
    site.edit("default = \"5s\"", &format!("default = \"{soak}\""));
    waits(&site);
    site
}

fn waits(site: &Site) {
    let waiting = site.run("--max-wait 1s", 13);
    assert_eq!(waiting["ending"], "waiting", "{waiting:#}");
}

#[test]
fn a_version_that_runs_out_in_the_dual_run_moves_nothing() {
    // The timer runs from the first write on: nothing that takes time comes after it.
    let target = OpenBao::start();
    let source = timed(25);
    let site = in_dual_run(&source, &target, "2s");
    run_out(&source, 2);
    run_out(&target, 2);
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert_eq!((states(&source), states(&target)), (vec![json!("deleted"); 3], vec![json!("live"), json!("deleted"), json!("live")]));
}

#[test]
fn a_run_goes_back_after_a_version_has_run_out() {
    // The timer runs from the first write on: nothing that takes time comes after it.
    let target = OpenBao::start();
    let source = timed(25);
    let site = in_dual_run(&source, &target, "1h");
    run_out(&source, 2);
    run_out(&target, 2);
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    assert_eq!(states(&source), [json!("live"), json!("deleted"), json!("live")]);
}

#[test]
fn a_target_mount_that_deletes_everything_as_accepted_ends_no_run() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    write(&source, "app", json!({"n": 1}));
    target.must("POST", "/v1/secret/config", json!({"delete_version_after": "12s"}));
    let site = Site::between(&source, &target, &target.url());
    site.edit("accept = [", "accept = [\"mount-expiry\", ");
    site.edit("default = \"5s\"", "default = \"2s\"");
    waits(&site);
    run_out(&target, 1);
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert!(document["losses"].to_string().contains("mount-expiry"), "{document:#}");
    assert_eq!((states(&source), states(&target)), (vec![json!("deleted")], vec![json!("deleted")]));
}

#[test]
fn a_timed_version_that_somebody_deletes_at_the_target_stops_the_retirement() {
    let target = OpenBao::start();
    let source = timed(3_600);
    let site = in_dual_run(&source, &target, "2s");
    target.must("PUT", "/v1/secret/delete/app", json!({"versions": [2]}));
    let document = site.document("resume last", 11);
    assert!(document["open"].to_string().contains("app"), "{document:#}");
    assert_eq!(states(&source), vec![json!("live"); 3], "nothing was retired");
}
