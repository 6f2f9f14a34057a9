//! `copy-kv`: secrets with all their versions into a KV mount, one change per key.

use std::ops::ControlFlow;

use cutover_plugin::{Change, Failure, Loss, Operation, Page, Role, Route};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    SOURCE, TARGET, history,
    key::{Key, addressable},
    listing::{self, Missed, Portion, refused},
    mount::Mount,
    offer::{Offer, Sides, offer},
    origin::Origin,
    walk::skips,
};
use crate::{
    copy::{Each, Piece},
    name,
};

pub(crate) const NAME: &str = "copy-kv";

/// Requests after which a page ends.
const REQUESTS: u32 = 600;

/// Requests of one call, with a little room below what the host allows.
pub(super) const CALL: u32 = 950;

/// Names that a refusal gives; it counts the others.
pub(super) const NAMED: usize = 5;

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

/// Which page.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Cursor {
    /// The list behind this path. The first page lists from the beginning.
    List { after: String },
    /// Secrets that were listed.
    Secrets(Portion),
}

impl Cursor {
    pub(super) fn text(&self) -> String {
        json!(self).to_string()
    }
}

/// A page that is being made.
struct Draft<'p> {
    input: &'p Input,
    portion: &'p Portion,
    /// As the portion's, with those that a server refuses.
    missed: Missed,
    changes: Vec<Change>,
    unreadable: Vec<String>,
    requests: u32,
}

pub(crate) fn operation() -> Operation {
    let read = |method: &str, path: &str| Route::read(method, path);
    let key = "{+mount}/{+path}";
    let kv_reads = |role: Role| {
        role.kind("vault")
            .route(read("GET", "/v1/sys/internal/ui/mounts/{+path}"))
            .route(read("GET", "/v1/{+mount}/config"))
            .route(read("GET", "/v1/{+mount}/metadata/{+path}").object(key))
            .route(read("GET", "/v1/{+mount}/data/{+path}").object(key))
            .route(read("GET", "/v1/{+path}"))
    };
    let state = |infix: &str| Route::write("PUT", &format!("/v1/{{+mount}}/{infix}/{{+path}}")).object(key).public_request("/versions");
    // The target is never listed, and its policies are of no interest.
    let source = kv_reads(Role::one(SOURCE))
        .route(read("LIST", "/v1/sys/policies/acl"))
        .route(read("GET", "/v1/sys/policies/acl/{+path}"))
        .route(read("LIST", "/v1/{+mount}/metadata/{+path}").object(key))
        .route(read("LIST", "/v1/{+path}"))
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
            "recover_deleted": { "type": "boolean", "default": false, "description": "undelete soft-deleted versions of the source for the time of one read", "x-routes": { (TARGET): ["PUT /v1/{+mount}/delete/{+path}"] } },
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
    match cursor {
        None => listing::plan(&input, &sides(&input)?, ""),
        Some(Cursor::List { after }) => listing::plan(&input, &sides(&input)?, &after),
        Some(Cursor::Secrets(portion)) => Draft::new(&input, &portion).page(),
    }
}

fn sides(input: &Input) -> Result<Sides, Failure> {
    let source = if input.from == From::Kv { Some(Mount::find(SOURCE, &input.mount)?) } else { None };
    let target = Mount::find(TARGET, input.target_mount.as_ref().unwrap_or(&input.mount))?;
    if input.recover_deleted && !(target.is_versioned() && source.as_ref().is_some_and(Mount::is_versioned)) {
        return Err(Failure::invalid_input("`recover_deleted` needs v2 mounts on both sides"));
    }
    Ok(Sides { source, target })
}

impl<'p> Draft<'p> {
    fn new(input: &'p Input, portion: &'p Portion) -> Self {
        Self { input, portion, missed: portion.missed.clone(), changes: Vec::new(), unreadable: Vec::new(), requests: 0 }
    }

    /// Plans the portion's secrets, as many as one call has requests for.
    fn page(mut self) -> Result<Page, Failure> {
        let portion = self.portion;
        let names = &portion.names;
        let mut done = 0;
        while done < names.len() && !self.is_full() && self.secret(&names[done])?.is_continue() {
            done += 1;
        }
        if !self.unreadable.is_empty() {
            return Err(refused(&self.unreadable));
        }
        let rest = &names[done..];
        match self.changes.last_mut() {
            Some(change) if !self.missed.is_empty() => {
                change.summary = format!("{}; {} names beside it cannot be addressed", change.summary, self.missed.count);
                change.losses.push(Loss { count: self.missed.count, ..Loss::new("not-addressable", self.missed.told()) });
                self.missed = Missed::default();
            }
            None if rest.is_empty() && !self.missed.is_empty() => return Err(self.missed.refusal()),
            _ => {}
        }
        let behind = || Cursor::Secrets(Portion { names: rest.to_vec(), missed: self.missed, ..portion.clone() }).text();
        Ok(Page::of(self.changes).followed_by((!rest.is_empty()).then(behind)))
    }

    fn is_full(&self) -> bool {
        !self.changes.is_empty() && self.requests >= REQUESTS
    }

    /// Plans a key, or what is in a file: a file's secrets are not cut.
    fn secret(&mut self, name: &str) -> Result<ControlFlow<()>, Failure> {
        let portion = self.portion;
        if let Some(mount) = &portion.sides.source {
            let key = Key::new(&mount.name, name);
            return self.take(if mount.is_versioned() { Origin::Versioned(key) } else { Origin::Single(key) }, name);
        }
        for piece in Piece::all(name, self.input.each)? {
            let path = name::path_of(&piece.file, piece.key.as_deref());
            if skips(&self.input.skip, &path) {
                continue;
            }
            if path.split('/').all(addressable) && piece.key.as_ref().is_none_or(|key| !key.contains('/')) {
                // A file has no versions: there is room.
                let _ = self.take(Origin::File(piece), &path)?;
            } else {
                self.missed.add(&path);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Plans one secret, unless it has more versions than this page has requests left.
    fn take(&mut self, origin: Origin, path: &str) -> Result<ControlFlow<()>, Failure> {
        // Both sides are read.
        let left = CALL.saturating_sub(self.requests) / 2;
        let most = if self.changes.is_empty() { history::MOST } else { usize::try_from(left).unwrap_or(0).min(history::MOST) };
        let rest = path.strip_prefix(self.input.prefix.as_str()).unwrap_or(path);
        let prefix = self.input.target_prefix.as_ref().unwrap_or(&self.input.prefix);
        let sides = &self.portion.sides;
        let target = Key::new(&sides.target.name, &format!("{prefix}{rest}"));
        let key = origin.key().cloned();
        let offered = offer(self.input, sides, origin, target, most)?;
        self.requests += offered.requests;
        match offered.offer {
            Offer::Change(mut change) => {
                let losses = self.portion.constraints.iter().zip(&key).flat_map(|(constraints, key)| constraints.losses(key));
                change.losses.extend(losses);
                self.changes.push(*change);
            }
            Offer::Unreadable => self.unreadable.push(path.to_owned()),
            Offer::NotAddressable => self.missed.add(path),
            Offer::Gone => {}
            Offer::Later => return Ok(ControlFlow::Break(())),
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The first of so many names, and how many more there are; for people.
pub(crate) fn listed(names: &[String], count: usize) -> String {
    let printable = |name: &String| name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
    let first = names.iter().take(NAMED).map(printable).collect::<Vec<_>>().join(", ");
    match count.checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{first} and {more} more"),
        None => first,
    }
}
