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
    session::RawResponse,
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
    /// Objects that capture read.
    pub captured: HashSet<Object>,
    /// Objects for which a write was sent.
    pub written: HashSet<Object>,
}

/// The stored form of a pre-image.
#[derive(Serialize, Deserialize)]
struct StoredPreImage {
    state: Option<Value>,
    read: Vec<Object>,
    tokens: Vec<SealedEntry>,
}

/// The stored form of a document with its tokens.
#[derive(Serialize, Deserialize)]
struct Stored {
    document: Option<Value>,
    tokens: Vec<SealedEntry>,
}

/// The stored form of a request about to be sent: the tokens that its body held.
#[derive(Serialize, Deserialize)]
struct StoredWrite {
    objects: Vec<Object>,
    tokens: Vec<SealedEntry>,
}

impl ChangeMemory {
    /// What the sealed log holds of a change; empty if nothing happened yet.
    pub fn load(log: Arc<SealedLog>, key: Arc<SealingKey>, change: ChangeNo, label: String) -> Result<Self, Failure> {
        let scope = Arc::new(Scope::new(key, label));
        let mut inner = Remembered::default();
        if let Some(stored) = read::<StoredPreImage>(log.first(Kind::PreImage, change))? {
            scope.import(stored.tokens);
            inner.pre_image = Some(stored.state);
            inner.captured = stored.read.into_iter().collect();
            inner.expected = read::<Stored>(log.latest(Kind::Expected, change))?.and_then(|stored| stored.document);
            inner.after = read::<Stored>(log.latest(Kind::After, change))?.map(|stored| stored.document);
            if let Some(memo) = read::<Stored>(log.latest(Kind::Memo, change))? {
                scope.import(memo.tokens);
                inner.memo = memo.document;
            }
            for entry in log.all(Kind::Generated, change).map_err(broken)? {
                scope.import(parse::<Vec<SealedEntry>>(&entry)?);
            }
            for entry in log.all(Kind::Written, change).map_err(broken)? {
                let stored = parse::<StoredWrite>(&entry)?;
                let tokens: Vec<String> = stored.tokens.iter().map(|entry| entry.token().to_owned()).collect();
                scope.import(stored.tokens);
                stored.objects.iter().for_each(|object| scope.note_written(object, &tokens));
                inner.written.extend(stored.objects);
            }
        }
        Ok(Self { scope, change, log, inner: Mutex::new(inner) })
    }

    /// What is remembered now.
    pub fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a capture: the first one's state is the pre-image for ever; later ones only move what is expected.
    pub fn store_capture(&self, state: Option<Value>, expected: Option<Value>, read: HashSet<Object>, raw: &[RawResponse]) -> Result<(), Failure> {
        let mut inner = self.remembered();
        if inner.pre_image.is_none() {
            self.append(Kind::Raw, raw)?;
            let tokens = state.as_ref().map(|state| self.scope.export(state)).unwrap_or_default();
            let stored = StoredPreImage { state, read: read.iter().cloned().collect(), tokens };
            self.append(Kind::PreImage, &stored)?;
            inner.pre_image = Some(stored.state);
        }
        inner.captured.extend(read);
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

    /// Stores what a request is about to write.
    pub fn store_write(&self, objects: Vec<Object>, tokens: &[String]) -> Result<(), Failure> {
        let document = Value::from(tokens.to_vec());
        let stored = StoredWrite { objects, tokens: self.scope.export(&document) };
        self.append(Kind::Written, &stored)?;
        self.remembered().written.extend(stored.objects);
        Ok(())
    }

    /// Stores what was generated since the last call.
    pub fn store_generated(&self) -> Result<(), Failure> {
        self.append(Kind::Generated, &self.scope.take_generated())
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
