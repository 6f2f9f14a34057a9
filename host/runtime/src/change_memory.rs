//! What the host remembers of a change between hooks, kept in the sealed log.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cutover_engine::{ChangeNo, Failure, FailureCase, Object};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    sealed_log::{Kind, SealedLog},
    sealing::{Scope, SealedEntry, SealingKey},
    session::{Access, RawResponse},
};

/// One change's memory. Hooks of one change never run together, so the lock is never contended.
pub struct ChangeMemory {
    /// The tokens that are valid in its hooks.
    pub scope: Arc<Scope>,
    change: ChangeNo,
    log: Arc<SealedLog>,
    inner: Mutex<Remembered>,
}

/// What was captured, expected, left behind and noted.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The pre-image; the outer none means that nothing was captured yet.
    pub pre_image: Option<Option<Value>>,
    /// What apply is to reach.
    pub expected: Option<Value>,
    /// The state after the last writing hook.
    pub after: Option<Option<Value>>,
    /// The plugin's last memo.
    pub memo: Option<Value>,
    /// Objects that the first capture read.
    pub captured: HashSet<Object>,
    /// Reads of the subject that worked at the first capture: the old path, as a retirement must find it refused.
    pub alive: HashSet<Access>,
    /// Objects for which a write was sent.
    pub written: HashSet<Object>,
    /// How many of the scope's notes are stored.
    noted: usize,
}

/// The stored form of a pre-image.
#[derive(Serialize, Deserialize)]
struct StoredPreImage {
    state: Option<Value>,
    read: Vec<Object>,
    #[serde(default)]
    alive: Vec<Access>,
    tokens: Vec<SealedEntry>,
}

/// The stored form of a document with its tokens.
#[derive(Serialize, Deserialize)]
struct Stored {
    document: Option<Value>,
    tokens: Vec<SealedEntry>,
}

impl ChangeMemory {
    /// What the sealed log holds of a change; empty if nothing happened yet.
    pub fn load(log: Arc<SealedLog>, key: Arc<SealingKey>, change: ChangeNo, label: String) -> Result<Self, Failure> {
        let scope = Scope::new(key, label);
        let mut inner = Remembered::default();
        if let Some(stored) = read::<StoredPreImage>(log.first(Kind::PreImage, change))? {
            scope.import(stored.tokens);
            inner.pre_image = Some(stored.state);
            inner.captured = stored.read.into_iter().collect();
            inner.alive = stored.alive.into_iter().collect();
            inner.expected = read::<Stored>(log.latest(Kind::Expected, change))?.and_then(|stored| stored.document);
            inner.after = read::<Stored>(log.latest(Kind::After, change))?.map(|stored| stored.document);
            if let Some(memo) = read::<Stored>(log.latest(Kind::Memo, change))? {
                scope.import(memo.tokens);
                inner.memo = memo.document;
            }
            for stored in log.all(Kind::Token, change).map_err(broken)? {
                let entries = parse::<Vec<SealedEntry>>(&stored)?;
                inner.written.extend(entries.iter().filter_map(written_object));
                scope.import(entries);
            }
        }
        inner.noted = scope.mark();
        Ok(Self { scope, change, log, inner: Mutex::new(inner) })
    }

    /// What is remembered now.
    pub fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a capture: the first one's state is the pre-image for ever; later ones only move what is expected.
    pub fn store_capture(
        &self,
        state: Option<Value>,
        expected: Option<Value>,
        read: HashSet<Object>,
        alive: Vec<Access>,
        raw: &[RawResponse],
    ) -> Result<(), Failure> {
        let mut inner = self.remembered();
        if inner.pre_image.is_none() {
            self.append(Kind::Raw, raw)?;
            let tokens = state.as_ref().map(|state| self.scope.export(state)).unwrap_or_default();
            let stored = StoredPreImage { state, read: read.iter().cloned().collect(), alive: alive.clone(), tokens };
            self.append(Kind::PreImage, &stored)?;
            inner.pre_image = Some(stored.state);
            // Later captures widen nothing: what they read besides is in no stored pre-image.
            inner.captured = read;
            inner.alive = alive.into_iter().collect();
        }
        self.append(Kind::Expected, &Stored { document: expected.clone(), tokens: Vec::new() })?;
        inner.expected = expected;
        Ok(())
    }

    /// Stores what a look after a writing hook found.
    pub fn store_after(&self, state: Option<Value>) -> Result<(), Failure> {
        self.append(Kind::After, &Stored { document: state.clone(), tokens: Vec::new() })?;
        self.remembered().after = Some(state);
        Ok(())
    }

    /// Stores the plugin's memo.
    pub fn store_memo(&self, memo: Value) -> Result<(), Failure> {
        let tokens = self.scope.export(&memo);
        self.append(Kind::Memo, &Stored { document: Some(memo.clone()), tokens })?;
        self.remembered().memo = Some(memo);
        Ok(())
    }

    /// Stores what the scope noted since the last call: values generated or about to be written.
    pub fn store_notes(&self) -> Result<(), Failure> {
        let mut inner = self.remembered();
        let entries = self.scope.entries_since(inner.noted);
        if entries.is_empty() {
            return Ok(());
        }
        self.append(Kind::Token, &entries)?;
        inner.noted += entries.len();
        inner.written.extend(entries.iter().filter_map(written_object));
        Ok(())
    }

    /// The raw responses of the first capture: the last resort that does not depend on the plugin.
    pub fn raw(&self) -> Result<Vec<RawResponse>, Failure> {
        Ok(read(self.log.first(Kind::Raw, self.change))?.unwrap_or_default())
    }

    fn append(&self, kind: Kind, value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
        let bytes = Zeroizing::new(serde_json::to_vec(value).map_err(|error| broken(error.to_string()))?);
        self.log.append(kind, self.change, &bytes).map(drop).map_err(broken)
    }
}

fn written_object(entry: &SealedEntry) -> Option<Object> {
    match entry {
        SealedEntry::Written { object, .. } => Some(object.clone()),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(entry: Result<Option<Zeroizing<Vec<u8>>>, crate::sealed_log::SealedLogError>) -> Result<Option<T>, Failure> {
    entry.map_err(broken)?.map(|bytes| parse(&bytes)).transpose()
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| broken(format!("an entry cannot be read: {error}")))
}

/// The state folder failed: nothing goes on without it.
fn broken(error: impl ToString) -> Failure {
    Failure { case: FailureCase::Exhausted, code: Some("CUT3407".to_owned()), text: format!("the sealed log: {}", error.to_string()) }
}
