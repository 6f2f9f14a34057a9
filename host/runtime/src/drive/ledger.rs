//! Puts every request that is not read-only on record before it leaves.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use cutover_engine::{ChangeNo, Event, Failure, Object};

use super::{Answers, broken_journal};
use crate::{change_memory::ChangeMemory, clock::BoxFuture, journal::Journal, session::Ledger};

/// The ledger of one writing hook call.
pub(super) struct ChangeLedger {
    pub(super) change: ChangeNo,
    pub(super) memory: Arc<ChangeMemory>,
    pub(super) journal: Arc<Journal<Event>>,
    pub(super) answers: Answers,
    pub(super) count: AtomicU32,
}

impl Ledger for ChangeLedger {
    fn write_sent<'a>(&'a self, request: &'a str, written: Vec<Object>, tokens: Vec<String>) -> BoxFuture<'a, Result<u32, Failure>> {
        Box::pin(async move {
            let write = self.count.fetch_add(1, Ordering::Relaxed) + 1;
            self.memory.store_write(written, &tokens)?;
            let event = Event::WriteSent { change: self.change, write, request: request.to_owned() };
            self.answers.send_durable(&self.journal, event).await?;
            Ok(write)
        })
    }

    fn write_answered(&self, write: u32, status: u16) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.answers.send(Event::WriteAnswered { change: self.change, write, status }).await;
            Ok(())
        })
    }

    fn generated(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.memory.store_generated()?;
            self.journal.flush().await.map_err(|error| broken_journal(&error.to_string()))
        })
    }
}
