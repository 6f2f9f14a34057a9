//! Somebody else writes a version to a key of the target: it is named, and never overwritten.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    mishap::{before_request, is_version},
    picture, proxy,
    site::Site,
    workflows::write,
};

/// The key that somebody else is after.
const KEY: &str = "app/k5";

fn theirs() -> Value {
    json!({"theirs": "keep me"})
}

fn servers() -> (OpenBao, Arc<OpenBao>) {
    let (source, target) = (OpenBao::start(), Arc::new(OpenBao::start()));
    for number in 0..8 {
        write(&source, &format!("app/k{number}"), json!({"password": format!("made-up-{number}")}));
        write(&source, &format!("app/k{number}"), json!({"password": format!("made-up-{number}-new")}));
    }
    (source, target)
}

/// Their version is the current one of the key, and it is the only key that is left.
fn only_theirs_is_left(target: &OpenBao) {
    let left = picture::keys(target, "secret");
    assert_eq!(left.keys().collect::<Vec<_>>(), [KEY], "{left:#?}");
    assert_eq!(picture::latest(&left[KEY]), theirs(), "{left:#?}");
}

#[test]
fn between_plan_and_run_the_run_stops_before_it_writes() {
    let (source, target) = servers();
    let site = Site::between(&source, &target, &target.url());
    site.document("plan openbao-to-openbao.toml --out move.cutplan", 0);
    write(&target, KEY, theirs());
    let document = site.document("run move.cutplan --yes", 15);
    assert!(document.to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
}

#[test]
fn between_plan_and_run_the_key_is_left_out_where_the_workflow_defers() {
    let (source, target) = servers();
    write(&target, KEY, json!({"there": "before the plan"}));
    let site = Site::between(&source, &target, &target.url());
    site.edit("on_drift   = \"stop\"", "on_drift   = \"defer\"");
    site.edit("accept = [", "accept = [\"renumbered\", ");
    site.document("plan openbao-to-openbao.toml --var existing=merge --out move.cutplan", 0);
    write(&target, KEY, theirs());
    let document = site.document("run move.cutplan --yes", 0);
    assert_eq!(
        (&document["steps"][0]["counts"]["deferred"], &document["steps"][0]["counts"]["verified"]),
        (&json!(1), &json!(7)),
        "{document:#}"
    );
    let found = picture::keys(&target, "secret");
    assert_eq!((found.len(), picture::latest(&found[KEY])), (8, theirs()), "{found:#?}");
    // What was left out is not retired either.
    assert!(!picture::latest(&picture::key(&source, "secret", KEY)).is_null());
    assert!(picture::latest(&picture::key(&source, "secret", "app/k4")).is_null());
}

#[test]
fn between_capture_and_write_the_change_fails_and_the_others_go_back() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    let server = Arc::clone(&target);
    let of = |method: &str, path: &str| is_version(method, path) && path.ends_with(KEY);
    let url = proxy::before(
        &target,
        before_request(1, of, move || {
            // Two writers that race: theirs is the first.
            server.must("PUT", &format!("/v1/secret/data/{KEY}"), json!({"data": theirs(), "options": {"cas": 0}}));
        }),
    );
    let site = Site::between(&source, &target, &url);
    let document = site.run("", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
    assert_eq!(picture::keys(&source, "secret"), wanted);
}

#[test]
fn a_merged_key_that_somebody_else_grows_meanwhile_keeps_their_version() {
    let (source, target) = servers();
    write(&target, KEY, json!({"there": "before"}));
    let server = Arc::clone(&target);
    let of = |method: &str, path: &str| is_version(method, path) && path.ends_with(KEY);
    let deed = move || drop(server.must("PUT", &format!("/v1/secret/data/{KEY}"), json!({"data": theirs(), "options": {"cas": 1}})));
    let url = proxy::before(&target, before_request(1, of, deed));
    let site = Site::between(&source, &target, &url);
    site.edit("accept = [", "accept = [\"renumbered\", ");
    let document = site.run("--var existing=merge", 11);
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
}

#[test]
fn during_rollback_theirs_stays_and_the_others_go_back() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    // As soon as the application has said no: just before the way back looks at this key.
    let (server, failed) = (Arc::clone(&target), Arc::new(AtomicBool::new(false)));
    let is_back = Arc::clone(&failed);
    let of =
        move |method: &str, path: &str| method == "GET" && path == format!("/v1/secret/metadata/{KEY}") && is_back.load(Ordering::SeqCst);
    let url = proxy::before(&target, before_request(1, of, move || write(&server, KEY, theirs())));
    let mut site = Site::between(&source, &target, &url);
    let seen = Arc::clone(&target);
    site.failures(move || {
        let failures = picture::keys(&seen, "secret").len().saturating_sub(5);
        failed.fetch_or(failures > 0, Ordering::SeqCst);
        failures
    });
    let document = site.run("", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
    assert_eq!(picture::keys(&source, "secret"), wanted);
    // Asked again it stays again.
    site.token(&target, "NEW_TOKEN", "target");
    site.document("rollback last --yes", 11);
    only_theirs_is_left(&target);
}

#[test]
fn during_the_dual_run_nothing_is_retired() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    let site = Site::between(&source, &target, &target.url());
    site.edit("default = \"5s\"", "default = \"1h\"");
    let waiting = site.run("--max-wait 1s", 13);
    assert_eq!(waiting["ending"], "waiting", "{waiting:#}");
    write(&target, KEY, theirs());
    let document = site.document("rollback last --yes", 11);
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
    assert_eq!(picture::keys(&source, "secret"), wanted);
}
