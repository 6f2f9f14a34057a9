//! One exchange over a kept or new connection, with its limits, and the line between not sent and lost.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use cutover_engine::FailureCase;
use http::Request;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{task::AbortHandle, time::timeout};

use super::{
    dial::{Dialler, refused_client},
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

/// A connection and the task that drives it; both end together.
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
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
        let head = timeout(self.limits.first_byte, kept.sender.try_send_request(request)).await;
        let head = head.map_err(|_| lost("no answer began within the time limit"))?;
        let response = head.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            self.broken(unsent, error.error())
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.limits.body).collect().await.map_err(|error| {
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
        let (sender, connection) = handshake.map_err(|error| self.broken(true, &error))?;
        // Errors reach the request that is waiting; nobody else needs them.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Kept { sender, task })
    }

    async fn take(&self) -> Option<Kept> {
        loop {
            let (mut kept, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let alive = since.elapsed() < IDLE && !kept.sender.is_closed();
            if alive && matches!(timeout(Duration::from_secs(1), kept.sender.ready()).await, Ok(Ok(()))) {
                return Some(kept);
            }
        }
    }

    fn keep(&self, kept: Kept) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && !kept.sender.is_closed() {
            idle.push((kept, Instant::now()));
        }
    }
}

fn lost(text: &str) -> SendError {
    SendError::Lost { text: text.to_owned() }
}
