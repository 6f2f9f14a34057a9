//! Requests to a connection of kind `file`: GET, LIST, PUT, DELETE and MOVE of whole files.

use cutover_plugin::{
    Failure, Present, Prior, Request, Response, fingerprint,
    sealed::{self, Form},
};
use serde_json::Value;

use crate::number;

/// A file's document, every scalar a token; none if there is no file.
pub(crate) fn read(role: &str, path: &str) -> Result<Option<Present>, Failure> {
    Request::get(path).send(role)?.present(&format!("read {role}:{path}"))
}

/// The same with where its numbers are that KV v2 does not keep.
pub(crate) fn read_with_numbers(role: &str, path: &str) -> Result<Option<(Value, Vec<String>)>, Failure> {
    let response = Request::get(path).send(role)?;
    let inexact = number::inexact(&response);
    Ok(response.present(&format!("read {role}:{path}"))?.map(|present| (present.value, inexact)))
}

/// A file read as one text.
pub(crate) struct Whole {
    /// The text's token, the same under every name.
    pub(crate) text: Value,
    /// The server's tag of this content under this name.
    pub(crate) etag: String,
}

/// A file as one text, whatever its name says of its form; none if there is no file.
pub(crate) fn whole(role: &str, path: &str) -> Result<Option<Whole>, Failure> {
    let present = Request::get(path).query("raw", "").send(role)?.present(&format!("read {role}:{path}"))?;
    Ok(present.map(|present| Whole { etag: etag(&present), text: present.value }))
}

/// The document of a file whose name does not say its form; none if there is no file.
pub(crate) fn read_as(role: &str, path: &str, form: Form) -> Result<Option<Value>, Failure> {
    let Some(whole) = whole(role, path)? else { return Ok(None) };
    let token = whole.text.as_str().ok_or_else(|| Failure::internal(format!("{role}:{path} came as no text")))?;
    sealed::parse(token, form).map(Some)
}

/// The tag that says whether a document moved: the server's, or one made from the document.
pub(crate) fn etag(present: &Present) -> String {
    present.etag.clone().unwrap_or_else(|| fingerprint(&present.value))
}

/// What is in a folder, in byte order.
pub(crate) struct Names {
    /// Files, and folders with a slash at the end.
    pub(crate) keys: Vec<String>,
    /// What is there and cannot be asked for, such as links.
    pub(crate) others: Vec<String>,
}

/// The names in a folder; none if there is no such folder.
pub(crate) fn list(role: &str, folder: &str) -> Result<Option<Names>, Failure> {
    let what = format!("list {role}:{folder}");
    let Some(present) = Request::list(folder).send(role)?.present(&what)? else { return Ok(None) };
    let names = |member: &str| {
        let mut names: Vec<String> = present.value[member].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort_unstable();
        Some(names)
    };
    let keys = names("keys").ok_or_else(|| Failure::internal(format!("{what}: no `keys` in the answer")))?;
    Ok(Some(Names { keys, others: names("others").unwrap_or_default() }))
}

/// Writes a document, or removes the file, if what is there is still `prior`.
pub(crate) fn write(role: &str, path: &str, document: Option<&Value>, prior: &Prior) -> Result<(), Failure> {
    let (request, what) = match document {
        Some(document) => (Request::put(path).json(document.clone()), "write"),
        None => (Request::delete(path), "remove"),
    };
    request.expecting(prior).send(role)?.expect_success(&format!("{what} {role}:{path}")).map(drop)
}

/// Renames a file with this tag; a conflict if something is at the new name.
pub(crate) fn rename(role: &str, from: &str, to: &str, etag: &str) -> Result<(), Failure> {
    let request = Request::new("MOVE", from).query("to", to).expecting(&Prior::Present(Some(etag.to_owned())));
    request.send(role)?.expect_success(&format!("move {role}:{from} to {to}")).map(drop)
}

/// What a path answers to somebody who still uses it.
pub(crate) fn knock(role: &str, path: &str) -> Result<Response, Failure> {
    Request::get(path).query("raw", "").send(role)
}
