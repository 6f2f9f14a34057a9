//! Requests to KV mounts.

use cutover_plugin::{Failure, Request, Response};
use serde_json::{Value, json};

use super::{duration, key::Key};

/// How the three requests differ that change the state of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Delete,
    Undelete,
    Destroy,
}

impl Verb {
    const fn infix(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Destroy => "destroy",
        }
    }
}

/// The metadata document of a v2 key; none if there is no key.
pub(crate) fn metadata(role: &str, key: &Key) -> Result<Option<Value>, Failure> {
    Ok(dated_metadata(role, key)?.map(|(metadata, _)| metadata))
}

/// The metadata document of a v2 key, and when the server read it by its own clock, in milliseconds since the Unix epoch.
pub(crate) fn dated_metadata(role: &str, key: &Key) -> Result<Option<(Value, Option<u64>)>, Failure> {
    let response = Request::get(&path(key, "metadata")).send(role)?;
    let at = response.header("date").and_then(duration::http_millis);
    let present = response.present(&format!("read the metadata of {role}:{}", key.full()))?;
    Ok(present.map(|present| (present.value["data"].clone(), at)))
}

/// What one version of a v2 key answers.
pub(crate) fn version(role: &str, key: &Key, number: u64) -> Result<Response, Failure> {
    Request::get(&path(key, "data")).query("version", &number.to_string()).send(role)
}

/// The document of a v1 key with its answer's public headers; none if there is no key.
pub(crate) fn single(role: &str, key: &Key) -> Result<Option<Response>, Failure> {
    let response = knock(role, key)?;
    if response.status == 404 {
        return Ok(None);
    }
    response.expect_success(&format!("read {role}:{}", key.full())).map(Some)
}

/// What a v1 key answers.
pub(crate) fn knock(role: &str, key: &Key) -> Result<Response, Failure> {
    Request::get(&plain(key)).send(role)
}

/// Writes the version after `current`; the answer's status is 400 if that is not the current one any more.
pub(crate) fn write(role: &str, key: &Key, current: u64, document: &Value) -> Result<Response, Failure> {
    Request::put(&path(key, "data")).json(json!({ "options": { "cas": current }, "data": document })).send(role)
}

/// Replaces the document of a v1 key.
pub(crate) fn write_single(role: &str, key: &Key, document: &Value) -> Result<(), Failure> {
    Request::put(&plain(key)).json(document.clone()).send(role)?.expect_success(&format!("write {role}:{}", key.full())).map(drop)
}

/// Writes fields of a v2 key's metadata, if these are still those of this number. Not every server numbers them.
pub(crate) fn write_metadata(role: &str, key: &Key, mut fields: Value, current: Option<u64>) -> Result<(), Failure> {
    if let Some(current) = current {
        fields["metadata_cas"] = current.into();
    }
    let what = format!("write the metadata of {role}:{}", key.full());
    let response = Request::put(&path(key, "metadata")).json(fields).send(role)?;
    if response.status == 400 && current.is_some() {
        match metadata(role, key)?.map_or(Some(0), |facts| metadata_number(&facts)) {
            now if now > current => return Err(Failure::conflict(format!("{what}: somebody else wrote it"))),
            now if now < current => return Err(Failure::unavailable(format!("{what}: an earlier write is not there"))),
            _ => {}
        }
    }
    response.expect_success(&what).map(drop)
}

/// How often a key's metadata was written, where the server counts that.
pub(crate) fn metadata_number(facts: &Value) -> Option<u64> {
    facts["current_metadata_version"].as_u64()
}

/// Changes the state of versions. The servers answer success also where nothing changed: read back.
pub(crate) fn change(verb: Verb, role: &str, key: &Key, numbers: &[u64]) -> Result<(), Failure> {
    if numbers.is_empty() {
        return Ok(());
    }
    let response = Request::put(&path(key, verb.infix())).json(json!({ "versions": numbers })).send(role)?;
    response.expect_success(&format!("{} versions of {role}:{}", verb.infix(), key.full())).map(drop)
}

/// Removes a v2 key with its metadata and every version. There is no way back.
pub(crate) fn remove(role: &str, key: &Key) -> Result<(), Failure> {
    absent_is_fine(&Request::delete(&path(key, "metadata")).send(role)?, &format!("remove {role}:{}", key.full()))
}

/// Removes a v1 key. There is no way back.
pub(crate) fn remove_single(role: &str, key: &Key) -> Result<(), Failure> {
    absent_is_fine(&Request::delete(&plain(key)).send(role)?, &format!("remove {role}:{}", key.full()))
}

fn absent_is_fine(response: &Response, what: &str) -> Result<(), Failure> {
    if response.status == 404 || (200..300).contains(&response.status) { Ok(()) } else { Err(response.failure(what)) }
}

fn path(key: &Key, infix: &str) -> String {
    format!("v1/{}/{infix}/{}", key.mount, key.path)
}

fn plain(key: &Key) -> String {
    format!("v1/{}", key.full())
}
