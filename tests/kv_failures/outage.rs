//! What is between the program and its target fails: sealed, stopped, refused, too slow, forbidden.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    mishap::{before_request, is_removal, is_version},
    picture, proxy,
    site::Site,
    workflows::{seed, write},
};

/// A source with ten keys, beside an empty target.
fn servers() -> (OpenBao, Arc<OpenBao>) {
    let (source, target) = (OpenBao::start(), Arc::new(OpenBao::start()));
    plain(&source);
    (source, target)
}

fn plain(source: &OpenBao) {
    for number in 0..10 {
        write(source, &format!("app/k{number}"), json!({"password": format!("made-up-{number}")}));
        write(source, &format!("app/k{number}"), json!({"password": format!("made-up-{number}-new")}));
    }
}

/// Nothing is missing, and no version was written twice: the numbers would differ.
fn has_arrived(target: &OpenBao, wanted: &impl PartialEq<std::collections::BTreeMap<String, Value>>) {
    let found = picture::keys(target, "secret");
    assert!(*wanted == found, "{found:#?}");
}

#[test]
fn sealed_in_the_middle_of_apply_it_waits_and_resume_finishes() {
    let (source, target) = servers();
    let sealed = Arc::clone(&target);
    let url = proxy::before(&target, before_request(8, is_version, move || sealed.seal()));
    let wanted = picture::keys(&source, "secret");
    let site = Site::between(&source, &target, &url);
    let document = site.run("--max-wait 3s", 13);
    assert_eq!(document["ending"], "waiting", "{document:#}");
    let still = site.document("resume last --max-wait 1s", 13);
    assert_eq!(still["ending"], "waiting", "{still:#}");
    target.unseal();
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    has_arrived(&target, &wanted);
}

#[test]
fn sealed_between_two_batches_it_waits_before_it_sends_anything() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    let (sealed, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (is_sealed, seen) = (Arc::clone(&sealed), Arc::clone(&asked));
    let url = proxy::before(
        &target,
        Arc::new(move |method, path| {
            if is_sealed.load(Ordering::SeqCst) {
                seen.lock().expect("no panic").push(format!("{method} {path}"));
            }
            true
        }),
    );
    let site = Site::between(&source, &target, &url);
    let server = Arc::clone(&target);
    // The application is asked after each cohort: nothing else is under way.
    site.failures(move || {
        if picture::keys(&server, "secret").len() == 1 && !sealed.swap(true, Ordering::SeqCst) {
            server.seal();
        }
        0
    });
    let document = site.run("--max-wait 3s", 13);
    assert_eq!(document["ending"], "waiting", "{document:#}");
    let asked = asked.lock().expect("no panic").clone();
    assert!(!asked.is_empty() && asked.iter().all(|request| request == "GET /v1/sys/health"), "{asked:#?}");
    target.unseal();
    site.document("resume last", 0);
    has_arrived(&target, &wanted);
}

#[test]
fn sealed_in_the_middle_of_the_way_back_a_person_is_asked_and_rollback_finishes() {
    let (source, target) = servers();
    let sealed = Arc::clone(&target);
    let url = proxy::before(&target, before_request(2, is_removal, move || sealed.seal()));
    let wanted = picture::keys(&source, "secret");
    let site = Site::between(&source, &target, &url);
    let seen = Arc::clone(&target);
    site.failures(move || picture::keys(&seen, "secret").len().saturating_sub(5));
    let document = site.run("", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    assert!(document["open"].as_array().is_some_and(|open| !open.is_empty()), "{document:#}");
    target.unseal();
    // What is left is whole. A removal that had begun has added its empty version.
    let left = picture::keys(&target, "secret");
    let is_whole = |path: &str, key: &Value| {
        let versions = key["versions"].as_object().expect("versions");
        versions.iter().all(|(number, version)| match &wanted[path]["versions"][number] {
            Value::Null => version["value"] == json!({}),
            of_source => version == of_source,
        })
    };
    assert!(!left.is_empty() && left.iter().all(|(path, key)| is_whole(path, key)), "{left:#?}");
    let document = site.document("rollback last --yes", 0);
    assert_eq!(document["ending"], "rolled-back", "{document:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    assert_eq!(picture::keys(&source, "secret"), wanted);
}

#[test]
fn a_server_that_restarts_is_waited_for() {
    let (source, target) = (OpenBao::start(), Arc::new(OpenBao::start_on_disk()));
    target.mount_kv("secret", 2);
    plain(&source);
    let wanted = picture::keys(&source, "secret");
    // It stops before the eighth write, and is there again, sealed and then open, when it was tried in vain three times.
    let (server, writes, vain) = (Arc::clone(&target), AtomicUsize::new(0), AtomicUsize::new(0));
    let stopped = Mutex::new(false);
    let url = proxy::before(
        &target,
        Arc::new(move |method, path| {
            let mut stopped = stopped.lock().expect("no panic");
            if is_version(method, path) && writes.fetch_add(1, Ordering::SeqCst) == 7 {
                server.stop();
                *stopped = true;
            }
            if *stopped && vain.fetch_add(1, Ordering::SeqCst) == 3 {
                server.start_again();
                server.unseal();
                *stopped = false;
            }
            !*stopped
        }),
    );
    let site = Site::between(&source, &target, &url);
    let document = site.run("", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    has_arrived(&target, &wanted);
}

/// Takes the target's token its power before the eighth write.
fn powerless(deed: impl Fn(&OpenBao, &str) + Send + Sync + 'static) {
    let (source, target) = servers();
    let token = Arc::new(Mutex::new(String::new()));
    let (server, held) = (Arc::clone(&target), Arc::clone(&token));
    let url = proxy::before(&target, before_request(8, is_version, move || deed(&server, &held.lock().expect("no panic"))));
    let wanted = picture::keys(&source, "secret");
    let mut site = Site::between(&source, &target, &url);
    site.variable("NEW_TOKEN").clone_into(&mut token.lock().expect("no panic"));
    let document = site.run("", 11);
    assert_eq!(document["ending"], "stuck", "{document:#}");
    // What it could not take back stays, whole or begun, and is named; nothing else is touched.
    let left = picture::keys(&target, "secret");
    let open = document["open"].to_string();
    assert!(!left.is_empty() && left.keys().all(|path| open.contains(path.as_str())), "{left:#?} {document:#}");
    // With another token it goes back.
    site.token(&target, "NEW_TOKEN", "target");
    let document = site.document("rollback last --yes", 0);
    assert_eq!(document["ending"], "rolled-back", "{document:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    assert_eq!(picture::keys(&source, "secret"), wanted);
}

#[test]
fn an_expired_token_is_named_and_another_one_takes_it_back() {
    powerless(|server, token| {
        server.must("POST", "/v1/auth/token/renew", json!({"token": token, "increment": "1s"}));
        let lives = || server.ask("POST", "/v1/auth/token/lookup", json!({"token": token})).status == 200;
        while lives() {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_token_that_loses_its_policy_is_named_and_another_one_takes_it_back() {
    powerless(|server, _| server.policy("target", "path \"secret/config\" { capabilities = [\"read\"] }"));
}

#[test]
fn a_rate_limit_with_a_block_interval_is_waited_out() {
    let (source, target) = servers();
    let wanted = picture::keys(&source, "secret");
    let server = Arc::clone(&target);
    // The quota counts by address: these requests begin the block that the program runs into.
    let limit = move || {
        let quota = json!({"path": "secret/", "rate": 100, "interval": "10s", "block_interval": "3s"});
        server.must("POST", "/v1/sys/quotas/rate-limit/slow", quota);
        while server.ask("GET", "/v1/secret/config", Value::Null).status != 429 {}
    };
    let url = proxy::before(&target, before_request(4, is_version, limit));
    let site = Site::between(&source, &target, &url);
    let document = site.run("", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    target.must("DELETE", "/v1/sys/quotas/rate-limit/slow", Value::Null);
    has_arrived(&target, &wanted);
}

#[test]
fn a_subtree_that_may_not_be_listed_is_told_as_unreadable_and_never_as_empty() {
    let (source, target) = (OpenBao::start(), OpenBao::start());
    seed(&source, 6);
    write(&source, "closed/one", json!({"v": 1}));
    let site = Site::between(&source, &target, &target.url());
    let rules =
        "path \"secret/metadata/closed/*\" { capabilities = [\"deny\"] }\npath \"secret/data/closed/*\" { capabilities = [\"deny\"] }\n";
    let shipped =
        source.ask("GET", "/v1/sys/policies/acl/source", Value::Null).body["data"]["policy"].as_str().expect("a policy").to_owned();
    source.policy("source", &format!("{shipped}\n{rules}"));
    let document = site.run("", 1);
    let told = document.to_string();
    assert!(told.contains("may not read") && told.contains("closed/"), "{document:#}");
    assert_eq!(picture::keys(&target, "secret").len(), 0);
    // Named in `skip` it is left out, and only it.
    let document = site.run("--var skip=[\"closed/\"]", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    let moved = picture::keys(&target, "secret");
    assert!(moved.contains_key("moo/cow") && !moved.contains_key("closed/one"), "{moved:#?}");
}
