//! A proxy in front of a server: a test does something at the very moment when a request is about to arrive.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
};

use cutover_tests::OpenBao;

/// What is about to be forwarded: method and path as on the wire. `false` drops the connection without an answer.
pub(crate) type Hook = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// Listens on loopback until the process ends; each connection carries one request, which is told before it goes on.
pub(crate) fn before(server: &OpenBao, hook: Hook) -> String {
    listen(server, hook, Arc::new(|_, _| true))
}

/// The same, but a request is told once the server has answered it, before the answer goes back.
pub(crate) fn after(server: &OpenBao, hook: Hook) -> String {
    listen(server, Arc::new(|_, _| true), hook)
}

fn listen(server: &OpenBao, before: Hook, after: Hook) -> String {
    let upstream = server.url().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (upstream, before, after) = (upstream.clone(), Arc::clone(&before), Arc::clone(&after));
            // A broken connection is what some tests are about.
            std::thread::spawn(move || drop(forward(stream, &upstream, &before, &after)));
        }
    });
    url
}

fn forward(mut client: TcpStream, upstream: &str, before: &Hook, after: &Hook) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 8192];
    let end = loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match client.read(&mut part)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&part[..read]),
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|text| text.trim().to_owned()));
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    while request.len() < end + length {
        match client.read(&mut part)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !before(method, path) {
        return client.shutdown(Shutdown::Both);
    }
    let mut server = TcpStream::connect(upstream)?;
    let line = head.find("\r\n").map_or(0, |end| end + 2);
    // One request a connection: the server says so in its answer, and the client believes it.
    server.write_all(&request[..line])?;
    server.write_all(b"Connection: close\r\n")?;
    server.write_all(&request[line..])?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    if after(method, path) {
        client.write_all(&answer)?;
    }
    client.shutdown(Shutdown::Both)
}
