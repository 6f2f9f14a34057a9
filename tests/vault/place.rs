//! A connection to a test server, opened as a run opens it.

use std::{collections::HashMap, sync::Arc};

use cutover_engine::{Cardinality, Failure, ResponseRule, Role, Route, RouteClass};
use cutover_runtime::{
    clock::{Clock, SystemClock},
    connection::{
        Backend, ConnectionConfig, Credentials, Kind as _, Opening, SendError, VaultKind, WireBody, WireLimits, WireRequest, WireResponse,
        WireResponseBody,
    },
    hook::Request,
    policy::{Matched, Policy, RequestPath},
    sealing::Scanner,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A backend and what it was opened with.
pub(crate) struct Place {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) scanner: Arc<Scanner>,
}

impl Place {
    /// Opens `url` with these settings; `env:` sources are taken from `variables`.
    pub(crate) async fn open(url: &str, settings: Value, variables: &[(&str, &str)]) -> Self {
        Self::open_at(url, settings, variables, Arc::new(SystemClock)).await
    }

    /// The same on another clock.
    pub(crate) async fn open_at(url: &str, settings: Value, variables: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        let config = ConnectionConfig {
            name: "bao".to_owned(),
            kind: "vault".to_owned(),
            url: Some(url.to_owned()),
            settings,
            ..ConnectionConfig::default()
        };
        let variables: HashMap<String, String> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let scanner = Arc::new(Scanner::default());
        let opening = Opening {
            clock,
            credentials: Credentials::with_environment(variables).watched_by(scanner.clone()),
            limits: WireLimits::default(),
            digest_key: Zeroizing::new([0; 32]),
        };
        let backend = VaultKind::default().open(&config, &opening).await.expect("it opens");
        Self { backend, scanner }
    }

    /// With a token of the server's root.
    pub(crate) async fn of_root(server: &cutover_tests::OpenBao) -> Self {
        Self::of_token(server, server.root()).await
    }

    /// With this token.
    pub(crate) async fn of_token(server: &cutover_tests::OpenBao, token: &str) -> Self {
        Self::open(&server.url(), json!({"token": "env:TOKEN"}), &[("TOKEN", token)]).await
    }

    /// Sends as the host would after judging, without judging.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Result<WireResponse, SendError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = WireRequest {
            method: method.to_owned(),
            path: RequestPath::parse(path).expect("a path"),
            query: query.collect(),
            headers: Vec::new(),
            body: (!body.is_null()).then_some(WireBody::Json(body)),
            credential: None,
        };
        self.backend.send(request).await
    }

    /// Status and body.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let response = self.send(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let body = match response.body {
            WireResponseBody::Json(body) => body,
            WireResponseBody::None => Value::Null,
            WireResponseBody::Text(text) => Value::from(text),
            WireResponseBody::Bytes(_) => Value::from("bytes"),
        };
        (response.status, body)
    }

    /// The failure of a request that did not leave or was refused as not taken.
    pub(crate) async fn failure(&self, method: &str, path: &str) -> Failure {
        match self.send(method, path, Value::Null).await {
            Err(SendError::NotSent { failure }) => failure,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    /// Judges as the host does, for a plugin whose manifest asks for everything as a read.
    pub(crate) async fn judge(&self, method: &str, path: &str) -> Result<Matched, Failure> {
        let route = |method: &str| Route {
            method: method.to_owned(),
            path: "/{+all}".to_owned(),
            class: RouteClass::Read,
            object: None,
            response: ResponseRule::Json,
            public_response: Vec::new(),
            public_request: Vec::new(),
        };
        let routes = ["GET", "LIST", "PUT", "POST", "PATCH", "DELETE"].map(route).to_vec();
        let role = Role { name: "target".to_owned(), kinds: vec!["vault".to_owned()], cardinality: Cardinality::One, routes };
        let policy = Policy::new("bao", &role, self.backend.table(), &[]).expect("a policy");
        let request = Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
        let ground = match self.backend.ground(&RequestPath::parse(path).expect("a path")).await {
            Ok(ground) => ground,
            Err(SendError::NotSent { failure }) => return Err(failure),
            Err(SendError::Lost { text }) => panic!("lost: {text}"),
        };
        policy.judge(&request, ground.as_ref())
    }
}
