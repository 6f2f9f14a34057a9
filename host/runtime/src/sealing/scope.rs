//! The tokens that are valid within one change, and where they may go.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cutover_engine::{Failure, Object, Pointer};
use serde_json::Value;

use super::{
    Call, Leaf, Origin, PREFIX, SealedEntry, SealingKey, Written, code,
    entry::{Entry, Made, SealedValue},
    refused,
    writes::{self, Answer, Writes},
};
use crate::{codec, hook::Form, secret::Secret};

/// The tokens of one change. All hooks of the change share it.
pub struct Scope {
    pub(super) key: Arc<SealingKey>,
    pub(super) label: String,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) entries: HashMap<String, Entry>,
    pub(super) generated: BTreeMap<String, (String, String, Option<String>)>,
    writes: BTreeMap<Object, Writes>,
    /// Tokens whose values left in a write, and of those that stand in one for the plugin's own literals.
    written: HashSet<String>,
    pub(super) durable: Vec<SealedEntry>,
}

/// What a place of a response is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A secret's.
    Sealed,
    /// Not a secret's, unless the change wrote the value, wherever that was.
    Public,
    /// Not a secret's, unless the change wrote the value right there.
    Known,
}

/// Decides whether values read from one role may be written to another: `Operation::allows_flow`.
pub(super) type Flows<'a> = &'a dyn Fn(&str, &str) -> bool;

impl Scope {
    /// An empty scope. The label (step and change) must be the same in every process that works on the change.
    #[must_use]
    pub fn new(key: Arc<SealingKey>, label: String) -> Arc<Self> {
        Arc::new(Self { key, label, state: Mutex::default() })
    }

    /// Whether a live secret stands in `text`.
    #[must_use]
    pub fn shows_a_secret(&self, text: &str) -> bool {
        self.key.scanner().hit(text.as_bytes())
    }

    /// A plugin's failure without a secret: what was granted in plain could be written into its text.
    #[must_use]
    pub fn strained(&self, failure: Failure) -> Failure {
        if self.shows_a_secret(&failure.text) { Failure { text: crate::drive::WITHHELD.to_owned(), ..failure } } else { failure }
    }

    /// The sealing side of one hook call. It remembers which tokens came out of responses of that very call.
    #[must_use]
    pub fn begin_call(self: &Arc<Self>) -> Call {
        Call::new(Arc::clone(self))
    }

    /// Turns a request body's tokens back. Plain scalars may stand at the public places only; `null`, `{}` and `[]` anywhere.
    ///
    /// # Errors
    /// [`code::UNKNOWN`], [`code::NO_FLOW`], [`code::LITERAL`], [`code::MISPLACED`], [`code::WRONG_KIND`].
    pub fn unseal(&self, document: &Value, to_role: &str, allowed: Flows<'_>, public: &[Pointer]) -> Result<Value, Failure> {
        let mut path = Vec::new();
        Self::unseal_at(document, &mut path, &|token| self.resolve(token, to_role, allowed), public)
    }

    /// The same for the pairs of a form. The place of a pair is its name.
    pub fn unseal_form(
        &self,
        pairs: &[(String, String)],
        to_role: &str,
        allowed: Flows<'_>,
        public: &[Pointer],
    ) -> Result<Vec<(String, Secret)>, Failure> {
        let resolve = |token: &str| self.resolve(token, to_role, allowed);
        let turn_back = |(name, value): &(String, String)| {
            Self::check_no_token(name, "the name of a form field")?;
            let secret = if value.starts_with(PREFIX) {
                resolve(value)?.value.to_secret()
            } else {
                let plain = Self::unseal_at(&Value::from(value.as_str()), &mut vec![name.clone()], &resolve, public)?;
                Secret::text(plain.as_str().unwrap_or_default().to_owned())
            };
            Ok((name.clone(), secret))
        };
        pairs.iter().map(turn_back).collect()
    }

    /// The content behind a token that stands alone: a credential for `as`, a whole file, the input of a command.
    pub fn resolve_credential(&self, token: &str, to_role: &str, allowed: Flows<'_>) -> Result<Secret, Failure> {
        Ok(self.resolve(token, to_role, allowed)?.value.to_secret())
    }

    /// Refuses text with a token in it. `place` says where the text stands, such as `the path`.
    pub fn check_no_token(text: &str, place: &str) -> Result<(), Failure> {
        if text.contains(PREFIX) { Err(refused(code::MISPLACED, format!("a sealed value cannot go into {place}"))) } else { Ok(()) }
    }

    /// A write of these values is about to leave: reads of the object give back the tokens, and salted ones for literals.
    pub fn note_written(&self, object: &Object, leaves: &[Leaf]) {
        let mut state = self.state();
        let tokens: Vec<_> = leaves.iter().filter_map(Leaf::token).map(str::to_owned).collect();
        state.persist(&tokens);
        let mut values = Vec::new();
        for leaf in leaves {
            self.take_apart(&state, leaf, &mut values);
        }
        let writes = state.writes.entry(object.clone()).or_default();
        for written in &mut values {
            written.seen = writes.seen(&written.plain);
            writes.remember(written.clone());
        }
        state.written.extend(values.iter().flat_map(Written::tokens));
        state.durable.push(SealedEntry::Written { object: object.clone(), values });
    }

    /// Whether the change wrote the value of this token, in this process or an earlier one, or made it itself.
    #[must_use]
    pub fn has_written(&self, token: &str) -> bool {
        let state = self.state();
        state.written.contains(token) || state.entries.get(token).is_some_and(|entry| entry.made != Made::No)
    }

    /// The write was refused: nothing of it stands in the object.
    pub fn note_refused(&self, object: &Object, leaves: &[Leaf]) {
        let mut state = self.state();
        let mut values = Vec::new();
        for leaf in leaves {
            self.take_apart(&state, leaf, &mut values);
        }
        let values: Vec<_> = values.into_iter().map(|written| (written.place, written.plain)).collect();
        let writes = state.writes.entry(object.clone()).or_default();
        values.iter().for_each(|(place, plain)| writes.forget(place, plain));
        state.durable.push(SealedEntry::Withdrawn { object: object.clone(), values });
    }

    /// All tokens in a document, known here or not, in order and without repetition.
    #[must_use]
    pub fn tokens_of(document: &Value) -> BTreeSet<String> {
        let mut tokens = BTreeSet::new();
        collect(document, &mut tokens);
        tokens
    }

    /// What the log must keep so that the tokens of a document mean something in another process.
    #[must_use]
    pub fn export(&self, document: &Value) -> Vec<SealedEntry> {
        let state = self.state();
        Self::tokens_of(document).into_iter().filter_map(|token| state.entry(&token)).collect()
    }

    /// Takes over what another process exported. A record that no longer fits the key is left out.
    pub fn import(&self, entries: impl IntoIterator<Item = SealedEntry>) {
        let mut state = self.state();
        for entry in entries {
            match entry {
                SealedEntry::Value { token, entry } => {
                    if self.key.token(entry.salt.as_ref(), entry.value.kind(), entry.value.canonical()) == token
                        || self.key.numbers.is_some()
                    {
                        self.insert(&mut state, token, entry);
                    }
                }
                SealedEntry::Generated { label, request, token, public } => drop(state.generated.insert(label, (request, token, public))),
                SealedEntry::Written { object, values } => {
                    state.written.extend(values.iter().flat_map(Written::tokens));
                    let writes = state.writes.entry(object).or_default();
                    values.into_iter().for_each(|written| writes.remember(written));
                }
                SealedEntry::Withdrawn { object, values } => {
                    let writes = state.writes.entry(object).or_default();
                    values.iter().for_each(|(place, plain)| writes.forget(place, plain));
                }
            }
        }
    }

    /// How many durable records there are so far.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.state().durable.len()
    }

    /// The records since a mark: generated values before `generate` returns, written ones before the request leaves.
    #[must_use]
    pub fn entries_since(&self, mark: usize) -> Vec<SealedEntry> {
        self.state().durable.get(mark..).unwrap_or_default().to_vec()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the token of a value.
    pub(super) fn mint(&self, entry: Entry) -> String {
        let token = self.key.token(entry.salt.as_ref(), entry.value.kind(), entry.value.canonical());
        self.insert(&mut self.state(), token.clone(), entry);
        token
    }

    /// Whether the change wrote to where a response comes from: only then can a public place of it show what was written.
    pub(super) fn has_written_to(&self, origin: &Origin) -> bool {
        let state = self.state();
        origin.object.as_ref().is_some_and(|object| state.writes.get(object).is_some_and(|writes| !writes.is_empty()))
    }

    /// What a response shows of a value at a place of an object: none for a value that may be public.
    pub(super) fn mint_read(&self, value: SealedValue, origin: &Origin, place: &str, kind: Place) -> Option<String> {
        let is_public = kind != Place::Sealed;
        let plain = self.plain(&value);
        let mut state = self.state();
        let answer = origin.object.as_ref().and_then(|object| state.writes.get(object)?.find(place, &plain, kind != Place::Known)).cloned();
        match (answer, &origin.object) {
            (Some(Answer::Token(written)), _) if written != plain => {
                // It now also stands at this origin, but who made it does not change.
                if let Some(known) = state.entries.get_mut(&written) {
                    known.origins.extend(Entry::read(value, &origin.role).origins);
                }
                Some(written)
            }
            (Some(Answer::Literal), _) if is_public => None,
            (Some(Answer::Literal | Answer::Crafted), Some(object)) => {
                let salt = self.key.salt(&self.label, &[b"literal", writes::name_of(object).as_bytes(), place.as_bytes()]);
                let entry = Entry { salt: Some(salt), made: Made::Literal, ..Entry::read(value, &origin.role) };
                let token = self.key.token(Some(&salt), entry.value.kind(), entry.value.canonical());
                self.insert(&mut state, token.clone(), entry);
                Some(token)
            }
            (None, _) if is_public => None,
            (answer, object) => {
                if let (None, Some(object)) = (answer, object) {
                    state.writes.entry(object.clone()).or_default().see(place, &plain);
                }
                self.insert(&mut state, plain.clone(), Entry::read(value, &origin.role));
                Some(plain)
            }
        }
    }

    fn plain(&self, value: &SealedValue) -> String {
        self.key.token(None, value.kind(), value.canonical())
    }

    fn insert(&self, state: &mut State, token: String, entry: Entry) {
        // What was written in plain is no secret; if it equals one, that one is watched already.
        if entry.made != Made::Literal {
            self.key.scanner.watch(entry.value.to_secret().expose());
        }
        match state.entries.get_mut(&token) {
            Some(known) => known.merge(entry),
            None => drop(state.entries.insert(token, entry)),
        }
    }

    /// What a leaf puts where: also the parts of a text that is the whole content, since it may be read as a document.
    fn take_apart(&self, state: &State, leaf: &Leaf, values: &mut Vec<Written>) {
        let entry = leaf.token().and_then(|token| state.entries.get(token));
        let value = match (entry, leaf.token()) {
            (Some(entry), _) => entry.value.clone(),
            (None, Some(_)) => return,
            (None, None) => SealedValue::scalar(&leaf.value),
        };
        let is_made = entry.is_none_or(|entry| entry.made != Made::No);
        if let (true, true, Some(Value::String(text))) = (leaf.place.is_empty(), is_made, value.to_json()) {
            for form in [Form::Json, Form::Toml, Form::Dotenv, Form::Yaml] {
                for part in codec::parse(form, &text).map(|document| Leaf::of(&document)).unwrap_or_default() {
                    let plain = self.plain(&SealedValue::scalar(&part.value));
                    let put_in = entry.and_then(|entry| entry.leaves.iter().find(|(place, _)| *place == part.place));
                    let answer = match (put_in, entry) {
                        (Some((_, token)), _) => Answer::Token(token.clone()),
                        (None, Some(Entry { salt: None, .. })) => Answer::Token(plain.clone()),
                        _ => Answer::Crafted,
                    };
                    if !part.place.is_empty() {
                        values.push(Written { place: part.place, plain, answer, seen: BTreeSet::new() });
                    }
                }
            }
        }
        let answer = leaf.token().map_or(Answer::Literal, |token| Answer::Token(token.to_owned()));
        values.push(Written { place: leaf.place.clone(), plain: self.plain(&value), answer, seen: BTreeSet::new() });
    }

    pub(super) fn known(&self, token: &str) -> Result<Entry, Failure> {
        match self.state().entries.get(token) {
            Some(entry) => Ok(entry.clone()),
            None if is_token(token) => Err(refused(code::UNKNOWN, "a sealed value is not of this change")),
            None if token.contains(PREFIX) => Err(refused(code::MISPLACED, "a sealed value stands inside a longer string")),
            None => Err(refused(code::UNKNOWN, "this is no sealed value")),
        }
    }

    fn resolve(&self, token: &str, to_role: &str, allowed: Flows<'_>) -> Result<Entry, Failure> {
        let entry = self.known(token)?;
        let may_go = |way: &BTreeSet<String>| way.iter().all(|from| from == to_role || allowed(from, to_role));
        if entry.origins.iter().any(may_go) {
            return Ok(entry);
        }
        let from: BTreeSet<_> = entry.origins.iter().flatten().map(String::as_str).collect();
        let from = from.into_iter().collect::<Vec<_>>().join("`, `");
        Err(refused(code::NO_FLOW, format!("no flow of the operation leads from `{from}` to `{to_role}`")))
    }

    fn unseal_at(
        value: &Value,
        path: &mut Vec<String>,
        resolve: &dyn Fn(&str) -> Result<Entry, Failure>,
        public: &[Pointer],
    ) -> Result<Value, Failure> {
        match value {
            Value::Null => Ok(Value::Null),
            Value::Object(map) => {
                let turn_back = |(key, value): (&String, &Value)| {
                    Self::check_no_token(key, "an object's key")?;
                    path.push(key.clone());
                    let value = Self::unseal_at(value, path, resolve, public);
                    path.pop();
                    value.map(|value| (key.clone(), value))
                };
                map.iter().map(turn_back).collect::<Result<_, _>>().map(Value::Object)
            }
            Value::Array(items) => {
                let turn_back = |(index, value): (usize, &Value)| {
                    path.push(index.to_string());
                    let value = Self::unseal_at(value, path, resolve, public);
                    path.pop();
                    value
                };
                items.iter().enumerate().map(turn_back).collect()
            }
            Value::String(text) if text.contains(PREFIX) => {
                let scalar = resolve(text)?.value.to_json();
                scalar.ok_or_else(|| refused(code::WRONG_KIND, format!("the value at {} is bytes; render it as base64 first", place(path))))
            }
            plain if is_public(path, public) => Ok(plain.clone()),
            _ => Err(refused(code::LITERAL, format!("{} takes only sealed or generated values and empty documents", place(path)))),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.label)
    }
}

impl State {
    fn entry(&self, token: &str) -> Option<SealedEntry> {
        self.entries.get(token).map(|entry| SealedEntry::Value { token: token.to_owned(), entry: entry.clone() })
    }

    pub(super) fn persist(&mut self, tokens: &[String]) {
        let entries: Vec<_> = tokens.iter().filter_map(|token| self.entry(token)).collect();
        self.durable.extend(entries);
    }
}

fn is_public(path: &[String], public: &[Pointer]) -> bool {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    covers(public, &path)
}

/// Whether one of the pointers is this place or above it.
pub(super) fn covers(pointers: &[Pointer], path: &[&str]) -> bool {
    pointers.iter().any(|pointer| pointer.covers(path))
}

fn place(path: &[String]) -> String {
    if path.is_empty() { "the document".to_owned() } else { format!("`/{}`", path.join("/")) }
}

fn is_token(text: &str) -> bool {
    text.strip_prefix(PREFIX)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
}

fn collect(document: &Value, tokens: &mut BTreeSet<String>) {
    match document {
        Value::String(text) if is_token(text) => drop(tokens.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| collect(item, tokens)),
        Value::Object(map) => map.values().for_each(|item| collect(item, tokens)),
        _ => {}
    }
}
