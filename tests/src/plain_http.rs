//! A client of its own for what tests ask a server, so that no test judges our connection code by itself.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::Answered;

/// One connection that stays open (RFC 9112 section 9.3) and one token.
pub struct PlainHttp {
    authority: String,
    token: String,
    stream: BufReader<TcpStream>,
}

impl PlainHttp {
    /// Connects to an `http://HOST:PORT`.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn connect(url: &str, token: &str) -> Self {
        let authority = url.strip_prefix("http://").expect("plain http").to_owned();
        let stream = TcpStream::connect(&authority).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { authority, token: token.to_owned(), stream: BufReader::new(stream) }
    }

    /// Asks. The path is escaped already; a null body is none.
    ///
    /// # Panics
    /// If there is no whole answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &Value) -> Answered {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (authority, token) = (&self.authority, &self.token);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nX-Vault-Token: {token}\r\nX-Vault-Request: true\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("a request");
        self.answer()
    }

    fn answer(&mut self) -> Answered {
        let status = self.line().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                None => break,
                Some(("content-length", value)) => length = value.parse().expect("a length"),
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(_) => {}
            }
        }
        let body = if chunked { self.chunks() } else { self.bytes(length) };
        Answered { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    /// RFC 9112 section 7.1, without trailers.
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line().trim(), 16).expect("a chunk's size");
            body.extend(self.bytes(size));
            self.line();
            if size == 0 {
                return body;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        line
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("a body");
        bytes
    }
}

/// Does something with each item over so many connections at once; the results are in the order of the items.
///
/// # Panics
/// If one of them panics.
pub fn over_connections<T: Sync, R: Send>(
    url: &str,
    token: &str,
    connections: usize,
    items: &[T],
    work: impl Fn(&mut PlainHttp, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut client = PlainHttp::connect(url, token);
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return done };
            done.push((number, work(&mut client, item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections.min(items.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A path with each byte of its segments escaped that is not unreserved (RFC 3986 section 2.3).
#[must_use]
pub(crate) fn escaped(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(byte).collect()
}
