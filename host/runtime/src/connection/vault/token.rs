//! The connection's own token: made at the first request, renewed before it ends, made anew when it is dead, revoked at the end.

use std::sync::Arc;

use cutover_engine::{Span, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    super::{SendError, WireRequest},
    login::{Lease, Login, lease, nothing_written},
    wire::{Wire, path},
};
use crate::{sealing::Scanner, secret::Secret};

/// Keeps one live token. Requests that need it while it is being made wait for it.
pub(super) struct Token {
    login: Login,
    scanner: Option<Arc<Scanner>>,
    held: Mutex<State>,
}

/// What a refusal of a request says.
pub(super) enum Refusal {
    /// The token lives: it may not do this.
    Meant,
    /// The token was dead, and this is another.
    Replaced(Arc<Secret>),
    /// The token is dead, and there is no other.
    Dead,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// Made here and replaced since; requests may still be using them.
    replaced: Vec<Arc<Secret>>,
    /// Whether a token was handed out before, so that sources are read anew for the next.
    has_begun: bool,
}

struct Held {
    token: Arc<Secret>,
    renewable: bool,
    /// How long it lived when it was new.
    full: Option<Span>,
    /// When to renew or replace it; it still lives for a while then.
    due: Option<Timestamp>,
    ends: Option<Timestamp>,
}

impl Held {
    fn new(lease: Lease, full: Option<Span>, now: Timestamp) -> Self {
        let due = lease.ttl.map(|ttl| now.after(Span(ttl.0 / 3 * 2)));
        Self { token: lease.token, renewable: lease.renewable, full, due, ends: lease.ttl.map(|ttl| now.after(ttl)) }
    }
}

impl Token {
    pub(super) fn new(login: Login, scanner: Option<Arc<Scanner>>) -> Self {
        Self { login, scanner, held: Mutex::default() }
    }

    /// The live token: made, renewed or made anew first if that is due.
    pub(super) async fn live(&self, wire: &Wire) -> Result<Arc<Secret>, SendError> {
        let mut state = self.held.lock().await;
        let now = wire.clock.now();
        let Some(held) = &state.held else { return self.make(&mut state, wire).await };
        if held.due.is_none_or(|due| now < due) {
            return Ok(held.token.clone());
        }
        let (token, ends, renewable) = (held.token.clone(), held.ends, held.renewable);
        let is_alive = ends.is_some_and(|ends| now < ends);
        if renewable && is_alive && self.renew(&mut state, wire).await {
            return Ok(token);
        }
        match self.make(&mut state, wire).await {
            // The old one still lives: whoever wants to work may.
            Err(_) if is_alive => Ok(token),
            made => made,
        }
    }

    /// What a refusal of a request with `used` says.
    pub(super) async fn refused(&self, used: &Arc<Secret>, wire: &Wire) -> Result<Refusal, SendError> {
        let mut state = self.held.lock().await;
        if let Some(held) = state.held.as_ref().filter(|held| held.token.expose() != used.expose()) {
            return Ok(Refusal::Replaced(held.token.clone()));
        }
        if is_alive(used, wire).await? {
            return Ok(Refusal::Meant);
        }
        if !self.login.can_change() {
            return Ok(Refusal::Dead);
        }
        let token = self.make(&mut state, wire).await?;
        Ok(if token.expose() == used.expose() { Refusal::Dead } else { Refusal::Replaced(token) })
    }

    /// Whether it is the operator's: then nobody here can prolong it.
    pub(super) fn is_given(&self) -> bool {
        !self.login.makes_tokens()
    }

    /// Revokes what was made here. What cannot be revoked now ends by itself.
    pub(super) async fn revoke(&self, wire: &Wire) {
        let mut state = self.held.lock().await;
        let held = state.held.take().map(|held| held.token);
        let replaced = std::mem::take(&mut state.replaced);
        if !self.login.makes_tokens() {
            return;
        }
        for token in replaced.into_iter().chain(held) {
            let mut request = WireRequest::of_host("POST", path("/v1/auth/token/revoke-self"));
            request.credential = Some(token);
            match wire.send(&request).await {
                // A dead one is refused.
                Ok(response) if response.status < 300 || response.status == 403 => {}
                Ok(response) => tracing::warn!(status = response.status, "`{}`: a token of this run was not revoked", wire.name()),
                Err(_) => tracing::warn!("`{}`: a token of this run was not revoked: no answer", wire.name()),
            }
        }
    }

    async fn make(&self, state: &mut MutexGuard<'_, State>, wire: &Wire) -> Result<Arc<Secret>, SendError> {
        let made = self.login.token(wire, self.scanner.as_ref(), state.has_begun).await?;
        state.has_begun = true;
        let token = made.token.clone();
        let full = made.ttl;
        let now = wire.clock.now();
        if let Some(old) = state.held.replace(Held::new(made, full, now)).filter(|_| self.login.makes_tokens()) {
            state.replaced.push(old.token);
        }
        Ok(token)
    }

    /// Whether it was renewed for a worthwhile time; near the end of its longest life it is better replaced.
    async fn renew(&self, state: &mut MutexGuard<'_, State>, wire: &Wire) -> bool {
        let Some(held) = &state.held else { return false };
        let (token, full) = (held.token.clone(), held.full);
        let mut request = WireRequest::of_host("POST", path("/v1/auth/token/renew-self"));
        request.credential = Some(token.clone());
        // An outage is for the request itself to find: the token still lives.
        let renewed = match wire.send(&request).await {
            Ok(response) if response.status < 300 => lease(response, self.scanner.as_ref()),
            Ok(_) | Err(_) => None,
        };
        let Some(renewed) = renewed else { return false };
        let is_short = matches!((renewed.ttl, full), (Some(now), Some(full)) if now.0 < full.0 / 2);
        let now = wire.clock.now();
        state.held = Some(Held::new(Lease { token, ..renewed }, full, now));
        !is_short
    }
}

/// Whether a server knows the token. Any that lives may ask which mounts it sees, whatever its policies: looking itself up is
/// refused to many.
async fn is_alive(token: &Arc<Secret>, wire: &Wire) -> Result<bool, SendError> {
    let mut request = WireRequest::of_host("GET", path("/v1/sys/internal/ui/mounts"));
    request.credential = Some(token.clone());
    Ok(wire.send(&request).await.map_err(nothing_written)?.status != 403)
}
