//! The server that is left fails: sealed while its old path ends, and while that is taken back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    mishap::before_request,
    picture,
    proxy::{self, Hook},
    site::Site,
    workflows::write,
};

/// Before the third request of the old server whose path begins so, it is sealed.
fn sealed_before_third(beginning: &'static str) -> (Arc<OpenBao>, OpenBao, Site) {
    let (source, target) = (Arc::new(OpenBao::start()), OpenBao::start());
    for number in 0..8 {
        write(&source, &format!("app/k{number}"), json!({"password": format!("made-up-{number}")}));
    }
    let sealed = Arc::clone(&source);
    let is_meant = move |method: &str, path: &str| method == "PUT" && path.starts_with(beginning);
    let site = between(&source, &target, before_request(3, is_meant, move || sealed.seal()));
    (source, target, site)
}

/// The shipped workflow, whose old server is behind a proxy.
fn between(source: &OpenBao, target: &OpenBao, hook: Hook) -> Site {
    let mut site = Site::of("openbao-to-openbao.toml", &proxy::before(source, hook), &target.url());
    site.token(source, "OLD_TOKEN", "source");
    site.token(source, "OLD_RETIRE_TOKEN", "source-retire");
    site.token(target, "NEW_TOKEN", "target");
    site.token(target, "NEW_AUDIT_TOKEN", "auditor");
    site
}

/// Before the fourth read of a version behind the soft-deletion, which is that of the proof, the old server is sealed.
#[test]
fn sealed_before_the_proof_it_is_waited_for_and_nothing_goes_back() {
    let (source, target) = (Arc::new(OpenBao::start()), OpenBao::start());
    write(&source, "app", json!({"password": "made-up"}));
    let (sealed, is_deleted) = (Arc::clone(&source), AtomicBool::new(false));
    let is_meant = move |method: &str, path: &str| {
        is_deleted.fetch_or(path.starts_with("/v1/secret/delete/"), Ordering::SeqCst)
            && method == "GET"
            && path.starts_with("/v1/secret/data/")
    };
    let site = between(&source, &target, before_request(4, is_meant, move || sealed.seal()));
    // Longer than three tries of a proof take.
    let document = site.run("--max-wait 6s --var soak=0s", 13);
    assert!(document["outages"].to_string().contains("is sealed"), "{document:#}");
    assert_eq!(document["steps"][0]["counts"]["verified"], 1, "{document:#}");
    source.unseal();
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert_eq!((live(&source), live(&target)), (0, 1));
}

fn live(server: &OpenBao) -> usize {
    picture::keys(server, "secret").values().filter(|key| !picture::latest(key).is_null()).count()
}

#[test]
fn sealed_while_the_old_path_ends_it_waits_and_resume_finishes() {
    let (source, target, site) = sealed_before_third("/v1/secret/delete/");
    let document = site.run("--max-wait 3s --var soak=0s", 13);
    assert!(document["outages"].to_string().contains("is sealed"), "{document:#}");
    source.unseal();
    let document = site.document("resume last", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert_eq!((live(&source), live(&target)), (0, 8));
}

#[test]
fn sealed_while_the_old_path_comes_back_a_person_is_asked_and_rollback_finishes() {
    let (source, target, site) = sealed_before_third("/v1/secret/undelete/");
    let before: Value = json!(picture::keys(&source, "secret"));
    site.run("--var soak=0s", 0);
    let stuck = site.document("rollback last --yes", 11);
    assert_eq!(stuck["ending"], "stuck", "{stuck:#}");
    source.unseal();
    // A copy goes only after its source is back: each secret can be read somewhere.
    let (old, new) = (picture::keys(&source, "secret"), picture::keys(&target, "secret"));
    let is_there = |path: &String| new.contains_key(path) || !picture::latest(&old[path]).is_null();
    assert!(!new.is_empty() && old.keys().all(is_there), "{old:#?} {new:#?}");
    let back = site.document("rollback last --yes", 0);
    assert_eq!(back["ending"], "rolled-back", "{back:#}");
    assert_eq!((json!(picture::keys(&source, "secret")), picture::keys(&target, "secret").len()), (before, 0));
}
