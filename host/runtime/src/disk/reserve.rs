//! Space put aside so that a rollback can be recorded when the disk is full.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{AppendFile, Disk, DiskError, is_full};

/// Enough for some thousand journal records: the way back of the changes that are open at one time.
pub const RESERVE_BYTES: usize = 1024 * 1024;

/// A file that is removed when the disk is full, so that what is open can still be recorded.
pub struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    used: AtomicBool,
}

impl Reserve {
    /// The reserve at `path`; makes it if it is not there and the disk has room for it.
    #[must_use]
    pub fn hold(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        // Without room for it the run starts as one that has used its reserve: it may only go back.
        let there = disk.exists(&path) || disk.write_atomic(&path, &vec![0; RESERVE_BYTES]).is_ok();
        Self { disk, path, used: AtomicBool::new(!there) }
    }

    /// Whether the reserve is gone. Then nothing new should start.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// Appends `bytes`; on a full disk gives the reserve back and tries once more.
    pub(crate) fn append(&self, file: &dyn AppendFile, path: &Path, run: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let error = |source: io::Error| DiskError::write(&*self.disk, path, run, source);
        let before = file.len().map_err(error)?;
        match file.append(bytes) {
            Ok(()) => return Ok(()),
            Err(source) if is_full(&source) && !self.used.swap(true, Ordering::AcqRel) => {}
            Err(source) => return Err(error(source)),
        }
        tracing::warn!(path = %self.path.display(), "the disk is full: the reserve of this run is given back");
        self.disk.remove(&self.path).map_err(DiskError::io("remove", &self.path))?;
        file.truncate(before).map_err(error)?;
        file.append(bytes).map_err(error)
    }
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("path", &self.path).field("used", &self.used).finish_non_exhaustive()
    }
}
