//! Requests to a connection of kind `file`: GET, LIST, PUT, DELETE and MOVE of whole files.

use cutover_plugin::{Failure, Present, Prior, Request, Response, fingerprint};
use serde_json::Value;

/// A file's document, every scalar a token; none if there is no file.
pub(crate) fn read(role: &str, path: &str) -> Result<Option<Present>, Failure> {
    Request::get(path).send(role)?.present(&format!("read {role}:{path}"))
}

/// The tag of a file's content; none if there is no file. A file that is no document has one too.
pub(crate) fn tag(role: &str, path: &str) -> Result<Option<String>, Failure> {
    let response = Request::get(path).send(role)?;
    let unreadable = matches!(response.status, 415 | 422).then(|| response.header("etag").map(str::to_owned)).flatten();
    match unreadable {
        Some(etag) => Ok(Some(etag)),
        None => Ok(response.present(&format!("read {role}:{path}"))?.map(|present| etag(&present))),
    }
}

/// The tag that says whether a document moved: the server's, or one made from the document.
pub(crate) fn etag(present: &Present) -> String {
    present.etag.clone().unwrap_or_else(|| fingerprint(&present.value))
}

/// The names in a folder, folders with a slash at the end, in byte order; none if there is no such folder.
pub(crate) fn list(role: &str, folder: &str) -> Result<Option<Vec<String>>, Failure> {
    let what = format!("list {role}:{folder}");
    let Some(present) = Request::list(folder).send(role)?.present(&what)? else { return Ok(None) };
    let names = present.value["keys"].as_array().ok_or_else(|| Failure::internal(format!("{what}: no `keys` in the answer")))?;
    let mut names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.sort_unstable();
    Ok(Some(names))
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
    Request::get(path).send(role)
}
