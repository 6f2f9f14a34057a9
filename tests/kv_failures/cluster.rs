//! A target of three nodes: reached through a standby, whose active node gives up or dies in the middle.

use std::sync::{Arc, Mutex};

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    mishap::{before_request, is_version},
    picture, proxy,
    site::Site,
    workflows::seed,
};

/// The first of three nodes is active; all have a mount `secret`.
fn cluster() -> [Arc<OpenBao>; 3] {
    let first = OpenBao::start_on_disk();
    first.mount_kv("secret", 2);
    let (second, third) = (first.joined("two"), first.joined("three"));
    [first, second, third].map(Arc::new)
}

/// The copy goes through a standby; before the twelfth version is written there, `deed` is done to the active node.
fn moves_although(deed: impl Fn(&OpenBao) + Send + Sync + 'static) {
    let source = OpenBao::start();
    seed(&source, 8);
    let mut wanted = picture::keys(&source, "secret");
    wanted.get_mut("states").expect("a key")["versions"]["2"] = json!({"state": "destroyed"});
    let [active, standby, third] = cluster();
    assert_eq!(standby.ask("GET", "/v1/sys/health", Value::Null).status, 429, "it is a standby");
    let done = Arc::new(Mutex::new(false));
    let (server, noted) = (Arc::clone(&active), Arc::clone(&done));
    let hook = before_request(12, is_version, move || {
        deed(&server);
        *noted.lock().expect("no panic") = true;
    });
    let url = proxy::before(&standby, hook);
    let site = Site::between(&source, &third, &url);
    let names = format!("token = \"env:NEW_TOKEN\", standbys = [\"{}\", \"{}\", \"{}\"]", active.url(), standby.url(), third.url());
    site.edit("token = \"env:NEW_TOKEN\"", &names);
    let document = site.run("", 0);
    assert_eq!(document["ending"], "completed", "{document:#}");
    assert!(*done.lock().expect("no panic"), "the active node was disturbed");
    // Nothing is missing, and no version was written twice: the numbers would differ.
    assert_eq!(picture::keys(&third, "secret"), wanted);
}

#[test]
fn an_active_node_that_gives_up_its_place_is_not_noticed() {
    moves_although(|active| drop(active.must("PUT", "/v1/sys/step-down", Value::Null)));
}

#[test]
fn an_active_node_that_dies_is_waited_out() {
    moves_although(OpenBao::stop);
}
