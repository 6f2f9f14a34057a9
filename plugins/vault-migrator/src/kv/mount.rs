//! A KV mount: its kind and its limits.

use cutover_plugin::{Failure, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::Limits;

/// Whether a mount keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// One document per key; a write replaces it, a delete is final.
    #[serde(rename = "v1")]
    V1,
    /// Versions with metadata.
    #[serde(rename = "v2")]
    V2,
}

/// A mount that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) limits: Limits,
}

impl Mount {
    /// Whether it keeps versions.
    pub(crate) fn is_versioned(&self) -> bool {
        self.kind == Kind::V2
    }

    /// Asks the server what is mounted there. No version option means v1.
    pub(crate) fn find(role: &str, name: &str) -> Result<Self, Failure> {
        let what = format!("look up the mount {role}:{name}");
        let response = Request::get(&format!("v1/sys/internal/ui/mounts/{name}")).send(role)?;
        if matches!(response.status, 403 | 404) {
            return Err(Failure::denied(format!("{what}: there is none, or this token may do nothing in it (status {})", response.status)));
        }
        let body = response.expect_success(&what)?.body.unwrap_or_default();
        let found = &body["data"];
        let path = found["path"].as_str().unwrap_or_default().trim_end_matches('/');
        if path != name {
            return Err(Failure::invalid_input(format!("{role}:{name} is inside the mount `{path}`: put the rest into the prefix")));
        }
        if !matches!(found["type"].as_str(), Some("kv" | "generic")) {
            return Err(Failure::invalid_input(format!("the mount {role}:{name} is no KV mount")));
        }
        let kind = match &found["options"]["version"] {
            Value::String(version) if version == "2" => Kind::V2,
            Value::Null => Kind::V1,
            Value::String(version) if version.is_empty() || version == "1" => Kind::V1,
            _ => return Err(Failure::unsupported(format!("the mount {role}:{name} is of an unknown KV version"))),
        };
        let limits = match kind {
            Kind::V1 => Limits::default(),
            Kind::V2 => {
                let what = format!("read the limits of the mount {role}:{name}");
                let config = Request::get(&format!("v1/{name}/config")).send(role)?.expect_success(&what)?.body.unwrap_or_default();
                Limits::of(&config["data"])
            }
        };
        Ok(Self { name: name.to_owned(), kind, limits })
    }
}
