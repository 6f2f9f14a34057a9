//! Files below one folder: never through a symbolic link, replaced as a whole, durable before the answer.
//!
//! Every step of a path is opened relative to the one before without following links, so no name, and nobody who renames
//! folders meanwhile, leads out. This does what `openat2` with `RESOLVE_BENEATH` does, on every kernel.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat, fsync, mkdirat, openat, renameat,
        renameat_with, statat, unlinkat,
    },
    io::Errno,
    process::{Pid, test_kill_process},
};
use zeroize::Zeroizing;

/// The largest file, in bytes.
pub(super) const MAX_BYTES: u64 = 8 << 20;
/// How the names of files end that are not yet in place.
pub(super) const TEMPORARY: &str = ".cutover-tmp";

const OPEN_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder that stays the same whatever happens to its name.
pub(super) struct Folder {
    root: OwnedFd,
    /// Folders below it that were swept since it was opened.
    swept: Mutex<HashSet<Vec<String>>>,
}

/// A file as it was read.
pub(super) struct Stored {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) stamp: Stamp,
}

/// What tells that a file was replaced or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: i64,
    modified: (i64, i64),
}

/// What went wrong, without content.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// This user has no right to it.
    #[error("permission denied")]
    Denied,
    /// It is something else than a regular file or folder.
    #[error("it is {0}")]
    NotAFile(&'static str),
    /// It is over [`MAX_BYTES`].
    #[error("it is larger than 8 MiB")]
    TooLarge,
    /// It is not what it was when it was read.
    #[error("somebody else changed it meanwhile")]
    Moved,
    /// Anything else; nothing was changed.
    #[error("{0}")]
    System(Errno),
    /// The change is visible, but perhaps not durable.
    #[error("it was changed, but the folder could not be synced: {0}")]
    NotDurable(Errno),
}

impl From<Errno> for FolderError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Self::Denied,
            Errno::LOOP => Self::NotAFile("a symbolic link"),
            other => Self::System(other),
        }
    }
}

/// The names in a folder, sorted.
#[derive(Default)]
pub(super) struct Names {
    /// Files, and folders with a slash at the end.
    pub(super) keys: Vec<String>,
    /// What is neither, such as links, and names that are no UTF-8, as far as they can be told: nothing of it can be asked for.
    pub(super) others: Vec<String>,
}

impl Folder {
    /// Opens the root; its own path may have links, they are the operator's.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let root = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, swept: Mutex::default() })
    }

    /// The file's content; none if it does not exist.
    pub(super) fn read(&self, path: &[String]) -> Result<Option<Stored>, FolderError> {
        let (Some((name, folders)), mut bytes) = (path.split_last(), Zeroizing::new(Vec::new())) else {
            return Err(FolderError::NotAFile("a folder"));
        };
        let Some(parent) = self.walk(folders, false)? else { return Ok(None) };
        if regular(&parent, name)?.is_none() {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(&parent, name, flags, Mode::empty())?);
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FolderError::NotAFile("no regular file"));
        }
        // Room for all at once: a buffer that grows leaves copies behind.
        bytes.reserve_exact(usize::try_from(stat.st_size.clamp(0, 8 << 20)).unwrap_or(0) + 1);
        (&file)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| FolderError::System(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(FolderError::TooLarge);
        }
        Ok(Some(Stored { bytes, stamp: stamp(&stat) }))
    }

    /// The names in a folder; none if it does not exist.
    pub(super) fn list(&self, path: &[String]) -> Result<Option<Names>, FolderError> {
        let Some(folder) = self.walk(path, false)? else { return Ok(None) };
        let mut names = Names::default();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                names.others.push(entry.file_name().to_string_lossy().into_owned());
                continue;
            };
            if name == "." || name == ".." || name.ends_with(TEMPORARY) {
                continue;
            }
            match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::RegularFile) => names.keys.push(name.to_owned()),
                Ok(FileType::Directory) => names.keys.push(format!("{name}/")),
                Ok(_) => names.others.push(name.to_owned()),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        names.keys.sort_unstable();
        names.others.sort_unstable();
        Ok(Some(names))
    }

    /// Puts `bytes` in place of the file that has `stamp`, or makes the file if there is none. Mode and owner stay; new
    /// files are 0600, new folders 0700.
    pub(super) fn replace(&self, path: &[String], bytes: &[u8], expected: Option<Stamp>) -> Result<(), FolderError> {
        let (name, folders) = path.split_last().ok_or(FolderError::NotAFile("a folder"))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(FolderError::TooLarge);
        }
        let parent = self.walk(folders, true)?.ok_or(FolderError::System(Errno::NOENT))?;
        self.sweep(folders, &parent);
        let temporary = Temporary::create(&parent)?;
        let before = regular(&parent, name)?;
        if let Some(before) = &before {
            temporary.take_after(before)?;
        }
        temporary.write(bytes)?;
        // Looked at again at the last moment; another program that writes right now without replacing is not seen.
        if regular(&parent, name)?.as_ref().map(stamp) != expected {
            return Err(FolderError::Moved);
        }
        temporary.put(name, expected.is_none())?;
        fsync(&parent).map_err(FolderError::NotDurable)
    }

    /// Takes the file with `stamp` away.
    pub(super) fn remove(&self, path: &[String], expected: Stamp) -> Result<(), FolderError> {
        let (name, folders) = path.split_last().ok_or(FolderError::NotAFile("a folder"))?;
        let parent = self.walk(folders, false)?.ok_or(FolderError::Moved)?;
        self.sweep(folders, &parent);
        if regular(&parent, name)?.as_ref().map(stamp) != Some(expected) {
            return Err(FolderError::Moved);
        }
        unlinkat(&parent, name, AtFlags::empty())?;
        fsync(&parent).map_err(FolderError::NotDurable)
    }

    /// Gives the file with `stamp` another name that nothing has yet; [`FolderError::Moved`] if something has.
    pub(super) fn rename(&self, from: &[String], to: &[String], expected: Stamp) -> Result<(), FolderError> {
        let ((old, old_folders), (new, new_folders)) = from.split_last().zip(to.split_last()).ok_or(FolderError::NotAFile("a folder"))?;
        let source = self.walk(old_folders, false)?.ok_or(FolderError::Moved)?;
        let target = self.walk(new_folders, true)?.ok_or(FolderError::System(Errno::NOENT))?;
        self.sweep(old_folders, &source);
        self.sweep(new_folders, &target);
        if regular(&source, old)?.as_ref().map(stamp) != Some(expected) {
            return Err(FolderError::Moved);
        }
        rename_new(&source, old, &target, new)?;
        fsync(&target).and_then(|()| fsync(&source)).map_err(FolderError::NotDurable)
    }

    /// Takes away what processes left that were killed while they wrote, before the first write to a folder. What cannot
    /// be looked at or removed stays: it is hidden, and no reason not to write.
    fn sweep(&self, path: &[String], folder: &OwnedFd) {
        if !self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_vec()) {
            return;
        }
        for entry in Dir::read_from(folder).into_iter().flatten().flatten() {
            let Some(name) = entry.file_name().to_str().ok().filter(|name| writer(name).is_some_and(is_dead)) else { continue };
            if regular(folder, name).is_ok_and(|found| found.is_some()) {
                let _ = unlinkat(folder, name, AtFlags::empty());
            }
        }
    }

    /// The folder at `path`; none if it does not exist and `create` is false.
    fn walk(&self, path: &[String], create: bool) -> Result<Option<OwnedFd>, FolderError> {
        let mut folder = openat(&self.root, ".", OPEN_FOLDER, Mode::empty())?;
        for name in path {
            let next = match openat(&folder, name, OPEN_FOLDER, Mode::empty()) {
                Err(Errno::NOENT) if create => {
                    match mkdirat(&folder, name, Mode::RWXU) {
                        Ok(()) | Err(Errno::EXIST) => fsync(&folder)?,
                        Err(errno) => return Err(errno.into()),
                    }
                    openat(&folder, name, OPEN_FOLDER, Mode::empty())
                }
                other => other,
            };
            folder = match next {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                // A link gives the same error as a file in a folder's place.
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return regular(&folder, name).and_then(|_| if create { Err(FolderError::NotAFile("below a file")) } else { Ok(None) });
                }
                Err(errno) => return Err(errno.into()),
            };
        }
        Ok(Some(folder))
    }
}

/// A file that is written beside the one it will replace, and gone if it does not come to that.
struct Temporary<'a> {
    parent: &'a OwnedFd,
    name: String,
    file: File,
}

impl<'a> Temporary<'a> {
    fn create(parent: &'a OwnedFd) -> Result<Self, FolderError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let name = format!(".{}-{}{TEMPORARY}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            match openat(parent, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => return Ok(Self { parent, name, file: file.into() }),
                // Left by a process of the same number that was killed.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn take_after(&self, before: &Stat) -> Result<(), FolderError> {
        let own = fstat(&self.file)?;
        if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid) {
            fchown(&self.file, Some(Uid::from_raw(before.st_uid)), Some(Gid::from_raw(before.st_gid)))?;
        }
        Ok(fchmod(&self.file, Mode::from_raw_mode(before.st_mode & 0o777))?)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), FolderError> {
        (&self.file).write_all(bytes).map_err(|error| FolderError::System(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        Ok(fsync(&self.file)?)
    }

    fn put(self, name: &str, new: bool) -> Result<(), FolderError> {
        if new { rename_new(self.parent, &self.name, self.parent, name) } else { Ok(renameat(self.parent, &self.name, self.parent, name)?) }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing of that name.
        let _ = unlinkat(self.parent, &self.name, AtFlags::empty());
    }
}

/// The process that a temporary name belongs to; none if [`Temporary`] gives no such name.
fn writer(name: &str) -> Option<Pid> {
    let (process, count) = name.strip_prefix('.')?.strip_suffix(TEMPORARY)?.split_once('-')?;
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !is_number(process) || !is_number(count) {
        return None;
    }
    process.parse().ok().and_then(Pid::from_raw)
}

/// Whether no process of this machine has that number. One of another user lives too.
fn is_dead(process: Pid) -> bool {
    test_kill_process(process) == Err(Errno::SRCH)
}

/// Renames onto a name that nothing has; where the file system cannot promise that, after a look.
fn rename_new(source: &OwnedFd, old: &str, target: &OwnedFd, new: &str) -> Result<(), FolderError> {
    match renameat_with(source, old, target, new, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(FolderError::Moved),
        Err(Errno::INVAL | Errno::NOSYS) => match statat(target, new, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(renameat(source, old, target, new)?),
            Ok(_) => Err(FolderError::Moved),
            Err(errno) => Err(errno.into()),
        },
        Err(errno) => Err(errno.into()),
    }
}

/// The regular file of that name; none if there is nothing. Anything else is an error.
fn regular(parent: &OwnedFd, name: &str) -> Result<Option<Stat>, FolderError> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(stat)),
            FileType::Symlink => Err(FolderError::NotAFile("a symbolic link")),
            FileType::Directory => Err(FolderError::NotAFile("a folder")),
            _ => Err(FolderError::NotAFile("no regular file")),
        },
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn stamp(stat: &Stat) -> Stamp {
    Stamp { inode: stat.st_ino, size: stat.st_size, modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)) }
}
