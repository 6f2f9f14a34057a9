//! What the policy refuses and lets through.

use cutover_engine::{Cardinality, Route};

use super::*;

fn route(text: &str) -> Route {
    let words: Vec<&str> = text.split(' ').collect();
    let class = match words[0] {
        "read" => RouteClass::Read,
        "login" => RouteClass::Login,
        "add" => RouteClass::Add,
        _ => RouteClass::Write,
    };
    Route {
        method: words[1].to_owned(),
        path: words[2].to_owned(),
        class,
        object: words.get(3).map(|&object| object.to_owned()),
        response: ResponseRule::Json,
        public_response: vec![Pointer::parse("/plain").expect("a pointer")],
        public_request: Vec::new(),
    }
}

fn role(routes: &[&str]) -> Role {
    let kinds = vec!["http".to_owned(), "vault".to_owned()];
    Role { name: "target".to_owned(), kinds, cardinality: Cardinality::One, routes: routes.iter().map(|text| route(text)).collect() }
}

fn http() -> Arc<KindTable> {
    Arc::new(KindTable {
        kind: "http",
        routes: Vec::new(),
        unlisted: Unlisted::ByMethod,
        owned_headers: &[],
        public_headers: PUBLIC_HEADERS,
    })
}

fn vault() -> Arc<KindTable> {
    let object = |text: &str| Some(Template::parse(text).expect("a template"));
    let mut read = KindRoute::new("GET", "/v1/{mount}/data/{+path}", RouteClass::Read).public(&["/data/metadata/*"]);
    read.object = object("{mount}/{+path}");
    let mut write = KindRoute::new("POST", "/v1/{mount}/data/{+path}", RouteClass::Write);
    write.object = object("{mount}/{+path}");
    let mut moving = KindRoute::new("MOVE", "/v1/{+path}", RouteClass::Write);
    moving.object_query = Some("to");
    let credentials = KindRoute::new("GET", "/v1/{mount}/creds/{role}", RouteClass::Write);
    let routes = vec![read, write, moving, credentials];
    Arc::new(KindTable {
        kind: "vault",
        routes,
        unlisted: Unlisted::Refused,
        owned_headers: &["x-vault-token"],
        public_headers: PUBLIC_HEADERS,
    })
}

fn judge(table: &Arc<KindTable>, routes: &[&str], reads: &[&str], request: &str) -> Result<Matched, Failure> {
    let reads: Vec<String> = reads.iter().map(|&read| read.to_owned()).collect();
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let (path, to) = path.split_once('>').map_or((path, None), |(path, to)| (path, Some(to)));
    let query = to.map(|to| ("to".to_owned(), to.to_owned())).into_iter().chain([("q".to_owned(), "hush".to_owned())]).collect();
    let request = Request { method: method.to_owned(), path: path.to_owned(), query, ..Request::default() };
    Policy::new("app", &role(routes), table, &reads).expect("a policy").judge(&request, None)
}

fn verdict(result: &Result<Matched, Failure>) -> String {
    match result {
        Ok(matched) => format!("{:?} {}", matched.class, matched.objects.join("+")),
        Err(failure) => failure.code.clone().unwrap_or_default(),
    }
}

#[test]
fn requests_of_an_http_connection() {
    let routes = [
        "read GET /users/{id}",
        "write PUT /users/{id}",
        "read POST /search",
        "read POST /reports/{+name}",
        "login POST /login",
        "add POST /orders",
        "write DELETE /{+all}",
        "read GET /{+all} all/{+all}",
        "write POST /users/{id}/keys/{key} keys/{key}/of/{id}",
        "read LIST /users",
        "write GET /logout",
    ];
    let cases = [
        ("GET /users/7", "Read users/7"),
        ("PUT /users/7", "Write users/7"),
        ("PUT /users/7/", "CUT3203"),
        ("put /users/7", "CUT3202"),
        ("PATCH /users/7", "CUT3203"),
        ("PUT /users/7/admin", "CUT3203"),
        ("PUT /users/../x", "CUT3201"),
        ("PUT /users/%2e%2e", "CUT3201"),
        ("PUT /users/7%2fadmin", "CUT3201"),
        ("PUT //users/7", "CUT3201"),
        ("PUT /Users/7", "CUT3203"),
        ("POST /search", "Read search"),
        ("POST /search/", "CUT3203"),
        ("POST /reports/a", "CUT3204"),
        ("POST /login", "CUT3204"),
        ("POST /orders", "Add orders"),
        ("DELETE /a/b", "Write a/b"),
        ("GET /other", "Read all/other"),
        ("POST /users/7/keys/9", "Write keys/9/of/7"),
        ("LIST /users", "Read users"),
        ("GET /logout", "Write logout"),
        ("CONNECT /users/7", "CUT3202"),
        ("TRACE /users/7", "CUT3202"),
        ("GET\r\nX /users/7", "CUT3202"),
        (" /users/7", "CUT3202"),
        ("HEAD /users/7", "CUT3203"),
    ];
    for (request, expected) in cases {
        let result = judge(&http(), &routes, &["POST /search"], request);
        assert_eq!(verdict(&result), expected, "{request}");
        assert!(!format!("{result:?}").contains("hush"), "query values are never quoted");
    }
}

#[test]
fn a_manifest_cannot_lower_a_kind() {
    let routes = ["read GET /{+all}", "read POST /{+all}", "write GET /v1/{mount}/data/{+path} {+path}", "write MOVE /{+all}"];
    let cases = [
        ("GET /v1/kv/data/a/b", "Write kv/a/b"),
        ("POST /v1/kv/data/a/b", "Write kv/a/b"),
        ("GET /v1/aws/creds/x", "Write v1/aws/creds/x"),
        ("GET /v1/sys/raw/x", "CUT3210"),
        ("POST /v1/sys/seal", "CUT3210"),
        ("MOVE /v1/a>/v1/b", "Write v1/a+v1/b"),
        ("MOVE /v1/a>../b", "CUT3201"),
        ("MOVE /v1/a>b%2f..", "Write b%2f..+v1/a"),
    ];
    for (request, expected) in cases {
        assert_eq!(verdict(&judge(&vault(), &routes, &["POST /{+all}"], request)), expected, "{request}");
    }
}

#[test]
fn only_a_post_adds_where_the_kind_knows_nothing() {
    for method in ["PUT", "PATCH", "DELETE", "GET"] {
        let matched = judge(&http(), &[&format!("add {method} /orders/{{id}}")], &[], &format!("{method} /orders/7")).expect("a route");
        assert_eq!(matched.class, RouteClass::Write, "{method}");
        let open = matched.check_write("target", None, &[], &HashSet::new());
        assert_eq!(open.expect_err("not in the subject").code.as_deref(), Some("CUT3206"), "{method}");
        let vague = Policy::new("app", &role(&[&format!("add {method} /{{+path}} fixed")]), &http(), &[]);
        assert!(vague.is_err(), "{method}: one captured object must not stand for all");
    }
    let matched = judge(&http(), &["add POST /orders"], &[], "POST /orders").expect("a route");
    assert_eq!(matched.class, RouteClass::Add);
}

#[test]
fn public_places_of_a_known_kind_are_its_own() {
    let matched = judge(&vault(), &["read GET /{+all}"], &[], "GET /v1/kv/data/a").expect("a route");
    assert_eq!(matched.public_response, [Pointer::parse("/data/metadata/*").expect("a pointer")]);
    let matched = judge(&http(), &["read GET /{+all}"], &[], "GET /a").expect("a route");
    assert_eq!(matched.public_response, [Pointer::parse("/plain").expect("a pointer")]);
}

#[test]
fn the_most_specific_route_wins_and_equals_take_the_higher_class() {
    let routes = ["write GET /{+all}", "read GET /users/{id}", "write GET /users/{other}", "read GET /users/me"];
    for (request, expected) in [("GET /users/me", "Read users/me"), ("GET /users/7", "Write users/7"), ("GET /x", "Write x")] {
        assert_eq!(verdict(&judge(&http(), &routes, &[], request)), expected, "{request}");
    }
}

#[test]
fn a_path_with_two_readings_is_about_both_objects() {
    let matched = judge(&http(), &["write PUT /{+mount}/meta/{+path} {+mount}/x/{+path}"], &[], "PUT /a/meta/meta/b").expect("a route");
    assert_eq!(matched.objects, ["a/meta/x/b", "a/x/meta/b"]);
}

#[test]
fn an_unnamed_read_says_the_line_to_add() {
    let failure = judge(&http(), &["read POST /find/{kind}"], &["POST /search"], "POST /find/x").expect_err("not named");
    assert!(failure.text.contains("`POST /find/x`"), "{}", failure.text);
    assert!(
        failure.text.ends_with("put `reads = [\"POST /search\", \"POST /find/{kind}\"]` in place of the `reads` of connection `app`"),
        "{}",
        failure.text
    );
}

#[test]
fn objects_of_writes_must_vary_with_the_path() {
    for bad in [
        "write PUT /{+path} fixed",
        "write PUT /{a}/{+path} {a}",
        "write PUT /a {b}",
        "write PUT /{a",
        "write put /a",
        "write PUT a",
        "write PUT /{a} x",
        "write PUT /users/{id}/keys/{key} users/{id}",
        "read GET /marker/{id} users",
    ] {
        assert!(Policy::new("app", &role(&[bad]), &http(), &[]).is_err(), "{bad}");
    }
    for bad in ["GET", "get /a", "POST {", "CONNECT /a"] {
        assert!(Policy::new("app", &role(&[]), &http(), &[bad.to_owned()]).is_err(), "{bad}");
    }
}

#[test]
fn a_kind_that_the_role_does_not_take_is_an_error() {
    let mut role = role(&[]);
    role.kinds = vec!["file".to_owned()];
    assert_eq!(Policy::new("app", &role, &http(), &[]).expect_err("wrong kind").code.as_deref(), Some("CUT3211"));
}

#[test]
fn only_writing_hooks_change_anything() {
    for (class, looking) in [(RouteClass::Read, true), (RouteClass::Login, true), (RouteClass::Add, false), (RouteClass::Write, false)] {
        assert!(allows(class, Hook::Writing));
        assert_eq!(allows(class, Hook::Looking), looking, "{class:?}");
    }
    let matched = judge(&http(), &["write PUT /{+all}"], &[], "PUT /a").expect("a route");
    assert_eq!(matched.check_hook(Hook::Looking).expect_err("a write").code.as_deref(), Some("CUT3205"));
}

#[test]
fn writes_stay_within_subject_and_capture() {
    let object = |role: &str, member: Option<&str>, path: &str| Object {
        role: role.to_owned(),
        member: member.map(str::to_owned),
        path: path.to_owned(),
    };
    let matched = judge(&vault(), &["write MOVE /{+all}"], &[], "MOVE /v1/a>/v1/b").expect("a route");
    let both = [object("target", None, "v1/a"), object("target", None, "v1/b")];
    let code = |role: &str, member: Option<&str>, subject: &[Object], captured: &[Object]| {
        matched.check_write(role, member, subject, &captured.iter().cloned().collect()).err().and_then(|failure| failure.code)
    };
    assert_eq!(code("target", None, &both, &both), None);
    assert_eq!(code("target", None, &both[..1], &both).as_deref(), Some("CUT3206"));
    assert_eq!(code("target", None, &both, &both[..1]).as_deref(), Some("CUT3207"));
    assert_eq!(code("source", None, &both, &both).as_deref(), Some("CUT3206"));
    assert_eq!(code("target", Some("m1"), &both, &both).as_deref(), Some("CUT3206"));
    let added = judge(&http(), &["add POST /orders"], &[], "POST /orders").expect("a route");
    assert_eq!(added.check_write("target", None, &[], &HashSet::new()), Ok(()));
}
