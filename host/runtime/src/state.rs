//! The state folder: what of the runs is on disk, and where.
//!
//! ```text
//! .cutover/.gitignore            `*`
//! .cutover/key                   the generated state key, unless the operator gives one
//! .cutover/plans/                saved plans
//! .cutover/cache/                compiled plugins; disposable
//! .cutover/runs/RUN/journal.jsonl
//! .cutover/runs/RUN/sealed.log
//! .cutover/runs/RUN/plan.jsonl
//! .cutover/runs/RUN/components/DIGEST.wasm
//! .cutover/runs/RUN/data-key     wrapped by the state key
//! .cutover/runs/RUN/reserve      given back when the disk is full
//! .cutover/runs/RUN/ended        since when, and how long the pre-images stay
//! ```

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use cutover_engine::{Digest, RunId, Span, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    disk::{Disk, DiskError, MINIMUM_FREE, Reserve},
    entropy::Entropy,
    journal::{Anchor, Header, Journal, JournalError, Opened, Record},
    key::{self, Key, KeyError, KeySource},
    lock::{Holder, Lock, LockError, LockFolder},
    sealed_log::{SealedLog, SealedLogError},
};

/// How long pre-images stay after the end of a run, unless the operator says otherwise.
pub const KEEP_PRE_IMAGES: Span = Span::seconds(72 * 60 * 60);

/// An open state folder. Clones are the same folder.
#[derive(Clone)]
pub struct StateFolder {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl StateFolder {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// [`StateError::Exposed`] if others can write to it.
    pub fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<Self, StateError> {
        let folder = Self { disk, root: root.to_owned() };
        for part in [folder.root.clone(), folder.root.join("runs"), folder.plans(), folder.cache()] {
            folder.disk.create_dir_all(&part).map_err(DiskError::io("make", &part))?;
            let mode = folder.disk.mode(&part).map_err(DiskError::io("read", &part))?;
            if mode & 0o022 != 0 {
                return Err(StateError::Exposed { folder: part, mode });
            }
        }
        let ignore = folder.root.join(".gitignore");
        if !folder.disk.exists(&ignore) {
            folder.disk.write_atomic(&ignore, b"*\n").map_err(DiskError::io("write", &ignore))?;
        }
        folder.disk.list(&folder.root).map_err(DiskError::io("read", &folder.root))?;
        Ok(folder)
    }

    /// The folder's path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The disk it is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where saved plans are.
    pub fn plans(&self) -> PathBuf {
        self.root.join("plans")
    }

    /// Where compiled plugins are.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Gets the state key, and makes it if it is a generated one and this is its first use.
    pub fn state_key(&self, source: &KeySource, entropy: &dyn Entropy) -> Result<Key, KeyError> {
        source.load(&*self.disk, &self.root.join("key"), entropy)
    }

    /// Fails with what to do if there is less than [`MINIMUM_FREE`]. Called before a run begins.
    pub fn check_free_space(&self) -> Result<(), DiskError> {
        match self.disk.free_space(&self.root).map_err(DiskError::io("read", &self.root))? {
            free if free < MINIMUM_FREE => Err(DiskError::NoRoom { path: self.root.clone(), free }),
            _ => Ok(()),
        }
    }

    /// Every run that has a journal, oldest first.
    pub fn runs(&self) -> Result<Vec<RunId>, StateError> {
        let runs = self.root.join("runs");
        let names = self.disk.list(&runs).map_err(DiskError::io("read", &runs))?;
        let ids = names.into_iter().filter_map(|name| RunId::new(name).ok());
        Ok(ids.filter(|id| self.disk.exists(&self.folder(id).journal())).collect())
    }

    /// The folder of an existing run.
    pub fn run(&self, id: &RunId) -> Result<RunFolder, StateError> {
        let folder = self.folder(id);
        if self.disk.exists(&folder.journal()) { Ok(folder) } else { Err(StateError::NoRun { run: id.clone(), root: self.root.clone() }) }
    }

    /// Makes the folder of a new run and its data key. The run exists once [`RunFolder::begin`] wrote its journal.
    pub fn create_run(&self, id: &RunId, state_key: &Key, entropy: &dyn Entropy) -> Result<(RunFolder, Key), StateError> {
        let folder = self.folder(id);
        for path in [folder.path.clone(), folder.components()] {
            self.disk.create_dir_all(&path).map_err(|source| DiskError::write(&*self.disk, &path, id.as_str(), source))?;
        }
        let key = key::create_data_key(&*self.disk, &folder.data_key_path(), id, state_key, entropy)?;
        Ok((folder, key))
    }

    /// The runs whose time is over and whose data key is still there.
    pub fn expired(&self, now: Timestamp) -> Result<Vec<RunFolder>, StateError> {
        let folders = self.runs()?.into_iter().map(|id| self.folder(&id));
        folders.filter_map(|folder| folder.is_expired(now).map(|expired| expired.then_some(folder)).transpose()).collect()
    }

    fn folder(&self, id: &RunId) -> RunFolder {
        RunFolder { disk: Arc::clone(&self.disk), root: self.root.clone(), path: self.root.join("runs").join(id.as_str()), id: id.clone() }
    }
}

impl fmt::Debug for StateFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateFolder").field(&self.root).finish()
    }
}

/// When a run ended and how long its pre-images stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The end.
    pub at: Timestamp,
    /// The span from then on.
    pub keep: Span,
}

/// The folder of one run.
#[derive(Clone)]
pub struct RunFolder {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    path: PathBuf,
    id: RunId,
}

impl RunFolder {
    /// The run.
    pub const fn id(&self) -> &RunId {
        &self.id
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// The plan's path.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.jsonl")
    }

    /// Where the components are.
    pub fn components(&self) -> PathBuf {
        self.path.join("components")
    }

    /// A component's path.
    pub fn component(&self, digest: Digest) -> PathBuf {
        self.components().join(format!("{digest}.wasm"))
    }

    /// Locks the run for this process.
    pub fn lock(&self, locks: &LockFolder, now: Timestamp) -> Result<Lock, LockError> {
        locks.lock_run(&Holder::this_process(&self.id, &self.root, now))
    }

    /// Gets the run's data key.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`] if its pre-images were given up: then there is no way back.
    pub fn data_key(&self, state_key: &Key) -> Result<Key, KeyError> {
        key::load_data_key(&*self.disk, &self.data_key_path(), &self.id, state_key)
    }

    /// Begins a new run: its sealed log, its reserve and, last, its journal.
    pub fn begin<E>(
        &self,
        plan: Digest,
        data_key: Key,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Journal<E>, Arc<SealedLog>, Arc<Reserve>), StateError>
    where
        E: Serialize + DeserializeOwned,
    {
        let (sealed, reserve, _) = self.sealed(data_key, entropy)?;
        let header = Header::new(self.id.clone(), plan);
        let journal = Journal::create(Arc::clone(&self.disk), &self.journal(), &header, Arc::clone(&sealed), Arc::clone(&reserve))?;
        Ok((journal, sealed, reserve))
    }

    /// Opens a run to go on with it; see [`Journal::open`]. The caller holds the run's lock.
    pub fn resume<E>(
        &self,
        data_key: Key,
        entropy: Arc<dyn Entropy>,
        anchor: Option<Anchor>,
        each: impl FnMut(Record<E>) -> Result<(), String>,
    ) -> Result<Resumed<E>, StateError>
    where
        E: Serialize + DeserializeOwned,
    {
        let (sealed, reserve, torn) = self.sealed(data_key, entropy)?;
        let (journal, mut opened) =
            Journal::open(Arc::clone(&self.disk), &self.journal(), anchor, Arc::clone(&sealed), Arc::clone(&reserve), each)?;
        if opened.header.run != self.id {
            return Err(StateError::ForeignJournal { folder: self.path.clone(), run: opened.header.run });
        }
        opened.torn_tail |= torn;
        Ok(Resumed { journal, sealed, reserve, opened })
    }

    /// Opens the sealed log alone, to look into it. The caller must not write.
    pub fn sealed_log(&self, data_key: Key, entropy: Arc<dyn Entropy>) -> Result<Arc<SealedLog>, StateError> {
        Ok(self.sealed(data_key, entropy)?.0)
    }

    /// Notes the end of the run: from now on `keep` counts.
    pub fn mark_ended(&self, ended: Ended) -> Result<(), DiskError> {
        let path = self.path.join("ended");
        let text = serde_json::to_vec(&ended).expect("two numbers");
        self.disk.write_atomic(&path, &text).map_err(|source| DiskError::write(&*self.disk, &path, self.id.as_str(), source))
    }

    /// Takes the end back, because the run goes on or goes back.
    pub fn unmark_ended(&self) -> Result<(), DiskError> {
        let path = self.path.join("ended");
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// When the run ended, if it did.
    pub fn ended(&self) -> Result<Option<Ended>, StateError> {
        let path = self.path.join("ended");
        match self.disk.read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| StateError::Unreadable { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::io("read", &path)(error).into()),
        }
    }

    /// Destroys the run's data key: from then on there is no way back. False if it was destroyed before.
    pub fn destroy_data_key(&self, now: Timestamp) -> Result<bool, StateError> {
        let destroyed = key::destroy_data_key(&*self.disk, &self.data_key_path(), &self.id, now)?;
        self.unmark_ended()?;
        Ok(destroyed)
    }

    /// Whether the run ended longer ago than its pre-images are kept.
    pub fn is_expired(&self, now: Timestamp) -> Result<bool, StateError> {
        Ok(self.ended()?.is_some_and(|ended| ended.at.after(ended.keep) <= now))
    }

    fn data_key_path(&self) -> PathBuf {
        self.path.join("data-key")
    }

    fn sealed(&self, key: Key, entropy: Arc<dyn Entropy>) -> Result<(Arc<SealedLog>, Arc<Reserve>, bool), StateError> {
        let reserve = Arc::new(Reserve::hold(Arc::clone(&self.disk), self.path.join("reserve")));
        let path = self.path.join("sealed.log");
        let (log, torn) = SealedLog::open(Arc::clone(&self.disk), &path, &self.id, key, entropy, Arc::clone(&reserve))?;
        Ok((Arc::new(log), reserve, torn))
    }
}

impl fmt::Debug for RunFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunFolder").field(&self.path).finish()
    }
}

/// A run opened to go on with it.
#[derive(Debug)]
pub struct Resumed<E> {
    /// Its journal.
    pub journal: Journal<E>,
    /// Its sealed log.
    pub sealed: Arc<SealedLog>,
    /// Its reserve.
    pub reserve: Arc<Reserve>,
    /// What reading the journal found.
    pub opened: Opened,
}

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Others can write to it.
    #[error("`{}` can be written by other users (mode {mode:o}); type `chmod 700 {}`", .folder.display(), .folder.display())]
    Exposed {
        /// The folder.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no such run.
    #[error("there is no run {run} in `{}`; `cutover runs list` shows them", .root.display())]
    NoRun {
        /// The run.
        run: RunId,
        /// The state folder.
        root: PathBuf,
    },
    /// A folder holds another run's journal.
    #[error("`{}` holds the journal of run {run}: folders were mixed up; restore the state folder from a copy", .folder.display())]
    ForeignJournal {
        /// The folder.
        folder: PathBuf,
        /// Whose journal it is.
        run: RunId,
    },
    /// A small file is no longer what was written.
    #[error("`{}` is damaged; restore it from a copy", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The sealed log.
    #[error(transparent)]
    SealedLog(#[from] SealedLogError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl StateError {
    /// The code under which `cutover explain` tells more.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exposed { .. } => "CUT4050",
            Self::NoRun { .. } => "CUT4051",
            Self::ForeignJournal { .. } => "CUT4052",
            Self::Unreadable { .. } => "CUT4053",
            Self::Journal(error) => error.code(),
            Self::SealedLog(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Disk(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        disk::{Fault, MemoryDisk, SystemDisk},
        entropy::SystemEntropy,
        sealed_log::Kind,
    };
    use cutover_engine::ChangeNo;

    const ROOT: &str = "/srv/.cutover";

    fn id(tail: &str) -> RunId {
        RunId::new(format!("20261122-014502-{tail}")).unwrap()
    }

    fn begin(state: &StateFolder, id: &RunId) -> Key {
        let state_key = state.state_key(&KeySource::Generated, &SystemEntropy).unwrap();
        let (folder, key) = state.create_run(id, &state_key, &SystemEntropy).unwrap();
        let (journal, sealed, _) = folder.begin::<String>(Digest::from_bytes([1; 32]), key, Arc::new(SystemEntropy)).unwrap();
        sealed.append(Kind::PreImage, ChangeNo(0), b"before").unwrap();
        journal.append(Timestamp(1), &"captured".to_owned()).unwrap();
        journal.close().unwrap();
        state_key
    }

    fn resume(state: &StateFolder, id: &RunId) -> Result<(Resumed<String>, Vec<String>), StateError> {
        let folder = state.run(id)?;
        let key = folder.data_key(&state.state_key(&KeySource::Generated, &SystemEntropy)?)?;
        let mut events = Vec::new();
        let resumed = folder.resume(key, Arc::new(SystemEntropy), None, |record: Record<String>| {
            events.push(record.event);
            Ok(())
        })?;
        Ok((resumed, events))
    }

    #[test]
    fn a_run_is_begun_listed_and_resumed_on_a_real_disk() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(Arc::new(SystemDisk), &dir.path().join(".cutover")).unwrap();
        for tail in ["bbbb", "aaaa"] {
            begin(&state, &id(tail));
        }
        assert_eq!(state.runs().unwrap(), [id("aaaa"), id("bbbb")]);
        let (resumed, events) = resume(&state, &id("aaaa")).unwrap();
        assert_eq!(events, ["captured"]);
        assert_eq!(**resumed.sealed.first(Kind::PreImage, ChangeNo(0)).unwrap().unwrap(), *b"before");
        assert_eq!(SystemDisk.read(&dir.path().join(".cutover/.gitignore")).unwrap(), b"*\n");
        assert!(matches!(state.run(&id("cccc")), Err(StateError::NoRun { .. })));
        let again = state.create_run(&id("aaaa"), &Key::from_bytes([0; 32]), &SystemEntropy);
        assert!(again.is_err(), "a run is never begun over another");
    }

    #[test]
    fn refuses_a_folder_that_others_can_write() {
        let disk = MemoryDisk::new();
        for mode in [0o770, 0o702, 0o777] {
            disk.set_mode(Path::new(ROOT), mode);
            let error = StateFolder::open(Arc::new(disk.clone()), Path::new(ROOT)).unwrap_err();
            assert!(error.to_string().contains("`chmod 700 /srv/.cutover`"), "{error}");
        }
        disk.set_mode(Path::new(ROOT), 0o755);
        assert!(StateFolder::open(Arc::new(disk), Path::new(ROOT)).is_ok());
    }

    #[test]
    fn pre_images_go_when_their_time_is_over_but_never_of_a_run_that_goes_on() {
        let state = StateFolder::open(Arc::new(MemoryDisk::new()), Path::new(ROOT)).unwrap();
        for tail in ["aaaa", "bbbb", "cccc"] {
            begin(&state, &id(tail));
        }
        let end = Ended { at: Timestamp(1_000), keep: KEEP_PRE_IMAGES };
        state.run(&id("aaaa")).unwrap().mark_ended(end).unwrap();
        state.run(&id("bbbb")).unwrap().mark_ended(end).unwrap();
        let over = end.at.after(end.keep);
        let expired = |now| state.expired(now).unwrap().iter().map(|folder| folder.id().clone()).collect::<Vec<_>>();
        assert!(expired(Timestamp(over.0 - 1)).is_empty());
        assert_eq!(expired(over), [id("aaaa"), id("bbbb")]);
        assert!(state.run(&id("aaaa")).unwrap().destroy_data_key(over).unwrap());
        assert!(matches!(resume(&state, &id("aaaa")), Err(StateError::Key(KeyError::Destroyed { .. }))));
        state.run(&id("bbbb")).unwrap().unmark_ended().unwrap();
        assert!(expired(over).is_empty(), "one is given up, the other goes on");
        assert!(resume(&state, &id("bbbb")).is_ok() && resume(&state, &id("cccc")).is_ok());
    }

    #[test]
    fn journals_of_other_runs_and_other_state_keys_are_refused() {
        let disk = MemoryDisk::new();
        let state = StateFolder::open(Arc::new(disk.clone()), Path::new(ROOT)).unwrap();
        begin(&state, &id("aaaa"));
        begin(&state, &id("bbbb"));
        let foreign = disk.read(&state.run(&id("bbbb")).unwrap().journal()).unwrap();
        disk.write_atomic(&state.run(&id("aaaa")).unwrap().journal(), &foreign).unwrap();
        assert!(matches!(resume(&state, &id("aaaa")), Err(StateError::ForeignJournal { .. })));
        let wrong = state.run(&id("bbbb")).unwrap().data_key(&Key::from_bytes([5; 32])).unwrap_err();
        assert!(matches!(wrong, KeyError::WrongStateKey { .. }) && wrong.to_string().contains("--key"));
    }

    #[test]
    fn nothing_begins_on_a_nearly_full_disk() {
        let disk = MemoryDisk::new();
        let state = StateFolder::open(Arc::new(disk.clone()), Path::new(ROOT)).unwrap();
        assert!(state.check_free_space().is_ok());
        disk.inject(Fault::Capacity(MINIMUM_FREE));
        let error = state.check_free_space().unwrap_err();
        assert!(
            error.code() == "CUT4001" && error.to_string().contains(ROOT) && error.to_string().contains("nothing was begun"),
            "{error}"
        );
    }
}
