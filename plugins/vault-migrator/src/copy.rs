//! `copy-files`: a legacy folder into an age-encrypted one, one change per secret.

use std::ops::ControlFlow;

use cutover_plugin::{
    Action, Change, Check, Failure, Guard, Loss, Object, Operation, Page, Prior, Progress, Role, Route, Seen, Snapshot, Stage, sealed::Form,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    folder,
    instruction::{Copied, Instruction},
    name::{self, FileName},
    number,
    walk::walk,
};

pub(crate) const NAME: &str = "copy-files";

const SOURCE: &str = "source";
const TARGET: &str = "target";

/// Changes of one page of a plan.
const PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Input {
    prefix: String,
    each: Each,
    into: String,
    existing: Existing,
}

impl Default for Input {
    fn default() -> Self {
        Self { prefix: String::new(), each: Each::Key, into: String::new(), existing: Existing::Refuse }
    }
}

/// What one copy is of.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Each {
    Key,
    File,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Existing {
    Refuse,
    Replace,
}

/// The last secret of a page; the next page begins after it.
#[derive(Default, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Position {
    file: String,
    key: Option<String>,
}

/// A legacy file, or one top-level key of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Piece {
    pub(crate) file: String,
    /// None for the whole document.
    pub(crate) key: Option<String>,
    /// Whether a copy is `{"value": …}` or the document itself.
    pub(crate) wrapped: bool,
}

/// One secret of a legacy file.
struct Secret {
    key: Option<String>,
    wrapped: bool,
    document: Value,
}

pub(crate) fn operation() -> Operation {
    let read = || Route::read("GET", "/{+path}");
    let source = Role::one(SOURCE).kind("file").route(read()).route(Route::read("LIST", "/{+path}").public_response("/keys"));
    let target = Role::one(TARGET)
        .kind("file")
        .route(read())
        .route(Route::write("PUT", "/{+path}").status_only())
        .route(Route::write("DELETE", "/{+path}").status_only());
    let input = json!({
        "type": "object",
        "properties": {
            "prefix": { "type": "string", "default": "", "description": "only legacy files whose path begins with it" },
            "each": { "enum": ["key", "file"], "default": "key", "description": "one copy per top-level key, or per file" },
            "into": { "type": "string", "default": "", "pattern": "^[^/]", "description": "put in front of each copy's path" },
            "existing": { "enum": ["refuse", "replace"], "default": "refuse", "description": "what to do where the target holds another value" },
        },
        "additionalProperties": false,
    });
    Operation::migrate(NAME, "copies legacy secret files into an age-encrypted folder, one change per secret")
        .input(input)
        .role(source)
        .role(target)
        .flow(SOURCE, TARGET)
}

pub(crate) fn plan(input: &Value, cursor: Option<&str>) -> Result<Page, Failure> {
    let input = Input::deserialize(input).map_err(|error| Failure::invalid_input(error.to_string()))?;
    let after: Option<Position> =
        cursor.map(serde_json::from_str).transpose().map_err(|_| Failure::invalid_input("the cursor is not of this plugin"))?;
    let from = after.as_ref().map_or("", |position| &position.file);
    let (mut changes, mut last, mut next) = (Vec::new(), None, None);
    walk(SOURCE, &input.prefix, from, &mut |path, form| {
        for secret in secrets(path, input.each)? {
            let position = Position { file: path.to_owned(), key: secret.key.clone() };
            if after.as_ref().is_some_and(|after| position <= *after) {
                continue;
            }
            if changes.len() == PAGE {
                next = last.take();
                return Ok(ControlFlow::Break(()));
            }
            changes.push(planned(&input, path, form, secret)?);
            last = Some(position);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Page::of(changes).followed_by(next.map(|position: Position| json!(position).to_string())))
}

pub(crate) fn capture(copied: &Copied) -> Result<Snapshot, Failure> {
    let expected = wanted(copied)?;
    let state = folder::read(TARGET, &copied.target)?.map(|present| present.value);
    Ok(Snapshot { state, expected: Some(expected) })
}

pub(crate) fn apply(copied: &Copied, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
    let wanted = wanted(copied)?;
    let (object, present) = (copied.object(), folder::read(TARGET, &copied.target)?);
    Guard::new(&object, &copied.seen, pre_image, memo)?.apply(present.as_ref(), &wanted, write(copied))
}

pub(crate) fn rollback(copied: &Copied, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
    let (object, present) = (copied.object(), folder::read(TARGET, &copied.target)?);
    Guard::new(&object, &copied.seen, pre_image, memo)?.rollback(present.as_ref(), || wanted(copied), write(copied))
}

pub(crate) fn verify(copied: &Copied, pre_image: Option<&Value>, stage: Stage) -> Result<Vec<Check>, Failure> {
    let present = folder::read(TARGET, &copied.target)?.map(|present| present.value);
    let (should, words) = match stage {
        Stage::RolledBack => (pre_image.cloned(), "what was there before".to_owned()),
        Stage::Applied | Stage::Retired => (Some(wanted(copied)?), format!("{SOURCE}:{}", copied.source)),
    };
    Ok(vec![Check::application(
        "reads-back",
        present == should,
        format!("{TARGET}:{} was read again and compared with {words}", copied.target),
    )])
}

/// The secrets of a legacy file, in byte order of their keys.
fn secrets(path: &str, each: Each) -> Result<Vec<Secret>, Failure> {
    let Some(present) = folder::read(SOURCE, path)? else { return Ok(Vec::new()) };
    Ok(match present.value {
        Value::Object(map) if each == Each::Key => {
            let secret = |(key, value)| Secret { key: Some(key), wrapped: true, document: json!({ "value": value }) };
            map.into_iter().map(secret).collect()
        }
        // Without names, as in a PEM file, the whole is the secret.
        value if each == Each::Key => vec![Secret { key: None, wrapped: true, document: json!({ "value": value }) }],
        document => vec![Secret { key: None, wrapped: false, document }],
    })
}

/// The change of one secret; with a conflict if its target holds another value.
fn planned(input: &Input, path: &str, form: Form, secret: Secret) -> Result<Change, Failure> {
    let target = name::target(&input.into, path, secret.key.as_deref())?;
    let present = folder::read(TARGET, &target)?;
    let replace = input.existing == Existing::Replace;
    let (action, by_hand) = match &present {
        None => (Action::Create, format!("delete {target} from the target folder")),
        Some(_) => (Action::Update, format!("put the captured document back to {target} in the target folder")),
    };
    let in_the_way = !replace && present.as_ref().is_some_and(|present| present.value != secret.document);
    let piece = Piece { file: path.to_owned(), key: secret.key.clone(), wrapped: secret.wrapped };
    let summary = format!("copy {} to {target}", piece.shown());
    let change = Change::new(action, Object::new(TARGET, &target)).summary(summary).by_hand(by_hand);
    let mut change = losses(path, form).into_iter().fold(change.group(group(path)), Change::loss);
    if in_the_way {
        change = change.conflict("the target holds another value; `existing = \"replace\"` would replace it");
    }
    let copied = Copied {
        source: path.to_owned(),
        key: secret.key,
        wrapped: secret.wrapped,
        target,
        seen: Seen::of(present.as_ref()).wanting(&secret.document),
    };
    change.instruct(&Instruction::Copy(copied))
}

/// The first folder, or the name of a file in none.
pub(crate) fn group(path: &str) -> &str {
    path.split_once('/').map_or_else(|| FileName::parse(path).map_or(path, |file| file.stem), |(folder, _)| folder)
}

fn losses(path: &str, form: Form) -> Vec<Loss> {
    let mut losses = vec![Loss::new("file-mode", format!("owner and mode of {path}"))];
    if form != Form::Json {
        losses.push(Loss::new("file-comments", format!("comments, order and quoting of {path}")));
    }
    if matches!(form, Form::Yaml | Form::Toml) {
        losses.push(Loss::new("file-format", format!("dates, anchors and tags of {path}")));
    }
    losses
}

/// What the copy should hold.
fn wanted(copied: &Copied) -> Result<Value, Failure> {
    copied.piece().read()
}

/// Puts a document to the copy's file, or removes it.
fn write(copied: &Copied) -> impl FnOnce(Option<&Value>, &Prior) -> Result<(), Failure> {
    |document, prior| folder::write(TARGET, &copied.target, document, prior)
}

impl Copied {
    fn object(&self) -> Object {
        Object::new(TARGET, &self.target)
    }

    /// What it is a copy of.
    pub(crate) fn piece(&self) -> Piece {
        Piece { file: self.source.clone(), key: self.key.clone(), wrapped: self.wrapped }
    }
}

impl Piece {
    /// The pieces of a legacy file, for stores whose documents have names in them.
    pub(crate) fn all(file: &str, each: Each) -> Result<Vec<Self>, Failure> {
        let piece =
            |secret: Secret| Self { file: file.to_owned(), wrapped: secret.wrapped || !secret.document.is_object(), key: secret.key };
        Ok(secrets(file, each)?.into_iter().map(piece).collect())
    }

    /// The document: read from the legacy file, or from where it was moved aside.
    pub(crate) fn read(&self) -> Result<Value, Failure> {
        self.read_with_numbers().map(|(document, _)| document)
    }

    /// The same with where its numbers are that KV v2 does not keep; nothing of a file that was moved aside.
    pub(crate) fn read_with_numbers(&self) -> Result<(Value, Vec<String>), Failure> {
        let gone = |what: &str| Failure::not_found(format!("{SOURCE}:{}: {what}", self.file));
        let (whole, mut inexact) = match folder::read_with_numbers(SOURCE, &self.file)? {
            Some(read) => read,
            None => (put_aside(&self.file)?.ok_or_else(|| gone("the file is there no longer"))?, Vec::new()),
        };
        let document = match &self.key {
            None => whole,
            Some(key) => whole.get(key).cloned().ok_or_else(|| gone(&format!("it has no key {} any more", key.escape_debug())))?,
        };
        if let Some(key) = &self.key {
            let place = number::pointer(key);
            inexact.retain(|number| number.strip_prefix(&place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        }
        Ok((if self.wrapped { json!({ "value": document }) } else { document }, inexact))
    }

    /// What its copies lose because it is of a file.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        let name = self.file.rsplit_once('/').map_or(self.file.as_str(), |(_, name)| name);
        FileName::parse(name).map_or_else(Vec::new, |name| losses(&self.file, name.form))
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        self.key.as_ref().map_or_else(|| self.file.clone(), |key| format!("{} of {}", key.escape_debug(), self.file))
    }
}

/// The document of a legacy file that was moved aside.
fn put_aside(source: &str) -> Result<Option<Value>, Failure> {
    let name = source.rsplit_once('/').map_or(source, |(_, name)| name);
    FileName::parse(name).map_or(Ok(None), |file| folder::read_as(SOURCE, &name::aside(source), file.form))
}

#[cfg(test)]
mod tests;
