//! The `http` kind: HTTP/1.1 to exactly the authority of the operator's `url`.
//!
//! No redirect is followed, no proxy is used, no cookie is kept and nothing is decompressed. Credentials are added here.

mod address;
mod client;
mod dial;
mod message;
mod target;
mod tls;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use self::{
    client::Client,
    dial::Dialler,
    target::Target,
    tls::{Trust, configure},
};
use super::{Backend, ConnectionConfig, Kind, OpenError, Opening, SendError, WireRequest, WireResponse, settings};
use crate::{
    clock::BoxFuture,
    policy::{Code, KindTable, PUBLIC_HEADERS, Unlisted},
    secret::Secret,
};

pub use dial::{Resolve, SystemResolver};

/// Opens `http` connections, and those of kinds that are HTTP with a table of their own.
pub struct HttpKind {
    table: Arc<KindTable>,
    resolver: Arc<dyn Resolve>,
    placement: Placement,
}

/// Scheme, host and port of a URL in their one spelling; nothing if it is none.
pub(super) fn place_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Target::parse(&format!("{scheme}://{}", &rest[..end])).ok().map(|target| target.authority())
}

/// Where the credential goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// The whole value of a header of its own (lower case), such as `x-vault-token`.
    Header(&'static str),
}

impl Default for HttpKind {
    fn default() -> Self {
        let table = KindTable {
            kind: "http",
            routes: Vec::new(),
            unlisted: Unlisted::ByMethod,
            owned_headers: &[],
            public_headers: PUBLIC_HEADERS,
        };
        Self::with_table(table, Placement::Bearer)
    }
}

impl HttpKind {
    /// A kind that is HTTP with its own classes and place for the credential. It takes the settings of `http`, and
    /// `namespace` if the credential has its own header.
    #[must_use]
    pub fn with_table(table: KindTable, placement: Placement) -> Self {
        Self { table: Arc::new(table), resolver: Arc::new(SystemResolver), placement }
    }

    /// With another resolver.
    #[must_use]
    pub fn resolving(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    async fn open_backend(&self, config: &ConnectionConfig, opening: &Opening) -> Result<HttpBackend, OpenError> {
        let wrong = |problem: String| OpenError::declaration(config, problem);
        let settings: Settings = settings(config)?;
        let target = Target::parse(config.url.as_deref().ok_or_else(|| wrong("it needs a `url`".to_owned()))?).map_err(wrong)?;
        let socket = settings.socket.as_ref().map(|path| config.folder.join(path));
        if !target.tls && !settings.insecure && socket.is_none() && !target.names_loopback() {
            return Err(wrong("plain http leaves this machine; use https, or `insecure = true`".to_owned()));
        }
        let tls = if target.tls { Some(self.trust(config, &settings, opening).await?) } else { None };
        let authority = match &socket {
            Some(path) => format!("unix:{}{}", path.display(), target.base),
            None => target.authority(),
        };
        let mut fixed = message::of_every_request(&target.host_header()).map_err(|problem| wrong(problem.to_owned()))?;
        if self.placement == Placement::Header("x-vault-token") {
            // Vault's agents and proxies can be told to refuse requests without it.
            fixed.insert("x-vault-request", HeaderValue::from_static("true"));
        }
        let mut authority = authority;
        if let Some(namespace) = settings.namespace.as_deref().map(|text| text.trim_matches('/')).filter(|text| !text.is_empty()) {
            let Placement::Header("x-vault-token") = self.placement else {
                return Err(wrong("`namespace` belongs to kind `vault`".to_owned()));
            };
            fixed.insert(
                "x-vault-namespace",
                namespace.parse().map_err(|_| wrong("`namespace` has characters that no header can hold".to_owned()))?,
            );
            authority = format!("{authority}#{namespace}");
        }
        let authorization = self.authorization(config, &settings, opening).await?;
        let dialler = Dialler {
            target: target.clone(),
            socket,
            tls,
            insecure: settings.insecure,
            resolver: Arc::clone(&self.resolver),
            limit: opening.limits.connect,
        };
        let mut limits = opening.limits;
        if let Some(timeout) = config.timeout {
            let timeout = Duration::from_millis(timeout.0);
            (limits.first_byte, limits.total) = (timeout, timeout);
        }
        let client = Client::new(dialler, limits);
        Ok(HttpBackend {
            authority,
            table: Arc::clone(&self.table),
            base: target.base,
            fixed,
            authorization,
            placement: self.placement,
            client,
        })
    }

    async fn trust(
        &self,
        config: &ConnectionConfig,
        settings: &Settings,
        opening: &Opening,
    ) -> Result<Arc<rustls::ClientConfig>, OpenError> {
        let wrong = |problem: String| OpenError::declaration(config, problem);
        let key = match &settings.key {
            Some(source) => Some(opening.credentials.read(&config.name, source, &config.folder).await?),
            None => None,
        };
        let certificate = settings.certificate.as_ref().map(|path| config.folder.join(path));
        let ca = settings.ca.as_ref().map(|path| config.folder.join(path));
        let client = match (&certificate, &key) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_ref())),
            (None, None) => None,
            _ => return Err(wrong("`certificate` and `key` go together".to_owned())),
        };
        configure(&Trust { ca: ca.as_deref(), client }).map_err(wrong)
    }

    async fn authorization(
        &self,
        config: &ConnectionConfig,
        settings: &Settings,
        opening: &Opening,
    ) -> Result<Option<Authorization>, OpenError> {
        let wrong = |problem: &str| OpenError::declaration(config, problem);
        match (&settings.token, &settings.username, &settings.password) {
            (None, None, None) => Ok(None),
            (Some(source), None, None) => {
                Ok(Some(Authorization::Token(opening.credentials.read(&config.name, source, &config.folder).await?)))
            }
            (None, Some(user), Some(source)) => {
                let user = opening.credentials.read(&config.name, user, &config.folder).await?;
                if user.expose().contains(&b':') {
                    return Err(wrong("`username` must not have a colon (RFC 7617 section 2)"));
                }
                let password = opening.credentials.read(&config.name, source, &config.folder).await?;
                let pair = Zeroizing::new([user.expose(), b":", password.expose()].concat());
                Ok(Some(Authorization::Basic(Secret::text(STANDARD.encode(&*pair)))))
            }
            _ => Err(wrong("it needs either `token`, or `username` and `password`")),
        }
    }
}

impl Kind for HttpKind {
    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn open<'a>(&'a self, declaration: &'a ConnectionConfig, opening: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async move { Ok(Arc::new(self.open_backend(declaration, opening).await?) as Arc<dyn Backend>) })
    }
}

/// What an operator can set.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    token: Option<String>,
    username: Option<String>,
    password: Option<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<String>,
    socket: Option<PathBuf>,
    namespace: Option<String>,
    insecure: bool,
}

enum Authorization {
    Token(Arc<Secret>),
    /// Base64 of user and password (RFC 7617).
    Basic(Secret),
}

struct HttpBackend {
    authority: String,
    table: Arc<KindTable>,
    /// What each path begins with.
    base: String,
    /// Headers of every request.
    fixed: HeaderMap,
    authorization: Option<Authorization>,
    placement: Placement,
    client: Client,
}

impl HttpBackend {
    fn owned_headers(&self, given: Option<&Secret>) -> Result<HeaderMap, &'static str> {
        let mut headers = self.fixed.clone();
        let token = match (given, &self.authorization) {
            (Some(given), _) => given,
            (None, Some(Authorization::Token(token))) => token.as_ref(),
            (None, Some(Authorization::Basic(pair))) => {
                let text = Zeroizing::new(format!("Basic {}", pair.expose_text().unwrap_or_default()));
                headers.insert(header::AUTHORIZATION, message::credential(&text)?);
                return Ok(headers);
            }
            (None, None) => return Ok(headers),
        };
        let token = token.expose_text().ok_or("a credential is no text")?;
        match self.placement {
            Placement::Bearer => {
                let text = Zeroizing::new(format!("Bearer {token}"));
                headers.insert(header::AUTHORIZATION, message::credential(&text)?);
            }
            Placement::Header(name) => {
                headers.insert(HeaderName::from_static(name), message::credential(token)?);
            }
        }
        Ok(headers)
    }
}

impl Backend for HttpBackend {
    fn authority(&self) -> &str {
        &self.authority
    }

    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move {
            let owned = self.owned_headers(request.credential.as_deref());
            let owned = owned.map_err(|problem| Code::REQUEST.failure(cutover_engine::FailureCase::InvalidInput, problem))?;
            let request = message::request(&self.base, owned, request)?;
            self.client.send(request).await
        })
    }
}
