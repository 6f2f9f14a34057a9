//! The `http` kind against real sockets on loopback.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cutover_engine::FailureCase;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    clock::SystemClock,
    connection::{Credentials, WireBody, WireLimits, WireResponseBody},
    policy::RequestPath,
};

/// What a server does with each request on a connection.
#[derive(Clone)]
enum Answer {
    /// These bytes; the connection stays.
    Reply(Vec<u8>),
    /// These bytes, then the end.
    ReplyAndClose(Vec<u8>),
    /// Nothing, and the connection stays.
    Silence,
}

/// What a server saw: one text per connection and request.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

fn reply(head: &str, body: &str) -> Answer {
    Answer::Reply(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// Reads whole requests and answers each. `number` tells connections apart.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, number: usize, answer: Answer, seen: Seen) {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => text.extend_from_slice(&chunk[..count]),
        }
        let shown = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = shown.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|text| text.trim().parse().unwrap_or(0)));
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        seen.add(format!("#{number} {shown}"));
        text.clear();
        let sent = match &answer {
            Answer::Reply(bytes) => stream.write_all(bytes).await,
            Answer::ReplyAndClose(bytes) => {
                let sent = stream.write_all(bytes).await;
                drop(sent.and(stream.shutdown().await));
                return;
            }
            Answer::Silence => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A plain server; gives its url and what it sees.
async fn serve(answer: Answer) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let seen = Seen::default();
    let noted = seen.clone();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(talk(stream, number, answer.clone(), noted.clone()));
        }
    });
    (url, seen)
}

fn opening() -> Opening {
    let variables = [("TOKEN", "own-token"), ("PASSWORD", "pä:ss"), ("ACCOUNT", "u"), ("COLON", "u:x")];
    let environment: HashMap<String, String> = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let limits = WireLimits {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_millis(300),
        total: Duration::from_millis(900),
        body: 1_000,
    };
    Opening {
        clock: Arc::new(SystemClock),
        credentials: Credentials::with_environment(environment),
        limits,
        digest_key: Zeroizing::new([0; 32]),
    }
}

fn config(url: &str, settings: Value) -> ConnectionConfig {
    let Value::Object(settings) = settings else { panic!("settings are an object") };
    ConnectionConfig { name: "app".to_owned(), kind: "http".to_owned(), url: Some(url.to_owned()), settings, ..ConnectionConfig::default() }
}

async fn open(url: &str, settings: Value) -> Arc<dyn Backend> {
    HttpKind::default().open(&config(url, settings), &opening()).await.expect("it opens")
}

fn request(method: &str, path: &str) -> WireRequest {
    let path = RequestPath::parse(path).expect("a path");
    WireRequest { method: method.to_owned(), path, query: Vec::new(), headers: Vec::new(), body: None, credential: None }
}

/// `200 body`, `not sent CODE` or `lost text`.
async fn ask(backend: &dyn Backend, request: WireRequest) -> String {
    match backend.send(request).await {
        Ok(response) => match response.body {
            WireResponseBody::None => format!("{}", response.status),
            WireResponseBody::Json(value) => format!("{} {value}", response.status),
            WireResponseBody::Text(text) => format!("{} {text}", response.status),
            WireResponseBody::Bytes(bytes) => format!("{} {} bytes", response.status, bytes.len()),
        },
        Err(SendError::NotSent { failure }) => format!("not sent {}", failure.code.unwrap_or_default()),
        Err(SendError::Lost { text }) => format!("lost: {text}"),
    }
}

#[tokio::test]
async fn a_request_is_written_as_it_was_judged() {
    let (url, seen) = serve(reply("200 OK\r\ncontent-type: application/json\r\nX-Odd: 1", r#"{"n":1.10}"#)).await;
    let backend = open(&format!("{url}/base"), json!({"token": "env:TOKEN"})).await;
    let mut sent = request("POST", "/a%20b/c");
    sent.query = vec![("q".to_owned(), "x&y=z".to_owned())];
    sent.headers = vec![("If-Match".to_owned(), "\"1\"".to_owned())];
    sent.body = Some(WireBody::Json(json!({"k": "v"})));
    assert_eq!(ask(&*backend, sent).await, r#"200 {"n":1.10}"#);
    let text = seen.all().concat();
    assert!(text.starts_with("#0 POST /base/a%20b/c?q=x%26y%3Dz HTTP/1.1\r\n"), "{text}");
    for line in [
        "authorization: Bearer own-token",
        "accept-encoding: identity",
        "if-match: \"1\"",
        "content-type: application/json",
        "content-length: 9",
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
    }
    assert!(text.ends_with(r#"{"k":"v"}"#));
    assert_eq!(backend.authority(), format!("{url}/base"));
}

#[tokio::test]
async fn credentials_are_placed_by_the_host() {
    let (url, seen) = serve(reply("204 No Content", "")).await;
    let other = || Some(Arc::new(Secret::text("other-token".to_owned())));
    let bearer = open(&url, json!({"token": "env:TOKEN"})).await;
    assert_eq!(ask(&*bearer, WireRequest { credential: other(), ..request("GET", "/as") }).await, "204");
    let basic = open(&url, json!({"username": "env:ACCOUNT", "password": "env:PASSWORD"})).await;
    assert_eq!(ask(&*basic, request("GET", "/basic")).await, "204");
    let table = KindTable { kind: "vault", ..KindTable::clone(HttpKind::default().table()) };
    let vault = HttpKind::with_table(table, Placement::Header("x-vault-token"));
    let vault = vault.open(&config(&url, json!({"token": "env:TOKEN", "namespace": "team/a/"})), &opening()).await.expect("it opens");
    assert_eq!(vault.authority(), format!("{url}#team/a"));
    assert_eq!(ask(&*vault, request("LIST", "/v1/kv")).await, "204");
    let all = seen.all();
    assert!(all[0].contains("\r\nauthorization: Bearer other-token\r\n") && !all[0].contains("own-token"), "{}", all[0]);
    assert!(all[1].contains("\r\nauthorization: Basic dTpww6Q6c3M=\r\n"), "{}", all[1]);
    assert!(
        all[2].contains("\r\nx-vault-token: own-token\r\n")
            && all[2].contains("\r\nx-vault-namespace: team/a\r\n")
            && all[2].contains("LIST /v1/kv "),
        "{}",
        all[2]
    );
    let split = WireRequest { credential: Some(Arc::new(Secret::text("a\r\nhost: evil".to_owned()))), ..request("GET", "/") };
    assert_eq!(ask(&*bearer, split).await, "not sent CUT3235");
    assert_eq!(seen.all().len(), 3);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (elsewhere, visited) = serve(reply("200 OK", "caught")).await;
    let (url, _) = serve(reply(&format!("307 Temporary Redirect\r\nlocation: {elsewhere}/x"), "")).await;
    let response = open(&url, json!({"token": "env:TOKEN"})).await.send(request("GET", "/")).await.expect("an answer");
    assert_eq!((response.status, response.header("location")), (307, Some(format!("{elsewhere}/x").as_str())));
    assert!(visited.all().is_empty());
}

#[tokio::test]
async fn connections_are_kept_and_dead_ones_left() {
    let (url, seen) = serve(reply("200 OK", "1")).await;
    let backend = open(&url, json!({})).await;
    for _ in 0..3 {
        assert_eq!(ask(&*backend, request("GET", "/")).await, "200 1");
    }
    assert!(seen.all().iter().all(|text| text.starts_with("#0 ")));
    let (url, seen) = serve(Answer::ReplyAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1".to_vec())).await;
    let backend = open(&url, json!({})).await;
    for _ in 0..3 {
        assert_eq!(ask(&*backend, request("GET", "/")).await, "200 1");
    }
    assert!(seen.all().iter().zip(["#0 ", "#1 ", "#2 "]).all(|(text, start)| text.starts_with(start)));
}

#[tokio::test]
async fn what_may_have_left_is_lost() {
    let large_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    let cases = [
        (Answer::ReplyAndClose(Vec::new()), "lost: the connection ended without an answer"),
        (Answer::Silence, "lost: no answer began within the time limit"),
        (Answer::Reply(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), "lost: no answer began within the time limit"),
        (
            Answer::Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab".to_vec()),
            "lost: the answer was not complete within the time limit",
        ),
        (Answer::ReplyAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab".to_vec()), "lost: the answer broke off"),
        (reply("200 OK", &"x".repeat(1_001)), "lost: the answer's body is over the size limit"),
        (Answer::Reply(large_head.into_bytes()), "lost: the answer's head is over the size limit"),
        (Answer::Reply(many.into_bytes()), "lost: the answer's head is over the size limit"),
        (Answer::Reply(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), "lost: the answer is no HTTP"),
    ];
    for (answer, expected) in cases {
        let (url, _) = serve(answer).await;
        assert_eq!(ask(&*open(&url, json!({})).await, request("POST", "/")).await, expected);
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    assert_eq!(ask(&*open(&url, json!({})).await, request("POST", "/")).await, "not sent CUT3231");
}

/// Says that every name is at these addresses.
struct Pretend(Vec<IpAddr>);

impl Resolve for Pretend {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

async fn pretend(url: &str, addresses: &[&str], settings: Value) -> String {
    let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    let kind = HttpKind::default().resolving(Arc::new(Pretend(addresses)));
    match kind.open(&config(url, settings), &opening()).await {
        Ok(backend) => ask(&*backend, request("GET", "/latest/meta-data")).await,
        Err(error) => error.code().as_str().to_owned(),
    }
}

#[tokio::test]
async fn forbidden_addresses_are_never_dialled() {
    let (url, seen) = serve(reply("200 OK", "reached")).await;
    let port = url.rsplit(':').next().expect("a port");
    let secure = json!({"insecure": true});
    let literal = pretend("http://169.254.169.254", &[], secure.clone()).await;
    assert_eq!(literal, "not sent CUT3230");
    assert_eq!(pretend("http://[::ffff:a9fe:a9fe]", &[], secure.clone()).await, "not sent CUT3230");
    let name = format!("http://corp.example:{port}");
    assert_eq!(pretend(&name, &["127.0.0.1", "169.254.169.254"], secure.clone()).await, "not sent CUT3230", "one bad answer refuses all");
    assert_eq!(pretend(&name, &[], secure.clone()).await, "not sent CUT3231");
    assert_eq!(pretend(&name, &["127.0.0.1"], json!({})).await, "CUT3221", "plain http to a name");
    assert_eq!(
        pretend(&format!("http://localhost:{port}"), &["10.1.2.3"], json!({})).await,
        "not sent CUT3234",
        "a localhost that is none"
    );
    assert!(seen.all().is_empty());
    assert_eq!(pretend(&name, &["127.0.0.1"], secure).await, "200 reached");
    let head = seen.all().concat();
    assert!(head.contains(&format!("\r\nhost: corp.example:{port}\r\n")), "{head}");
}

#[tokio::test]
async fn a_unix_socket_is_an_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(folder.path().join("s")).expect("a socket");
    let seen = Seen::default();
    let noted = seen.clone();
    tokio::spawn(async move {
        if let Ok((stream, _)) = listener.accept().await {
            talk(stream, 0, reply("200 OK", "1"), noted).await;
        }
    });
    let mut config = config("http://spire", json!({"socket": "s"}));
    folder.path().clone_into(&mut config.folder);
    let backend = HttpKind::default().open(&config, &opening()).await.expect("it opens");
    assert_eq!(ask(&*backend, request("GET", "/")).await, "200 1");
    assert_eq!(backend.authority(), format!("unix:{}", folder.path().join("s").display()));
    assert_eq!(seen.all().len(), 1);
}

/// A test authority with files in a folder, and a TLS server for `localhost` that takes clients it signed.
struct Pki {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    root: rcgen::Certificate,
}

impl Pki {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root");
        std::fs::write(folder.path().join("ca.pem"), root.pem()).expect("a file");
        Self { folder, issuer: Issuer::new(params, key), root }
    }

    fn leaf(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    async fn serve(&self, name: &str, client_auth: bool) -> (u16, Seen) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificate, key) = self.leaf(name);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().expect("versions");
        let builder = if client_auth {
            let mut roots = RootCertStore::empty();
            roots.add(self.root.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let seen = Seen::default();
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(talk(stream, 0, reply("200 OK", "1"), noted.clone()));
                }
            }
        });
        (port, seen)
    }

    async fn ask(&self, port: u16, mut settings: Value) -> String {
        settings["ca"] = json!(self.folder.path().join("ca.pem"));
        let mut config = config(&format!("https://localhost:{port}"), settings);
        self.folder.path().clone_into(&mut config.folder);
        let kind = HttpKind::default().resolving(Arc::new(Pretend(vec![IpAddr::from([127, 0, 0, 1])])));
        ask(&*kind.open(&config, &opening()).await.expect("it opens"), request("GET", "/")).await
    }
}

#[tokio::test]
async fn tls_trusts_only_the_named_authority_and_name() {
    let pki = Pki::new("ours");
    let (port, _) = pki.serve("localhost", false).await;
    assert_eq!(pki.ask(port, json!({})).await, "200 1");
    let (wrong_name, seen) = pki.serve("other.example", false).await;
    assert_eq!(pki.ask(wrong_name, json!({})).await, "not sent CUT3232");
    assert_eq!(Pki::new("stranger").ask(port, json!({})).await, "not sent CUT3232", "another authority");
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_lack_is_a_refusal() {
    let pki = Pki::new("ours");
    let (port, seen) = pki.serve("localhost", true).await;
    assert_eq!(pki.ask(port, json!({})).await, "not sent CUT3233");
    let stranger = Pki::new("stranger");
    for (name, issuer) in [("good", &pki), ("bad", &stranger)] {
        let (certificate, key) = issuer.leaf("client");
        std::fs::write(pki.folder.path().join(format!("{name}.pem")), certificate.pem()).expect("a file");
        std::fs::write(pki.folder.path().join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    }
    assert_eq!(pki.ask(port, json!({"certificate": "bad.pem", "key": "file:bad.key"})).await, "not sent CUT3233");
    assert!(seen.all().is_empty());
    assert_eq!(pki.ask(port, json!({"certificate": "good.pem", "key": "file:good.key"})).await, "200 1");
}

#[tokio::test]
async fn declarations_that_do_not_fit_are_refused() {
    for (url, settings) in [
        ("http://10.0.0.1", json!({})),
        ("http://app.corp", json!({})),
        ("https://app.corp", json!({"unknown": 1})),
        ("https://app.corp", json!({"token": "env:TOKEN", "username": "u"})),
        ("https://app.corp", json!({"username": "env:COLON", "password": "env:PASSWORD"})),
        ("https://app.corp", json!({"certificate": "x"})),
        ("https://app.corp", json!({"ca": "none.pem"})),
        ("https://app.corp", json!({"namespace": "x"})),
        ("https://app.corp", json!({"token": "own-token"})),
        ("https://app.corp", json!({"token": "env:NONE"})),
        ("ftp://x", json!({})),
    ] {
        let Err(error) = HttpKind::default().open(&config(url, settings.clone()), &opening()).await else {
            panic!("{url} {settings} opened")
        };
        let failure = cutover_engine::Failure::from(error);
        assert_eq!(failure.case, FailureCase::InvalidInput);
        assert!(!failure.text.contains("own-token"), "{failure}");
    }
}
