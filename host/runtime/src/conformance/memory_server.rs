//! The kit's place for roles of kind `http`: documents by path, with tags and preconditions (RFC 9110 section 13.1).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cutover_engine::canonical_digest;
use serde_json::{Value, json};

use super::backdrop::Documents;
use crate::{
    clock::BoxFuture,
    connection::{Backend, HttpKind, Kind, SendError, WireBody, WireRequest, WireResponse, WireResponseBody},
    policy::KindTable,
};

/// A server in memory. It knows GET, HEAD, LIST, PUT and DELETE; everything else is 405.
pub(super) struct MemoryServer {
    authority: String,
    table: Arc<KindTable>,
    documents: Mutex<BTreeMap<String, Value>>,
}

impl MemoryServer {
    /// An empty one for a role, with the class table of the product's own `http`.
    pub(super) fn new(role: &str) -> Self {
        let table = Arc::clone(HttpKind::default().table());
        Self { authority: format!("https://{role}.test"), table, documents: Mutex::default() }
    }

    /// What it holds.
    pub(super) fn documents(&self) -> Documents {
        self.content().clone()
    }

    /// Makes it hold this and nothing else.
    pub(super) fn replace(&self, documents: &Documents) {
        self.content().clone_from(documents);
    }

    fn content(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &WireRequest) -> WireResponse {
        if request.credential.is_some() {
            // Only the connection's own is known here.
            return found(403, None, None);
        }
        let path = request.path.object();
        let mut documents = self.content();
        let present = documents.get(&path).cloned();
        let tag = present.as_ref().map(tag);
        let header =
            |name: &str| request.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let holds = header("if-match").is_none_or(|wanted| tag.as_deref().is_some_and(|tag| wanted == "*" || wanted == tag))
            && !(header("if-none-match") == Some("*") && present.is_some());
        match (request.method.as_str(), present) {
            ("GET", Some(document)) => found(200, tag, Some(document)),
            ("HEAD", Some(_)) => found(200, tag, None),
            ("LIST", _) => {
                let below = format!("{}/", path.trim_end_matches('/'));
                let inside =
                    |name: &String| if path.is_empty() { Some(name.clone()) } else { name.strip_prefix(&below).map(str::to_owned) };
                let names: Vec<String> = documents.keys().filter_map(inside).collect();
                found(200, None, Some(json!({ "keys": names })))
            }
            ("PUT" | "DELETE", _) if !holds => found(412, None, None),
            ("PUT", present) => {
                let document = body(request);
                let tag = self::tag(&document);
                documents.insert(path, document);
                found(if present.is_some() { 200 } else { 201 }, Some(tag), None)
            }
            ("DELETE", Some(_)) => {
                documents.remove(&path);
                found(204, None, None)
            }
            ("GET" | "HEAD" | "DELETE", None) => found(404, None, None),
            _ => found(405, None, None),
        }
    }
}

impl Backend for MemoryServer {
    fn authority(&self) -> &str {
        &self.authority
    }

    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(async move { Ok(self.answer(&request)) })
    }
}

/// Of the content alone: a world that is put back has its tags back.
fn tag(document: &Value) -> String {
    format!("\"{}\"", canonical_digest(document).short())
}

fn body(request: &WireRequest) -> Value {
    match &request.body {
        None => Value::Null,
        Some(WireBody::Json(document)) => document.clone(),
        Some(WireBody::Form(pairs)) => pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect(),
        Some(WireBody::Bytes(bytes)) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn found(status: u16, tag: Option<String>, document: Option<Value>) -> WireResponse {
    let bytes = document.as_ref().map_or(0, |document| document.to_string().len() as u64);
    let headers = tag.into_iter().map(|tag| ("etag".to_owned(), tag)).collect();
    WireResponse { status, headers, body: document.map_or(WireResponseBody::None, WireResponseBody::Json), bytes, form: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::RequestPath;

    fn send(server: &MemoryServer, method: &str, header: Option<(&str, &str)>, document: Option<Value>) -> WireResponse {
        server.answer(&WireRequest {
            method: method.to_owned(),
            path: RequestPath::parse("/a/b").expect("a path"),
            query: Vec::new(),
            headers: header.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: document.map(WireBody::Json),
            credential: None,
        })
    }

    #[test]
    fn preconditions_hold_and_a_world_that_is_put_back_has_its_tags() {
        let server = MemoryServer::new("target");
        assert_eq!(send(&server, "GET", None, None).status, 404);
        assert_eq!(send(&server, "PUT", Some(("if-none-match", "*")), Some(json!(1))).status, 201);
        assert_eq!(send(&server, "PUT", Some(("if-none-match", "*")), Some(json!(2))).status, 412);
        let before = server.documents();
        let tag = send(&server, "GET", None, None).header("etag").expect("a tag").to_owned();
        assert_eq!(send(&server, "PUT", Some(("If-Match", &tag)), Some(json!(2))).status, 200);
        assert_eq!(send(&server, "DELETE", Some(("if-match", &tag)), None).status, 412);
        server.replace(&before);
        assert_eq!(send(&server, "DELETE", Some(("if-match", &tag)), None).status, 204);
        assert_eq!(send(&server, "POST", None, None).status, 405);
    }
}
