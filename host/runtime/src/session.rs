//! The host's side of one hook call: judges every request, opens and seals values, and remembers what happened.

mod report;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cutover_engine::{Failure, FailureCase, Object, Operation, ResponseRule, RouteClass, is_refusal};
use serde_json::Value;

pub use self::report::{Access, Answered, OldPath, RawResponse, Report};
use crate::{
    clock::BoxFuture,
    connection::{Backend, SendError, WireBody, WireRequest, WireResponse, WireResponseBody},
    equipment::{Seat, Seats},
    hook::{Body, CertificateFacts, Form, GenerateKind, Generated, LogLevel, Powers, Request, Response},
    policy::{Budget, CallLimits, Code, Hook, Matched, RequestPath},
    sealing::{self, Leaf, Origin, Scope, Shown},
};

/// The header by which the host tells how long a request took, in milliseconds: guests have no clock.
pub const LATENCY_HEADER: &str = "x-cutover-latency-ms";

/// What a writing call must have on record before and after each request. Only apply and rollback have it.
pub trait Ledger: Send + Sync {
    /// Makes the intent durable, with what the scope noted as written: the request must not be sent before.
    fn write_sent<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<u32, Failure>>;
    /// Notes the answer.
    fn write_answered(&self, write: u32, status: u16) -> BoxFuture<'_, Result<(), Failure>>;
    /// Makes generated secrets durable.
    fn generated(&self) -> BoxFuture<'_, Result<(), Failure>>;
}

/// Takes down what a plugin logs while it drives a run.
pub trait Notebook: Send + Sync {
    /// Notes one line. It holds no live secret.
    fn note(&self, level: LogLevel, line: &str);
}

/// What one call may do.
pub struct Rights {
    /// The operation, for its flows.
    pub operation: Arc<Operation>,
    /// Who plays the roles.
    pub seats: Arc<Seats>,
    /// Whether it may write.
    pub hook: Hook,
    /// The change's objects; empty while planning and for probes of a step.
    pub subject: Vec<Object>,
    /// Those of them that capture read.
    pub captured: HashSet<Object>,
    /// Whether raw responses are kept: during capture.
    pub keep_raw: bool,
}

/// One hook call.
pub struct Session {
    rights: Rights,
    scope: Arc<Scope>,
    call: sealing::Call,
    ledger: Option<Arc<dyn Ledger>>,
    notebook: Option<Arc<dyn Notebook>>,
    entropy: Arc<dyn crate::entropy::Entropy>,
    budget: Budget,
    label: String,
    seen: Mutex<Report>,
}

impl Session {
    /// A session for one call. Without a ledger nothing can be written or generated.
    #[must_use]
    pub fn new(
        rights: Rights,
        scope: Arc<Scope>,
        ledger: Option<Arc<dyn Ledger>>,
        entropy: Arc<dyn crate::entropy::Entropy>,
        limits: CallLimits,
        label: String,
    ) -> Self {
        let call = scope.begin_call();
        Self { rights, scope, call, ledger, notebook: None, entropy, budget: Budget::new(limits), label, seen: Mutex::default() }
    }

    /// The same, with a place for the plugin's lines besides the program's own log.
    #[must_use]
    pub fn noting(mut self, notebook: Arc<dyn Notebook>) -> Self {
        self.notebook = Some(notebook);
        self
    }

    /// What the call did. Taken once, when it is over.
    #[must_use]
    pub fn report(&self) -> Report {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every token of a snapshot's state came from a response of this very call.
    #[must_use]
    pub fn vouches_for(&self, state: &Value) -> bool {
        self.call.only_own_tokens(state)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Report> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A refusal is remembered: whatever the plugin returns, the call failed with it. So is a credential that is no good: what
    /// it is refused says nothing of what it asked for.
    fn remember<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && (matches!(failure.case, FailureCase::Refused | FailureCase::Exhausted)
                || failure.code.as_deref() == Some(Code::LOGIN.as_str()))
        {
            self.seen().violation.get_or_insert_with(|| failure.clone());
        }
        result
    }

    async fn exchange(&self, role: String, member: Option<String>, request: Request) -> Result<Response, Failure> {
        let seat = self.rights.seats.seat(&role).ok_or_else(|| refused("CUT3402", format!("the operation has no role `{role}`")))?;
        let backend = seat
            .backend(member.as_deref())
            .ok_or_else(|| {
                refused("CUT3403", format!("connection `{}` has no member `{}`", seat.connection(), member.clone().unwrap_or_default()))
            })?
            .clone();
        self.no_tokens_outside_the_body(&request)?;
        let matched = Self::judge(seat, &*backend, &request).await?;
        // An escaped token is one too.
        Scope::check_no_token(&matched.path.object(), "the path")?;
        matched.check_hook(self.rights.hook)?;
        matched.check_write(&role, member.as_deref(), &self.rights.subject, &self.rights.captured)?;
        let objects: Vec<Object> =
            matched.objects.iter().map(|path| Object { role: role.clone(), member: member.clone(), path: path.clone() }).collect();
        let asked = asked(&matched, &request);
        let (wire, leaves, bytes) = self.open_request(&role, &matched, request)?;
        let permit = self.budget.admit(bytes)?;
        let answer = self.send_recorded(&*backend, &matched, &objects, wire, &leaves).await?;
        let status = answer.response.status;
        self.seen().denied = matches!(status, 401 | 403).then(|| (seat.connection().to_owned(), status));
        permit.received(answer.response.bytes)?;
        self.note_answer(&matched, asked, &objects, (&role, member), &answer.response);
        if matched.method == "GET" && answer.response.status == 200 {
            objects.iter().for_each(|object| seat.meet(&*backend, &matched.path, &object.path));
        }
        Ok(self.show(seat, &role, &matched, &objects, answer))
    }

    /// Finds the request's route. Some kinds must first ask where the path leads; nothing is asked for a request that is on
    /// no route, or whose path hides a token.
    async fn judge(seat: &Seat, backend: &dyn Backend, request: &Request) -> Result<Matched, Failure> {
        let path = RequestPath::parse(&request.path)?;
        if let Some(ground) = backend.known_ground(&path) {
            return seat.policy.judge_at(request, path, Some(&ground));
        }
        match seat.policy.judge_at(request, path.clone(), None) {
            Err(failure) if failure.code.as_deref() == Some(Code::NOT_OF_KIND.as_str()) => {
                Scope::check_no_token(&path.object(), "the path")?;
                match backend.ground(&path).await {
                    Ok(Some(ground)) => seat.policy.judge_at(request, path, Some(&ground)),
                    Ok(None) => Err(failure),
                    Err(SendError::NotSent { failure }) => Err(failure),
                    Err(SendError::Lost { text }) => {
                        Err(Failure { case: FailureCase::Unavailable, code: Some("CUT3405".to_owned()), text })
                    }
                }
            }
            judged => judged,
        }
    }

    /// Paths, queries and headers never hold a token: the request is refused, not stripped.
    fn no_tokens_outside_the_body(&self, request: &Request) -> Result<(), Failure> {
        Scope::check_no_token(&request.path, "the path")?;
        for (name, value) in &request.query {
            Scope::check_no_token(name, "the query")?;
            Scope::check_no_token(value, "the query")?;
        }
        for (name, value) in &request.headers {
            Scope::check_no_token(name, "a header")?;
            Scope::check_no_token(value, "a header")?;
        }
        Ok(())
    }

    /// Puts values in place of tokens, as far as the flows allow; with what is written and the body's rough size.
    fn open_request(&self, role: &str, matched: &Matched, request: Request) -> Result<(WireRequest, Vec<Leaf>, u64), Failure> {
        let allowed = |from: &str, to: &str| self.rights.operation.allows_flow(from, to);
        let mut leaves = Vec::new();
        let mut bytes = 0;
        let body = match request.body {
            None => None,
            Some(Body::Json(document)) => {
                leaves = Leaf::of(&document);
                let plain = self.scope.unseal(&document, role, &allowed, &matched.public_request)?;
                bytes = plain.to_string().len() as u64;
                Some(WireBody::Json(plain))
            }
            Some(Body::Form(pairs)) => {
                leaves = pairs.iter().map(|(name, value)| Leaf::field(name, value)).collect();
                let plain = self.scope.unseal_form(&pairs, role, &allowed, &matched.public_request)?;
                bytes = plain.iter().map(|(name, value)| (name.len() + value.expose().len()) as u64).sum();
                let text = |(name, value): (String, crate::secret::Secret)| match value.expose_text() {
                    Some(text) => Ok((name, text.to_owned())),
                    None => Err(refused(sealing::code::WRONG_KIND, format!("the form field `{name}` would hold bytes that are no text"))),
                };
                Some(WireBody::Form(plain.into_iter().map(text).collect::<Result<_, _>>()?))
            }
            Some(Body::Bytes(content)) => {
                let text = String::from_utf8_lossy(&content);
                Scope::check_no_token(&text, "a body of bytes")?;
                let text = Value::from(text);
                if !content.is_empty() {
                    self.scope.unseal(&text, role, &allowed, &matched.public_request)?;
                }
                leaves = Leaf::of(&text);
                bytes = content.len() as u64;
                Some(WireBody::Bytes(content))
            }
        };
        let credential = request.credential.map(|token| self.scope.resolve_credential(&token, role, &allowed)).transpose()?;
        let wire = WireRequest {
            method: matched.method.clone(),
            path: matched.path.clone(),
            query: request.query,
            headers: request.headers,
            body,
            credential: credential.map(Arc::new),
        };
        Ok((wire, leaves, bytes))
    }

    /// Sends; what is not read-only is on record before it leaves.
    async fn send_recorded(
        &self,
        backend: &dyn Backend,
        matched: &Matched,
        objects: &[Object],
        wire: WireRequest,
        leaves: &[Leaf],
    ) -> Result<Timed, Failure> {
        let write = if matches!(matched.class, RouteClass::Write | RouteClass::Add) {
            let ledger = self.ledger.as_ref().ok_or_else(|| refused("CUT3404", "this hook may not write".to_owned()))?;
            let request = format!("{} {}", matched.method, matched.path.wire());
            for object in objects {
                self.scope.note_written(object, leaves);
            }
            self.seen().written.extend(objects.iter().cloned());
            Some((ledger, ledger.write_sent(&request).await?))
        } else {
            None
        };
        let counts = u32::from(write.is_some());
        self.seen().unanswered += counts;
        let begun = tokio::time::Instant::now();
        let result = backend.send(wire).await;
        self.seen().unanswered -= counts;
        let latency = begun.elapsed();
        match result {
            Ok(response) => {
                if let Some((ledger, number)) = write {
                    if is_refusal(response.status) {
                        objects.iter().for_each(|object| self.scope.note_refused(object, leaves));
                    }
                    ledger.write_answered(number, response.status).await?;
                }
                Ok(Timed { response, latency })
            }
            Err(SendError::NotSent { failure }) => {
                if let Some((ledger, number)) = write {
                    objects.iter().for_each(|object| self.scope.note_refused(object, leaves));
                    // It never left: on record as answered by nobody.
                    ledger.write_answered(number, 0).await?;
                }
                Err(failure)
            }
            Err(SendError::Lost { text }) => {
                let failure = Failure { case: FailureCase::Unavailable, code: Some("CUT3405".to_owned()), text };
                if write.is_some() {
                    self.seen().lost.get_or_insert_with(|| failure.clone());
                }
                Err(failure)
            }
        }
    }

    fn note_answer(
        &self,
        matched: &Matched,
        asked: (String, Option<String>),
        objects: &[Object],
        (role, member): (&str, Option<String>),
        response: &WireResponse,
    ) {
        let mut seen = self.seen();
        if matched.class == RouteClass::Read {
            let definite = (200..300).contains(&response.status) || response.status == 404;
            if definite {
                seen.read.extend(objects.iter().cloned());
            }
            let access = |object: &Object| {
                let (request, credential) = asked.clone();
                Access { object: object.clone(), route: matched.route.clone(), request, credential }
            };
            seen.answers.extend(objects.iter().map(|object| Answered { access: access(object), status: response.status }));
        }
        if self.rights.keep_raw && matched.class == RouteClass::Read {
            seen.raw.push(RawResponse::of(role, member, &matched.path.wire(), response));
        }
    }

    /// What the plugin gets to see of a response.
    fn show(&self, seat: &Seat, role: &str, matched: &Matched, objects: &[Object], answer: Timed) -> Response {
        let Timed { response, latency } = answer;
        let mut headers: Vec<(String, String)> =
            response.headers.into_iter().filter(|(name, _)| matched.public_headers.contains(&name.as_str())).collect();
        headers.push((LATENCY_HEADER.to_owned(), latency.as_millis().to_string()));
        let origin = Origin { role: role.to_owned(), object: objects.first().cloned() };
        let body = match (matched.response, response.body) {
            (ResponseRule::Status, _) | (_, WireResponseBody::None) => None,
            (ResponseRule::Json, WireResponseBody::Json(document)) => {
                let mut shown = Shown { granted: &seat.granted, ..Shown::default() };
                let mut public = seat.public.clone();
                if matched.known_response {
                    shown.known = &matched.public_response;
                } else {
                    public.extend(matched.public_response.iter().cloned());
                }
                Some(self.call.seal_showing(document, &origin, &Shown { public: &public, ..shown }))
            }
            (ResponseRule::Opaque, WireResponseBody::Json(document)) => {
                Some(Value::from(self.call.seal_opaque(document.to_string().into_bytes(), &origin, None)))
            }
            (_, WireResponseBody::Text(text)) => Some(Value::from(self.call.seal_opaque(text.into_bytes(), &origin, response.form))),
            (_, WireResponseBody::Bytes(bytes)) => Some(Value::from(self.call.seal_opaque(bytes, &origin, response.form))),
        };
        Response { status: response.status, headers, body }
    }
}

/// What is asked, with the query, and the credential that stands in for the connection's own.
fn asked(matched: &Matched, request: &Request) -> (String, Option<String>) {
    let mut text = format!("{} {}", matched.method, matched.path.wire());
    for (number, (name, value)) in request.query.iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.push_str(&format!("{name}={value}"));
    }
    (text, request.credential.clone())
}

/// A response and how long it took.
struct Timed {
    response: WireResponse,
    latency: Duration,
}

impl Powers for Session {
    fn send(&self, role: String, member: Option<String>, request: Request) -> BoxFuture<'_, Result<Response, Failure>> {
        Box::pin(async move {
            let result = self.exchange(role, member, request).await;
            self.remember(result)
        })
    }

    fn members(&self, role: &str) -> Vec<String> {
        self.rights.seats.seat(role).map(Seat::members).unwrap_or_default()
    }

    fn generate(&self, label: String, kind: GenerateKind) -> BoxFuture<'_, Result<Generated, Failure>> {
        Box::pin(async move {
            let Some(ledger) = &self.ledger else {
                return self.remember(Err(refused("CUT3406", "only apply and rollback may generate secrets".to_owned())));
            };
            let generated = self.remember(self.call.generate(&label, &kind, &*self.entropy))?;
            ledger.generated().await?;
            Ok(generated)
        })
    }

    fn parse(&self, token: &str, form: Form) -> Result<Value, Failure> {
        self.remember(self.call.parse(token, form))
    }

    fn render(&self, document: &Value, form: Form) -> Result<String, Failure> {
        self.remember(self.call.render(document, form))
    }

    fn sign(&self, key: &str, message: &[u8]) -> Result<String, Failure> {
        self.remember(self.call.sign(key, message))
    }

    fn csr(&self, key: &str, names: &[String]) -> Result<String, Failure> {
        self.remember(self.call.csr(key, names))
    }

    fn certificate_facts(&self, certificate: &str) -> Result<CertificateFacts, Failure> {
        self.remember(self.call.certificate_facts(certificate))
    }

    fn claims(&self, token: &str) -> Result<Value, Failure> {
        self.remember(self.call.claims(token))
    }

    fn log(&self, level: LogLevel, message: &str) {
        if let Some(notebook) = &self.notebook {
            return notebook.note(level, message);
        }
        // What was granted in plain could be written here.
        let message = if self.scope.shows_a_secret(message) { crate::drive::WITHHELD } else { message };
        match level {
            LogLevel::Debug => tracing::debug!(target: "cutover::plugin", call = %self.label, "{message}"),
            LogLevel::Info => tracing::info!(target: "cutover::plugin", call = %self.label, "{message}"),
            LogLevel::Warn => tracing::warn!(target: "cutover::plugin", call = %self.label, "{message}"),
        }
    }
}

fn refused(code: &str, text: String) -> Failure {
    Failure { case: FailureCase::Refused, code: Some(code.to_owned()), text }
}
