//! The thread that writes: it takes all that waits, writes it at once and syncs once.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use cutover_engine::{RunId, Timestamp};
use tokio::sync::watch;

use super::{Anchor, JournalError, Lsn, chain::Chain};
use crate::{
    disk::{AppendFile, DiskError, Reserve},
    sealed_log::SealedLog,
};

/// So much is gathered in memory before it is written unasked.
const GATHER_BYTES: usize = 256 * 1024;
/// Nothing stays in memory for longer, also if nobody waits for it: who follows the journal of a run that waits sees its
/// last events, too.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    path: PathBuf,
    run: RunId,
    file: Box<dyn AppendFile>,
    sealed: Arc<SealedLog>,
    reserve: Arc<Reserve>,
    queue: Mutex<Queue>,
    work: Condvar,
    progress: watch::Sender<Progress>,
}

struct Queue {
    chain: Chain,
    pending: Vec<u8>,
    /// Rounds that somebody waits for. A round that begins at or after a request covers all that was appended before it.
    requested: u64,
    /// How many are at work and may soon wait too.
    at_work: u64,
    closed: bool,
}

#[derive(Clone, Default)]
struct Progress {
    round: u64,
    /// The last durable record.
    durable: u64,
    failed: Option<JournalError>,
}

impl Writer {
    pub(super) fn new(
        path: &Path,
        run: &RunId,
        chain: Chain,
        file: Box<dyn AppendFile>,
        sealed: Arc<SealedLog>,
        reserve: Arc<Reserve>,
    ) -> Self {
        let progress = watch::Sender::new(Progress { durable: chain.head().n, ..Progress::default() });
        let queue = Mutex::new(Queue { chain, pending: Vec::new(), requested: 0, at_work: 0, closed: false });
        Self { path: path.to_owned(), run: run.clone(), file, sealed, reserve, queue, work: Condvar::new(), progress }
    }

    pub(super) fn append(&self, at: Timestamp, event: &[u8]) -> Result<Lsn, JournalError> {
        let mut line = Vec::with_capacity(event.len() + 160);
        let mut queue = self.queue();
        if let Some(error) = &self.progress.borrow().failed {
            return Err(error.clone());
        }
        if queue.closed {
            return Err(JournalError::Closed);
        }
        let number = queue.chain.next();
        write!(line, "{{\"n\":{number},\"at\":{},\"event\":", at.0).expect("memory takes every byte");
        line.extend_from_slice(event);
        line.push(b'}');
        queue.chain.close(&mut line);
        let is_first = queue.pending.is_empty();
        queue.pending.extend_from_slice(&line);
        if is_first || queue.pending.len() >= GATHER_BYTES {
            self.work.notify_one();
        }
        Ok(Lsn(number))
    }

    pub(super) fn head(&self) -> Anchor {
        self.queue().chain.head()
    }

    /// Requests a round at once and returns what waits for it.
    pub(super) fn durable(self: Arc<Self>, lsn: Option<Lsn>) -> impl Future<Output = Result<(), JournalError>> + Send + 'static {
        let mut progress = self.progress.subscribe();
        let is_durable = move |progress: &Progress| lsn.is_some_and(|lsn| progress.durable >= lsn.0);
        let round = if is_durable(&progress.borrow()) {
            0
        } else {
            let mut queue = self.queue();
            queue.requested += 1;
            self.work.notify_one();
            queue.requested
        };
        async move {
            let reached = |progress: &Progress| progress.round >= round || is_durable(progress);
            let state =
                progress.wait_for(|progress| progress.failed.is_some() || reached(progress)).await.map_err(|_| JournalError::Closed)?;
            match &state.failed {
                Some(error) if !reached(&state) => Err(error.clone()),
                _ => Ok(()),
            }
        }
    }

    /// Counts somebody who may soon wait for a round, or no longer.
    pub(super) fn set_at_work(&self, begins: bool) {
        let mut queue = self.queue();
        queue.at_work = if begins { queue.at_work + 1 } else { queue.at_work.saturating_sub(1) };
    }

    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.work.notify_one();
    }

    /// After the thread's end: the head, or why it could not be made durable.
    pub(super) fn outcome(&self) -> Result<Anchor, JournalError> {
        match &self.progress.borrow().failed {
            Some(error) => Err(error.clone()),
            None => Ok(self.head()),
        }
    }

    /// The thread's body: rounds until the journal is closed or fails.
    pub(super) fn run(&self) {
        let _ended = Ended(self);
        let mut done = 0;
        let mut took = Duration::ZERO;
        loop {
            let (batch, round, last, closed) = {
                let is_idle = |queue: &mut Queue| queue.requested == done && queue.pending.len() < GATHER_BYTES && !queue.closed;
                let is_empty = |queue: &mut Queue| queue.pending.is_empty() && is_idle(queue);
                let queue = self.work.wait_while(self.queue(), is_empty).expect("no thread panics while it holds the queue");
                let queue =
                    self.work.wait_timeout_while(queue, LONGEST_DELAY, is_idle).expect("no thread panics while it holds the queue").0;
                let mut queue = self.gather(queue, done, took);
                (std::mem::take(&mut queue.pending), queue.requested, queue.chain.head().n, queue.closed)
            };
            let begun = Instant::now();
            if let Err(error) = self.write(&batch) {
                self.progress.send_modify(|progress| progress.failed = Some(error.into()));
                return;
            }
            took = begun.elapsed();
            done = round;
            self.progress.send_modify(|progress| (progress.round, progress.durable) = (round, last));
            if closed {
                return;
            }
        }
    }

    /// Lets others join the round: until all who are at work wait, at most as long as the last round took.
    fn gather<'q>(&self, queue: MutexGuard<'q, Queue>, done: u64, longest: Duration) -> MutexGuard<'q, Queue> {
        let may_grow = |queue: &mut Queue| queue.requested - done < queue.at_work && queue.pending.len() < GATHER_BYTES && !queue.closed;
        self.work.wait_timeout_while(queue, longest, may_grow).expect("no thread panics while it holds the queue").0
    }

    /// Sealed entries first: a record never names one that a crash can take away.
    fn write(&self, batch: &[u8]) -> Result<(), DiskError> {
        self.sealed.sync()?;
        if batch.is_empty() {
            return Ok(());
        }
        self.reserve.append(&*self.file, &self.path, self.run.as_str(), batch)?;
        self.file.sync().map_err(|source| DiskError::Sync { path: self.path.clone(), run: self.run.to_string(), source: Arc::new(source) })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no thread panics while it holds the queue")
    }
}

/// Fails whoever waits, or comes later, once the thread has ended: also by a panic.
struct Ended<'a>(&'a Writer);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.progress.send_modify(|progress| progress.failed = progress.failed.take().or(Some(JournalError::Closed)));
        }
    }
}
