//! The `file` kind: a folder of dotenv, JSON, YAML, TOML and PEM files, each also encrypted with age.
//!
//! `GET` gives a file's document (`?raw`: its text), `LIST` a folder's names, `PUT` replaces a whole file, `DELETE`
//! takes it away, `MOVE …?to=` renames it. An `ETag` is a keyed digest of name and content; `If-Match` and
//! `If-None-Match: *` (RFC 9110 section 13.1) hold for every write. A file that may not be read is 403, never 404.

mod document;
mod folder;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use cutover_engine::{FailureCase, RouteClass, canonical};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use self::{
    document::{Format, Keys, is_armored},
    folder::{Folder, FolderError, Stamp, TEMPORARY},
};
use super::{
    Backend, ConnectionConfig, Kind, OpenError, Opening, SendError, WireBody, WireRequest, WireResponse, WireResponseBody,
    number::{self, INEXACT_HEADER},
    settings,
};
use crate::{
    clock::BoxFuture,
    codec,
    hook::Form,
    policy::{Code, KindRoute, KindTable, RequestPath, Unlisted},
};

/// Opens `file` connections.
pub struct FileKind {
    table: Arc<KindTable>,
}

impl Default for FileKind {
    fn default() -> Self {
        let mut moving = KindRoute::new("MOVE", "/{+path}", RouteClass::Write);
        moving.object_query = Some("to");
        let routes = vec![
            KindRoute::new("GET", "/{+path}", RouteClass::Read),
            KindRoute::new("LIST", "/{+path}", RouteClass::Read).public(&["/keys", "/others"]),
            KindRoute::new("PUT", "/{+path}", RouteClass::Write),
            KindRoute::new("DELETE", "/{+path}", RouteClass::Write),
            moving,
        ];
        Self {
            table: Arc::new(KindTable {
                kind: "file",
                routes,
                unlisted: Unlisted::Refused,
                owned_headers: &[],
                public_headers: &["content-type", "etag", INEXACT_HEADER],
            }),
        }
    }
}

impl FileKind {
    async fn open_backend(&self, config: &ConnectionConfig, opening: &Opening) -> Result<FileBackend, OpenError> {
        let wrong = |problem: String| OpenError::declaration(config, problem);
        let settings: Settings = settings(config)?;
        let path = match (&config.url, settings.path) {
            (Some(url), None) => {
                PathBuf::from(url.strip_prefix("file:").ok_or_else(|| wrong("the url of a folder begins with `file:`".to_owned()))?)
            }
            (None, Some(path)) => path,
            _ => return Err(wrong("it needs either `path` or a `url` that begins with `file:`".to_owned())),
        };
        let shown = path.display().to_string();
        let root = config.folder.join(path).canonicalize().map_err(|error| wrong(format!("{shown}: {error}")))?;
        let identity = match &settings.identity {
            Some(source) => Some(opening.credentials.read(&config.name, source, &config.folder).await?),
            None => None,
        };
        let recipients = recipients(&settings.recipients, &config.folder).map_err(wrong)?;
        let keys = Keys::new(identity.as_deref(), &recipients).map_err(wrong)?;
        let folder = Folder::open(&root).map_err(|error| wrong(format!("{shown}: {error}")))?;
        let files = Files { folder, keys, digest_key: opening.digest_key.clone(), writing: Mutex::default() };
        Ok(FileBackend { authority: format!("file:{}", root.display()), table: Arc::clone(&self.table), files: Arc::new(files) })
    }
}

impl Kind for FileKind {
    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn open<'a>(&'a self, declaration: &'a ConnectionConfig, opening: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async move { Ok(Arc::new(self.open_backend(declaration, opening).await?) as Arc<dyn Backend>) })
    }
}

/// Recipients as listed, and those in the files that `file:PATH` names: one a line, as age has it.
fn recipients(listed: &[String], folder: &Path) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for recipient in listed {
        let Some(path) = recipient.strip_prefix("file:") else {
            all.push(recipient.clone());
            continue;
        };
        let text =
            std::fs::read_to_string(folder.join(path)).map_err(|error| format!("the recipients in `{path}` cannot be read: {error}"))?;
        all.extend(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    Ok(all)
}

/// What an operator can set.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    path: Option<PathBuf>,
    identity: Option<String>,
    recipients: Vec<String>,
}

struct FileBackend {
    authority: String,
    table: Arc<KindTable>,
    files: Arc<Files>,
}

impl Backend for FileBackend {
    fn authority(&self) -> &str {
        &self.authority
    }

    fn table(&self) -> &Arc<KindTable> {
        &self.table
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        let files = Arc::clone(&self.files);
        Box::pin(async move {
            let answer = tokio::task::spawn_blocking(move || files.answer(request)).await;
            answer.unwrap_or_else(|_| Err(SendError::Lost { text: "the work on the file ended without a result".to_owned() }))
        })
    }
}

/// The folder and what its files are read with. Its methods block.
struct Files {
    folder: Folder,
    keys: Keys,
    digest_key: Zeroizing<[u8; 32]>,
    /// Our own writers take turns between looking and replacing.
    writing: Mutex<()>,
}

/// A file's plain content.
struct Content {
    plain: Zeroizing<Vec<u8>>,
    /// None if the name says no form, or the content is not of it.
    document: Option<Value>,
    etag: String,
    stamp: Stamp,
    armored: bool,
}

impl Files {
    fn answer(&self, request: WireRequest) -> Result<WireResponse, SendError> {
        let (mut raw, mut to) = (false, None);
        for (name, value) in &request.query {
            match name.as_str() {
                "raw" if request.method == "GET" || request.method == "PUT" => raw = true,
                "to" if request.method == "MOVE" && to.is_none() => to = Some(RequestPath::of_object(value)?),
                _ => return Err(unusable("a query that a folder does not know, or one pair twice")),
            }
        }
        if request.credential.is_some() {
            return Err(unusable("a credential, which a folder does not take"));
        }
        let path = request.path.segments();
        let paths = path.iter().chain(to.iter().flat_map(RequestPath::segments));
        if let Some(name) = paths.into_iter().find(|name| name.ends_with(TEMPORARY)) {
            return Err(Code::NOT_A_FILE.refused(format!("`{name}` is a name for files that are being written")).into());
        }
        let condition = Condition::of(&request.headers)?;
        if request.method == "LIST" {
            return self.list(path).or_else(|error| problem(&request.path, &error));
        }
        if request.path.is_folder() || path.is_empty() {
            return Err(Code::NOT_A_FILE.refused(format!("`{}` is a folder", request.path)).into());
        }
        let _turn = (request.method != "GET").then(|| self.writing.lock().unwrap_or_else(PoisonError::into_inner));
        let present = match self.content(path) {
            Ok(present) => present,
            Err(Unreadable::Folder(error)) => return problem(&request.path, &error),
            Err(Unreadable::Key(rule)) => return Err(key_failure(&request.path, rule)),
        };
        let held = Format::of(&request.path.object()).held;
        let done = match (request.method.as_str(), present) {
            ("GET", None) => return Ok(status(404)),
            ("GET", Some(content)) => return Ok(WireResponse { form: held, ..shown(content, raw) }),
            (_, present) if !condition.holds(present.as_ref()) => return Ok(status(412)),
            ("PUT", present) => return self.put(&request.path, present.as_ref(), request.body, raw),
            (_, None) => return Ok(status(404)),
            ("DELETE", Some(content)) => self.folder.remove(path, content.stamp),
            ("MOVE", Some(content)) => match to.filter(|to| !to.segments().is_empty() && !to.is_folder()) {
                // Its text would be taken for what another name says: names of a document are not sealed.
                Some(to) if Format::of(&to.object()).held.is_some_and(|form| Some(form) != held) => {
                    return Err(Code::NOT_A_FILE.refused(format!("`{}` is not of the form that `{to}` says", request.path)).into());
                }
                Some(to) => self.folder.rename(path, to.segments(), content.stamp),
                None => return Err(unusable("a move without `to`")),
            },
            _ => return Err(unusable("a method that a folder does not know")),
        };
        done.map(|()| status(204)).or_else(|error| problem(&request.path, &error))
    }

    fn put(&self, path: &RequestPath, present: Option<&Content>, body: Option<WireBody>, raw: bool) -> Result<WireResponse, SendError> {
        let (name, format) = (path.object(), Format::of(&path.object()));
        if let (true, Some(form)) = (raw, format.held) {
            // What a plugin joined would come back as a document, with a secret for a name.
            let told = format!("`{path}` is of the form {}: write a document, not a raw text", form.name());
            return Err(Code::NOT_A_FILE.refused(told).into());
        }
        let plain = match (body, format.form) {
            (Some(WireBody::Bytes(bytes)), _) if raw => Zeroizing::new(bytes),
            (Some(WireBody::Json(Value::String(text))), _) if raw => Zeroizing::new(text.into_bytes()),
            (Some(WireBody::Json(document)), Some(form)) if !raw => match codec::render(form, &document) {
                Ok(text) => Zeroizing::new(text.into_bytes()),
                Err(error) => {
                    return Err(Code::REQUEST.failure(FailureCase::InvalidInput, format!("`{path}` cannot be written: {error}")).into());
                }
            },
            (Some(WireBody::Json(_)), None) => return Ok(status(415)),
            _ => return Err(unusable("a body that is neither a document nor, with `raw`, one text")),
        };
        let etag = self.etag(&name, format, format.parse(&plain).as_ref(), &plain);
        let written = if format.encrypted {
            let cipher = self.keys.encrypt(&plain, present.is_some_and(|content| content.armored));
            self.folder.replace(path.segments(), &cipher.map_err(|rule| key_failure(path, rule))?, present.map(|content| content.stamp))
        } else {
            self.folder.replace(path.segments(), &plain, present.map(|content| content.stamp))
        };
        let mut response = status(if present.is_some() { 200 } else { 201 });
        response.headers.push(("etag".to_owned(), etag));
        written.map(|()| response).or_else(|error| problem(path, &error))
    }

    fn list(&self, path: &[String]) -> Result<WireResponse, FolderError> {
        let Some(mut names) = self.folder.list(path)? else { return Ok(status(404)) };
        let is_shown = |name: &String| !name.starts_with('.') || Format::of(name).form == Some(Form::Dotenv);
        names.keys.retain(is_shown);
        names.others.retain(is_shown);
        let mut response = status(200);
        response.bytes = names.keys.iter().chain(&names.others).map(|name| name.len() as u64).sum();
        let mut body = json!({ "keys": names.keys });
        if !names.others.is_empty() {
            body["others"] = json!(names.others);
        }
        response.body = WireResponseBody::Json(body);
        Ok(response)
    }

    fn content(&self, path: &[String]) -> Result<Option<Content>, Unreadable> {
        let Some(stored) = self.folder.read(path).map_err(Unreadable::Folder)? else { return Ok(None) };
        let name = path.join("/");
        let format = Format::of(&name);
        let armored = format.encrypted && is_armored(&stored.bytes);
        let plain = if format.encrypted { self.keys.decrypt(&stored.bytes).map_err(Unreadable::Key)? } else { stored.bytes };
        let document = format.parse(&plain);
        let etag = self.etag(&name, format, document.as_ref(), &plain);
        Ok(Some(Content { plain, document, etag, stamp: stored.stamp, armored }))
    }

    /// The same for the same content under the same name, however it is spelled or encrypted. Under another name it
    /// differs: else a guess written to one file could be compared with another.
    fn etag(&self, name: &str, format: Format, document: Option<&Value>, plain: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.digest_key).expect("HMAC takes keys of any length (RFC 2104)");
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
        if let Some(document) = document {
            mac.update(format.form.map_or("", Form::name).as_bytes());
            mac.update(b"\0");
            mac.update(Zeroizing::new(canonical(document)).as_bytes());
        } else {
            mac.update(b"\0");
            mac.update(plain);
        }
        format!("\"{}\"", hex::encode(mac.finalize().into_bytes()))
    }
}

enum Unreadable {
    Folder(FolderError),
    Key(&'static str),
}

/// What a write expects of the file.
struct Condition<'a> {
    matches: Option<&'a str>,
    absent: bool,
}

impl<'a> Condition<'a> {
    fn of(headers: &'a [(String, String)]) -> Result<Self, SendError> {
        let mut condition = Self { matches: None, absent: false };
        for (name, value) in headers {
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("if-match", value) => condition.matches = Some(value),
                ("if-none-match", "*") => condition.absent = true,
                // A condition that is not understood must not be passed over.
                (other, _) if other.starts_with("if-") => return Err(unusable("a condition other than If-Match and If-None-Match: *")),
                _ => {}
            }
        }
        Ok(condition)
    }

    fn holds(&self, present: Option<&Content>) -> bool {
        match present {
            None => self.matches.is_none(),
            Some(content) => !self.absent && self.matches.is_none_or(|etag| etag == "*" || etag == content.etag),
        }
    }
}

fn shown(mut content: Content, raw: bool) -> WireResponse {
    let bytes = content.plain.len() as u64;
    let body = match content.document {
        Some(document) if !raw => WireResponseBody::Json(document),
        None if !raw => WireResponseBody::None,
        _ => String::from_utf8(std::mem::take(&mut content.plain))
            .map_or_else(|error| WireResponseBody::Bytes(error.into_bytes()), WireResponseBody::Text),
    };
    // A document was asked for, and the file holds none: 415 as for any type that is not there.
    let status = if matches!(body, WireResponseBody::None) { 415 } else { 200 };
    let mut headers = vec![("etag".to_owned(), content.etag)];
    if let WireResponseBody::Json(document) = &body {
        headers.extend(number::before_kv2(document));
    }
    WireResponse { status, headers, body, bytes, form: None }
}

fn status(status: u16) -> WireResponse {
    WireResponse { status, headers: Vec::new(), body: WireResponseBody::None, bytes: 0, form: None }
}

fn problem(path: &RequestPath, error: &FolderError) -> Result<WireResponse, SendError> {
    let text = format!("`{path}`: {error}");
    Err(match error {
        FolderError::Denied => return Ok(status(403)),
        FolderError::Moved => return Ok(status(412)),
        FolderError::NotAFile(_) => Code::NOT_A_FILE.refused(text).into(),
        FolderError::TooLarge => Code::FILE_SIZE.failure(FailureCase::Unsupported, text).into(),
        FolderError::System(_) => Code::FILE_SYSTEM.failure(FailureCase::Unavailable, text).into(),
        FolderError::NotDurable(_) => SendError::Lost { text },
    })
}

fn key_failure(path: &RequestPath, rule: &str) -> SendError {
    Code::FILE_KEY.failure(FailureCase::Denied, format!("`{path}`: {rule}")).into()
}

fn unusable(what: &str) -> SendError {
    Code::REQUEST.failure(FailureCase::InvalidInput, format!("the request has {what}")).into()
}
