//! The floor: the same requests, sent by a loop with the same HTTP client over as many connections, which looks at nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    pair::{Pair, Took},
    recording::{Part, Request},
};
use crate::process::computed;

/// Sends these requests for every secret, in their order for each, so many secrets at once; the requests of one part.
pub(crate) async fn send(pair: &Pair, requests: &[Request], part: Part, parallel: usize) -> Took {
    let requests: Arc<Vec<Request>> = Arc::new(requests.iter().filter(|request| request.part == part).cloned().collect());
    let (keys, next) = (Arc::new(pair.keys.clone()), Arc::new(AtomicUsize::new(0)));
    let (begun, own, servers) = (Instant::now(), computed(std::process::id()), pair.servers());
    let mut workers = Vec::new();
    for _ in 0..parallel {
        let mut lines = Lines::open(pair, &requests).await;
        let (requests, keys, next) = (requests.clone(), keys.clone(), next.clone());
        workers.push(tokio::spawn(async move {
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                for request in &*requests {
                    lines.send(request, key).await;
                }
            }
        }));
    }
    for worker in workers {
        worker.await.expect("no worker panics");
    }
    let wall = begun.elapsed();
    let own: Duration = computed(std::process::id()) - own;
    Took { wall, own, servers: pair.servers() - servers, peak: 0.0 }
}

/// One connection for each of the workflow's.
struct Lines(Vec<(String, Line)>);

struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    token: HeaderValue,
}

impl Lines {
    async fn open(pair: &Pair, requests: &[Request]) -> Self {
        let mut names: Vec<&str> = requests.iter().map(|request| request.connection.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut lines = Vec::new();
        for name in names {
            let (server, token) = pair.connection(name);
            let url = server.url();
            let authority = url.strip_prefix("http://").expect("plain http");
            let stream = TcpStream::connect(authority).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let (sender, connection) = Builder::new().handshake(TokioIo::new(stream)).await.expect("a connection");
            tokio::spawn(connection);
            let text = |text: &str| HeaderValue::from_str(text).expect("a header");
            lines.push((name.to_owned(), Line { sender, host: text(authority), token: text(token) }));
        }
        Self(lines)
    }

    async fn send(&mut self, request: &Request, key: &str) {
        let line = self.0.iter_mut().find(|(name, _)| *name == request.connection).map(|(_, line)| line).expect("a connection");
        let mut sent = http::Request::new(Full::new(Bytes::from(request.body.clone())));
        *sent.method_mut() = request.method.parse().expect("a method");
        *sent.uri_mut() = request.target.replace("{key}", key).parse().expect("a path");
        let headers = sent.headers_mut();
        if !request.body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(header::HOST, line.host.clone());
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("cutover/0.1.0"));
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert("x-vault-token", line.token.clone());
        line.sender.ready().await.expect("an open connection");
        let response = line.sender.send_request(sent).await.expect("an answer");
        assert_eq!(response.status().as_u16(), request.status, "{} {} of `{key}`", request.method, request.target);
        response.into_body().collect().await.expect("a whole answer");
    }
}
