//! Names, states and numbers of keys.

use cutover_engine::RouteClass;
use cutover_runtime::policy::RequestPath;
use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::place::Place;

fn path_of(mount: &str, infix: &str, name: &str) -> String {
    RequestPath::of_object(&format!("v1/{mount}/{infix}{name}")).expect("a path").wire()
}

#[tokio::test]
async fn an_answer_comes_without_what_every_answer_has_beside_its_content() {
    let server = OpenBao::start();
    server.mount_kv("one", 1);
    let place = Place::of_root(&server).await;
    server.must("PUT", "/v1/secret/data/a", json!({"data": {"request_id": "a secret of that name", "renewable": true}}));
    server.must("PUT", "/v1/one/a", json!({"request_id": "a secret of that name", "renewable": true}));
    let names = |answer: &Value| answer.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    for (path, above) in [("/v1/secret/data/a", "/data/data"), ("/v1/one/a", "/data")] {
        assert!(server.must("GET", path, Value::Null)["request_id"].is_string(), "the server numbers its answers");
        let (_, answer) = place.ask("GET", path, Value::Null).await;
        let left = names(&answer);
        assert!(left.contains(&"data".to_owned()) && left.contains(&"lease_duration".to_owned()), "{left:?}");
        assert!(["request_id", "lease_id", "renewable", "mount_type"].iter().all(|name| !left.contains(&(*name).to_owned())), "{left:?}");
        assert_eq!(names(answer.pointer(above).expect("a document")), ["renewable", "request_id"], "a key's own names stay");
    }
}

#[tokio::test]
async fn odd_names_come_back_as_they_were_written() {
    let server = OpenBao::start();
    server.mount_kv("team/kv", 2);
    server.mount_kv("one", 1);
    let place = Place::of_root(&server).await;
    let names = [
        "a b",
        "trailing ",
        " leading",
        "100%",
        "%2e%2e",
        "é/日本語",
        "moo",
        "moo/x",
        "a+b&c=d?e#f",
        "data/metadata",
        "config",
        "..a",
        "q:\"'",
    ];
    for name in names {
        let value = json!({"name": name});
        let (status, answer) = place.ask("PUT", &path_of("team/kv", "data/", name), json!({"data": value, "options": {"cas": 0}})).await;
        assert_eq!((status, &answer["data"]["version"]), (200, &json!(1)), "{name}");
        let (status, _) = place.ask("PUT", &path_of("one", "", name), value.clone()).await;
        assert_eq!(status, 204, "{name}");
    }
    // The other client sees them under their own names only.
    let listed = |path: &str| server.must("LIST", path, Value::Null)["data"]["keys"].clone();
    let mut expected: Vec<String> = names.iter().filter(|name| !name.contains('/')).map(|name| (*name).to_owned()).collect();
    expected.extend(["é/", "moo/", "data/"].map(str::to_owned));
    expected.sort();
    for path in ["/v1/team/kv/metadata", "/v1/one"] {
        let mut found: Vec<String> = serde_json::from_value(listed(path)).expect("names");
        found.sort();
        assert_eq!(found, expected, "{path}");
    }
    for name in names {
        let found = place.ask("GET", &path_of("team/kv", "data/", name), Value::Null).await;
        assert_eq!((found.0, &found.1["data"]["data"]["name"]), (200, &json!(name)));
        let found = place.ask("GET", &path_of("one", "", name), Value::Null).await;
        assert_eq!((found.0, &found.1["data"]["name"]), (200, &json!(name)));
        let matched = place.judge("DELETE", &path_of("team/kv", "metadata/", name)).await.expect("a route");
        assert_eq!((matched.class, matched.objects), (RouteClass::Write, vec![format!("team/kv/{name}")]));
        let matched = place.judge("PUT", &path_of("one", "", name)).await.expect("a route");
        assert_eq!((matched.class, matched.objects), (RouteClass::Write, vec![format!("one/{name}")]));
    }
}

#[tokio::test]
async fn what_this_server_refuses_in_a_name_is_its_own_answer() {
    let server = OpenBao::start();
    let place = Place::of_root(&server).await;
    // Vault can be told to take tabs; this server never does.
    assert_eq!(place.ask("GET", "/v1/secret/data/a%09b", Value::Null).await.0, 400);
    assert_eq!(place.judge("GET", "/v1/secret/data/a%09b").await.expect_err("refused").case, cutover_engine::FailureCase::InvalidInput);
    place.judge("LIST", "/v1/secret/metadata/").await.expect("the mount is known from now on");
    assert_eq!(place.judge("GET", "/v1/secret/data/a%09b").await.expect("a route").objects, ["secret/a\tb"]);
    // A name that ends in a slash is one nobody stores.
    assert_eq!(place.failure("PUT", "/v1/secret/data/a/").await.case, cutover_engine::FailureCase::InvalidInput);
}

#[tokio::test]
async fn deleted_and_destroyed_versions_answer_404_with_their_state() {
    let server = OpenBao::start();
    for value in 1..=3 {
        server.must("PUT", "/v1/secret/data/k", json!({"data": {"v": value}}));
    }
    server.must("PUT", "/v1/secret/destroy/k", json!({"versions": [1]}));
    server.must("PUT", "/v1/secret/delete/k", json!({"versions": [2]}));
    let place = Place::of_root(&server).await;
    let (status, destroyed) = place.ask("GET", "/v1/secret/data/k?version=1", Value::Null).await;
    assert_eq!((status, &destroyed["data"]["metadata"]["destroyed"]), (404, &json!(true)));
    let (status, deleted) = place.ask("GET", "/v1/secret/data/k?version=2", Value::Null).await;
    assert_eq!((status, &deleted["data"]["metadata"]["version"]), (404, &json!(2)));
    assert_ne!(deleted["data"]["metadata"]["deletion_time"], json!(""));
    let (status, missing) = place.ask("GET", "/v1/secret/data/none", Value::Null).await;
    assert_eq!((status, &missing["data"]), (404, &Value::Null));
    assert_eq!(place.ask("GET", "/v1/secret/data/k?version=3", Value::Null).await.1["data"]["data"], json!({"v": 3}));
    assert_eq!(place.ask("LIST", "/v1/secret/metadata/none/", Value::Null).await.0, 404);
    let shown = place.judge("GET", "/v1/secret/data/k").await.expect("a route").public_response;
    assert!(shown.iter().any(|pointer| pointer.covers(&["data", "metadata", "destroyed"])));
    assert!(!shown.iter().any(|pointer| pointer.covers(&["data", "data", "v"]) || pointer.covers(&["errors", "0"])));
}

/// What a document of numbers comes back as, and how many of them the kind warns of.
async fn read_back(place: &Place, path: &str) -> (String, Option<String>) {
    let response = place.send("GET", path, Value::Null).await.expect("an answer");
    let warned = response.header("cutover-inexact-numbers").map(str::to_owned);
    let cutover_runtime::connection::WireResponseBody::Json(body) = response.body else { panic!("no JSON") };
    let data = if body["data"]["metadata"]["version"].is_null() { &body["data"] } else { &body["data"]["data"] };
    (data.to_string(), warned)
}

#[tokio::test]
async fn digits_survive_us_and_what_the_server_may_have_lost_is_counted() {
    let server = OpenBao::start();
    server.mount_kv("one", 1);
    let place = Place::of_root(&server).await;
    let exact = json!({"a": 9_007_199_254_740_991_u64, "b": -3, "c": 0.5, "d": "9007199254740993"});
    let long: Value = serde_json::from_str(r#"{"a":9007199254740993,"b":[12345678901234567890123],"c":1.10,"d":1}"#).expect("JSON");
    for (name, document) in [("exact", &exact), ("long", &long)] {
        place.ask("PUT", &format!("/v1/one/{name}"), document.clone()).await;
        place.ask("PUT", &format!("/v1/secret/data/{name}"), json!({"data": document})).await;
    }
    // Version 1 keeps every digit: what we sent arrived, and what came we kept.
    assert_eq!(read_back(&place, "/v1/one/long").await, (long.to_string(), Some(r#"["/a","/b/0","/c"]"#.to_owned())));
    assert_eq!(read_back(&place, "/v1/one/exact").await, (exact.to_string(), None));
    assert_eq!(read_back(&place, "/v1/secret/data/exact").await, (exact.to_string(), None));
    // Version 2 rounds, and says nothing of it.
    let (rounded, warned) = read_back(&place, "/v1/secret/data/long").await;
    assert_eq!(rounded, r#"{"a":9007199254740992,"b":[1.2345678901234568e+22],"c":1.1,"d":1}"#);
    assert_eq!(warned.as_deref(), Some(r#"["/a","/b/0"]"#));
}

#[tokio::test]
async fn what_version_2_makes_of_numbers_is_what_the_kind_foretells() {
    let server = OpenBao::start();
    server.mount_kv("one", 1);
    let place = Place::of_root(&server).await;
    for (text, made) in [
        ("9007199254740991", "9007199254740991"),
        ("-9007199254740993", "-9007199254740992"),
        ("18446744073709551616", "18446744073709552000"),
        ("12345678901234567890123", "1.2345678901234568e+22"),
        ("1.2345678901234568e+22", "1.2345678901234568e+22"),
        ("-3.25", "-3.25"),
        ("1.10", "1.1"),
        ("1.0", "1"),
        ("0.1234567890123456", "0.1234567890123456"),
        ("0.12345678901234567890", "0.12345678901234568"),
        ("1e3", "1000"),
        ("1.5e-9", "1.5e-9"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("-0", "-0"),
    ] {
        let document: Value = serde_json::from_str(&format!(r#"{{"n":{text}}}"#)).expect("JSON");
        place.ask("PUT", "/v1/one/n", document.clone()).await;
        place.ask("PUT", "/v1/secret/data/n", json!({"data": document})).await;
        let foretold = (text != made).then(|| r#"["/n"]"#.to_owned());
        assert_eq!(read_back(&place, "/v1/one/n").await, (document.to_string(), foretold), "{text}");
        assert_eq!(read_back(&place, "/v1/secret/data/n").await.0, format!(r#"{{"n":{made}}}"#), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_kv_is_refused_before_it_leaves() {
    let server = OpenBao::start();
    server.mount_kv("one", 1);
    server.must("POST", "/v1/sys/mounts/transit", json!({"type": "transit"}));
    server.must("POST", "/v1/sys/namespaces/team", json!({}));
    server.must("PUT", "/v1/one/app/config", json!({"password": "x"}));
    let place = Place::of_root(&server).await;
    for (method, path) in [
        ("POST", "/v1/transit/keys/k"),
        ("GET", "/v1/transit/export/encryption-key/k"),
        ("DELETE", "/v1/sys/mounts/one"),
        ("DELETE", "/v1/auth/token/x"),
        ("PUT", "/v1/identity/entity"),
        ("GET", "/v1/cubbyhole/x"),
        // The path can name a namespace, and then the system of that.
        ("DELETE", "/v1/team/sys/mounts/secret"),
        ("PUT", "/v1/team/sys/policies/acl/data/x"),
        ("PUT", "/v1/secret/x"),
        ("DELETE", "/v1/secret/config"),
        ("PATCH", "/v1/one/x"),
    ] {
        let refused = place.judge(method, path).await.expect_err(path);
        assert!(matches!(refused.code.as_deref(), Some("CUT3210" | "CUT3260")), "{method} {path}: {refused}");
    }
    let config = place.judge("GET", "/v1/one/app/config").await.expect("a route");
    assert_eq!(config.objects, ["one/app/config"]);
    assert!(!config.public_response.iter().any(|pointer| pointer.covers(&["data", "password"])), "a secret that is called config");
    let none = place.judge("GET", "/v1/nowhere/x").await.expect_err("no mount");
    assert_eq!(none.code.as_deref(), Some("CUT3260"));
    assert_eq!(server.count("read", "transit/export/encryption-key/k"), 0);
    assert_eq!(server.must("GET", "/v1/sys/mounts", Value::Null)["data"]["one/"]["type"], "kv");
    // Asked once per mount, not once per request.
    let asked = server
        .audit()
        .iter()
        .filter(|entry| entry["type"] == "request" && entry["request"]["path"] == "sys/internal/ui/mounts/secret/x")
        .count();
    assert_eq!(asked, 1);
}
