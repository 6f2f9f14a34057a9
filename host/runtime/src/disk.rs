//! The few file operations that the state needs, as a trait, so that a simulation can replace them.

mod memory;
mod reserve;
mod system;

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use memory::{Fault, MemoryDisk};
pub use reserve::{RESERVE_BYTES, Reserve};
pub use system::SystemDisk;

/// Below this much free space no new step starts: what is open must still be able to go back.
pub const MINIMUM_FREE: u64 = 64 * 1024 * 1024;

/// A place for files. Folders get mode 0700 and files 0600.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it; no error if it is there already.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Opens a file for appending; makes it, durably, if it is not there.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Opens a file for reading at any place.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Replaces a file as a whole: after a crash either the old or the new content is there. Durable on return.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Makes a file as a whole; `AlreadyExists` if there is one, whoever was first. Durable on return.
    fn create_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Whether there is a file or folder.
    fn exists(&self, path: &Path) -> bool;

    /// The names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Removes a file. Durable on return.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The permission bits of a file or folder, such as `0o700`.
    fn mode(&self, path: &Path) -> io::Result<u32>;

    /// How many bytes this user may still write to the file system of `path`.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
}

/// A file that grows at its end.
pub trait AppendFile: Send + Sync {
    /// Adds `bytes` at the end. After an error some of them may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable. After an error the file is lost for writing: the kernel forgets what failed, so a
    /// second call would lie (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// A file that can be read at any place.
pub trait ReadAt: Send + Sync {
    /// Fills `bytes` from `offset` on; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// Reads a file from its beginning to the length it had when reading began.
pub(crate) struct Sequential {
    file: Box<dyn ReadAt>,
    offset: u64,
    end: u64,
}

impl Sequential {
    pub(crate) fn new(file: Box<dyn ReadAt>) -> io::Result<Self> {
        let end = file.len()?;
        Ok(Self { file, offset: 0, end })
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }
}

impl Read for Sequential {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let count = left.min(bytes.len());
        self.file.read_exact_at(&mut bytes[..count], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl Seek for Sequential {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(delta) => self.offset.checked_add_signed(delta),
            SeekFrom::End(delta) => self.end.checked_add_signed(delta),
        };
        self.offset = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.offset)
    }
}

/// Why the disk refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiskError {
    /// No space is left, also not after the reserve was given back.
    #[error(
        "the disk of `{}` is full ({} KiB free); free at least 64 MiB, then type `cutover resume {run}`", .path.display(), .free / 1024
    )]
    Full {
        /// The file that could not grow.
        path: PathBuf,
        /// Bytes left for this user.
        free: u64,
        /// The run to resume.
        run: String,
    },
    /// Too little space is left to begin.
    #[error(
        "only {} KiB are free on the disk of `{}`: nothing was begun; free at least 64 MiB, then type the command again",
        .free / 1024, .path.display()
    )]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// Bytes left for this user.
        free: u64,
    },
    /// The kernel could not make data durable. Nothing more is written in this process.
    #[error(
        "`{}` could not be made durable, so nothing more is written; check the disk, then type `cutover resume {run}` in a new process",
        .path.display()
    )]
    Sync {
        /// The file.
        path: PathBuf,
        /// The run to resume.
        run: String,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// Anything else.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
}

impl DiskError {
    /// The code under which `cutover explain` tells more.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } | Self::NoRoom { .. } => "CUT4001",
            Self::Sync { .. } => "CUT4002",
            Self::Io { .. } => "CUT4003",
        }
    }

    /// For `map_err`: what was tried with which path.
    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Tells a full disk from other errors of a write on behalf of `run`.
    pub(crate) fn write(disk: &dyn Disk, path: &Path, run: &str, source: io::Error) -> Self {
        if is_full(&source) {
            Self::Full { path: path.to_owned(), free: disk.free_space(path).unwrap_or(0), run: run.to_owned() }
        } else {
            Self::io("write", path)(source)
        }
    }
}

/// Whether an error means that no space is left, for everybody or for this user.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
