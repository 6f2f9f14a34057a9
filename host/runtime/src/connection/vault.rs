//! The `vault` kind: Vault and `OpenBao`, which share their KV engines, logins and errors.
//!
//! It is HTTP with a table of its own ([`table`]). The host logs in ([`login`]) and keeps the token alive ([`token`]); what
//! the server's answers say of its state is told apart from what they say of the request ([`wire`]).

mod constraint;
mod index;
mod login;
mod mounts;
mod standing;
mod table;
mod token;
mod wire;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::UNIX_EPOCH};

use cutover_engine::{Failure, FailureCase, Span};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{
    index::Indices,
    login::{Login, LoginSettings},
    mounts::{Mounts, is_mountable},
    token::{Refusal, Token},
    wire::{Place, Wire},
};
use super::{
    Access, Backend, ConnectionConfig, HttpKind, Kind, OpenError, Opening, SendError, WireBody, WireRequest, WireResponse,
    WireResponseBody,
    http::{Placement, place_of},
    number, settings,
};
use crate::{
    clock::BoxFuture,
    policy::{Code, Ground, KindTable, RequestPath, shown},
};

/// What every answer has beside its content: nothing of the backend, and another number each time. Sealed, it would push
/// real secrets out of the last net.
const ENVELOPE: [&str; 4] = ["request_id", "lease_id", "renewable", "mount_type"];

/// Opens `vault` connections.
pub struct VaultKind {
    http: HttpKind,
    indices: Arc<Indices>,
}

impl Default for VaultKind {
    fn default() -> Self {
        Self { http: HttpKind::with_table(table::table(), Placement::Header("x-vault-token")), indices: Arc::default() }
    }
}

/// What an operator can set.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    token: Option<String>,
    approle: Option<Value>,
    jwt: Option<Value>,
    ca: Option<PathBuf>,
    insecure: bool,
    namespace: Option<String>,
    standbys: Vec<String>,
}

impl Settings {
    fn login(&mut self) -> Result<LoginSettings, String> {
        let token = self.token.take().map(Value::from);
        let mut given = [("token", token), ("approle", self.approle.take()), ("jwt", self.jwt.take())]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        match (given.next(), given.next()) {
            (Some(login), None) => serde_json::from_value(Value::Object(Map::from_iter([login]))).map_err(|error| error.to_string()),
            _ => Err("it needs one of `token`, `approle` and `jwt`".to_owned()),
        }
    }
}

impl VaultKind {
    async fn open_backend(&self, config: &ConnectionConfig, opening: &Opening) -> Result<VaultBackend, OpenError> {
        let wrong = |problem: String| OpenError::declaration(config, problem);
        let mut settings: Settings = settings(config)?;
        let login = settings.login().map_err(wrong)?;
        let url = config.url.clone().ok_or_else(|| wrong("it needs a `url`".to_owned()))?;
        let open = async |url: &str, namespace: Option<&str>| {
            let mut of_http = Map::from_iter([("insecure".to_owned(), json!(settings.insecure))]);
            if let Some(ca) = &settings.ca {
                of_http.insert("ca".to_owned(), json!(ca));
            }
            if let Some(namespace) = namespace {
                of_http.insert("namespace".to_owned(), json!(namespace));
            }
            self.http.open(&ConnectionConfig { url: Some(url.to_owned()), settings: of_http, ..config.clone() }, opening).await
        };
        let mut places = Vec::new();
        for url in std::iter::once(&url).chain(&settings.standbys) {
            let backend = open(url, settings.namespace.as_deref()).await?;
            let name = place_of(url).ok_or_else(|| wrong(format!("`{}` is no url", shown(url))))?;
            places.push(Place { name, backend });
        }
        let bare = open(&url, None).await?;
        let authority = places[0].backend.authority().to_owned();
        let login = Login::open(login, config, opening).await?;
        Ok(VaultBackend {
            authority,
            table: self.http.table().clone(),
            wire: Wire::new(config.name.clone(), places, bare, opening.clock.clone(), Arc::clone(&self.indices)),
            token: Token::new(login, opening.credentials.scanner().cloned()),
            mounts: Mounts::default(),
        })
    }
}

impl Kind for VaultKind {
    fn table(&self) -> &Arc<KindTable> {
        self.http.table()
    }

    fn open<'a>(&'a self, declaration: &'a ConnectionConfig, opening: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async move { Ok(Arc::new(self.open_backend(declaration, opening).await?) as Arc<dyn Backend>) })
    }
}

struct VaultBackend {
    authority: String,
    table: Arc<KindTable>,
    wire: Wire,
    token: Token,
    mounts: Mounts,
}

impl VaultBackend {
    /// Sends with the connection's own token. A refusal came before anything was done, so that a request whose token turns
    /// out to be dead is sent once more with a new one.
    async fn send_as_host(&self, mut request: WireRequest) -> Result<WireResponse, SendError> {
        let mut token = self.token.live(&self.wire).await?;
        let mut is_second = false;
        loop {
            request.credential = Some(token.clone());
            let response = self.wire.send(&request).await?;
            if response.status != 403 {
                return Ok(response);
            }
            token = match self.token.refused(&token, &self.wire).await? {
                Refusal::Meant => return Ok(response),
                Refusal::Replaced(new) if !is_second => new,
                // Two dead ones in a row: a third is not tried.
                Refusal::Replaced(_) | Refusal::Dead => return Err(self.wire.dead().into()),
            };
            is_second = true;
        }
    }

    /// The JSON of a request that must succeed.
    async fn answer(&self, request: WireRequest) -> Result<Value, SendError> {
        Ok(self.dated_answer(request).await?.0)
    }

    /// The same, and how many milliseconds the server's clock is ahead of this machine's (RFC 9110 section 6.6.1).
    async fn dated_answer(&self, request: WireRequest) -> Result<(Value, Option<i64>), SendError> {
        let what = request.path.object();
        let response = self.send_as_host(request).await.map_err(login::nothing_written)?;
        let date = response.header("date").and_then(|text| httpdate::parse_http_date(text).ok());
        let date = date.and_then(|date| i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok());
        let ahead = date.zip(i64::try_from(self.wire.clock.now().0).ok()).map(|(there, here)| there - here);
        match response.body {
            WireResponseBody::Json(body) if response.status == 200 => Ok((body, ahead)),
            _ => {
                let text = format!("`{}` answers {} to `{what}`", self.authority, response.status);
                Err(Code::LOGIN.failure(FailureCase::Denied, text).into())
            }
        }
    }

    async fn find_mount(&self, key: &str) -> Result<Ground, SendError> {
        if let Some(known) = self.mounts.known(key, self.wire.clock.now()) {
            return Ok(known);
        }
        let path = RequestPath::of_object(&format!("v1/sys/internal/ui/mounts/{key}"))?;
        let response = self.send_as_host(WireRequest::of_host("GET", path)).await.map_err(login::nothing_written)?;
        let unclear = |case, what: &str| Code::MOUNT.failure(case, format!("`{}`: {what} `{}`", self.authority, shown(key)));
        match (response.status, &response.body) {
            (200, WireResponseBody::Json(answer)) => self
                .mounts
                .learn(key, answer, self.wire.clock.now())
                .ok_or_else(|| unclear(FailureCase::Unavailable, "the server does not say which mount is above").into()),
            (401 | 403, _) => Err(unclear(FailureCase::Denied, "there is no mount that the token may see above").into()),
            // The name itself is one that this server takes nowhere.
            (400, _) => Err(unclear(FailureCase::InvalidInput, "the server refuses the name").into()),
            (404, _) => Err(unclear(FailureCase::NotFound, "there is no mount above").into()),
            (status, _) => {
                Err(unclear(FailureCase::Unavailable, &format!("asked for the mount, the server answers {status}, above")).into())
            }
        }
    }
}

impl Backend for VaultBackend {
    fn authority(&self) -> &str {
        &self.authority
    }

    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move {
            if request.path.is_folder() && !matches!(request.method.as_str(), "GET" | "LIST") {
                let text = format!("`{} {}` writes a name that ends in `/`: no server stores one", request.method, request.path);
                return Err(Code::REQUEST.failure(FailureCase::InvalidInput, text).into());
            }
            let is_read = request.method == "GET";
            let is_policy = request.path.segments().iter().take(4).eq(["v1", "sys", "policies", "acl"]);
            // A credential that the plugin was given to try is used as it is.
            let mut response = match &request.credential {
                Some(_) => self.wire.send(&request).await?,
                None => self.send_as_host(request).await?,
            };
            if let (true, WireResponseBody::Json(document)) = (is_read, &response.body) {
                let policy = document["data"]["policy"].as_str().filter(|_| is_policy);
                let found = policy.map_or_else(|| inexact(document), constraint::header);
                response.headers.extend(found);
            }
            if let WireResponseBody::Json(Value::Object(document)) = &mut response.body {
                ENVELOPE.iter().for_each(|name| drop(document.remove(*name)));
            }
            Ok(response)
        })
    }

    fn ground<'a>(&'a self, path: &'a RequestPath) -> BoxFuture<'a, Result<Option<Ground>, SendError>> {
        Box::pin(async move {
            let object = path.object();
            match object.strip_prefix("v1/").filter(|key| is_mountable(key)) {
                Some(key) => self.find_mount(key).await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn known_ground(&self, path: &RequestPath) -> Option<Ground> {
        let object = path.object();
        let key = object.strip_prefix("v1/").filter(|key| is_mountable(key))?;
        self.mounts.known(key, self.wire.clock.now())
    }

    fn health(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.wire.health())
    }

    fn access(&self, paths: Vec<String>) -> BoxFuture<'_, Result<Option<Access>, SendError>> {
        Box::pin(async move {
            let mut asked = WireRequest::of_host("POST", wire::path("/v1/sys/capabilities-self"));
            asked.body = Some(WireBody::Json(json!({ "paths": paths })));
            let (verbs, ahead) = self.dated_answer(asked).await?;
            // Without it there is still what it can do.
            let (token, untold) = match self.answer(WireRequest::of_host("GET", wire::path("/v1/auth/token/lookup-self"))).await {
                Ok(token) => (token, None),
                Err(SendError::NotSent { failure }) if failure.case == FailureCase::Denied => (Value::Null, Some(failure.text)),
                Err(error) => return Err(error),
            };
            let words = |value: &Value| -> Vec<String> {
                value.as_array().into_iter().flatten().filter_map(Value::as_str).filter(|word| *word != "deny").map(str::to_owned).collect()
            };
            let seconds = token["data"]["ttl"].as_u64().filter(|seconds| *seconds > 0 && self.token.is_given());
            Ok(Some(Access {
                verbs: paths.into_iter().map(|path| (path.clone(), words(&verbs["data"][&path]))).collect(),
                policies: words(&token["data"]["policies"]),
                ttl: seconds.map(Span::seconds),
                untold,
                ahead,
            }))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.token.revoke(&self.wire))
    }
}

/// Where the values of a secret in an answer are numbers that version 2 does not keep: its values are below `/data/data`,
/// those of version 1 below `/data`.
fn inexact(document: &Value) -> Option<(String, String)> {
    let data = document.get("data")?;
    let is_versioned = data.get("metadata").is_some_and(|metadata| metadata.get("created_time").is_some());
    if is_versioned { number::after_kv2(data.get("data")?) } else { number::before_kv2(data) }
}
