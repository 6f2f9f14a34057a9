//! Connections as the operator declared them, and how the workflow language's form becomes ours.

use std::{collections::BTreeMap, path::Path};

use cutover_engine::{Address, Connection, ConnectionKind, HttpLogin, Recipient, Source, VaultLogin};
use serde_json::{Map, Value, json};

use super::{ConnectionConfig, Members, OpenError, Rate};

/// A workflow's connection as [`super::Kinds::open`] takes it; relative paths start at `folder`.
pub fn declared(name: &str, connection: &Connection, folder: &Path) -> Result<ConnectionConfig, OpenError> {
    let mut config = ConnectionConfig {
        name: name.to_owned(),
        kind: connection.kind_name().to_owned(),
        folder: folder.to_owned(),
        ..ConnectionConfig::default()
    };
    match connection.address() {
        Address::One(place) => config.url = Some(place_of(connection, place)),
        Address::MembersFile(path) => config.members = Some(Members::File(path.into())),
        Address::Members(members) => {
            let members: BTreeMap<String, String> =
                members.iter().map(|(name, place)| (name.clone(), place_of(connection, place))).collect();
            config.members = Some(Members::Listed(members));
        }
    }
    let mut settings = Map::new();
    match &connection.kind {
        ConnectionKind::Http(http) => {
            login(&mut settings, &config, http.login.as_ref())?;
            authority(&mut settings, &config, http.ca.as_ref(), http.insecure)?;
            if let Some(socket) = &http.socket {
                settings.insert("socket".to_owned(), json!(socket));
            }
            config.reads = http.reads.iter().map(|read| format!("{} {}", read.value.method, read.value.path)).collect();
            config.public.clone_from(&http.public);
            config.timeout = http.timeout;
            config.rate = match http.rate {
                Some(rate) => Some(Rate::parse(&format!("{rate}/s")).map_err(|problem| OpenError::declaration(&config, problem))?),
                None => None,
            };
        }
        ConnectionKind::File(file) => {
            if let Some(identity) = &file.identity {
                settings.insert("identity".to_owned(), json!(identity.to_string()));
            }
            let recipients = file.recipients.iter().map(|recipient| match recipient {
                Recipient::Key(key) => key.clone(),
                Recipient::File(path) => format!("file:{path}"),
            });
            settings.insert("recipients".to_owned(), recipients.collect());
        }
        ConnectionKind::Vault(vault) => {
            let (key, login) = match &vault.login {
                VaultLogin::Token(source) => ("token", json!(source.to_string())),
                VaultLogin::AppRole { mount, role_id, secret_id } => {
                    ("approle", json!({ "mount": mount, "role_id": role_id.to_string(), "secret_id": secret_id.to_string() }))
                }
                VaultLogin::Jwt { mount, role, token } => ("jwt", json!({ "mount": mount, "role": role, "token": token.to_string() })),
            };
            settings.insert(key.to_owned(), login);
            authority(&mut settings, &config, vault.ca.as_ref(), vault.insecure)?;
            if !vault.standbys.is_empty() {
                settings.insert("standbys".to_owned(), json!(vault.standbys));
            }
            if let Some(namespace) = &vault.namespace {
                settings.insert("namespace".to_owned(), json!(namespace));
            }
        }
    }
    config.settings = settings;
    Ok(config)
}

/// A folder's place is a path in the workflow and a `file:` URL here.
fn place_of(connection: &Connection, place: &str) -> String {
    match connection.kind {
        ConnectionKind::File(_) if !place.starts_with("file:") => format!("file:{place}"),
        _ => place.to_owned(),
    }
}

fn login(settings: &mut Map<String, Value>, config: &ConnectionConfig, login: Option<&HttpLogin>) -> Result<(), OpenError> {
    match login {
        None => {}
        Some(HttpLogin::Bearer(source)) => drop(settings.insert("token".to_owned(), json!(source.to_string()))),
        Some(HttpLogin::Basic { username, password }) => {
            settings.insert("username".to_owned(), json!(username.to_string()));
            settings.insert("password".to_owned(), json!(password.to_string()));
        }
        Some(HttpLogin::Certificate { certificate, key }) => {
            settings.insert("certificate".to_owned(), json!(file(config, "client_cert", certificate)?));
            settings.insert("key".to_owned(), json!(key.to_string()));
        }
    }
    Ok(())
}

fn authority(settings: &mut Map<String, Value>, config: &ConnectionConfig, ca: Option<&Source>, insecure: bool) -> Result<(), OpenError> {
    if let Some(ca) = ca {
        settings.insert("ca".to_owned(), json!(file(config, "ca", ca)?));
    }
    settings.insert("insecure".to_owned(), json!(insecure));
    Ok(())
}

/// Certificates are no secrets: they are files.
fn file<'s>(config: &ConnectionConfig, key: &str, source: &'s Source) -> Result<&'s str, OpenError> {
    match source {
        Source::File(path) => Ok(path),
        Source::Env(_) | Source::Exec(_) => {
            Err(OpenError::declaration(config, format!("`{key}` must be a file: write `{key} = \"file:PATH\"`")))
        }
    }
}
