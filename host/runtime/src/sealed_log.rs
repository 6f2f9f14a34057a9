//! The encrypted log of a run: pre-images, states, memos and values that no plugin may see.
//!
//! The file begins with sixteen bytes, `cutover sealed`, the version 1 and a line feed. Every entry follows as
//!
//! ```text
//! length  u32, little endian: bytes of nonce and ciphertext
//! kind    u8
//! change  u32, little endian
//! check   first four bytes of SHA-256 over the entry's offset and the nine bytes above
//! nonce   24 bytes, then the ciphertext with its tag of 16 bytes (XChaCha20-Poly1305)
//! ```
//!
//! The associated data is the run's id, kind, change and the entry's offset: an entry cannot be moved, not within
//! the file and not to another run. The check lets the file be indexed at opening without decrypting it.

use std::{
    collections::BTreeSet,
    fmt,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use cutover_engine::{ChangeNo, RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    disk::{AppendFile, Disk, DiskError, ReadAt, Reserve, Sequential},
    entropy::Entropy,
    key::{Key, NONCE_BYTES, TAG_BYTES},
};

const MAGIC: [u8; 16] = *b"cutover sealed\x01\n";
const HEADER_BYTES: usize = 13;

/// So much is gathered in memory before it is written unasked.
const GATHER_BYTES: usize = 256 * 1024;

/// More than the largest response that the host takes from a backend, in any encoding.
pub const PAYLOAD_LIMIT: usize = 16 * 1024 * 1024;

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Kind {
    /// The state that a change is about to replace. One per change, for ever.
    PreImage = 1,
    /// The state after a writing hook.
    After = 2,
    /// What the state should be.
    Expected = 3,
    /// The plugin's memo.
    Memo = 4,
    /// A raw response of a capture: the last resort that does not depend on the plugin.
    Raw = 5,
    /// A value that the host made for the plugin.
    Generated = 6,
    /// A value that the change wrote.
    Written = 7,
    /// An output of a step.
    Output = 8,
    /// The inner credential of an old path, to prove that it is refused.
    Credential = 9,
    /// What the table of sealed values needs to know again.
    Token = 10,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::PreImage,
        Self::After,
        Self::Expected,
        Self::Memo,
        Self::Raw,
        Self::Generated,
        Self::Written,
        Self::Output,
        Self::Credential,
        Self::Token,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreImage => "pre-image",
            Self::After => "state after the change",
            Self::Expected => "expected state",
            Self::Memo => "memo",
            Self::Raw => "raw response",
            Self::Generated => "generated value",
            Self::Written => "written value",
            Self::Output => "output",
            Self::Credential => "credential",
            Self::Token => "sealed value",
        })
    }
}

/// Where an entry is: its offset in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

/// The encrypted log of one run. Threads share it.
pub struct SealedLog {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    run: RunId,
    key: Key,
    entropy: Arc<dyn Entropy>,
    reserve: Arc<Reserve>,
    writer: Box<dyn AppendFile>,
    reader: Box<dyn ReadAt>,
    /// Held by one sync after the other: none may say that all is durable while another still makes it so.
    syncing: Mutex<()>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Some 32 bytes an entry; offsets grow, so a range of one kind and change is in the order of appending.
    index: BTreeSet<(Kind, u32, u64)>,
    /// The last entries, encrypted: they are not in the file yet.
    pending: Vec<u8>,
    /// Where the file ends, and the first pending entry begins.
    written: u64,
    /// Whether something was written since the last sync.
    dirty: bool,
    failed: Option<DiskError>,
    /// The first entry that was found changed.
    damaged: Option<(Kind, ChangeNo)>,
}

impl SealedLog {
    /// Opens the log at `path`, or makes it. The flag says whether a torn last entry was cut.
    ///
    /// # Errors
    /// [`SealedLogError::Corrupt`] if the file is no sealed log or its framing was changed.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        run: &RunId,
        key: Key,
        entropy: Arc<dyn Entropy>,
        reserve: Arc<Reserve>,
    ) -> Result<(Self, bool), SealedLogError> {
        if !disk.exists(path) {
            disk.write_atomic(path, &MAGIC).map_err(|source| DiskError::write(&*disk, path, run.as_str(), source))?;
        }
        let scan = scan(disk.open_read(path).map_err(DiskError::io("open", path))?, path)?;
        let writer = disk.open_append(path).map_err(DiskError::io("open", path))?;
        let torn = scan.length > scan.end;
        if torn {
            writer.truncate(scan.end).map_err(DiskError::io("cut", path))?;
            writer.sync().map_err(sync_failed(path, run))?;
        }
        let reader = disk.open_read(path).map_err(DiskError::io("open", path))?;
        let inner = Inner { index: scan.index, pending: Vec::new(), written: scan.end, dirty: false, failed: None, damaged: None };
        let (path, run, inner) = (path.to_owned(), run.clone(), Mutex::new(inner));
        Ok((Self { disk, path, run, key, entropy, reserve, writer, reader, syncing: Mutex::default(), inner }, torn))
    }

    /// Encrypts and adds a payload. It is durable after the next sync of the journal, or [`SealedLog::sync`].
    ///
    /// # Errors
    /// [`SealedLogError::PreImageStays`] for the second pre-image of a change. After an I/O error every later call fails.
    pub fn append(&self, kind: Kind, change: ChangeNo, payload: &[u8]) -> Result<Position, SealedLogError> {
        if payload.len() > PAYLOAD_LIMIT {
            return Err(SealedLogError::TooLarge { kind, change, bytes: payload.len() });
        }
        let mut inner = self.inner();
        if let Some(error) = &inner.failed {
            return Err(error.clone().into());
        }
        if kind == Kind::PreImage && range(&inner.index, kind, change).next().is_some() {
            return Err(SealedLogError::PreImageStays { change });
        }
        let offset = inner.written + inner.pending.len() as u64;
        let sealed = self.key.seal(&*self.entropy, &self.context(kind, change, offset), payload);
        inner.pending.extend_from_slice(&header(kind, change, offset, sealed.len()));
        inner.pending.extend_from_slice(&sealed);
        inner.index.insert((kind, change.0, offset));
        if inner.pending.len() >= GATHER_BYTES {
            self.write(&mut inner)?;
        }
        Ok(Position(offset))
    }

    /// The oldest entry of a kind and change; of pre-images the only one.
    pub fn first(&self, kind: Kind, change: ChangeNo) -> Result<Option<Zeroizing<Vec<u8>>>, SealedLogError> {
        let offset = range(&self.inner().index, kind, change).next();
        offset.map(|offset| self.read(kind, change, offset)).transpose()
    }

    /// The newest entry of a kind and change.
    pub fn latest(&self, kind: Kind, change: ChangeNo) -> Result<Option<Zeroizing<Vec<u8>>>, SealedLogError> {
        let offset = range(&self.inner().index, kind, change).next_back();
        offset.map(|offset| self.read(kind, change, offset)).transpose()
    }

    /// All entries of a kind and change, oldest first.
    pub fn all(&self, kind: Kind, change: ChangeNo) -> Result<Vec<Zeroizing<Vec<u8>>>, SealedLogError> {
        let offsets: Vec<u64> = range(&self.inner().index, kind, change).collect();
        offsets.into_iter().map(|offset| self.read(kind, change, offset)).collect()
    }

    /// The entry at a position that [`SealedLog::append`] returned.
    pub fn at(&self, kind: Kind, change: ChangeNo, position: Position) -> Result<Zeroizing<Vec<u8>>, SealedLogError> {
        if !self.inner().index.contains(&(kind, change.0, position.0)) {
            return Err(SealedLogError::Missing { kind, change, path: self.path.clone() });
        }
        self.read(kind, change, position.0)
    }

    /// The changes that have an entry of a kind, in order, each once.
    pub fn changes(&self, kind: Kind) -> Vec<ChangeNo> {
        let mut changes: Vec<ChangeNo> =
            self.inner().index.range((kind, 0, 0)..=(kind, u32::MAX, u64::MAX)).map(|(_, change, _)| ChangeNo(*change)).collect();
        changes.dedup();
        changes
    }

    /// Makes every entry durable that was appended before. Blocks; the journal calls it before it writes its own records.
    pub fn sync(&self) -> Result<(), DiskError> {
        let _turn = self.syncing.lock().expect("no thread panics while it syncs");
        let mut inner = self.inner();
        if let Some(error) = &inner.failed {
            return Err(error.clone());
        }
        self.write(&mut inner)?;
        // Cleared under the lock: what is written later is for the next sync.
        let dirty = std::mem::take(&mut inner.dirty);
        drop(inner);
        if !dirty {
            return Ok(());
        }
        self.writer.sync().map_err(sync_failed(&self.path, &self.run)).inspect_err(|error| self.inner().failed = Some(error.clone()))
    }

    /// The first entry that could not be opened since the log was: nothing may be done on the strength of such a log.
    pub fn damage(&self) -> Option<SealedLogError> {
        self.inner().damaged.map(|(kind, change)| SealedLogError::Payload { kind, change, path: self.path.clone() })
    }

    /// Writes what is pending.
    fn write(&self, inner: &mut Inner) -> Result<(), DiskError> {
        if inner.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.reserve.append(&*self.writer, &self.path, self.run.as_str(), &inner.pending) {
            inner.failed = Some(error.clone());
            return Err(error);
        }
        inner.written += inner.pending.len() as u64;
        inner.pending.clear();
        inner.dirty = true;
        Ok(())
    }

    fn read(&self, kind: Kind, change: ChangeNo, offset: u64) -> Result<Zeroizing<Vec<u8>>, SealedLogError> {
        let corrupt = || {
            self.inner().damaged.get_or_insert((kind, change));
            SealedLogError::Payload { kind, change, path: self.path.clone() }
        };
        let read = |bytes: &mut [u8], at: u64| {
            if self.inner().copy_pending(bytes, at) {
                return Ok(());
            }
            self.reader.read_exact_at(bytes, at).map_err(DiskError::io("read", &self.path))
        };
        let mut head = [0; HEADER_BYTES];
        read(&mut head, offset)?;
        if parse_header(&head, offset).is_none_or(|found| (found.kind, found.change) != (kind, change)) {
            return Err(corrupt());
        }
        let mut sealed = vec![0; length_of(&head)];
        read(&mut sealed, offset + HEADER_BYTES as u64)?;
        self.key.open(&self.context(kind, change, offset), &sealed).ok_or_else(corrupt)
    }

    fn context(&self, kind: Kind, change: ChangeNo, offset: u64) -> Vec<u8> {
        [self.run.as_str().as_bytes(), &[0, kind as u8], &change.0.to_le_bytes(), &offset.to_le_bytes()].concat()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it holds the index")
    }
}

impl Inner {
    /// Fills `bytes` with what begins at `offset` of the file, if that is not written yet.
    fn copy_pending(&self, bytes: &mut [u8], offset: u64) -> bool {
        let start = offset.checked_sub(self.written).and_then(|start| usize::try_from(start).ok());
        let Some(found) = start.and_then(|start| self.pending.get(start..)?.get(..bytes.len())) else { return false };
        bytes.copy_from_slice(found);
        true
    }
}

impl fmt::Debug for SealedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedLog").field("path", &self.path).field("free", &self.disk.free_space(&self.path).ok()).finish_non_exhaustive()
    }
}

fn range(index: &BTreeSet<(Kind, u32, u64)>, kind: Kind, change: ChangeNo) -> impl DoubleEndedIterator<Item = u64> {
    index.range((kind, change.0, 0)..=(kind, change.0, u64::MAX)).map(|(_, _, offset)| *offset)
}

fn sync_failed<'a>(path: &'a Path, run: &'a RunId) -> impl FnOnce(std::io::Error) -> DiskError + use<'a> {
    move |source| DiskError::Sync { path: path.to_owned(), run: run.to_string(), source: Arc::new(source) }
}

struct Header {
    kind: Kind,
    change: ChangeNo,
}

fn header(kind: Kind, change: ChangeNo, offset: u64, length: usize) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(length).expect("payloads are capped far below 4 GiB");
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4] = kind as u8;
    bytes[5..9].copy_from_slice(&change.0.to_le_bytes());
    let check = header_check(&bytes, offset);
    bytes[9..].copy_from_slice(&check);
    bytes
}

fn header_check(bytes: &[u8; HEADER_BYTES], offset: u64) -> [u8; 4] {
    let digest = Sha256::new().chain_update(offset.to_le_bytes()).chain_update(&bytes[..9]).finalize();
    std::array::from_fn(|at| digest[at])
}

fn parse_header(bytes: &[u8; HEADER_BYTES], offset: u64) -> Option<Header> {
    let change = ChangeNo(u32::from_le_bytes(std::array::from_fn(|at| bytes[5 + at])));
    let fits = bytes[9..] == header_check(bytes, offset)
        && (NONCE_BYTES + TAG_BYTES..=NONCE_BYTES + TAG_BYTES + PAYLOAD_LIMIT).contains(&length_of(bytes));
    Kind::from_byte(bytes[4]).filter(|_| fits).map(|kind| Header { kind, change })
}

fn length_of(bytes: &[u8; HEADER_BYTES]) -> usize {
    u32::from_le_bytes(std::array::from_fn(|at| bytes[at])) as usize
}

struct Scan {
    index: BTreeSet<(Kind, u32, u64)>,
    /// Where the last whole entry ends.
    end: u64,
    /// Where the file ends.
    length: u64,
}

fn scan(file: Box<dyn ReadAt>, path: &Path) -> Result<Scan, SealedLogError> {
    let corrupt = |offset, reason| SealedLogError::Corrupt { path: path.to_owned(), offset, reason };
    let failed = |source| SealedLogError::from(DiskError::io("read", path)(source));
    let file = Sequential::new(file).map_err(failed)?;
    let length = file.end();
    let mut file = BufReader::with_capacity(256 * 1024, file);
    let mut magic = [0; MAGIC.len()];
    if length < MAGIC.len() as u64 {
        return Err(corrupt(0, "it is shorter than its first line"));
    }
    file.read_exact(&mut magic).map_err(failed)?;
    if magic != MAGIC {
        return Err(corrupt(0, "it does not begin as a sealed log of version 1"));
    }
    let mut scan = Scan { index: BTreeSet::new(), end: MAGIC.len() as u64, length };
    while length - scan.end >= HEADER_BYTES as u64 {
        let mut head = [0; HEADER_BYTES];
        file.read_exact(&mut head).map_err(failed)?;
        let Some(found) = parse_header(&head, scan.end) else {
            // A crash may leave the file longer than what was written: then all of the rest is zero.
            if head == [0; HEADER_BYTES] && rest_is_zero(&mut file).map_err(failed)? {
                break;
            }
            return Err(corrupt(scan.end, "an entry's header was changed"));
        };
        let after = scan.end + (HEADER_BYTES + length_of(&head)) as u64;
        if after > length {
            break;
        }
        scan.index.insert((found.kind, found.change.0, scan.end));
        scan.end = after;
        file.seek_relative(i64::try_from(length_of(&head)).expect("payloads are capped")).map_err(failed)?;
    }
    Ok(scan)
}

fn rest_is_zero(file: &mut impl Read) -> std::io::Result<bool> {
    let mut part = [0; 4096];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(true),
            count if part[..count].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Why a sealed log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealedLogError {
    /// The framing is broken.
    #[error("`{}` was changed at byte {offset}: {reason}; restore the state folder from a copy, or undo by hand what `cutover runs show` lists", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// One entry does not decrypt.
    #[error("the {kind} of change {} in `{}` was changed and does not decrypt; restore the state folder from a copy, or undo this change by hand", .change.0, .path.display())]
    Payload {
        /// What it held.
        kind: Kind,
        /// Of which change.
        change: ChangeNo,
        /// The file.
        path: PathBuf,
    },
    /// The journal names an entry that is not there.
    #[error("the {kind} of change {} is missing in `{}`: the file was cut or is an old copy", .change.0, .path.display())]
    Missing {
        /// What it held.
        kind: Kind,
        /// Of which change.
        change: ChangeNo,
        /// The file.
        path: PathBuf,
    },
    /// The first pre-image of a change stays its pre-image.
    #[error("change {} has a pre-image already, and the first one stays", .change.0)]
    PreImageStays {
        /// The change.
        change: ChangeNo,
    },
    /// The payload is larger than [`PAYLOAD_LIMIT`].
    #[error("the {kind} of change {} has {bytes} bytes; at most 16 MiB are kept", .change.0)]
    TooLarge {
        /// What it holds.
        kind: Kind,
        /// Of which change.
        change: ChangeNo,
        /// Its size.
        bytes: usize,
    },
    /// The file could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl SealedLogError {
    /// The code under which `cutover explain` tells more.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "CUT4030",
            Self::Payload { .. } => "CUT4031",
            Self::Missing { .. } => "CUT4032",
            Self::PreImageStays { .. } => "CUT4033",
            Self::TooLarge { .. } => "CUT4034",
            Self::Disk(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests;
