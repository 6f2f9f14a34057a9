//! The `vault` kind against servers that answer as they are told: what no real server can be made to do on demand.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cutover_engine::Timestamp;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use zeroize::Zeroizing;

use super::*;
use crate::{
    clock::Clock,
    connection::{Credentials, WireLimits},
    sealing::Scanner,
    secret::Secret,
};

/// Time that passes only where somebody waits for it.
struct Jumping(AtomicU64);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.fetch_max(deadline.0, Ordering::SeqCst);
        })
    }
}

/// Answers given in order for a request line; the last one stays.
type Script = HashMap<&'static str, Vec<(u16, String)>>;

/// A server and the requests it saw, as `METHOD PATH TOKEN BODY`.
struct Scripted {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, beginning: &str) -> usize {
        self.seen().iter().filter(|line| line.starts_with(beginning)).count()
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// Serves a script; what is not in it is 404. An answer is a status and a JSON body, or `location: URL`.
fn serve((listener, url): (TcpListener, String), script: &[(&'static str, u16, &str)]) -> Scripted {
    let mut answers = Script::new();
    for (request, status, body) in script {
        answers.entry(request).or_default().push((*status, (*body).to_owned()));
    }
    let (seen, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(answers)));
    let noted = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (noted, answers) = (noted.clone(), answers.clone());
            tokio::spawn(async move {
                let mut text = Vec::new();
                loop {
                    let mut chunk = [0; 4_096];
                    match stream.read(&mut chunk).await {
                        Ok(0) | Err(_) => return,
                        Ok(count) => text.extend_from_slice(&chunk[..count]),
                    }
                    let shown = String::from_utf8_lossy(&text).into_owned();
                    let Some((head, body)) = shown.split_once("\r\n\r\n") else { continue };
                    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                    if body.len() < header("content-length: ").parse().unwrap_or(0) {
                        continue;
                    }
                    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
                    assert_eq!(header("x-vault-request: "), "true", "{line}");
                    noted.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{line} {} {body}", header("x-vault-token: ")));
                    text.clear();
                    let (status, body) = {
                        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                        match answers.get_mut(line.as_str()) {
                            Some(given) if given.len() > 1 => given.remove(0),
                            Some(given) => given[0].clone(),
                            None => (404, r#"{"errors":[]}"#.to_owned()),
                        }
                    };
                    let (extra, body) = if body.contains(": ") && !body.starts_with('{') {
                        (format!("{body}\r\n"), "")
                    } else {
                        (String::new(), body.as_str())
                    };
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Scripted { url, seen }
}

async fn scripted(script: &[(&'static str, u16, &str)]) -> Scripted {
    serve(listen().await, script)
}

async fn open(url: &str, settings: Value) -> Arc<dyn Backend> {
    let Value::Object(settings) = settings else { panic!("settings are an object") };
    let config =
        ConnectionConfig { name: "bao".to_owned(), kind: "vault".to_owned(), url: Some(url.to_owned()), settings, ..Default::default() };
    let variables = [("TOKEN", "own-token-1"), ("ROLE", "role-1"), ("SECRET", "secret-id-1")];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let opening = Opening {
        clock: Arc::new(Jumping(AtomicU64::new(1_000_000))),
        credentials: Credentials::with_environment(variables).watched_by(Arc::new(Scanner::default())),
        limits: WireLimits::default(),
        digest_key: Zeroizing::new([0; 32]),
    };
    VaultKind::default().open(&config, &opening).await.expect("it opens")
}

async fn of_token(server: &Scripted) -> Arc<dyn Backend> {
    open(&server.url, json!({"token": "env:TOKEN"})).await
}

/// The status, `not sent CASE CODE` or `lost`.
async fn ask(backend: &dyn Backend, method: &str, path: &str) -> String {
    let mut request = WireRequest::of_host(method, RequestPath::parse(path).expect("a path"));
    request.body = (method != "GET").then(|| WireBody::Json(json!({"data": {"v": 1}})));
    told(backend.send(request).await)
}

fn told(result: Result<WireResponse, SendError>) -> String {
    match result {
        Ok(response) => response.status.to_string(),
        Err(SendError::NotSent { failure }) => format!("not sent {:?} {}", failure.case, failure.code.unwrap_or_default()),
        Err(SendError::Lost { .. }) => "lost".to_owned(),
    }
}

const READ: &str = "GET /v1/kv/data/a";
const WRITE: &str = "PUT /v1/kv/data/a";
const HEALTH: &str = "GET /v1/sys/health";

#[tokio::test]
async fn a_standby_leads_to_its_active_node_only_within_the_grant() {
    let active = scripted(&[(WRITE, 200, "{}"), (READ, 200, "{}")]).await;
    let location = format!("location: {}/v1/somewhere/else", active.url);
    let standby = scripted(&[(WRITE, 307, &location), (READ, 307, &location)]).await;
    let strict = of_token(&standby).await;
    assert_eq!(ask(&*strict, "PUT", "/v1/kv/data/a").await, "not sent Unavailable CUT3263");
    assert!(active.seen().is_empty(), "the token goes nowhere without a grant");
    let granted = open(&standby.url, json!({"token": "env:TOKEN", "standbys": [active.url]})).await;
    assert_eq!(ask(&*granted, "PUT", "/v1/kv/data/a").await, "200");
    // The very same request, wherever the location's path leads.
    assert_eq!(active.seen(), [r#"PUT /v1/kv/data/a own-token-1 {"data":{"v":1}}"#]);
    assert_eq!(ask(&*granted, "GET", "/v1/kv/data/a").await, "200");
    assert_eq!(standby.count(READ), 0, "the active node is remembered");
    let unclear = scripted(&[(READ, 307, "location: /v1/kv/data/b")]).await;
    assert_eq!(ask(&*of_token(&unclear).await, "GET", "/v1/kv/data/a").await, "not sent Unavailable CUT3263");
}

#[tokio::test]
async fn adding_the_line_that_a_redirect_names_grants_it() {
    let active = scripted(&[(READ, 200, "{}")]).await;
    let location = format!("location: {}/v1/kv/data/a", active.url);
    let standby = scripted(&[(READ, 307, &location)]).await;
    let strict = of_token(&standby).await;
    let read = WireRequest::of_host("GET", RequestPath::parse("/v1/kv/data/a").expect("a path"));
    let Err(SendError::NotSent { failure }) = strict.send(read).await else { panic!("it is refused") };
    let line = failure.text.split('`').find(|part| part.starts_with("standbys = ")).unwrap_or_else(|| panic!("{}", failure.text));
    let added: toml::Table = line.parse().expect("a line of TOML");
    let granted = open(&standby.url, json!({"token": "env:TOKEN", "standbys": added["standbys"].clone()})).await;
    assert_eq!(ask(&*granted, "GET", "/v1/kv/data/a").await, "200");
}

#[tokio::test]
async fn nodes_that_redirect_in_a_circle_are_no_cluster() {
    let (first, second) = (listen().await, listen().await);
    let (to_first, to_second) = (format!("location: {}/", first.1), format!("location: {}/", second.1));
    let first = serve(first, &[(READ, 307, &to_second)]);
    let second = serve(second, &[(READ, 307, &to_first)]);
    let backend = open(&first.url, json!({"token": "env:TOKEN", "standbys": [second.url]})).await;
    assert_eq!(ask(&*backend, "GET", "/v1/kv/data/a").await, "not sent Unavailable CUT3261");
    assert_eq!(first.count(READ) + second.count(READ), 3);
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_or_told() {
    let server = scripted(&[(WRITE, 429, "{}"), (WRITE, 429, "{}"), (WRITE, 200, "{}")]).await;
    assert_eq!(ask(&*of_token(&server).await, "PUT", "/v1/kv/data/a").await, "200");
    assert_eq!(server.count(WRITE), 3);
    let blocked = scripted(&[(WRITE, 429, "{}")]).await;
    assert_eq!(ask(&*of_token(&blocked).await, "PUT", "/v1/kv/data/a").await, "not sent RateLimited(17) CUT3250");
    assert_eq!(blocked.count(WRITE), 5, "after 0, 1, 3, 7 and 15 s and a little");
    let named = scripted(&[(READ, 429, "retry-after: 600")]).await;
    assert_eq!(ask(&*of_token(&named).await, "GET", "/v1/kv/data/a").await, "not sent RateLimited(600) CUT3250");
    // A standby's health is no rate limit.
    let standby = scripted(&[(HEALTH, 429, "{}")]).await;
    assert_eq!(ask(&*of_token(&standby).await, "GET", "/v1/sys/health").await, "429");
    assert_eq!(of_token(&standby).await.health().await, Ok(()));
}

#[tokio::test]
async fn what_may_have_been_done_is_lost_and_what_was_not_is_unavailable() {
    let sealed = r#"{"errors":["Vault is sealed"]}"#;
    let upgrading = r#"{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period"]}"#;
    for (status, body, read, write) in [
        (503, sealed, "not sent Unavailable CUT3261", "not sent Unavailable CUT3261"),
        (503, "{}", "not sent Unavailable CUT3261", "lost"),
        (500, "{}", "not sent Unavailable CUT3261", "lost"),
        (502, "{}", "not sent Unavailable CUT3261", "lost"),
        (412, "{}", "not sent Unavailable CUT3261", "not sent Unavailable CUT3261"),
        (400, upgrading, "not sent Unavailable CUT3261", "not sent Unavailable CUT3261"),
        (400, "{}", "400", "400"),
        (404, "{}", "404", "404"),
        (405, "{}", "405", "405"),
    ] {
        let server = scripted(&[(READ, status, body), (WRITE, status, body), (HEALTH, 503, "{}")]).await;
        let backend = of_token(&server).await;
        assert_eq!(ask(&*backend, "GET", "/v1/kv/data/a").await, read, "{status} {body}");
        assert_eq!(ask(&*backend, "PUT", "/v1/kv/data/a").await, write, "{status} {body}");
        assert_eq!((server.count(READ), server.count(WRITE)), (1, 1), "nothing is sent twice");
    }
}

#[tokio::test]
async fn the_state_is_said_in_words() {
    for (status, words) in [(501, "is not initialised"), (503, "is sealed"), (472, "disaster recovery"), (500, "health check with 500")] {
        let server = scripted(&[(HEALTH, status, "{}")]).await;
        let failure = of_token(&server).await.health().await.expect_err("not well");
        assert_eq!(failure.case, FailureCase::Unavailable);
        assert!(failure.text.contains(words) && failure.text.contains(&server.url), "{failure}");
    }
}

#[tokio::test]
async fn a_login_that_is_cut_off_leaves_nothing_unknown() {
    let server = scripted(&[("POST /v1/auth/approle/login", 500, "{}")]).await;
    let settings = json!({"approle": {"mount": "approle", "role_id": "env:ROLE", "secret_id": "env:SECRET"}});
    let backend = open(&server.url, settings).await;
    assert_eq!(ask(&*backend, "PUT", "/v1/kv/data/a").await, "not sent Unavailable CUT3231");
    assert_eq!(server.count(WRITE), 0);
}

#[tokio::test]
async fn a_write_whose_token_is_dead_is_sent_once_more_and_no_more() {
    let login = r#"{"auth":{"client_token":"made-token-1","lease_duration":3600,"renewable":true}}"#;
    let second = login.replace("-1", "-2");
    let server = scripted(&[
        ("POST /v1/auth/approle/login", 200, login),
        ("POST /v1/auth/approle/login", 200, &second),
        ("GET /v1/sys/internal/ui/mounts", 403, "{}"),
        ("GET /v1/sys/internal/ui/mounts", 200, "{}"),
        (WRITE, 403, "{}"),
        (WRITE, 403, "{}"),
        (WRITE, 200, "{}"),
        ("POST /v1/auth/token/revoke-self", 204, ""),
    ])
    .await;
    let settings = json!({"approle": {"mount": "approle", "role_id": "env:ROLE", "secret_id": "env:SECRET"}});
    let backend = open(&server.url, settings).await;
    assert_eq!(ask(&*backend, "PUT", "/v1/kv/data/a").await, "403", "the second refusal is the answer");
    let tokens: Vec<String> = server
        .seen()
        .iter()
        .filter(|line| line.starts_with(WRITE))
        .map(|line| line.split(' ').nth(2).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(tokens, ["made-token-1", "made-token-2"]);
    assert_eq!(server.count("POST /v1/auth/approle/login "), 2);
    backend.close().await;
    assert_eq!(server.count("POST /v1/auth/token/revoke-self"), 2, "both that were made");
}

#[tokio::test]
async fn a_credential_to_try_is_neither_replaced_nor_revived() {
    let server = scripted(&[(READ, 403, "{}")]).await;
    let backend = of_token(&server).await;
    let mut request = WireRequest::of_host("GET", RequestPath::parse("/v1/kv/data/a").expect("a path"));
    request.credential = Some(Arc::new(Secret::text("old-token".to_owned())));
    assert_eq!(told(backend.send(request).await), "403");
    assert_eq!(server.seen(), ["GET /v1/kv/data/a old-token "]);
}

#[tokio::test]
async fn declarations_name_one_login_and_known_settings() {
    let opening = Opening {
        clock: Arc::new(Jumping(AtomicU64::new(0))),
        credentials: Credentials::with_environment(HashMap::from([("TOKEN".to_owned(), "x-token".to_owned())])),
        limits: WireLimits::default(),
        digest_key: Zeroizing::new([0; 32]),
    };
    for settings in [
        json!({}),
        json!({"token": "env:TOKEN", "jwt": {"mount": "jwt", "role": "r", "token": "env:TOKEN"}}),
        json!({"token": "env:NONE"}),
        json!({"token": "x-token"}),
        json!({"token": "env:TOKEN", "unknown": 1}),
        json!({"approle": {"mount": "approle"}}),
        json!({"jwt": {"mount": "../sys", "role": "r", "token": "env:TOKEN"}}),
        json!({"token": "env:TOKEN", "standbys": ["http://10.0.0.1:8200"]}),
    ] {
        let Value::Object(settings) = settings else { continue };
        let config = ConnectionConfig {
            name: "bao".to_owned(),
            kind: "vault".to_owned(),
            url: Some("http://127.0.0.1:1".to_owned()),
            settings: settings.clone(),
            ..Default::default()
        };
        let Err(error) = VaultKind::default().open(&config, &opening).await else { panic!("{settings:?} opened") };
        assert!(!error.to_string().contains("x-token"), "{error}");
    }
}
