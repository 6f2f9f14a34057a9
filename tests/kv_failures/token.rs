//! Tokens that end: the failure names the connection whose token it was, not the one that somebody would look at.

use std::sync::Arc;

use cutover_tests::OpenBao;
use serde_json::json;

use crate::{picture, site::Site, workflows::write};

#[test]
fn a_dead_token_is_named_by_its_connection_when_a_plan_meets_it() {
    let (source, target) = (OpenBao::start_unaudited(), OpenBao::start_unaudited());
    write(&source, "app", json!({"n": 1}));
    let mut site = Site::between(&source, &target, &target.url());
    source.must("POST", "/v1/auth/token/revoke", json!({"token": site.variable("OLD_TOKEN")}));
    for command in ["plan", "doctor --fix"] {
        let told = site.document(&format!("{command} openbao-to-openbao.toml"), 1).to_string();
        assert!(told.contains("CUT3262") && told.contains("the token of connection `old` is no longer valid"), "{command}: {told}");
    }
    // One that lives and may do nothing there is another thing.
    site.token_of(&source, "OLD_TOKEN", ("nothing", "path \"nothing/x\" { capabilities = [\"read\"] }"), "1h");
    let told = site.document("plan openbao-to-openbao.toml", 1).to_string();
    assert!(told.contains("`old`") && !told.contains("no longer valid"), "{told}");
}

#[test]
fn a_token_of_the_copy_that_ends_in_the_soak_is_named_by_the_retirement() {
    let (source, target) = (Arc::new(OpenBao::start_unaudited()), OpenBao::start_unaudited());
    write(&source, "app", json!({"n": 1}));
    let wanted = picture::keys(&source, "secret");
    let site = Site::between(&source, &target, &target.url());
    site.edit("on_failure = \"rollback\"", "on_failure = \"pause\"");
    site.edit("default = \"5s\"", "default = \"1s\"");
    let (server, token) = (Arc::clone(&source), site.variable("OLD_TOKEN").to_owned());
    // The application is asked once the copy is done.
    site.failures(move || {
        server.must("POST", "/v1/auth/token/revoke", json!({ "token": token }));
        0
    });
    let told = site.run("", 12).to_string();
    assert!(told.contains("the token of connection `old` is no longer valid"), "{told}");
    assert!(!told.contains("connection `old-retirer`"), "{told}");
    assert_eq!(picture::keys(&source, "secret"), wanted, "nothing is retired");
}
