//! The machine's file system.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{AppendFile, Disk, ReadAt};

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        sync_parent(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let is_new = !path.exists();
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if is_new {
            sync_parent(path)?;
        }
        Ok(Box::new(file))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(File::open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = Draft::write(path, bytes)?;
        fs::rename(&draft.0, path)?;
        sync_parent(path)
    }

    fn create_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // A link fails if its name is taken, a rename does not.
        let draft = Draft::write(path, bytes)?;
        fs::hard_link(&draft.0, path)?;
        fs::remove_file(&draft.0)?;
        sync_parent(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        sync_parent(path)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl AppendFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

impl ReadAt for File {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// A file beside its later place, removed again if it does not get there.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let unique = COUNT.fetch_add(1, Ordering::Relaxed);
        let draft = Self(path.with_file_name(format!(".{name}.{}-{unique}.tmp", std::process::id())));
        // A draft of a dead process with the same id may be in the way.
        let _ = fs::remove_file(&draft.0);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_files_as_a_whole_and_leaves_no_drafts() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        SystemDisk.create_dir_all(&inner).unwrap();
        let path = inner.join("file");
        SystemDisk.create_new(&path, b"one").unwrap();
        assert_eq!(SystemDisk.create_new(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(SystemDisk.read(&path).unwrap(), b"one");
        SystemDisk.write_atomic(&path, b"three").unwrap();
        assert_eq!(SystemDisk.read(&path).unwrap(), b"three");
        assert_eq!(SystemDisk.list(&inner).unwrap(), ["file"]);
        assert_eq!(SystemDisk.mode(&path).unwrap(), 0o600);
        assert_eq!(SystemDisk.mode(&inner).unwrap(), 0o700);
    }

    #[test]
    fn appends_cuts_and_reads_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = SystemDisk.open_append(&path).unwrap();
        file.append(b"hello world").unwrap();
        file.truncate(5).unwrap();
        file.append(b"!").unwrap();
        file.sync().unwrap();
        let mut bytes = [0; 2];
        SystemDisk.open_read(&path).unwrap().read_exact_at(&mut bytes, 4).unwrap();
        assert_eq!((&bytes, file.len().unwrap()), (b"o!", 6));
        assert!(SystemDisk.free_space(&path).unwrap() > 0);
    }
}
