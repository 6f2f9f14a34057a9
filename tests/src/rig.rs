//! A host on a disk, a clock and kinds of the test's choice.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use cutover_engine::{Catalog, Event, Run, RunId, Span, Timestamp, Workflow};
use cutover_runtime::{
    clock::{Clock, SystemClock},
    connection::Kinds,
    disk::{Disk, SystemDisk},
    entropy::{Entropy, SystemEntropy},
    key::Key,
    lock::LockFolder,
    policy::CallLimits,
    runs::{Host, HostError, Prepared, Rested, catalog},
    sandbox::{Compiler, Limits, Sandbox},
    state::StateFolder,
};

/// A folder for one test, and a host on it.
pub struct Rig {
    /// Removed with the rig.
    pub folder: tempfile::TempDir,
    /// The host.
    pub host: Host,
}

/// The events of a drive, in order.
pub type Trace = Arc<Mutex<Vec<Event>>>;

impl Rig {
    /// A host on the machine's disk and clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Arc::new(SystemDisk), Arc::new(SystemClock), Kinds::system())
    }

    /// A host on these.
    ///
    /// # Panics
    /// If it cannot be set up.
    #[must_use]
    pub fn with(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, kinds: Kinds) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let host = Host {
            state: StateFolder::open(disk, &folder.path().join("state")).expect("a state folder"),
            locks: LockFolder::at(&folder.path().join("locks")).expect("a lock folder"),
            state_key: Key::from_bytes([1; 32]),
            kinds,
            sandbox: Arc::new(Sandbox::new(Limits::default(), Compiler::InProcess, None).expect("a sandbox")),
            clock,
            entropy,
            limits: CallLimits::default(),
            longest_wait: Span::seconds(3_600),
        };
        Self { folder, host }
    }

    /// A path in the rig's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Parses, checks and plans a workflow with these plugins by alias.
    ///
    /// # Panics
    /// If the workflow has an error; the message lists all of them.
    pub async fn prepare(&self, text: &str, plugins: &[(&str, &str)]) -> Result<Prepared, HostError> {
        let mut components = BTreeMap::new();
        for (alias, guest) in plugins {
            components.insert((*alias).to_owned(), crate::component(guest).await);
        }
        self.prepare_with(text, components).await
    }

    /// The same with components that are no guests of `tests/guests` or `plugins`.
    ///
    /// # Panics
    /// If the workflow has an error; the message lists all of them.
    pub async fn prepare_with(&self, text: &str, components: BTreeMap<String, Vec<u8>>) -> Result<Prepared, HostError> {
        let catalog: Catalog = catalog(&components)?;
        let (workflow, mut problems) = Workflow::parse(text);
        let workflow = workflow.unwrap_or_else(|| panic!("{problems:#?}"));
        problems.extend(workflow.check(&catalog));
        problems.retain(cutover_engine::Diagnostic::is_error);
        assert!(problems.is_empty(), "{problems:#?}");
        let inputs = workflow.bind(&BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        self.host.prepare(&workflow, ("test.toml", text), components, inputs, self.folder.path()).await
    }

    /// Plans and runs a workflow to where it comes to rest, with all its events.
    pub async fn run(&self, text: &str, plugins: &[(&str, &str)]) -> Result<(Rested, Vec<Event>), HostError> {
        let prepared = self.prepare(text, plugins).await?;
        self.start(prepared, false).await
    }

    /// Runs a prepared plan.
    pub async fn start(&self, prepared: Prepared, confirm: bool) -> Result<(Rested, Vec<Event>), HostError> {
        let (trace, observer) = tracing();
        let rested = self.host.start(self.host.new_id(), prepared, confirm, std::future::pending(), observer).await?;
        Ok((rested, taken(&trace)))
    }

    /// Resumes a run.
    pub async fn resume(&self, id: &RunId) -> Result<(Rested, Vec<Event>), HostError> {
        let (trace, observer) = tracing();
        let rested = self.host.resume(id, None, std::future::pending(), observer).await?;
        Ok((rested, taken(&trace)))
    }

    /// Takes a run back.
    pub async fn rollback(&self, id: &RunId, over: &[String]) -> Result<(Rested, Vec<Event>), HostError> {
        let (trace, observer) = tracing();
        let rested = self.host.rollback(id, over, None, std::future::pending(), observer).await?;
        Ok((rested, taken(&trace)))
    }
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

fn tracing() -> (Trace, cutover_runtime::drive::Observer<'static>) {
    let trace = Trace::default();
    let seen = trace.clone();
    let observer = move |_: &Run, _: Timestamp, event: &Event| seen.lock().expect("no observer panics").push(event.clone());
    (trace, Box::new(observer))
}

fn taken(trace: &Trace) -> Vec<Event> {
    std::mem::take(&mut trace.lock().expect("no observer panics"))
}
