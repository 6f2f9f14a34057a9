//! A disk in memory that can crash, tear, fill up and refuse to sync.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{AppendFile, Disk, ReadAt};

/// What a [`MemoryDisk`] shall do wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The `n`-th change from now on (appends, syncs, whole files, removals; counted from 1) crashes instead of happening.
    CrashAtOperation(u64),
    /// The append that would give the file its `lines`-th line end crashes; these lines and `torn` further bytes survive.
    CrashAfterLines {
        /// The file's name, without folders.
        file: String,
        /// How many whole lines survive.
        lines: usize,
        /// How many bytes after them survive.
        torn: usize,
    },
    /// No more bytes than these fit on the disk.
    Capacity(u64),
    /// The `nth` sync of the file from now on (counted from 1) fails, and what was unsynced is lost.
    SyncFails {
        /// The file's name, without folders.
        file: String,
        /// Counted from 1.
        nth: u64,
    },
}

/// A disk in memory. Clones share their content.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Default)]
struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    faults: Vec<Fault>,
    crashed: bool,
    operations: u64,
}

#[derive(Clone)]
enum Node {
    Folder { mode: u32 },
    File { bytes: Vec<u8>, durable: usize, appends: u64, syncs: u64 },
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.tree().faults.push(fault);
    }

    /// Forgets all faults, as if somebody made room.
    pub fn clear_faults(&self) {
        self.tree().faults.clear();
    }

    /// Whether a fault crashed this disk. Every later operation fails.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.tree().crashed
    }

    /// What survives a crash now: durable bytes only.
    #[must_use]
    pub fn after_crash(&self) -> Self {
        self.after_torn_crash(0)
    }

    /// What survives a crash now if of every file `torn` unsynced bytes reached the disk too.
    #[must_use]
    pub fn after_torn_crash(&self, torn: usize) -> Self {
        let mut nodes = self.tree().nodes.clone();
        for node in nodes.values_mut() {
            if let Node::File { bytes, durable, .. } = node {
                bytes.truncate(durable.saturating_add(torn));
                *durable = bytes.len();
            }
        }
        Self { tree: Arc::new(Mutex::new(Tree { nodes, ..Tree::default() })) }
    }

    /// How many operations changed the disk so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.tree().operations
    }

    /// How often a file was appended to and synced.
    #[must_use]
    pub fn appends_and_syncs(&self, path: &Path) -> (u64, u64) {
        match self.tree().nodes.get(path) {
            Some(Node::File { appends, syncs, .. }) => (*appends, *syncs),
            _ => (0, 0),
        }
    }

    /// Changes a folder's permission bits.
    pub fn set_mode(&self, path: &Path, mode: u32) {
        self.tree().nodes.insert(path.to_owned(), Node::Folder { mode });
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().expect("no thread panics while it holds the tree")
    }
}

impl Tree {
    fn check(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the simulated machine crashed")) } else { Ok(()) }
    }

    /// Counts a change and crashes if its turn has come.
    fn begin(&mut self) -> io::Result<()> {
        self.check()?;
        self.operations += 1;
        for fault in &mut self.faults {
            if let Fault::CrashAtOperation(left) = fault {
                *left = left.saturating_sub(1);
                self.crashed |= *left == 0;
            }
        }
        self.check()
    }

    fn room(&self) -> u64 {
        let capacity = self.faults.iter().filter_map(|fault| if let Fault::Capacity(bytes) = fault { Some(*bytes) } else { None });
        let used: u64 = self.nodes.values().map(|node| if let Node::File { bytes, .. } = node { bytes.len() as u64 } else { 0 }).sum();
        capacity.min().unwrap_or(1 << 40).saturating_sub(used)
    }

    fn put(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        if !matches!(self.nodes.get(parent), Some(Node::Folder { .. })) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.room() < content.len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.nodes.insert(path.to_owned(), Node::File { bytes: content.to_vec(), durable: content.len(), appends: 0, syncs: 0 });
        Ok(())
    }

    fn content(&self, path: &Path) -> io::Result<&Vec<u8>> {
        self.check()?;
        match self.nodes.get(path) {
            Some(Node::File { bytes, .. }) => Ok(bytes),
            Some(Node::Folder { .. }) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        tree.begin()?;
        for folder in path.ancestors() {
            tree.nodes.entry(folder.to_owned()).or_insert(Node::Folder { mode: 0o700 });
        }
        Ok(())
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let mut tree = self.tree();
        tree.check()?;
        if !tree.nodes.contains_key(path) {
            tree.begin()?;
            tree.put(path, &[])?;
        }
        Ok(Box::new(MemoryFile { disk: self.clone(), path: path.to_owned() }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        self.tree().content(path)?;
        Ok(Box::new(MemoryFile { disk: self.clone(), path: path.to_owned() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.tree().content(path).cloned()
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut tree = self.tree();
        tree.begin()?;
        tree.put(path, bytes)
    }

    fn create_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut tree = self.tree();
        tree.begin()?;
        if tree.nodes.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        tree.put(path, bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        let tree = self.tree();
        tree.check().is_ok() && tree.nodes.contains_key(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let tree = self.tree();
        tree.check()?;
        if !matches!(tree.nodes.get(path), Some(Node::Folder { .. })) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = tree.nodes.keys().filter(|child| child.parent() == Some(path)).filter_map(|child| child.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        tree.begin()?;
        tree.nodes.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        let tree = self.tree();
        tree.check()?;
        match tree.nodes.get(path) {
            Some(Node::Folder { mode }) => Ok(*mode),
            Some(Node::File { .. }) => Ok(0o600),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        let tree = self.tree();
        tree.check()?;
        Ok(tree.room())
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    path: PathBuf,
}

impl MemoryFile {
    fn is(&self, name: &str) -> bool {
        self.path.file_name().is_some_and(|own| own == name)
    }
}

impl AppendFile for MemoryFile {
    fn append(&self, more: &[u8]) -> io::Result<()> {
        let mut tree = self.disk.tree();
        tree.begin()?;
        let room = usize::try_from(tree.room()).unwrap_or(usize::MAX);
        let limits: Vec<(usize, usize)> = tree
            .faults
            .iter()
            .filter_map(|fault| match fault {
                Fault::CrashAfterLines { file, lines, torn } if self.is(file) => Some((*lines, *torn)),
                _ => None,
            })
            .collect();
        let Some(Node::File { bytes, durable, appends, .. }) = tree.nodes.get_mut(&self.path) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        *appends += 1;
        bytes.extend_from_slice(&more[..more.len().min(room)]);
        for (lines, torn) in limits {
            let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
            if let Some(end) = lines.checked_sub(1).and_then(|skip| ends.nth(skip)) {
                *durable = bytes.len().min(end + torn);
                tree.crashed = true;
                return tree.check();
            }
        }
        if room < more.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut tree = self.disk.tree();
        tree.begin()?;
        let mut fails = false;
        for fault in &mut tree.faults {
            if let Fault::SyncFails { file, nth } = fault
                && self.is(file)
            {
                fails |= *nth == 1;
                *nth = nth.saturating_sub(1);
            }
        }
        let Some(Node::File { bytes, durable, syncs, .. }) = tree.nodes.get_mut(&self.path) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        *syncs += 1;
        if fails {
            return Err(io::Error::other("simulated EIO"));
        }
        *durable = bytes.len();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.tree().content(&self.path)?.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut tree = self.disk.tree();
        tree.begin()?;
        if let Some(Node::File { bytes, durable, .. }) = tree.nodes.get_mut(&self.path) {
            bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            *durable = bytes.len().min(*durable);
        }
        Ok(())
    }
}

impl ReadAt for MemoryFile {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let tree = self.disk.tree();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        let part = tree.content(&self.path)?.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(part);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        AppendFile::len(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with_log() -> (MemoryDisk, Box<dyn AppendFile>) {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/s")).unwrap();
        let file = disk.open_append(Path::new("/s/log")).unwrap();
        (disk, file)
    }

    #[test]
    fn a_crash_drops_what_was_not_synced() {
        let (disk, file) = disk_with_log();
        file.append(b"one\n").unwrap();
        file.sync().unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(disk.after_crash().read(Path::new("/s/log")).unwrap(), b"one\n");
        assert_eq!(disk.after_torn_crash(2).read(Path::new("/s/log")).unwrap(), b"one\ntw");
    }

    #[test]
    fn crashes_at_a_line_inside_a_batch() {
        let (disk, file) = disk_with_log();
        disk.inject(Fault::CrashAfterLines { file: "log".to_owned(), lines: 2, torn: 3 });
        file.append(b"one\n").unwrap();
        assert!(file.append(b"two\nthree\n").is_err());
        assert!(disk.is_crashed() && disk.read(Path::new("/s/log")).is_err());
        assert_eq!(disk.after_crash().read(Path::new("/s/log")).unwrap(), b"one\ntwo\nthr");
    }

    #[test]
    fn fills_up_with_a_short_write() {
        let (disk, file) = disk_with_log();
        disk.inject(Fault::Capacity(6));
        file.append(b"1234").unwrap();
        assert_eq!(file.append(b"5678").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read(Path::new("/s/log")).unwrap(), b"123456");
    }
}
