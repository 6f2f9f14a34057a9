//! One exchange over a kept or new connection, with its limits, and the line between not sent and lost.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use cutover_engine::FailureCase;
use http::Request;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{
    dial::{Dialler, Stream, refused_client},
    message,
};
use crate::{
    connection::{SendError, WireLimits, WireResponse},
    policy::Code,
};

/// The most connections that wait for their next request.
const MAX_IDLE: usize = 16;
/// How long one may wait: shorter than what servers commonly allow, so that a request rarely meets a closing one.
const IDLE: Duration = Duration::from_secs(10);
/// The largest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers of a response.
const MAX_HEADERS: usize = 100;

/// Sends requests to one target.
pub(super) struct Client {
    dialler: Dialler,
    limits: WireLimits,
    idle: Mutex<Vec<(Kept, Instant)>>,
}

type Wire = Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// A connection. Whoever waits for an answer drives it, in the same task: a task of its own would cost two wake-ups of
/// another thread for each request. Nobody drives it while it is idle.
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    /// None once it ended: an ended one must be dropped, or requests that it never took wait forever.
    wire: Option<Wire>,
}

impl Kept {
    /// Whether the server has not closed it meanwhile, and it takes a request.
    async fn is_ready(&mut self) -> bool {
        // One that waits for a request is ready; that the server closed it is only seen by looking.
        poll_fn(|context| Poll::Ready(advance(&mut self.wire, context))).await;
        drive(&mut self.wire, self.sender.ready()).await.is_ok() && self.wire.is_some()
    }
}

/// Drives a connection until `answer` is there, which hears of the connection's end by itself.
async fn drive<T>(wire: &mut Option<Wire>, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    poll_fn(|context| {
        // It first hands over what the connection then sends, and takes what the connection has read.
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        advance(wire, context);
        answer.as_mut().poll(context)
    })
    .await
}

fn advance(wire: &mut Option<Wire>, context: &mut Context<'_>) {
    if wire.as_mut().is_some_and(|wire| Pin::new(wire).poll(context).is_ready()) {
        *wire = None;
    }
}

impl Client {
    pub(super) fn new(dialler: Dialler, limits: WireLimits) -> Self {
        Self { dialler, limits, idle: Mutex::default() }
    }

    /// Sends once. Whatever breaks after the first byte may have left is [`SendError::Lost`].
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<WireResponse, SendError> {
        let mut kept = match self.take().await {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        match timeout(self.limits.total, self.exchange(&mut kept, request)).await {
            Ok(Ok(response)) => {
                self.keep(kept);
                Ok(response)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(lost("the answer was not complete within the time limit")),
        }
    }

    async fn exchange(&self, kept: &mut Kept, request: Request<Full<Bytes>>) -> Result<WireResponse, SendError> {
        let Kept { sender, wire } = kept;
        let head = timeout(self.limits.first_byte, drive(wire, sender.try_send_request(request))).await;
        let head = head.map_err(|_| lost("no answer began within the time limit"))?;
        let response = head.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            self.broken(unsent, error.error())
        })?;
        let (head, body) = response.into_parts();
        let body = drive(wire, Limited::new(body, self.limits.body).collect()).await.map_err(|error| {
            let what = if error.is::<LengthLimitError>() { "the answer's body is over the size limit" } else { "the answer broke off" };
            lost(what)
        })?;
        Ok(message::response(head.status.as_u16(), &head.headers, body.to_bytes()))
    }

    fn broken(&self, unsent: bool, error: &hyper::Error) -> SendError {
        let target = &self.dialler.target;
        if let Some(failure) = refused_client(target, error) {
            return failure.into();
        }
        if unsent {
            let text = format!("`{}` closed the connection before the request left", target.authority());
            return Code::UNREACHABLE.failure(FailureCase::Unavailable, text).into();
        }
        lost(if error.is_parse_too_large() {
            "the answer's head is over the size limit"
        } else if error.is_parse() {
            "the answer is no HTTP"
        } else {
            "the connection ended without an answer"
        })
    }

    async fn connect(&self) -> Result<Kept, SendError> {
        let stream = self.dialler.dial().await?;
        let handshake = Builder::new().max_headers(MAX_HEADERS).max_header_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, wire) = handshake.map_err(|error| self.broken(true, &error))?;
        Ok(Kept { sender, wire: Some(wire) })
    }

    async fn take(&self) -> Option<Kept> {
        loop {
            let (mut kept, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if since.elapsed() < IDLE && matches!(timeout(Duration::from_secs(1), kept.is_ready()).await, Ok(true)) {
                return Some(kept);
            }
        }
    }

    fn keep(&self, kept: Kept) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // What was closed meanwhile would hold its socket.
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        if idle.len() < MAX_IDLE && kept.wire.is_some() {
            idle.push((kept, Instant::now()));
        }
    }
}

fn lost(text: &str) -> SendError {
    SendError::Lost { text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn request() -> Request<Full<Bytes>> {
        Request::get("/").header("host", "x").body(Full::new(Bytes::new())).expect("a request")
    }

    /// A connection after its first answer, and the server's end.
    async fn used() -> (Kept, tokio::io::DuplexStream) {
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        let ours: Box<dyn Stream> = Box::new(ours);
        let (sender, wire) = Builder::new().handshake(TokioIo::new(ours)).await.expect("a connection");
        let mut kept = Kept { sender, wire: Some(wire) };
        let answer = async {
            assert!(theirs.read(&mut [0; 1_024]).await.expect("it writes") > 0);
            theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it reads");
        };
        let first = async {
            let sent = drive(&mut kept.wire, kept.sender.try_send_request(request())).await.expect("an answer");
            sent.into_body().collect().await.expect("a body");
        };
        tokio::join!(answer, first);
        assert!(kept.is_ready().await);
        (kept, theirs)
    }

    #[tokio::test]
    async fn a_request_that_a_closing_connection_never_took_comes_back() {
        let (mut kept, theirs) = used().await;
        // The server closes it after the last look and before the request is taken.
        drop(theirs);
        let mut error = drive(&mut kept.wire, kept.sender.try_send_request(request())).await.expect_err("nobody answers");
        assert!(error.take_message().is_some(), "it was not sent");
        assert!(kept.wire.is_none() && !kept.is_ready().await);
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_nobody_drove_it_is_not_ready() {
        let (mut kept, theirs) = used().await;
        drop(theirs);
        assert!(!kept.is_ready().await);
    }
}
