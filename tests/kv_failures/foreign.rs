//! Somebody else writes a version to a key of the target: it is named, and never overwritten.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    mishap::{before_request, is_removal, is_version},
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
    // Before our first version, and between our first and our second one.
    for ours in [0, 1] {
        let (source, target) = servers();
        let wanted = picture::keys(&source, "secret");
        let server = Arc::clone(&target);
        let of = |method: &str, path: &str| is_version(method, path) && path.ends_with(KEY);
        let url = proxy::before(
            &target,
            before_request(ours + 1, of, move || {
                // Two writers that race: theirs is the first.
                server.must("PUT", &format!("/v1/secret/data/{KEY}"), json!({"data": theirs(), "options": {"cas": ours}}));
            }),
        );
        let site = Site::between(&source, &target, &url);
        let document = site.run("", 11);
        assert_eq!(document["ending"], "stuck", "{document:#}");
        assert!(document["open"].to_string().contains(KEY), "{document:#}");
        only_theirs_is_left(&target);
        assert_eq!(picture::keys(&source, "secret"), wanted);
    }
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
    let document = site.run("--var existing=merge", 11);
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
}

/// Whether the application has said no; it does so once there are more than five of these.
fn says_no(site: &Site, moved: impl Fn() -> usize + Send + Sync + 'static) -> Arc<AtomicBool> {
    let failed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&failed);
    site.failures(move || {
        let failures = moved().saturating_sub(5);
        told.fetch_or(failures > 0, Ordering::SeqCst);
        failures
    });
    failed
}

/// A proxy in front of the target that does something before the first request of this kind on the way back.
fn on_the_way_back(
    source: &OpenBao,
    target: &Arc<OpenBao>,
    of: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    deed: impl Fn(&OpenBao) + Send + Sync + 'static,
) -> Site {
    let is_back = Arc::new(OnceLock::<Arc<AtomicBool>>::new());
    let (server, knows) = (Arc::clone(target), Arc::clone(&is_back));
    let of = move |method: &str, path: &str| of(method, path) && knows.get().is_some_and(|back| back.load(Ordering::SeqCst));
    let url = proxy::before(target, before_request(1, of, move || deed(&server)));
    let site = Site::between(source, target, &url);
    let seen = Arc::clone(target);
    is_back.set(says_no(&site, move || picture::keys(&seen, "secret").len())).expect("set once");
    site
}

#[test]
fn during_rollback_theirs_stays_and_the_others_go_back() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    // As soon as the application has said no: just before the way back looks at this key.
    let of = |method: &str, path: &str| method == "GET" && path == format!("/v1/secret/metadata/{KEY}");
    let mut site = on_the_way_back(&source, &target, of, |server| write(server, KEY, theirs()));
    let document = site.run("", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
    assert_eq!(picture::keys(&source, "secret"), wanted);
    // Asked again it stays again.
    site.token(&target, "NEW_TOKEN", "target");
    site.document("rollback last --yes", 11);
    only_theirs_is_left(&target);
    // By the operator's word it goes, too.
    let back = site.document(&format!("rollback last --over copy/target:secret/{KEY} --yes"), 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
}

#[test]
fn a_version_written_in_the_middle_of_a_removal_keeps_the_key() {
    let (source, target) = servers();
    let of = |method: &str, path: &str| is_version(method, path) && path.ends_with(KEY);
    // The key is closed already: they have to name the version that they replace, and do.
    let site = on_the_way_back(&source, &target, of, |server| {
        server.must("PUT", &format!("/v1/secret/data/{KEY}"), json!({"data": theirs(), "options": {"cas": 2}}));
    });
    let document = site.run("", 11);
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
    assert_eq!(picture::key(&target, "secret", KEY)["settings"]["cas_required"], false, "they can write as before");
    site.document("rollback last --yes", 11);
    only_theirs_is_left(&target);
}

#[test]
fn just_before_a_key_is_removed_others_are_told_that_they_cannot_write_it() {
    let (source, target) = servers();
    let of = |method: &str, path: &str| is_removal(method, path) && path.ends_with(KEY);
    let site = on_the_way_back(&source, &target, of, |server| {
        for options in [json!({}), json!({"cas": 2})] {
            let answer = server.ask("PUT", &format!("/v1/secret/data/{KEY}"), json!({"data": theirs(), "options": options}));
            assert_eq!(answer.status, 400, "{}", answer.body);
        }
        let settings = json!({"custom_metadata": {"theirs": "yes"}});
        let answer = server.ask("PUT", &format!("/v1/secret/metadata/{KEY}"), settings);
        assert_eq!(answer.status, 400, "{}", answer.body);
    });
    let document = site.run("", 10);
    assert_eq!(document["ending"], "rolled-back", "{document:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
}

#[test]
fn what_somebody_else_puts_into_a_v1_target_during_rollback_stays() {
    let (source, target) = servers();
    target.mount_kv("kv", 1);
    // The first look on the way back is the host's, the second one the plugin's own.
    let (server, is_back) = (Arc::clone(&target), Arc::new(OnceLock::<Arc<AtomicBool>>::new()));
    let knows = Arc::clone(&is_back);
    let of = move |method: &str, path: &str| {
        method == "GET" && path == format!("/v1/kv/{KEY}") && knows.get().is_some_and(|back| back.load(Ordering::SeqCst))
    };
    let url = proxy::before(&target, before_request(2, of, move || drop(server.must("PUT", &format!("/v1/kv/{KEY}"), theirs()))));
    let mut site = Site::between(&source, &target, &url);
    site.token(&target, "NEW_TOKEN", "target-v1");
    site.token(&target, "NEW_AUDIT_TOKEN", "source-v1");
    site.edit("accept = [", "accept = [\"older-versions\", ");
    let seen = Arc::clone(&target);
    is_back.set(says_no(&site, move || picture::documents(&seen, "kv").len())).expect("set once");
    let document = site.run("--var target_mount=kv", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    let left = picture::documents(&target, "kv");
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [(KEY.to_owned(), theirs())]);
}

#[test]
fn a_key_that_somebody_makes_after_the_plan_is_left_out_where_the_workflow_defers() {
    let (source, target) = servers();
    let site = Site::between(&source, &target, &target.url());
    site.edit("on_drift   = \"stop\"", "on_drift   = \"defer\"");
    site.document("plan openbao-to-openbao.toml --out move.cutplan", 0);
    write(&target, KEY, theirs());
    let document = site.document("run move.cutplan --yes", 0);
    assert_eq!(document["steps"][0]["counts"]["deferred"], 1, "{document:#}");
    let found = picture::keys(&target, "secret");
    assert_eq!((found.len(), &found[KEY]["current"], picture::latest(&found[KEY])), (8, &json!(1), theirs()), "{found:#?}");
    assert!(!picture::latest(&picture::key(&source, "secret", KEY)).is_null(), "what was left out is not retired");
}

/// A run that waits in its dual run for a soak of some seconds.
fn in_dual_run(source: &OpenBao, target: &OpenBao) -> Site {
    let site = Site::between(source, target, &target.url());
    site.edit("default = \"5s\"", "default = \"3s\"");
    let waiting = site.run("--max-wait 1s", 13);
    assert_eq!(waiting["ending"], "waiting", "{waiting:#}");
    site
}

#[test]
fn a_foreign_version_at_the_target_during_the_dual_run_stops_the_retirement() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    let site = in_dual_run(&source, &target);
    write(&target, KEY, theirs());
    let document = site.document("resume last", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    assert!(document["open"].to_string().contains(KEY), "{document:#}");
    only_theirs_is_left(&target);
    assert_eq!(picture::keys(&source, "secret"), wanted, "what had been retired is back");
}

#[test]
fn a_foreign_version_at_the_source_during_the_dual_run_is_copied_before_anything_is_retired() {
    let (source, target) = servers();
    let site = in_dual_run(&source, &target);
    write(&source, KEY, theirs());
    let paused = site.document("resume last", 12);
    assert_eq!(paused["ending"], "paused", "{paused:#}");
    assert!(!picture::latest(&picture::key(&source, "secret", KEY)).is_null(), "it was not retired");
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    let moved = picture::key(&target, "secret", KEY);
    assert_eq!((&moved["current"], picture::latest(&moved)), (&json!(3), theirs()));
    assert!(picture::latest(&picture::key(&source, "secret", KEY)).is_null());
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
