//! Logins: made at the first request, renewed, made anew, revoked; in namespaces; never shown.

use std::{sync::Arc, time::Duration};

use cutover_engine::{FailureCase, Span};
use cutover_tests::{OpenBao, TestClock};
use serde_json::{Value, json};

use crate::place::Place;

const READER: &str = r#"path "secret/*" { capabilities = ["read", "list"] }"#;

/// An AppRole with these settings; its role id and a secret id.
fn approle(server: &OpenBao, mount: &str, settings: &Value) -> (String, String) {
    server.policy("reader", READER);
    server.must("POST", &format!("/v1/sys/auth/{mount}"), json!({"type": "approle"}));
    server.must("POST", &format!("/v1/auth/{mount}/role/cutover"), settings.clone());
    let id = server.must("GET", &format!("/v1/auth/{mount}/role/cutover/role-id"), Value::Null);
    let secret = server.must("POST", &format!("/v1/auth/{mount}/role/cutover/secret-id"), json!({}));
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    (text(&id["data"]["role_id"]), text(&secret["data"]["secret_id"]))
}

fn by_approle(mount: &str) -> Value {
    json!({"approle": {"mount": mount, "role_id": "env:ROLE", "secret_id": "env:SECRET"}})
}

fn logins(server: &OpenBao, mount: &str) -> usize {
    server.count("update", &format!("auth/{mount}/login"))
}

#[tokio::test]
async fn an_approle_logs_in_lazily_once_and_is_revoked_at_the_end() {
    let server = OpenBao::start();
    let (role, secret) = approle(&server, "machines/cutover", &json!({"token_ttl": "1h", "token_policies": ["reader"]}));
    let place = Place::open(&server.url(), by_approle("machines/cutover"), &[("ROLE", &role), ("SECRET", &secret)]).await;
    assert_eq!(logins(&server, "machines/cutover"), 0, "opening sends nothing");
    assert!(place.scanner.hit(secret.as_bytes()), "the secret id is known to the scanner");
    for _ in 0..3 {
        assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    }
    assert_eq!(logins(&server, "machines/cutover"), 1);
    let accessors = || server.must("LIST", "/v1/auth/token/accessors", Value::Null)["data"]["keys"].as_array().map_or(0, Vec::len);
    let alive = accessors();
    place.backend.close().await;
    assert_eq!(accessors(), alive - 1, "the token is gone from the server");
    assert_eq!(server.count("update", "auth/token/revoke-self"), 1);
    place.backend.close().await;
    assert_eq!(server.count("update", "auth/token/revoke-self"), 1, "closing twice revokes once");
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404, "and works on after a new login");
    assert_eq!(logins(&server, "machines/cutover"), 2);
}

#[tokio::test]
async fn the_operators_own_token_is_neither_renewed_nor_revoked() {
    let server = OpenBao::start();
    server.policy("reader", READER);
    let token = server.token(&["reader"], "1h");
    let clock = Arc::new(TestClock::new());
    let place = Place::open_at(&server.url(), json!({"token": "env:TOKEN"}), &[("TOKEN", &token)], clock.clone()).await;
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    clock.advance(Span::seconds(100_000));
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    place.backend.close().await;
    assert_eq!(server.ask_as(&token, "", "GET", "/v1/auth/token/lookup-self", Value::Null).status, 200);
    assert_eq!(server.count("update", "auth/token/renew-self") + server.count("update", "auth/token/revoke-self"), 0);
    assert!(place.scanner.hit(format!("a log line with {token} in it").as_bytes()));
}

#[tokio::test]
async fn requests_at_once_are_all_told_that_a_token_which_its_source_still_has_is_dead() {
    let server = OpenBao::start();
    server.policy("reader", READER);
    let token = server.token(&["reader"], "1h");
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("token");
    std::fs::write(&source, &token).expect("a file");
    let place = Place::open(&server.url(), json!({"token": format!("file:{}", source.display())}), &[]).await;
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    server.must("POST", "/v1/auth/token/revoke", json!({ "token": token }));
    let ask = || place.failure("GET", "/v1/secret/data/app");
    let (one, two, three, four) = tokio::join!(ask(), ask(), ask(), ask());
    for failure in [one, two, three, four] {
        assert_eq!(failure.code.as_deref(), Some("CUT3262"), "{failure}");
    }
}

#[tokio::test]
async fn a_made_token_is_renewed_before_it_ends_and_replaced_when_it_cannot_be() {
    let server = OpenBao::start();
    let settings = json!({"token_ttl": "60s", "token_max_ttl": "10m", "token_policies": ["reader"]});
    let (role, secret) = approle(&server, "approle", &settings);
    let clock = Arc::new(TestClock::new());
    let place = Place::open_at(&server.url(), by_approle("approle"), &[("ROLE", &role), ("SECRET", &secret)], clock.clone()).await;
    let list = async || place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0;
    assert_eq!(list().await, 404);
    clock.advance(Span::seconds(39));
    assert_eq!(list().await, 404);
    assert_eq!(server.count("update", "auth/token/renew-self"), 0, "two thirds of its life are not over");
    clock.advance(Span::seconds(2));
    assert_eq!(list().await, 404);
    assert_eq!((server.count("update", "auth/token/renew-self"), logins(&server, "approle")), (1, 1));
    // By our clock it ended: it is replaced without asking.
    clock.advance(Span::seconds(61));
    assert_eq!(list().await, 404);
    assert_eq!((server.count("update", "auth/token/renew-self"), logins(&server, "approle")), (1, 2));
    place.backend.close().await;
    assert_eq!(server.count("update", "auth/token/revoke-self"), 2, "the replaced one too");
}

#[tokio::test]
async fn a_dead_token_is_made_anew_once_and_a_plain_refusal_is_not() {
    let server = OpenBao::start();
    server.must("PUT", "/v1/secret/data/a", json!({"data": {"v": 1}}));
    let (role, secret) = approle(&server, "approle", &json!({"token_ttl": "1h", "token_policies": ["reader"]}));
    let place = Place::open(&server.url(), by_approle("approle"), &[("ROLE", &role), ("SECRET", &secret)]).await;
    assert_eq!(place.ask("GET", "/v1/secret/data/a", Value::Null).await.0, 200);
    // No policy allows it: the token lives, so nobody logs in again.
    assert_eq!(place.ask("PUT", "/v1/secret/data/a", json!({"data": {}})).await.0, 403);
    assert_eq!(logins(&server, "approle"), 1);
    let accessors = server.must("LIST", "/v1/auth/token/accessors", Value::Null)["data"]["keys"].clone();
    for accessor in accessors.as_array().expect("accessors") {
        let found = server.must("POST", "/v1/auth/token/lookup-accessor", json!({"accessor": accessor}));
        if found["data"]["path"] == "auth/approle/login" {
            server.must("POST", "/v1/auth/token/revoke-accessor", json!({"accessor": accessor}));
        }
    }
    assert_eq!(place.ask("GET", "/v1/secret/data/a", Value::Null).await.0, 200);
    assert_eq!(logins(&server, "approle"), 2);
    // The policy is gone: a new token would not help, and is asked for no more than once.
    server.must("DELETE", "/v1/sys/policies/acl/reader", Value::Null);
    for _ in 0..3 {
        assert_eq!(place.ask("GET", "/v1/secret/data/a", Value::Null).await.0, 403);
    }
    assert_eq!(logins(&server, "approle"), 2);
}

#[tokio::test]
async fn a_token_that_may_not_look_itself_up_is_not_made_anew_for_a_refusal() {
    let server = OpenBao::start();
    let settings = json!({"token_ttl": "1h", "token_policies": ["reader"], "token_no_default_policy": true});
    let (role, secret) = approle(&server, "approle", &settings);
    let place = Place::open(&server.url(), by_approle("approle"), &[("ROLE", &role), ("SECRET", &secret)]).await;
    for _ in 0..4 {
        assert_eq!(place.ask("PUT", "/v1/secret/data/a", json!({"data": {}})).await.0, 403);
    }
    assert_eq!(logins(&server, "approle"), 1, "it is known to live");
}

#[tokio::test]
async fn a_token_file_is_read_again_when_its_token_is_dead() {
    let server = OpenBao::start();
    server.policy("reader", READER);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, server.token(&["reader"], "1s")).expect("a file");
    let place = Place::open(&server.url(), json!({"token": format!("file:{}", file.display())}), &[]).await;
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    while server.must("LIST", "/v1/auth/token/accessors", Value::Null)["data"]["keys"].as_array().map_or(0, Vec::len) > 1 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let failure = place.failure("LIST", "/v1/secret/metadata/").await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Denied, Some("CUT3262")), "nobody wrote another");
    assert!(failure.text.contains("the token of connection `bao` is no longer valid"), "{failure}");
    let next = server.token(&["reader"], "1h");
    std::fs::write(&file, &next).expect("a file");
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    assert!(place.scanner.hit(next.as_bytes()));
}

#[tokio::test]
async fn a_login_that_is_refused_says_so_without_the_secret() {
    let server = OpenBao::start();
    let (role, _) = approle(&server, "approle", &json!({"token_policies": ["reader"]}));
    let variables = [("ROLE", role.as_str()), ("SECRET", "not-the-secret-id")];
    let place = Place::open(&server.url(), by_approle("approle"), &variables).await;
    let failure = place.failure("LIST", "/v1/secret/metadata/").await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Denied, Some("CUT3262")));
    assert!(failure.text.contains("auth/approle/login") && !failure.text.contains("not-the-secret-id"), "{failure}");
}

#[tokio::test]
async fn a_jwt_logs_in_where_it_is_mounted() {
    let server = OpenBao::start();
    server.policy("reader", READER);
    let jwt = crate::trust::signed_jwt(
        &json!({"iss": "tests", "sub": "cutover", "aud": "bao", "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 4_102_444_800_u64}),
    );
    server.must("POST", "/v1/sys/auth/ci", json!({"type": "jwt"}));
    server.must("POST", "/v1/auth/ci/config", json!({"jwt_validation_pubkeys": [jwt.public_key], "bound_issuer": "tests"}));
    let role =
        json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"], "token_policies": ["reader"], "token_ttl": "10m"});
    server.must("POST", "/v1/auth/ci/role/cutover", role);
    let direct = server.ask("POST", "/v1/auth/ci/login", json!({"role": "cutover", "jwt": jwt.text}));
    assert_eq!(direct.status, 200, "{}", direct.body);
    let settings = json!({"jwt": {"mount": "ci", "role": "cutover", "token": "env:JWT"}});
    let place = Place::open(&server.url(), settings.clone(), &[("JWT", &jwt.text)]).await;
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    assert!(place.scanner.hit(jwt.text.as_bytes()));
    let forged = Place::open(&server.url(), settings, &[("JWT", &format!("{}x", jwt.text))]).await;
    assert_eq!(forged.failure("LIST", "/v1/secret/metadata/").await.case, FailureCase::Denied);
}

#[tokio::test]
async fn a_namespace_is_part_of_the_place() {
    let server = OpenBao::start();
    server.must("POST", "/v1/sys/namespaces/team", json!({}));
    let mounted = server.ask_in("team", "POST", "/v1/sys/mounts/kv", json!({"type": "kv", "options": {"version": "1"}}));
    assert_eq!(mounted.status, 204);
    let settings = json!({"token": "env:TOKEN", "namespace": "team/"});
    let place = Place::open(&server.url(), settings, &[("TOKEN", server.root())]).await;
    assert_eq!(place.backend.authority(), format!("{}#team", server.url()));
    assert_eq!(place.ask("PUT", "/v1/kv/a", json!({"v": 1})).await.0, 204);
    assert_eq!(server.ask_in("team", "GET", "/v1/kv/a", Value::Null).body["data"], json!({"v": 1}));
    assert_eq!(server.ask("GET", "/v1/kv/a", Value::Null).status, 404, "not in the root namespace");
    assert_eq!(place.judge("PUT", "/v1/kv/config").await.expect("a route").objects, ["kv/config"]);
    assert_eq!(place.backend.health().await, Ok(()), "health has no namespace");
}
