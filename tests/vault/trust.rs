//! Whom the host trusts, and what nobody gets to see.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use cutover_engine::FailureCase;
use cutover_tests::OpenBao;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::place::Place;

/// A signed JSON Web Token and the key that verifies it.
pub(crate) struct Jwt {
    pub(crate) text: String,
    pub(crate) public_key: String,
}

/// What stands before the point of a P-256 key in its SPKI form (RFC 5480 section 2).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

/// Signs claims with a new ES256 key (RFC 7518 section 3.4).
pub(crate) fn signed_jwt(claims: &Value) -> Jwt {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let spki = STANDARD.encode([&SPKI, key.public_key().as_ref()].concat());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(claims));
    let signature = key.sign(&random, signed.as_bytes()).expect("a signature");
    let public_key = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &spki[..64], &spki[64..]);
    Jwt { text: format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), public_key }
}

#[tokio::test]
async fn only_the_named_authority_is_trusted() {
    let server = OpenBao::start_tls();
    let settings = |ca: &std::path::Path| json!({"token": "env:TOKEN", "ca": ca});
    let trusting = Place::open(&server.url(), settings(&server.ca()), &[("TOKEN", server.root())]).await;
    assert_eq!(trusting.ask("LIST", "/v1/secret/metadata/", Value::Null).await.0, 404);
    assert_eq!(trusting.backend.health().await, Ok(()));
    let stranger = OpenBao::start_tls();
    let wary = Place::open(&server.url(), settings(&stranger.ca()), &[("TOKEN", server.root())]).await;
    let failure = wary.failure("LIST", "/v1/secret/metadata/").await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Unavailable, Some("CUT3232")));
    assert!(!failure.text.contains(server.root()));
}

#[tokio::test]
async fn a_namespace_or_token_cannot_be_given_by_a_plugin() {
    let server = OpenBao::start();
    let place = Place::of_root(&server).await;
    for header in ["X-Vault-Token", "x-vault-namespace", "X-Vault-Request", "X-Vault-Wrap-TTL", "X-Vault-Policy-Override", "Authorization"]
    {
        let table = place.backend.table();
        let role = cutover_engine::Role {
            name: "r".to_owned(),
            kinds: vec!["vault".to_owned()],
            cardinality: cutover_engine::Cardinality::One,
            routes: Vec::new(),
        };
        let policy = cutover_runtime::policy::Policy::new("bao", &role, table, &[]).expect("a policy");
        let request = cutover_runtime::hook::Request {
            method: "GET".to_owned(),
            path: "/v1/sys/health".to_owned(),
            headers: vec![(header.to_owned(), "x".to_owned())],
            ..Default::default()
        };
        assert_eq!(policy.judge(&request, None).expect_err(header).code.as_deref(), Some("CUT3208"));
    }
}

#[tokio::test]
async fn what_a_credential_can_do_is_asked_of_the_server() {
    let server = OpenBao::start();
    server.policy("target", r#"path "secret/data/app/*" { capabilities = ["create", "read"] }"#);
    let token = server.token(&["target"], "5m");
    let place = Place::of_token(&server, &token).await;
    let paths = ["secret/data/app/a", "secret/destroy/app/a", "sys/mounts/x"].map(str::to_owned).to_vec();
    let access = place.backend.access(paths.clone()).await.expect("an answer").expect("a vault can say");
    let verbs = |path: &str| access.verbs[path].join(" ");
    assert_eq!([verbs("secret/data/app/a"), verbs("secret/destroy/app/a"), verbs("sys/mounts/x")], ["create read", "", ""]);
    assert_eq!(access.policies, ["default", "target"]);
    assert!(access.ttl.is_some_and(|ttl| (200_000..=300_000).contains(&ttl.0)), "{access:?}");
    let root = Place::of_root(&server).await.backend.access(paths).await.expect("an answer").expect("a vault can say");
    assert_eq!((root.policies, root.ttl), (vec!["root".to_owned()], None));
}
