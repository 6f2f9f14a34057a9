//! The event log of a run: JSON Lines, chained with SHA-256, written by one thread.
//!
//! The first line tells which run and plan the journal belongs to; every further line is one record:
//!
//! ```text
//! {"cutover":"journal","version":1,"run":"20261122-014502-k3fd","plan":"9c41…","hash":"5be0…"}
//! {"n":1,"at":1795000000000,"event":{…},"hash":"77d2…"}
//! ```
//!
//! `hash` is the SHA-256 of the line before's `hash` (its 64 digits; nothing for the first line) followed by the line
//! itself up to, without, `,"hash"`. So a shell checks the chain:
//!
//! ```sh
//! p=; while IFS= read -r l; do
//!   h=$(printf '%s%s' "$p" "${l%,\"hash\":*}" | sha256sum | cut -c1-64)
//!   [ "$l" = "${l%,\"hash\":*},\"hash\":\"$h\"}" ] || echo "broken: $l"; p=$h
//! done < journal.jsonl
//! ```
//!
//! Every changed byte is noticed. A cut between records and a restored old copy are not: therefore the head is
//! printed at the end of a run and can be given back as an [`Anchor`].

mod chain;
mod tail;
mod writer;

use std::{
    fmt,
    future::Future,
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    thread::JoinHandle,
};

use cutover_engine::{Digest, RunId, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    disk::{Disk, DiskError, Reserve},
    sealed_log::SealedLog,
};
use chain::Chain;
pub use tail::Tail;
use writer::Writer;

/// The longest line, in bytes. Events name values by digest and position; nothing in them is large.
pub const LINE_LIMIT: usize = 4 * 1024 * 1024;

/// What a journal belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    cutover: Format,
    version: u32,
    /// The run.
    pub run: RunId,
    /// The digest of its plan.
    pub plan: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Journal,
}

impl Header {
    /// The header of a new journal.
    #[must_use]
    pub const fn new(run: RunId, plan: Digest) -> Self {
        Self { cutover: Format::Journal, version: 1, run, plan }
    }
}

/// One line: the `n`-th event, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<E> {
    /// Counts from 1 without gaps.
    pub n: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened.
    pub event: E,
}

/// The number of a record: what [`Journal::sync`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// A record's number and hash, as `12:77d2…`: a head that was noted down elsewhere. Number 0 is the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number.
    pub n: u64,
    /// Its hash.
    pub hash: Digest,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.n, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(n, hash)| Some(Self { n: n.parse().ok()?, hash: hash.parse().ok()? }));
        parsed.ok_or_else(|| {
            format!("`{}` is no anchor; it is what a run prints at its end, such as `12:` and 64 digits", text.escape_debug())
        })
    }
}

/// What reading a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The run and plan.
    pub header: Header,
    /// The last whole record.
    pub head: Anchor,
    /// Whether the last line was incomplete and left out. It was never promised to be durable.
    pub torn_tail: bool,
}

/// The open journal of one run. Threads and tasks share it.
pub struct Journal<E> {
    writer: Arc<Writer>,
    thread: Option<JoinHandle<()>>,
    event: PhantomData<fn(&E)>,
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// Begins the journal of a new run at `path`. The header is durable on return.
    ///
    /// `sealed` is made durable before any record that is appended after its entries.
    pub fn create(
        disk: Arc<dyn Disk>,
        path: &Path,
        header: &Header,
        sealed: Arc<SealedLog>,
        reserve: Arc<Reserve>,
    ) -> Result<Self, JournalError> {
        let mut chain = Chain::new();
        let mut line = serde_json::to_vec(header).expect("a header has string keys only");
        chain.close(&mut line);
        disk.create_new(path, &line).map_err(|source| DiskError::write(&*disk, path, header.run.as_str(), source))?;
        Self::start(disk, path, &header.run, &chain, sealed, reserve)
    }

    /// Opens the journal at `path`, checks every line and hands every record to `each`, whose error text becomes
    /// [`JournalError::Corrupt`]. An incomplete last line is cut off.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        anchor: Option<Anchor>,
        sealed: Arc<SealedLog>,
        reserve: Arc<Reserve>,
        each: impl FnMut(Record<E>) -> Result<(), String>,
    ) -> Result<(Self, Opened), JournalError> {
        let (opened, whole) = chain::read(&*disk, path, anchor, each)?;
        if opened.torn_tail {
            let file = disk.open_append(path).map_err(DiskError::io("open", path))?;
            file.truncate(whole).map_err(DiskError::io("cut", path))?;
        }
        let journal = Self::start(disk, path, &opened.header.run, &Chain::resumed(opened.head), sealed, reserve)?;
        Ok((journal, opened))
    }

    fn start(
        disk: Arc<dyn Disk>,
        path: &Path,
        run: &RunId,
        chain: &Chain,
        sealed: Arc<SealedLog>,
        reserve: Arc<Reserve>,
    ) -> Result<Self, JournalError> {
        let file = disk.open_append(path).map_err(DiskError::io("open", path))?;
        // What was read may still be only in the kernel's memory, from a process that died before its sync.
        file.sync().map_err(|source| DiskError::Sync { path: path.to_owned(), run: run.to_string(), source: Arc::new(source) })?;
        let writer = Arc::new(Writer::new(path, run, chain.clone(), file, sealed, reserve));
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn({
            let writer = Arc::clone(&writer);
            move || writer.run()
        });
        Ok(Self { writer, thread: Some(thread.map_err(DiskError::io("start the writer of", path))?), event: PhantomData })
    }

    /// Appends an event. Cheap: nothing is written before somebody waits with [`Journal::sync`] or [`Journal::flush`],
    /// or 256 KiB have gathered, or a second is over, or the journal is closed.
    ///
    /// # Errors
    /// After any I/O error, that error; then nothing is appended any more.
    pub fn append(&self, at: Timestamp, event: &E) -> Result<Lsn, JournalError> {
        let event = serde_json::to_vec(event).map_err(|error| JournalError::Event { reason: error.to_string() })?;
        if event.len() > LINE_LIMIT - 1024 {
            return Err(JournalError::Event { reason: format!("it has {} bytes; at most 4 MiB are recorded", event.len()) });
        }
        self.writer.append(at, &event)
    }

    /// Ends when the record and all before it are durable, and every sealed entry that was appended before it.
    pub fn sync(&self, lsn: Lsn) -> impl Future<Output = Result<(), JournalError>> + Send + 'static {
        Arc::clone(&self.writer).durable(Some(lsn))
    }

    /// Ends when everything that was appended so far is durable, records and sealed entries.
    pub fn flush(&self) -> impl Future<Output = Result<(), JournalError>> + Send + 'static {
        Arc::clone(&self.writer).durable(None)
    }

    /// Tells that somebody is at work who may soon wait with [`Journal::sync`]: a round waits for them a little, so that one
    /// sync serves many.
    #[must_use]
    pub fn at_work(&self) -> AtWork {
        self.writer.set_at_work(true);
        AtWork(Arc::clone(&self.writer))
    }

    /// The last appended record; durable only after a sync.
    pub fn head(&self) -> Anchor {
        self.writer.head()
    }

    /// Writes and syncs what is left and says where the journal ends.
    pub fn close(mut self) -> Result<Anchor, JournalError> {
        self.stop();
        self.writer.outcome()
    }
}

/// Somebody is at work, until this is dropped.
pub struct AtWork(Arc<Writer>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.set_at_work(false);
    }
}

impl<E> Journal<E> {
    fn stop(&mut self) {
        self.writer.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl<E> Drop for Journal<E> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<E> fmt::Debug for Journal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("head", &self.writer.head()).finish_non_exhaustive()
    }
}

/// Reads a journal without writing, also while another process writes it: for `cutover runs show`.
///
/// `each` gets every record up to the first broken line, also when an error is returned.
pub fn read_only<E: DeserializeOwned>(
    disk: &dyn Disk,
    path: &Path,
    anchor: Option<Anchor>,
    each: impl FnMut(Record<E>) -> Result<(), String>,
) -> Result<Opened, JournalError> {
    chain::read(disk, path, anchor, each).map(|(opened, _)| opened)
}

/// Why a journal cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A line does not fit the chain or is no record.
    #[error(
        "`{}` is corrupt in line {line}: {reason}; nothing was changed; restore the file from a copy, \
         or type `cutover runs show` to see the valid part and finish by hand", .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Counted from 1; line 1 is the header.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The journal is another one than the anchor says, or older.
    #[error(
        "`{}` does not hold record {} with the hash of the anchor: {}; restore the newest copy of the state folder", .path.display(), .anchor.n,
        if .anchor.n > .head.n { format!("it ends at record {}, so it was cut or is an old copy", .head.n) } else { "that record has another hash".to_owned() }
    )]
    Anchor {
        /// The file.
        path: PathBuf,
        /// What was expected.
        anchor: Anchor,
        /// Where the journal ends.
        head: Anchor,
    },
    /// An event cannot be recorded.
    #[error("this event cannot be recorded: {reason}")]
    Event {
        /// Why.
        reason: String,
    },
    /// The journal is closed, or its writer died.
    #[error("the journal is closed")]
    Closed,
    /// The file could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl JournalError {
    /// The code under which `cutover explain` tells more.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "CUT4010",
            Self::Anchor { .. } => "CUT4011",
            Self::Event { .. } => "CUT4012",
            Self::Closed => "CUT4013",
            Self::Disk(error) => error.code(),
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        DiskError::io("read", path)(source).into()
    }
}

#[cfg(test)]
mod tests;
