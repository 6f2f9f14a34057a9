//! Reading on in a journal that another process writes.

use std::{marker::PhantomData, path::PathBuf, sync::Arc};

use serde::de::DeserializeOwned;

use super::{Anchor, Header, JournalError, Record, chain::Place};
use crate::disk::Disk;

/// A journal, and how far it was read. Each line is checked once; nothing is locked or written.
pub struct Tail<E> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    place: Place,
    event: PhantomData<fn() -> E>,
}

impl<E: DeserializeOwned> Tail<E> {
    /// Before the first line of the journal at `path`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, place: Place::new(None), event: PhantomData }
    }

    /// Hands every record that is new and whole to `each`, whose error text becomes [`JournalError::Corrupt`].
    pub fn read_on(&mut self, each: impl FnMut(Record<E>) -> Result<(), String>) -> Result<(), JournalError> {
        // An incomplete last line is one that is being written, or never will be: both are seen at the next call.
        self.place.advance(&*self.disk, &self.path, each).map(drop)
    }

    /// The run and plan, once the first line was read.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.place.header.as_ref()
    }

    /// The last record that was read.
    #[must_use]
    pub fn head(&self) -> Anchor {
        self.place.chain.head()
    }
}
