//! `copy-kv`: secrets with all their versions into a KV mount, one change per key.

use std::ops::ControlFlow;

use cutover_plugin::{Change, Failure, Loss, Operation, Page, Role, Route};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    SOURCE, TARGET,
    constraint::Constraints,
    history,
    key::{Key, addressable},
    mount::{Kind, Mount},
    offer::{Offer, Sides, offer},
    origin::Origin,
    walk::{Met, Walk},
};
use crate::{
    copy::{Each, Piece},
    name,
};

pub(crate) const NAME: &str = "copy-kv";

/// Changes of one page of a plan.
const PAGE: usize = 200;

/// Requests after which a page ends.
const REQUESTS: u32 = 600;

/// Requests of one call, with a little room below what the host allows.
pub(super) const CALL: u32 = 950;

/// Names that a refusal gives; it counts the others.
const NAMED: usize = 5;

/// What a step says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    pub(crate) from: From,
    pub(crate) mount: String,
    pub(crate) prefix: String,
    pub(crate) target_mount: Option<String>,
    pub(crate) target_prefix: Option<String>,
    pub(crate) each: Each,
    pub(crate) existing: Existing,
    pub(crate) history: History,
    pub(crate) max_tombstones: u32,
    pub(crate) recover_deleted: bool,
    pub(crate) skip: Vec<String>,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            from: From::Kv,
            mount: String::new(),
            prefix: String::new(),
            target_mount: None,
            target_prefix: None,
            each: Each::Key,
            existing: Existing::Refuse,
            history: History::Numbered,
            max_tombstones: 100,
            recover_deleted: false,
            skip: Vec::new(),
        }
    }
}

/// What the source is.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    Kv,
    Files,
}

/// What to do with a target key that is there.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Existing {
    Refuse,
    Merge,
    Present,
}

/// What becomes of version numbers.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum History {
    Numbered,
    Compact,
}

/// Where the next page begins.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    after: String,
    /// Names that no request can address, not yet told by a change.
    pending: Vec<String>,
    /// All of them so far.
    not_addressable: u64,
    /// Changes so far.
    changes: u64,
    /// What the policies say of a v1 source whose target is v2; none before they were read.
    constraints: Option<Constraints>,
}

/// A page that is being made.
struct Draft<'p> {
    input: &'p Input,
    sides: &'p Sides,
    cursor: Cursor,
    changes: Vec<Change>,
    unreadable: Vec<String>,
    requests: u32,
    more: bool,
}

pub(crate) fn operation() -> Operation {
    let read = |method: &str, path: &str| Route::read(method, path);
    let key = "{+mount}/{+path}";
    let kv_reads = |role: Role| {
        role.kind("vault")
            .route(read("GET", "/v1/sys/internal/ui/mounts/{+path}"))
            .route(read("GET", "/v1/{+mount}/config"))
            .route(read("LIST", "/v1/sys/policies/acl"))
            .route(read("GET", "/v1/sys/policies/acl/{+path}"))
            .route(read("LIST", "/v1/{+mount}/metadata/{+path}").object(key))
            .route(read("GET", "/v1/{+mount}/metadata/{+path}").object(key))
            .route(read("GET", "/v1/{+mount}/data/{+path}").object(key))
            .route(read("LIST", "/v1/{+path}"))
            .route(read("GET", "/v1/{+path}"))
    };
    let state = |infix: &str| Route::write("PUT", &format!("/v1/{{+mount}}/{infix}/{{+path}}")).object(key).public_request("/versions");
    let source = kv_reads(Role::one(SOURCE))
        .kind("file")
        .route(read("GET", "/{+path}"))
        .route(read("LIST", "/{+path}").public_response("/keys"))
        .route(state("delete"))
        .route(state("undelete"));
    let target = kv_reads(Role::one(TARGET))
        .route(Route::write("PUT", "/v1/{+mount}/data/{+path}").object(key).public_request("/options"))
        .route(Route::write("PUT", "/v1/{+mount}/metadata/{+path}").object(key).public_request(""))
        .route(Route::write("DELETE", "/v1/{+mount}/metadata/{+path}").object(key).status_only())
        .route(state("delete"))
        .route(state("destroy"))
        .route(Route::write("PUT", "/v1/{+path}").status_only())
        .route(Route::write("DELETE", "/v1/{+path}").status_only());
    Operation::migrate(NAME, "copies secrets with all their versions into a KV mount, one change per key")
        .input(schema())
        .role(source)
        .role(target)
        .flow(SOURCE, TARGET)
}

fn schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "properties": {
            "from": { "enum": ["kv", "files"], "default": "kv", "description": "whether the source is a KV mount or a folder of files" },
            "mount": { "type": "string", "pattern": "^[^/](.*[^/])?$", "description": "the source's mount, and the target's unless `target_mount` is given" },
            "prefix": { "type": "string", "default": "", "description": "only secrets whose path begins with it" },
            "target_mount": { "type": "string", "pattern": "^[^/](.*[^/])?$", "description": "the target's mount" },
            "target_prefix": text("put in place of `prefix` in each copy's path"),
            "each": { "enum": ["key", "file"], "default": "key", "description": "for files: one copy per top-level key, or per file" },
            "existing": { "enum": ["refuse", "merge", "present"], "default": "refuse", "description": "a target key that is there: refuse the plan, add versions, or take it as copied if it is equal" },
            "history": { "enum": ["numbered", "compact"], "default": "numbered", "description": "keep version numbers, with destroyed versions for those without data, or leave these out" },
            "max_tombstones": { "type": "integer", "minimum": 0, "maximum": 500, "default": 100, "description": "a key with more pruned versions than this is copied as if `history` were `compact`" },
            "recover_deleted": { "type": "boolean", "default": false, "description": "undelete soft-deleted versions of the source for the time of one read" },
            "skip": { "type": "array", "items": { "type": "string", "minLength": 1 }, "default": [], "description": "prefixes of paths to leave out, such as those that may not be read" },
        },
        "required": ["mount"],
        "additionalProperties": false,
    })
}

pub(crate) fn plan(input: &Value, cursor: Option<&str>) -> Result<Page, Failure> {
    let input = Input::deserialize(input).map_err(|error| Failure::invalid_input(error.to_string()))?;
    let cursor: Option<Cursor> =
        cursor.map(serde_json::from_str).transpose().map_err(|_| Failure::invalid_input("the cursor is not of this plugin"))?;
    let source = if input.from == From::Kv { Some(Mount::find(SOURCE, &input.mount)?) } else { None };
    let target = Mount::find(TARGET, input.target_mount.as_ref().unwrap_or(&input.mount))?;
    if input.recover_deleted && (target.kind == Kind::V1 || source.as_ref().is_none_or(|mount| mount.kind == Kind::V1)) {
        return Err(Failure::invalid_input("`recover_deleted` needs v2 mounts on both sides"));
    }
    let sides = Sides { source, target };
    let mut draft = Draft::new(&input, &sides, cursor.unwrap_or_default());
    if sides.loses_constraints() && draft.cursor.constraints.is_none() {
        let (constraints, requests) = Constraints::read()?;
        draft.cursor.constraints = Some(constraints);
        draft.requests = requests;
    }
    match &sides.source {
        Some(mount) => draft.keys(mount)?,
        None => draft.files()?,
    }
    draft.page()
}

impl<'p> Draft<'p> {
    fn new(input: &'p Input, sides: &'p Sides, cursor: Cursor) -> Self {
        Self { input, sides, cursor, changes: Vec::new(), unreadable: Vec::new(), requests: 0, more: false }
    }

    fn keys(&mut self, mount: &Mount) -> Result<(), Failure> {
        let infix = if mount.kind == Kind::V2 { "metadata" } else { "" };
        let after = self.cursor.after.clone();
        let (prefix, skip) = (&self.input.prefix, &self.input.skip);
        let mut walk = Walk { role: SOURCE, mount: &mount.name, infix, prefix, skip, after: &after, requests: 0 };
        walk.go(&mut |met, listed| {
            // A page ends where a key follows, so that names without a change of their own find one.
            if matches!(met, Met::Key(_)) && self.full(listed) {
                self.more = true;
                return Ok(ControlFlow::Break(()));
            }
            let path = match met {
                Met::Unreadable(path) => {
                    self.unreadable.push(format!("{path}*"));
                    return Ok(ControlFlow::Continue(()));
                }
                Met::NotAddressable(path) => {
                    self.miss(path);
                    path
                }
                Met::Key(path) => {
                    let key = Key::new(&mount.name, path);
                    let origin = if mount.kind == Kind::V2 { Origin::Versioned(key) } else { Origin::Single(key) };
                    if self.take(origin, path, listed)?.is_break() {
                        self.more = true;
                        return Ok(ControlFlow::Break(()));
                    }
                    path
                }
            };
            path.clone_into(&mut self.cursor.after);
            Ok(ControlFlow::Continue(()))
        })
    }

    fn files(&mut self) -> Result<(), Failure> {
        // A file's secrets are not cut: a page ends between files.
        let after = self.cursor.after.clone();
        crate::walk::walk(SOURCE, &self.input.prefix, &after, &mut |file, _| {
            if file == after {
                return Ok(ControlFlow::Continue(()));
            }
            if self.full(0) {
                self.more = true;
                return Ok(ControlFlow::Break(()));
            }
            for piece in Piece::all(file, self.input.each)? {
                let path = name::path_of(&piece.file, piece.key.as_deref());
                if path.split('/').all(addressable) && piece.key.as_ref().is_none_or(|key| !key.contains('/')) {
                    // A file has no versions: there is room.
                    let _ = self.take(Origin::File(piece), &path, 0)?;
                } else {
                    self.miss(&path);
                }
            }
            file.clone_into(&mut self.cursor.after);
            Ok(ControlFlow::Continue(()))
        })
    }

    fn full(&self, listed: u32) -> bool {
        self.changes.len() >= PAGE || (!self.changes.is_empty() && self.requests + listed >= REQUESTS)
    }

    fn miss(&mut self, path: &str) {
        self.cursor.pending.push(path.to_owned());
        self.cursor.not_addressable += 1;
    }

    /// Plans one secret, unless it has more versions than this page has requests left.
    fn take(&mut self, origin: Origin, path: &str, listed: u32) -> Result<ControlFlow<()>, Failure> {
        // Both sides are read.
        let left = CALL.saturating_sub(self.requests + listed) / 2;
        let most = if self.changes.is_empty() { history::MOST } else { usize::try_from(left).unwrap_or(0).min(history::MOST) };
        let rest = path.strip_prefix(self.input.prefix.as_str()).unwrap_or(path);
        let prefix = self.input.target_prefix.as_ref().unwrap_or(&self.input.prefix);
        let target = Key::new(&self.sides.target.name, &format!("{prefix}{rest}"));
        let key = origin.key().cloned();
        let offered = offer(self.input, self.sides, origin, target, most)?;
        self.requests += offered.requests;
        match offered.offer {
            Offer::Change(mut change) => {
                let losses = self.cursor.constraints.iter().zip(&key).flat_map(|(constraints, key)| constraints.losses(key));
                change.losses.extend(losses);
                self.changes.push(*change);
            }
            Offer::Unreadable => self.unreadable.push(path.to_owned()),
            Offer::NotAddressable => self.miss(path),
            Offer::Gone => {}
            Offer::Later => return Ok(ControlFlow::Break(())),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn page(mut self) -> Result<Page, Failure> {
        if !self.unreadable.is_empty() {
            let text = listed(&self.unreadable);
            return Err(Failure::denied(format!(
                "{SOURCE} has secrets that this token may not read: {text}; name them in `skip` to leave them out"
            )));
        }
        self.cursor.changes += u64::try_from(self.changes.len()).unwrap_or(u64::MAX);
        if let (Some(change), false) = (self.changes.last_mut(), self.cursor.pending.is_empty()) {
            let count = u32::try_from(self.cursor.pending.len()).unwrap_or(u32::MAX);
            change.summary = format!("{}; {count} names beside it cannot be addressed", change.summary);
            change.losses.push(Loss { count, ..Loss::new("not-addressable", listed(&self.cursor.pending)) });
            self.cursor.pending.clear();
        }
        if self.more {
            return Ok(Page { changes: self.changes, next: Some(json!(self.cursor).to_string()), output: None });
        }
        if !self.cursor.pending.is_empty() {
            let text = listed(&self.cursor.pending);
            return Err(Failure::unsupported(format!("there is nothing to copy but names that cannot be addressed: {text}")));
        }
        let output = json!({ "keys": self.cursor.changes, "not_addressable": self.cursor.not_addressable });
        Ok(Page { changes: self.changes, next: None, output: Some(output) })
    }
}

/// The first names, and how many more there are; for people.
pub(crate) fn listed(names: &[String]) -> String {
    let printable = |name: &String| name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
    let first = names.iter().take(NAMED).map(printable).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{first} and {more} more"),
        None => first,
    }
}
