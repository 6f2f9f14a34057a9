//! An in-memory backend that speaks the `file` kind's requests, and thereby those of a simple HTTP store.

use std::{
    cell::{Ref, RefCell, RefMut},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Map, Value, json};

use super::Host;
use crate::{
    failure::Failure,
    fingerprint::fingerprint,
    log::Level,
    request::{Body, Request, Response},
    sealed::{Form, is_token},
};

/// The backend before a test begins: documents by role and path, unsealed. Every file's text is JSON, whatever its
/// name; one whose name ends in `.retired` is read only as a text (`?raw`).
#[derive(Debug, Default)]
pub struct Folder {
    documents: BTreeMap<(String, String), Value>,
    sealing: BTreeSet<String>,
    /// Values by their tokens.
    minted: BTreeMap<String, Value>,
    /// Every request, as `METHOD role:path`.
    requests: Vec<String>,
    /// A foreign write that comes just before the next write.
    intruder: Option<(String, String, Value)>,
    /// Statuses to answer with instead, by `METHOD role:path`.
    broken: BTreeMap<String, u16>,
    notes: Vec<String>,
}

impl Folder {
    /// An empty backend; what it answers is public.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seals every scalar of a document read at this role, and takes only tokens back.
    pub fn sealing(mut self, role: &str) -> Self {
        self.sealing.insert(role.to_owned());
        self
    }

    /// One more document.
    pub fn with(mut self, role: &str, path: &str, document: Value) -> Self {
        self.documents.insert((role.to_owned(), path.to_owned()), document);
        self
    }

    /// Makes it the thread's host.
    pub fn install(self) -> Installed {
        let installed = Installed(Rc::new(RefCell::new(self)));
        super::install(Installed(Rc::clone(&installed.0)));
        installed
    }
}

/// A test's hold on the backend while a plugin runs on it.
#[derive(Debug)]
pub struct Installed(Rc<RefCell<Folder>>);

impl Installed {
    /// What is there, unsealed.
    pub fn get(&self, role: &str, path: &str) -> Option<Value> {
        self.folder().documents.get(&key(role, path)).cloned()
    }

    /// Somebody else writes.
    pub fn put(&self, role: &str, path: &str, document: Value) {
        self.folder_mut().documents.insert(key(role, path), document);
    }

    /// Somebody else removes.
    pub fn remove(&self, role: &str, path: &str) {
        self.folder_mut().documents.remove(&key(role, path));
    }

    /// Somebody else writes just before the plugin's next write arrives.
    pub fn before_next_write(&self, role: &str, path: &str, document: Value) {
        self.folder_mut().intruder = Some((role.to_owned(), path.to_owned(), document));
    }

    /// Lets `METHOD role:path` answer with a status from now on.
    pub fn break_request(&self, request: &str, status: u16) {
        self.folder_mut().broken.insert(request.to_owned(), status);
    }

    /// The paths of a role, in order.
    pub fn paths(&self, role: &str) -> Vec<String> {
        self.folder().documents.keys().filter(|(owner, _)| owner == role).map(|(_, path)| path.clone()).collect()
    }

    /// All requests so far, as `METHOD role:path`.
    pub fn requests(&self) -> Vec<String> {
        self.folder().requests.clone()
    }

    /// How many requests so far could write.
    pub fn writes(&self) -> usize {
        self.folder().requests.iter().filter(|request| !request.starts_with("GET ") && !request.starts_with("LIST ")).count()
    }

    /// Notes that the plugin logged.
    pub fn notes(&self) -> Vec<String> {
        self.folder().notes.clone()
    }

    /// The token of a value.
    pub fn token(&self, value: &Value) -> Value {
        self.folder_mut().seal(value)
    }

    fn folder(&self) -> Ref<'_, Folder> {
        self.0.borrow()
    }

    fn folder_mut(&self) -> RefMut<'_, Folder> {
        self.0.borrow_mut()
    }
}

impl Host for Installed {
    fn send(&mut self, role: &str, _: Option<&str>, request: &Request) -> Result<Response, Failure> {
        self.folder_mut().answer(role, request)
    }

    fn parse(&mut self, token: &str, _: Form) -> Result<Value, Failure> {
        let text = self.folder().minted.get(token).and_then(Value::as_str).map(str::to_owned);
        let text = text.ok_or_else(|| Failure::denied("no token of a text"))?;
        let document = serde_json::from_str(&text).map_err(|error| Failure::invalid_input(error.to_string()))?;
        Ok(self.folder_mut().seal(&document))
    }

    fn log(&mut self, _: Level, message: &str) {
        self.folder_mut().notes.push(message.to_owned());
    }
}

impl Folder {
    pub(super) fn answer(&mut self, role: &str, request: &Request) -> Result<Response, Failure> {
        let path = decode(&request.path)?;
        let line = format!("{} {role}:{path}", request.method);
        self.requests.push(line.clone());
        if let Some(code) = self.broken.get(&line) {
            return Ok(status(*code));
        }
        if matches!(request.method.as_str(), "GET" | "LIST") {
            let raw = request.query.iter().any(|(name, _)| name == "raw");
            return Ok(if request.method == "GET" { self.read(role, &path, raw) } else { self.list(role, &path) });
        }
        if let Some((role, path, document)) = self.intruder.take() {
            self.documents.insert((role, path), document);
        }
        if !self.precondition_holds(role, &path, request) {
            return Ok(status(412));
        }
        match request.method.as_str() {
            "PUT" => self.write(role, &path, request.body.as_ref()),
            "DELETE" => Ok(status(if self.documents.remove(&key(role, &path)).is_some() { 204 } else { 404 })),
            "MOVE" => Ok(self.rename(role, &path, request)),
            _ => Ok(status(405)),
        }
    }

    fn read(&mut self, role: &str, path: &str, raw: bool) -> Response {
        let Some(document) = self.documents.get(&key(role, path)).cloned() else { return status(404) };
        let mut headers = vec![("etag".to_owned(), etag(path, &document))];
        headers.extend(super::number::header(&document).filter(|_| !raw));
        if !raw && path.ends_with(".retired") {
            return Response { headers, ..status(415) };
        }
        let shown = if raw { Value::from(document.to_string()) } else { document };
        let body = if self.sealing.contains(role) { self.seal(&shown) } else { shown };
        Response { headers, body: Some(body), ..status(200) }
    }

    fn list(&self, role: &str, folder: &str) -> Response {
        let below = self.documents.keys().filter(|(owner, _)| owner == role).filter_map(|(_, path)| path.strip_prefix(folder));
        let keys: BTreeSet<&str> = below.map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash])).collect();
        if keys.is_empty() {
            return status(404);
        }
        Response { status: 200, headers: Vec::new(), body: Some(json!({ "keys": keys })) }
    }

    fn write(&mut self, role: &str, path: &str, body: Option<&Body>) -> Result<Response, Failure> {
        let Some(Body::Json(document)) = body else { return Ok(status(400)) };
        let document = if self.sealing.contains(role) { self.unseal(document)? } else { document.clone() };
        let headers = vec![("etag".to_owned(), etag(path, &document))];
        let created = self.documents.insert(key(role, path), document).is_none();
        Ok(Response { headers, ..status(if created { 201 } else { 200 }) })
    }

    fn rename(&mut self, role: &str, path: &str, request: &Request) -> Response {
        let Some((_, to)) = request.query.iter().find(|(name, _)| name == "to") else { return status(400) };
        if self.documents.contains_key(&key(role, to)) {
            return status(412);
        }
        let Some(document) = self.documents.remove(&key(role, path)) else { return status(404) };
        self.documents.insert(key(role, to), document);
        status(204)
    }

    fn precondition_holds(&self, role: &str, path: &str, request: &Request) -> bool {
        let present = self.documents.get(&key(role, path)).map(|document| etag(path, document));
        request.headers.iter().all(|(name, value)| match name.as_str() {
            "if-match" => present.as_ref() == Some(value),
            "if-none-match" => present.is_none(),
            _ => true,
        })
    }

    pub(super) fn seal(&mut self, document: &Value) -> Value {
        match document {
            Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), self.seal(value))).collect::<Map<_, _>>().into(),
            Value::Array(items) => items.iter().map(|item| self.seal(item)).collect(),
            scalar => {
                let token = format!("sealed:v1:{}", fingerprint(&json!(["test", scalar])));
                self.minted.insert(token.clone(), scalar.clone());
                token.into()
            }
        }
    }

    pub(super) fn unseal(&self, document: &Value) -> Result<Value, Failure> {
        Ok(match document {
            Value::Object(map) => {
                map.iter().map(|(name, value)| Ok((name.clone(), self.unseal(value)?))).collect::<Result<Map<_, _>, Failure>>()?.into()
            }
            Value::Array(items) => items.iter().map(|item| self.unseal(item)).collect::<Result<_, _>>()?,
            leaf => {
                let value = leaf.as_str().filter(|_| is_token(leaf)).and_then(|token| self.minted.get(token));
                value.cloned().ok_or_else(|| Failure::denied("a sealed field takes only tokens"))?
            }
        })
    }
}

fn key(role: &str, path: &str) -> (String, String) {
    (role.to_owned(), path.to_owned())
}

/// As the `file` kind has it: equal documents at two paths have two tags.
fn etag(path: &str, document: &Value) -> String {
    format!("\"{}\"", fingerprint(&json!([path, document])))
}

pub(super) fn status(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: None }
}

/// The object's path of a request's path.
pub(super) fn decode(path: &str) -> Result<String, Failure> {
    let malformed = || Failure::denied(format!("malformed path {path}"));
    let mut bytes = path.strip_prefix('/').ok_or_else(malformed)?.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        decoded.push(match byte {
            b'%' => digit(bytes.next()).zip(digit(bytes.next())).map(|(high, low)| high << 4 | low).ok_or_else(malformed)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_tokens_where_it_seals() {
        let folder = Folder::new().sealing("store").install();
        let put = |document: Value| Request::put("a").json(document).send("store");
        assert!(matches!(put(json!({"value": "plain"})), Err(Failure::Denied(_))));
        let token = folder.token(&json!("s3cret"));
        assert_eq!(put(json!({ "value": token })).map(|response| response.status), Ok(201));
        assert_eq!(folder.get("store", "a"), Some(json!({"value": "s3cret"})));
    }

    #[test]
    fn lists_one_level() {
        let folder = Folder::new().with("store", "a/b c.env", json!({})).with("store", "d.env", json!({})).install();
        let keys = |path: &str| Request::list(path).send("store").expect("a response").body;
        assert_eq!(keys("/"), Some(json!({"keys": ["a/", "d.env"]})));
        assert_eq!(keys("a/"), Some(json!({"keys": ["b c.env"]})));
        assert_eq!(Request::get("a/b c.env").send("store").expect("a response").status, 200);
        assert_eq!(folder.writes(), 0);
    }
}
