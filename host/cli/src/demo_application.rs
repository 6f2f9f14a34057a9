//! The application of the demo: answers on a unix socket whether it can log in with the secrets it finds.
//!
//! `xtask` takes this file in by its path, because it must start without compiling anything else; so this uses the standard
//! library only.

use std::{
    fs,
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

/// Listens at `socket`. One that a killed application left there is removed first.
pub(crate) fn listen(socket: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(socket) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && UnixStream::connect(socket).is_err() => {
            fs::remove_file(socket)?;
            UnixListener::bind(socket)
        }
        other => other,
    }
}

/// Answers for ever: `GET /health/deep` tells how many logins fail just now.
pub(crate) fn serve(listener: &UnixListener, failures: impl Fn() -> usize) {
    for stream in listener.incoming().flatten() {
        // A caller that went away is no concern of the application.
        drop(answer(stream, failures()));
    }
}

/// Every file below a folder, by name.
pub(crate) fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// One request, one answer (HTTP/1.1, RFC 9112).
fn answer(mut stream: UnixStream, failures: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 16_384 {
        match stream.read(&mut part)? {
            0 => break,
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let (status, body) = if request.starts_with(b"GET /health/deep ") {
        ("200 OK", format!("{{\"auth_failures\":{failures}}}"))
    } else {
        ("404 Not Found", "{}".to_owned())
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
