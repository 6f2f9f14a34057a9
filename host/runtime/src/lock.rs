//! Locks: one process per run, one run per target.
//!
//! A lock is an open file; it ends with its process, however that ends, and holds while the process is stopped.
//! The files lie in per-user folders of the machine, not in the state folder: copies of a state folder meet there.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use cutover_engine::{RunId, Timestamp};
use rustix::process::getuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Types of file systems whose locks end at the machine or not at all (statfs(2) and the kernel's magic.h).
const NETWORK: [(u64, &str); 9] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x0bd0_0bd0, "lustre"),
];

/// Who holds a lock. It is only for the message: the lock itself is the open file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The machine's start, as the kernel names it; empty where it does not.
    pub boot: String,
    /// Since when.
    pub since: Timestamp,
    /// The run.
    pub run: RunId,
    /// Its state folder.
    pub state: PathBuf,
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn this_process(run: &RunId, state: &Path, now: Timestamp) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let state = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
        Self { pid: std::process::id(), boot: boot.trim().to_owned(), since: now, run: run.clone(), state }
    }
}

/// The folders where locks lie.
#[derive(Debug, Clone)]
pub struct LockFolder {
    folders: Vec<PathBuf>,
}

impl LockFolder {
    /// This user's folders: `/tmp/cutover-UID`, and `$XDG_RUNTIME_DIR/cutover` if there is one. A lock is taken in both: a
    /// session has the variable and a timer of the same user has not, and still they must meet.
    pub fn of_user() -> Result<Self, LockError> {
        Self::new(Self::places())
    }

    /// Where this user's folders are, whether they can be used or not.
    #[must_use]
    pub fn places() -> Vec<PathBuf> {
        let mut folders = vec![PathBuf::from(format!("/tmp/cutover-{}", getuid().as_raw()))];
        folders.extend(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir()).map(|dir| dir.join("cutover")));
        folders
    }

    /// A single folder elsewhere.
    pub fn at(folder: &Path) -> Result<Self, LockError> {
        Self::new(vec![folder.to_owned()])
    }

    fn new(folders: Vec<PathBuf>) -> Result<Self, LockError> {
        folders.iter().try_for_each(|folder| prepare(folder))?;
        Ok(Self { folders })
    }

    /// Locks a run for `holder`.
    pub fn lock_run(&self, holder: &Holder) -> Result<Lock, LockError> {
        self.lock(&format!("run-{}.lock", holder.run), &format!("run {}", holder.run), Hold::Alone, holder)
    }

    /// Locks targets, such as `https://bao.corp:8200`, namespace and mount in one text, for `holder`. Of a folder
    /// (`file:/a/b`) no other run can have those above and below; side by side they can be worked on.
    pub fn lock_targets(&self, targets: &BTreeSet<&str>, holder: &Holder) -> Result<Vec<Lock>, LockError> {
        let above: BTreeSet<String> = targets.iter().flat_map(|target| folders_above(target)).collect();
        let above = above.iter().filter(|folder| !targets.contains(folder.as_str()));
        let shared = above.map(|folder| (folder.as_str(), Hold::Shared));
        let targets = targets.iter().map(|target| (*target, Hold::Alone)).chain(shared);
        targets.map(|(target, hold)| self.lock_target(target, hold, holder)).collect()
    }

    fn lock_target(&self, target: &str, hold: Hold, holder: &Holder) -> Result<Lock, LockError> {
        let file = format!("target-{}.lock", hex::encode(Sha256::digest(target)));
        self.lock(&file, &format!("target {target}"), hold, holder)
    }

    fn lock(&self, file: &str, what: &str, hold: Hold, holder: &Holder) -> Result<Lock, LockError> {
        let files = self.folders.iter().map(|folder| take(&folder.join(file), what, hold, holder)).collect::<Result<_, _>>()?;
        Ok(Lock { _files: files })
    }
}

/// A held lock. Dropping it releases it; so does the end of the process.
#[derive(Debug)]
#[must_use = "the lock ends when this is dropped"]
pub struct Lock {
    _files: Vec<File>,
}

/// Whether others may hold the same at once.
#[derive(Debug, Clone, Copy)]
enum Hold {
    Alone,
    Shared,
}

/// The targets that are folders above this one; none for what is no folder.
fn folders_above(target: &str) -> impl Iterator<Item = String> {
    let folder = target.strip_prefix("file:").map(Path::new).filter(|folder| folder.is_absolute());
    folder.into_iter().flat_map(|folder| folder.ancestors().skip(1)).map(|folder| format!("file:{}", folder.display()))
}

fn prepare(folder: &Path) -> Result<(), LockError> {
    let failed = LockError::io(folder);
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    // Not through a link: in /tmp somebody else could have put one there.
    let found = fs::symlink_metadata(folder).map_err(LockError::io(folder))?;
    if !found.is_dir() || found.uid() != getuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(LockError::Untrusted { folder: folder.to_owned() });
    }
    let kind = rustix::fs::statfs(folder).map_err(|error| LockError::io(folder)(error.into()))?.f_type;
    match network_name(kind.cast_unsigned()) {
        Some(name) => Err(LockError::Network { folder: folder.to_owned(), name }),
        None => Ok(()),
    }
}

fn network_name(kind: u64) -> Option<&'static str> {
    NETWORK.into_iter().find_map(|(magic, name)| (magic == kind & 0xffff_ffff).then_some(name))
}

/// The file stays when the lock ends: removing it would let two processes lock two files of one name.
fn take(path: &Path, what: &str, hold: Hold, holder: &Holder) -> Result<File, LockError> {
    let failed = || LockError::io(path);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed())?;
    let locked = match hold {
        Hold::Alone => file.try_lock(),
        Hold::Shared => file.try_lock_shared(),
    };
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok()).map(Box::new);
            return Err(LockError::Held { what: what.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed()(error)),
    }
    let text = serde_json::to_vec(holder).map_err(|error| failed()(error.into()))?;
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text)).map_err(failed())?;
    Ok(file)
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{what} is in use{}", describe(.holder.as_deref()))]
    Held {
        /// The run or target.
        what: String,
        /// Who, if the file says.
        holder: Option<Box<Holder>>,
    },
    /// The folder could be changed by others.
    #[error("`{}` is not a folder that only you can change; remove it, or make it yours with `chmod 700` if it is", .folder.display())]
    Untrusted {
        /// The folder.
        folder: PathBuf,
    },
    /// Locks do not hold on this file system.
    #[error("`{}` is on a network file system ({name}), where locks do not hold; set XDG_RUNTIME_DIR to a folder of this machine", .folder.display())]
    Network {
        /// The folder.
        folder: PathBuf,
        /// The file system.
        name: &'static str,
    },
    /// The file could not be used.
    #[error("cannot lock `{}`", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl LockError {
    /// The code under which `cutover explain` tells more.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "CUT4040",
            Self::Untrusted { .. } => "CUT4041",
            Self::Network { .. } => "CUT4042",
            Self::Io { .. } => "CUT4043",
        }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

fn describe(holder: Option<&Holder>) -> String {
    let Some(holder) = holder else { return String::new() };
    let Holder { pid, run, since, state, .. } = holder;
    format!(" by process {pid} (run {run} of `{}`, since {since}); wait for it or end it, also if it is stopped", state.display())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, process::Command};

    use super::*;

    fn holder(run: &str) -> Holder {
        Holder::this_process(&RunId::new(run).unwrap(), Path::new("/"), Timestamp(1_795_000_000_000))
    }

    fn folder() -> (tempfile::TempDir, LockFolder) {
        let dir = tempfile::tempdir().unwrap();
        let locks = LockFolder::at(&dir.path().join("locks")).unwrap();
        (dir, locks)
    }

    #[test]
    fn a_second_run_on_a_target_is_told_who_has_it() {
        let (_dir, locks) = folder();
        let held = locks.lock_targets(&["https://bao.corp:8200 ns1 secret"].into(), &holder("20261122-014502-k3fd")).unwrap();
        let _other = locks.lock_targets(&["https://bao.corp:8200 ns1 other"].into(), &holder("20261122-014502-aaaa")).unwrap();
        let error = locks.lock_targets(&["https://bao.corp:8200 ns1 secret"].into(), &holder("20261122-014502-aaaa")).unwrap_err();
        let text = error.to_string();
        for part in [
            "target https://bao.corp:8200 ns1 secret",
            &format!("process {}", std::process::id()),
            "run 20261122-014502-k3fd",
            "since 2026-11-18",
        ] {
            assert!(text.contains(part), "{text}");
        }
        drop(held);
        let _free = locks.lock_targets(&["https://bao.corp:8200 ns1 secret"].into(), &holder("20261122-014502-aaaa")).unwrap();
    }

    #[test]
    fn a_run_is_held_once_also_from_another_process() {
        let (dir, locks) = folder();
        let run = holder("20261122-014502-k3fd");
        let lock = locks.lock_run(&run).unwrap();
        assert!(matches!(locks.lock_run(&run), Err(LockError::Held { holder: Some(_), .. })));
        // flock(1) uses the same call, so it stands for a second cutover.
        let path = dir.path().join("locks/run-20261122-014502-k3fd.lock");
        let second = || Command::new("flock").arg("--nonblock").arg(&path).arg("true").status().unwrap().success();
        assert!(!second());
        drop(lock);
        assert!(second());
    }

    #[test]
    fn one_folder_in_common_is_enough_to_meet() {
        let dir = tempfile::tempdir().unwrap();
        let (tmp, runtime) = (dir.path().join("tmp"), dir.path().join("runtime"));
        let session = LockFolder::new(vec![tmp.clone(), runtime]).unwrap();
        let timer = LockFolder::at(&tmp).unwrap();
        let _held = session.lock_targets(&["t"].into(), &holder("20261122-014502-k3fd")).unwrap();
        assert!(matches!(timer.lock_targets(&["t"].into(), &holder("20261122-014502-aaaa")), Err(LockError::Held { .. })));
    }

    #[test]
    fn refuses_a_folder_that_others_can_change_or_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(LockFolder::at(&open), Err(LockError::Untrusted { .. })));
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        LockFolder::at(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(matches!(LockFolder::at(&link), Err(LockError::Untrusted { .. })));
    }

    #[test]
    fn knows_network_file_systems_by_their_type() {
        assert_eq!(network_name(0x6969), Some("nfs"));
        assert_eq!(network_name(0xffff_ffff_ff53_4d42), Some("cifs"), "sign-extended on some machines");
        assert_eq!(network_name(0xef53), None);
    }

    #[test]
    fn a_folder_above_or_below_is_the_same_target_and_one_beside_is_not() {
        let (_dir, locks) = folder();
        let (one, other) = (holder("20261122-014502-k3fd"), holder("20261122-014502-aaaa"));
        let held = locks.lock_targets(&["file:/srv/store"].into(), &one).unwrap();
        for target in ["file:/srv/store/app", "file:/srv/store", "file:/srv", "file:/"] {
            assert!(matches!(locks.lock_targets(&[target].into(), &other), Err(LockError::Held { .. })), "{target}");
        }
        let beside = locks.lock_targets(&["file:/srv/other", "file:/srv/store-2"].into(), &other).unwrap();
        drop((held, beside));
        drop(locks.lock_targets(&["file:/srv", "file:/srv/store"].into(), &other).unwrap());
    }
}
