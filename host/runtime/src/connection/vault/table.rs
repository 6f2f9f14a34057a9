//! What the `vault` kind knows of its requests: the KV secrets engines of Vault and OpenBao, and a little around them.
//!
//! Which of the two KV engines a mount has decides what a path means: `PUT /v1/kv/data/x` writes the key `x` of a v2 mount
//! and the key `data/x` of a v1 mount, and `GET /v1/kv/config` shows settings of the one and a secret of the other. So
//! these routes are bound to a ground (see [`super::mounts`]). The object of a KV request is `MOUNT/KEY` whatever infix the
//! path has: data, metadata and states of a key are one object.

use cutover_engine::RouteClass::{self, Read, Write};

use super::{super::number::INEXACT_HEADER, constraint::CONSTRAINTS_HEADER};
use crate::policy::{KindRoute, KindTable, Unlisted};

/// A mount of the KV engine without versions.
pub(super) const KV1: &str = "kv-1";
/// A mount of the KV engine with versions.
pub(super) const KV2: &str = "kv-2";
/// Any other mount: no route of the table is for it.
pub(super) const FOREIGN: &str = "foreign";

/// What every request to a key is about.
const KEY: &str = "{+mount}/{+path}";
/// What the state of a version is told at: in reads of data, also in the 404 of a deleted version.
const VERSION: [&str; 1] = ["/data/metadata"];
/// Names below a folder; `key_info` is what some versions tell beside each name.
const NAMES: [&str; 2] = ["/data/keys", "/data/key_info"];
/// What a write of data answers.
const WRITTEN: [&str; 5] = ["/data/version", "/data/created_time", "/data/deletion_time", "/data/destroyed", "/data/custom_metadata"];

/// The class table.
pub(super) fn table() -> KindTable {
    let mut routes = around();
    routes.extend(versioned());
    routes.extend(unversioned());
    KindTable {
        kind: "vault",
        routes,
        unlisted: Unlisted::Refused,
        // Also wrapping, forwarding and policy overrides: headers that change what a request means.
        owned_headers: &["x-vault-", "x-bao-"],
        // `date`: how long a timer still runs is counted by the clock of the server that set it.
        public_headers: &["content-type", "date", "retry-after", INEXACT_HEADER, CONSTRAINTS_HEADER],
    }
}

/// Requests that are about no key.
fn around() -> Vec<KindRoute> {
    let token = ["ttl", "creation_ttl", "expire_time", "explicit_max_ttl", "policies", "renewable", "type", "orphan", "num_uses"];
    let token: Vec<String> = token.iter().map(|name| format!("/data/{name}")).collect();
    let token: Vec<&str> = token.iter().map(String::as_str).collect();
    let standing = ["/initialized", "/sealed", "/standby", "/performance_standby", "/version", "/type", "/t", "/n", "/progress"];
    vec![
        KindRoute::new("GET", "/v1/sys/internal/ui/mounts/{+path}", Read).public(&["/data/type", "/data/options", "/data/path"]),
        KindRoute::new("GET", "/v1/sys/health", Read).public(&standing),
        KindRoute::new("GET", "/v1/sys/seal-status", Read).public(&standing),
        // It changes nothing: the paths are too many for a query.
        KindRoute::new("POST", "/v1/sys/capabilities-self", Read).public(&["/data"]).taking(&["/paths"]),
        KindRoute::new("GET", "/v1/auth/token/lookup-self", Read).public(&token),
        // A policy may quote values: its text stays sealed, and a header tells what it limits.
        KindRoute::new("LIST", "/v1/sys/policies/acl", Read).public(&["/data/keys"]),
        KindRoute::new("GET", "/v1/sys/policies/acl/{+path}", Read),
    ]
}

fn versioned() -> Vec<KindRoute> {
    let route = |method, path: &str, class: RouteClass| KindRoute::new(method, path, class).on(KV2).about(KEY);
    let (data, metadata) = ("/v1/{+mount}/data/{+path}", "/v1/{+mount}/metadata/{+path}");
    let mut routes = vec![
        route("GET", data, Read).public(&VERSION),
        route("GET", "/v1/{+mount}/subkeys/{+path}", Read).public(&VERSION),
        // Nothing in metadata is a secret: names, times, states, limits and what people wrote beside them.
        route("GET", metadata, Read).public(&["/data"]),
        route("LIST", metadata, Read).public(&NAMES),
        KindRoute::new("GET", "/v1/{+mount}/config", Read).on(KV2).about("{+mount}").public(&["/data"]),
        route("DELETE", data, Write),
        route("DELETE", metadata, Write),
    ];
    for method in ["PUT", "POST", "PATCH"] {
        routes.push(route(method, data, Write).public(&WRITTEN).taking(&["/options"]));
        routes.push(route(method, metadata, Write).taking(&[""]));
    }
    for method in ["PUT", "POST"] {
        for infix in ["delete", "undelete", "destroy"] {
            routes.push(route(method, &format!("/v1/{{+mount}}/{infix}/{{+path}}"), Write).taking(&["/versions"]));
        }
    }
    routes
}

fn unversioned() -> Vec<KindRoute> {
    let route = |method, class: RouteClass| KindRoute::new(method, "/v1/{+mount}/{+path}", class).on(KV1).about(KEY);
    vec![
        route("GET", Read).public(&["/lease_duration"]),
        route("LIST", Read).public(&NAMES),
        route("PUT", Write).taking(&[]),
        route("POST", Write).taking(&[]),
        route("DELETE", Write),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cutover_engine::{Cardinality, ResponseRule, Role, Route};

    use super::*;
    use crate::{
        hook::Request,
        policy::{Ground, Matched, Policy},
    };

    /// A role that asks for everything as a read about a fixed object, and would show and take all in plain.
    fn greedy() -> Policy {
        let pointer = |text: &str| cutover_engine::Pointer::parse(text).expect("a pointer");
        let route = |method: &str| Route {
            method: method.to_owned(),
            path: "/{+all}".to_owned(),
            class: Read,
            object: Some("fixed/{+all}".to_owned()),
            response: ResponseRule::Json,
            public_response: vec![pointer("")],
            public_request: vec![pointer("")],
        };
        let routes = ["GET", "LIST", "PUT", "POST", "PATCH", "DELETE", "HEAD"].map(route).to_vec();
        let role = Role { name: "target".to_owned(), kinds: vec!["vault".to_owned()], cardinality: Cardinality::One, routes };
        let reads = ["POST /{+all}".to_owned(), "DELETE /{+all}".to_owned()];
        Policy::new("bao", &role, &Arc::new(table()), &reads).expect("a policy")
    }

    fn judge(request: &str, ground: Option<(&'static str, &str)>) -> Result<Matched, String> {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let request = Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
        let ground = ground.map(|(sort, mount)| Ground { sort, mount: mount.to_owned() });
        greedy().judge(&request, ground.as_ref()).map_err(|failure| failure.code.unwrap_or_default())
    }

    fn verdict(request: &str, ground: Option<(&'static str, &str)>) -> String {
        judge(request, ground).map_or_else(|code| code, |matched| format!("{:?} {}", matched.class, matched.objects.join("+")))
    }

    #[test]
    fn every_way_to_a_key_of_a_versioned_mount_is_about_that_key() {
        for (request, expected) in [
            ("GET /v1/secret/data/a/b%20", "Read secret/a/b "),
            ("GET /v1/secret/subkeys/a", "Read secret/a"),
            ("GET /v1/secret/metadata/a", "Read secret/a"),
            ("LIST /v1/secret/metadata/a/", "Read secret/a"),
            ("LIST /v1/secret/metadata/", "Read secret"),
            ("LIST /v1/secret/metadata", "Read secret"),
            ("GET /v1/secret/config", "Read secret"),
            ("PUT /v1/secret/data/x", "Write secret/x"),
            ("POST /v1/secret/metadata/a", "Write secret/a"),
            ("PATCH /v1/secret/data/a", "Write secret/a"),
            ("DELETE /v1/secret/data/a", "Write secret/a"),
            ("DELETE /v1/secret/metadata/a", "Write secret/a"),
            ("PUT /v1/secret/delete/a", "Write secret/a"),
            ("PUT /v1/secret/undelete/a", "Write secret/a"),
            ("POST /v1/secret/destroy/a", "Write secret/a"),
            // Infixes below the first one are part of the key.
            ("PUT /v1/secret/data/metadata/a", "Write secret/metadata/a"),
            ("GET /v1/secret/data/a/config", "Read secret/a/config"),
            // What a v2 mount does not have.
            ("PUT /v1/secret/x", "CUT3210"),
            ("DELETE /v1/secret/a/data/x", "CUT3210"),
            ("PUT /v1/secret/config", "CUT3210"),
            ("POST /v1/secret/config", "CUT3210"),
            ("GET /v1/secret/x", "CUT3210"),
            ("HEAD /v1/secret/data/a", "CUT3210"),
            ("PATCH /v1/secret/delete/a", "CUT3210"),
        ] {
            assert_eq!(verdict(request, Some((KV2, "secret"))), expected, "{request}");
        }
        assert_eq!(verdict("PUT /v1/team/kv/data/data/x", Some((KV2, "team/kv"))), "Write team/kv/data/x");
        assert_eq!(verdict("PUT /v1/a/data/data/x", Some((KV2, "a/data"))), "Write a/data/x", "a mount may be called data");
    }

    #[test]
    fn what_is_in_a_key_and_what_is_known_of_it_are_two_ways_whatever_its_name() {
        for key in ["a", "team1/data/metadata/50", "metadata/data/a"] {
            let route = |infix: &str| judge(&format!("GET /v1/secret/{infix}/{key}"), Some((KV2, "secret"))).expect("a route").route;
            assert_ne!(route("data"), route("metadata"), "{key}");
            assert!(route("data").contains("/data/") && route("metadata").contains("/metadata/"), "{key}: {}", route("data"));
        }
    }

    #[test]
    fn keys_of_an_unversioned_mount_may_be_called_like_infixes() {
        for (request, expected) in [
            ("GET /v1/kv1/app/config", "Read kv1/app/config"),
            ("PUT /v1/kv1/data/x", "Write kv1/data/x"),
            ("DELETE /v1/kv1/metadata/x", "Write kv1/metadata/x"),
            ("LIST /v1/kv1/", "Read kv1"),
            ("LIST /v1/kv1/a/", "Read kv1/a"),
            ("PATCH /v1/kv1/a", "CUT3210"),
        ] {
            assert_eq!(verdict(request, Some((KV1, "kv1"))), expected, "{request}");
        }
        // Nothing of a secret is shown, and nothing is taken in plain, although a v2 mount would.
        let config = judge("GET /v1/kv1/app/config", Some((KV1, "kv1"))).expect("a route");
        assert_eq!(config.public_response.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/lease_duration"]);
        let named = judge("PUT /v1/kv1/metadata/x", Some((KV1, "kv1"))).expect("a route");
        assert!(named.public_request.is_empty() && named.public_response.is_empty());
    }

    #[test]
    fn nothing_else_is_reached() {
        for request in [
            "DELETE /v1/sys/mounts/secret",
            "PUT /v1/sys/policies/acl/data/x",
            "PUT /v1/sys/raw/data/x",
            "POST /v1/sys/seal",
            "GET /v1/sys/raw/x",
            "POST /v1/auth/approle/login",
            "DELETE /v1/auth/userpass/users/x",
            "POST /v1/identity/entity",
            "GET /v1/cubbyhole/x",
            "GET /v1/auth/token/lookup",
            "POST /v1/auth/token/revoke-self",
            "PUT /v1/secret/data/x",
            "GET /v1/secret/data/x",
        ] {
            assert_eq!(verdict(request, None), "CUT3210", "{request}");
            assert_eq!(verdict(request, Some((FOREIGN, "secret"))), "CUT3210", "{request}");
            assert_eq!(verdict(request, Some((KV2, "other"))), "CUT3210", "{request}");
        }
        assert_eq!(verdict("POST /v1/sys/capabilities-self", None), "Read v1/sys/capabilities-self");
        assert_eq!(verdict("GET /v1/sys/internal/ui/mounts/team/kv", None), "Read v1/sys/internal/ui/mounts/team/kv");
    }

    #[test]
    fn errors_and_ids_are_never_public() {
        let shown = |request: &str, ground| {
            let matched = judge(request, ground).expect("a route");
            matched.public_response.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (request, ground) in [
            ("GET /v1/secret/data/a", Some((KV2, "secret"))),
            ("GET /v1/secret/metadata/a", Some((KV2, "secret"))),
            ("PUT /v1/secret/data/a", Some((KV2, "secret"))),
            ("GET /v1/kv1/a", Some((KV1, "kv1"))),
            ("GET /v1/auth/token/lookup-self", None),
        ] {
            let shown = shown(request, ground);
            let covers = |path: &[&str]| shown.iter().any(|text| cutover_engine::Pointer::parse(text).expect("a pointer").covers(path));
            assert!(!covers(&["errors", "0"]) && !covers(&["auth", "client_token"]) && !covers(&["request_id"]), "{request}");
            assert!(!covers(&["data", "data", "password"]) || request.contains("metadata"), "{request}");
        }
        let token = shown("GET /v1/auth/token/lookup-self", None);
        assert!(token.contains(&"/data/ttl".to_owned()) && !token.contains(&"/data/id".to_owned()) && !token.contains(&"/data".to_owned()));
        assert_eq!(shown("GET /v1/secret/data/a", Some((KV2, "secret"))), ["/data/metadata"]);
    }
}
