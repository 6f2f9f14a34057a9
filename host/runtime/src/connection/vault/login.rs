//! How the host gets a token: one that the operator gives, or one that it logs in for.

use std::{path::PathBuf, sync::Arc};

use cutover_engine::{Failure, FailureCase, Span};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{ConnectionConfig, Credentials, OpenError, Opening, SendError, WireBody, WireRequest, WireResponse, WireResponseBody},
    wire::Wire,
};
use crate::{
    policy::{Code, RequestPath},
    sealing::Scanner,
    secret::Secret,
};

/// What an operator can set; one of them.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LoginSettings {
    /// A token's source.
    Token(String),
    /// <https://openbao.org/api-docs/auth/approle/#login-with-approle>
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// Source of the role's id.
        role_id: String,
        /// Source of a secret id.
        secret_id: String,
    },
    /// <https://openbao.org/api-docs/auth/jwt/#jwt-login>
    Jwt {
        /// Where the method is mounted.
        mount: String,
        /// The role's name.
        role: String,
        /// Source of a JWT.
        token: String,
    },
}

/// A way to a token.
pub(super) enum Login {
    /// The operator's own: never renewed, never revoked.
    Token(Source),
    /// With a role and a secret id.
    AppRole { path: RequestPath, role_id: Source, secret_id: Source },
    /// With a JWT.
    Jwt { path: RequestPath, role: String, jwt: Source },
}

/// A credential and where it comes from.
pub(super) struct Source {
    connection: String,
    text: String,
    folder: PathBuf,
    first: Arc<Secret>,
}

/// A token as a login or a renewal gave it.
pub(super) struct Lease {
    /// The token.
    pub(super) token: Arc<Secret>,
    /// How long it lives from now; none is for ever.
    pub(super) ttl: Option<Span>,
    /// Whether it can be renewed.
    pub(super) renewable: bool,
}

impl Login {
    /// Reads the credentials; sends nothing.
    pub(super) async fn open(settings: LoginSettings, config: &ConnectionConfig, opening: &Opening) -> Result<Self, OpenError> {
        let read = async |text: String, is_secret: bool| {
            let first = opening.credentials.read(&config.name, &text, &config.folder).await?;
            if is_secret {
                watch(opening.credentials.scanner(), &first);
            }
            Ok::<_, OpenError>(Source { connection: config.name.clone(), text, folder: config.folder.clone(), first })
        };
        let path = |mount: &str| {
            let path = RequestPath::of_object(&format!("v1/auth/{}/login", mount.trim_matches('/')));
            path.map_err(|failure| OpenError::declaration(config, failure.text))
        };
        Ok(match settings {
            LoginSettings::Token(source) => Self::Token(read(source, true).await?),
            LoginSettings::AppRole { mount, role_id, secret_id } => {
                Self::AppRole { path: path(&mount)?, role_id: read(role_id, false).await?, secret_id: read(secret_id, true).await? }
            }
            LoginSettings::Jwt { mount, role, token } => Self::Jwt { path: path(&mount)?, role, jwt: read(token, true).await? },
        })
    }

    /// Whether the host makes the tokens, so that it may renew and must revoke them.
    pub(super) fn makes_tokens(&self) -> bool {
        !matches!(self, Self::Token(_))
    }

    /// Whether asking again can give another token.
    pub(super) fn can_change(&self) -> bool {
        match self {
            Self::Token(source) => source.can_change(),
            Self::AppRole { .. } | Self::Jwt { .. } => true,
        }
    }

    /// The operator's token as it is now, or a new one.
    pub(super) async fn token(&self, wire: &Wire, scanner: Option<&Arc<Scanner>>, again: bool) -> Result<Lease, SendError> {
        let (path, body) = match self {
            Self::Token(source) => {
                let token = source.read(scanner, again).await?;
                return Ok(Lease { token, ttl: None, renewable: false });
            }
            Self::AppRole { path, role_id, secret_id } => {
                let (role_id, secret_id) = (role_id.read(None, again).await?, secret_id.read(scanner, again).await?);
                (path, json!({ "role_id": role_id.expose_text(), "secret_id": secret_id.expose_text() }))
            }
            Self::Jwt { path, role, jwt } => {
                let jwt = jwt.read(scanner, again).await?;
                (path, json!({ "role": role, "jwt": jwt.expose_text() }))
            }
        };
        let mut request = WireRequest::of_host("POST", path.clone());
        request.body = Some(WireBody::Json(body));
        let refused = |text: String| {
            let text = format!("the login at `{}` of `{}` {text}", path.object().trim_start_matches("v1/"), wire.name());
            Code::LOGIN.failure(FailureCase::Denied, text)
        };
        let response = wire.send(&request).await.map_err(nothing_written)?;
        match response.status {
            200..=299 => lease(response, scanner).ok_or_else(|| refused("gave no token".to_owned()).into()),
            status => Err(refused(format!("was refused ({status})")).into()),
        }
    }
}

impl Source {
    /// A file can have been replaced and a command can give another answer; an environment never changes.
    fn can_change(&self) -> bool {
        self.text.starts_with("file:") || self.text.starts_with("exec:")
    }

    async fn read(&self, scanner: Option<&Arc<Scanner>>, again: bool) -> Result<Arc<Secret>, Failure> {
        if !again || !self.can_change() {
            return Ok(self.first.clone());
        }
        let secret = Credentials::default().read(&self.connection, &self.text, &self.folder).await?;
        watch(scanner, &secret);
        Ok(secret)
    }
}

/// The token of an answer to a login or a renewal. It is known to the scanner before anything else is done with it.
pub(super) fn lease(response: WireResponse, scanner: Option<&Arc<Scanner>>) -> Option<Lease> {
    let WireResponseBody::Json(mut document) = response.body else { return None };
    let auth = document.get_mut("auth")?;
    // Taken over, not copied: it is wiped when it goes.
    let Value::String(token) = auth.get_mut("client_token")?.take() else { return None };
    let token = Arc::new(Secret::text(token));
    watch(scanner, &token);
    let ttl = auth.get("lease_duration").and_then(Value::as_u64).unwrap_or_default();
    let renewable = auth.get("renewable").and_then(Value::as_bool).unwrap_or_default();
    Some(Lease { token, ttl: (ttl > 0).then(|| Span::seconds(ttl)), renewable })
}

/// A login or renewal that broke off changed nothing that a change is about.
pub(super) fn nothing_written(error: SendError) -> SendError {
    match error {
        SendError::Lost { text } => Code::UNREACHABLE.failure(FailureCase::Unavailable, text).into(),
        not_sent @ SendError::NotSent { .. } => not_sent,
    }
}

fn watch(scanner: Option<&Arc<Scanner>>, secret: &Secret) {
    if let Some(scanner) = scanner {
        scanner.keep(secret.expose());
    }
}
