//! Planning, starting, resuming and rolling back: what the command line asks for.

mod error;
mod follow;
mod prepare;
mod retention;
mod show;

use std::{collections::BTreeSet, future::Future, path::Path, sync::Arc};

use cutover_engine::{ChangeNo, Ending, Event, FailureCase, OnDrift, Plan, PlannedAgain, Run, RunId, Span};
use zeroize::Zeroizing;

pub use self::{
    error::{DriftError, HostError},
    follow::Followed,
    prepare::{Components, Prepared, catalog},
    show::Shown,
};
use crate::{
    bodies::Bodies,
    clock::Clock,
    connection::Kinds,
    disk::{Disk, DiskError},
    drive::{Observer, Outfit, drive},
    entropy::Entropy,
    equipment::Equipment,
    journal::{Anchor, Journal},
    key::{Key, WrappedKey},
    lock::{Holder, Lock, LockFolder},
    planner::{Drift, PlanningError, drift},
    policy::CallLimits,
    sandbox::Sandbox,
    sealed_log::SealedLog,
    sealing::{Scanner, SealingKey},
    state::{Ended, RunFolder, StateFolder},
};

/// The host: one state folder, one sandbox, one clock.
pub struct Host {
    /// Where runs are kept.
    pub state: StateFolder,
    /// The machine's locks of this user.
    pub locks: LockFolder,
    /// Encrypts what the state holds.
    pub state_key: Key,
    /// The connection kinds.
    pub kinds: Kinds,
    /// Runs plugins.
    pub sandbox: Arc<Sandbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// For every hook call.
    pub limits: CallLimits,
    /// A longer wait ends the process; `resume` goes on.
    pub longest_wait: Span,
}

/// How a run came to rest in this process.
pub struct Rested {
    /// The run.
    pub id: RunId,
    /// All that happened.
    pub run: Run,
    /// How it ended.
    pub ending: Ending,
    /// Where the journal ends: keep it elsewhere to notice a cut or a restored copy.
    pub head: Anchor,
    /// What had drifted before it began.
    pub drift: Drift,
}

impl Host {
    /// A new run's id, greater than those that are there: the greatest is the last, also of two that begin in one second.
    pub fn new_id(&self) -> RunId {
        /// Enough for an id that is greater than one of the same second; none is if the clock was set back.
        const TRIES: usize = 64;
        let newest = self.state.runs().ok().and_then(|ids| ids.into_iter().max());
        let now = self.clock.now();
        let generate = || {
            let mut bytes = [0; 4];
            self.entropy.fill(&mut bytes);
            RunId::generate(now, bytes)
        };
        let is_last = |id: &RunId| newest.as_ref().is_none_or(|newest| id > newest);
        std::iter::repeat_with(generate).take(TRIES).find(is_last).unwrap_or_else(generate)
    }

    /// Starts a prepared plan. `confirm` plans again first: for a saved plan, or if time has passed since.
    pub async fn start(
        &self,
        id: RunId,
        prepared: Prepared,
        confirm: bool,
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        // Planning may have logged in already, whatever keeps the run from starting.
        let equipment = prepared.equipment.clone();
        let rested = self.start_prepared(id, prepared, confirm, stop, observer).await;
        equipment.close().await;
        rested
    }

    async fn start_prepared(
        &self,
        id: RunId,
        mut prepared: Prepared,
        confirm: bool,
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        self.give_up_expired()?;
        self.state.check_free_space()?;
        let mut locks = self.lock_targets(&id, &prepared.plan)?;
        let moved = if confirm { self.confirm(&prepared).await? } else { Drift::default() };
        let (folder, data_key) = self.state.create_run(&id, &self.state_key, &*self.entropy)?;
        locks.push(folder.lock(&self.locks, self.clock.now())?);
        let disk = self.state.disk();
        let write = |path: &Path, bytes: &[u8]| {
            disk.write_atomic(path, bytes).map_err(|source| HostError::from(DiskError::write(&**disk, path, id.as_str(), source)))
        };
        for (digest, component) in &prepared.components {
            write(&folder.component(*digest), component)?;
        }
        // In place: the text of a large plan is not copied.
        let text = std::mem::take(&mut prepared.text);
        let text = self.keyed(text, &prepared)?;
        write(&folder.plan(), text.as_bytes())?;
        let (journal, sealed, _reserve) = folder.begin(prepared.plan.digest, data_key, self.entropy.clone())?;
        let deferred = moved.moved.iter().map(|(change, _)| *change).collect();
        let first = Event::Started { plan: prepared.plan.digest, deferred };
        let run = Run::new(Arc::new(prepared.plan));
        let opened = OpenRun { folder, run, journal, sealed, equipment: prepared.equipment, key: prepared.key, text, locks };
        let mut rested = self.drive(opened, first, stop, observer).await?;
        rested.drift = moved;
        Ok(rested)
    }

    /// Goes on with a run that came to rest or whose process died.
    pub async fn resume(
        &self,
        id: &RunId,
        anchor: Option<Anchor>,
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        let opened = self.reopen(id, anchor).await?;
        self.resume_opened(opened, stop, observer).await
    }

    /// Goes on with a run that [`Self::reopen`] opened.
    pub async fn resume_opened(
        &self,
        opened: OpenRun,
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        if let Some(ending @ (Ending::Completed | Ending::RolledBack)) = opened.run.ending() {
            // The process may have died between its last record and this note of it.
            if opened.folder.ended()?.is_none() {
                let keep = opened.run.plan().header.keep_pre_images;
                opened.folder.mark_ended(Ended { at: opened.run.last_event(), keep })?;
            }
            return Err(HostError::AtRest { run: opened.folder.id().clone(), ending });
        }
        if opened.run.has_begun() {
            return self.drive(opened, Event::Resumed {}, stop, observer).await;
        }
        // The process died between the journal's first line and the first event: nothing was done.
        let moved = self.confirm_stored(&opened).await?;
        let deferred = moved.moved.iter().map(|(change, _)| *change).collect();
        let first = Event::Started { plan: opened.run.plan().digest, deferred };
        let mut rested = self.drive(opened, first, stop, observer).await?;
        rested.drift = moved;
        Ok(rested)
    }

    /// Takes a run back. `over` names changes whose foreign writes may be overwritten.
    pub async fn rollback(
        &self,
        id: &RunId,
        over: &[String],
        anchor: Option<Anchor>,
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        let opened = self.reopen(id, anchor).await?;
        self.roll_back_opened(opened, over, stop, observer).await
    }

    /// Takes a run back that [`Self::reopen`] opened.
    pub async fn roll_back_opened(
        &self,
        mut opened: OpenRun,
        over: &[String],
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        if opened.run.ending() == Some(Ending::RolledBack) {
            return Err(HostError::AtRest { run: opened.folder.id().clone(), ending: Ending::RolledBack });
        }
        let over = named(opened.run.plan(), over)?;
        if opened.run.ending().is_none() {
            // The process died: first what was in flight is known to have no outcome.
            let at = self.clock.now();
            let begun = opened.run.has_begun();
            let event = if begun { Event::Resumed {} } else { Event::Started { plan: opened.run.plan().digest, deferred: Vec::new() } };
            opened.run.apply(at, &event)?;
            opened.journal.append(at, &event)?;
        }
        self.drive(opened, Event::RollbackRequested { over }, stop, observer).await
    }

    /// Everything a run needs, with its locks held.
    pub async fn reopen(&self, id: &RunId, anchor: Option<Anchor>) -> Result<OpenRun, HostError> {
        if let Err(error) = self.give_up_expired() {
            tracing::warn!("runs whose time is over could not all be looked at: {error}");
        }
        let folder = self.state.run(id)?;
        let mut locks = vec![folder.lock(&self.locks, self.clock.now())?];
        let data_key = folder.data_key(&self.state_key)?;
        let text = self.plan_text(&folder.plan())?;
        let plan = Plan::read(&text).map_err(|source| HostError::Plan { path: folder.plan(), source })?;
        locks.extend(self.lock_targets(id, &plan)?);
        let key = self.sealing_key(&text, &folder.plan())?;
        let components = self.stored_components(&folder, &plan)?;
        let equipment = self.equip(&plan, &components, &key).await?;
        let mut run = Run::new(Arc::new(plan));
        let resumed = folder.resume(data_key, self.entropy.clone(), anchor, |record: crate::journal::Record<Event>| {
            run.apply(record.at, &record.event).map_err(|error| error.to_string())
        })?;
        if resumed.opened.header.plan != run.plan().digest {
            return Err(HostError::ForeignPlan { run: id.clone() });
        }
        if run.has_no_way_back() {
            return Err(self.finish_giving_up(&folder, resumed.journal)?.into());
        }
        Ok(OpenRun { folder, run, journal: resumed.journal, sealed: resumed.sealed, equipment, key, text, locks })
    }

    async fn drive(
        &self,
        opened: OpenRun,
        first: Event,
        stop: impl Future<Output = ()> + Send,
        observer: Observer<'_>,
    ) -> Result<Rested, HostError> {
        let OpenRun { folder, mut run, journal, sealed, equipment, key, text, locks: _locks } = opened;
        folder.unmark_ended()?;
        let bodies = Bodies::open(self.state.disk(), &folder.plan(), &text)?;
        drop(text);
        let connections = equipment.clone();
        let outfit = Outfit {
            id: folder.id().clone(),
            equipment,
            bodies,
            journal: Arc::new(journal),
            sealed,
            key,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            limits: self.limits,
            longest_wait: self.longest_wait,
        };
        let driven = drive(&mut run, Arc::new(outfit), Some(first), stop, observer).await;
        connections.close().await;
        let (ending, head) = driven?;
        if matches!(ending, Ending::Completed | Ending::RolledBack) {
            // The journal says it; `resume` makes this note, too.
            let note = Ended { at: self.clock.now(), keep: run.plan().header.keep_pre_images };
            if let Err(error) = folder.mark_ended(note) {
                tracing::warn!(run = %folder.id(), "its pre-images will be kept until somebody types `resume`: {error}");
            }
        }
        Ok(Rested { id: folder.id().clone(), run, ending, head, drift: Drift::default() })
    }

    /// Plans again and compares. With `on_drift = "stop"` anything that moved is an error.
    async fn confirm(&self, prepared: &Prepared) -> Result<Drift, HostError> {
        let again = self.plan_again(&prepared.plan, &prepared.components, &prepared.equipment, &prepared.key).await;
        Self::accept(&prepared.plan, again)
    }

    /// The same for a run whose process died before its plan was confirmed.
    async fn confirm_stored(&self, opened: &OpenRun) -> Result<Drift, HostError> {
        let plan = opened.run.plan();
        let components = self.stored_components(&opened.folder, plan)?;
        let again = self.plan_again(plan, &components, &opened.equipment, &opened.key).await;
        Self::accept(plan, again)
    }

    fn accept(plan: &Plan, again: Result<PlannedAgain, HostError>) -> Result<Drift, HostError> {
        let again = match again {
            // The same step was planned before: what is in its way now, or gone, is movement of the world.
            Err(HostError::Planning(PlanningError::Hook { step, failure, .. }))
                if matches!(failure.case, FailureCase::Conflict | FailureCase::NotFound) =>
            {
                return Err(HostError::Drift(DriftError::refused(step, failure)));
            }
            again => again?,
        };
        let moved = drift(plan, &again);
        if moved.is_empty() || plan.header.on_drift == OnDrift::Defer {
            return Ok(moved);
        }
        Err(HostError::Drift(DriftError::new(plan, moved)))
    }

    /// One lock per authority that the plan may write to, whatever the state folder.
    fn lock_targets(&self, id: &RunId, plan: &Plan) -> Result<Vec<Lock>, HostError> {
        let mut targets: BTreeSet<&str> = BTreeSet::new();
        for operation in plan.header.steps.iter().filter_map(|step| step.operation()) {
            let written: BTreeSet<&str> = operation
                .changes
                .clone()
                .map(ChangeNo)
                .flat_map(|change| plan.change(change).subject.iter().map(|object| object.role.as_str()))
                .collect();
            for connection in written.iter().filter_map(|role| plan.header.connections.get(operation.connections.get(*role)?)) {
                targets.insert(&connection.authority);
                targets.extend(connection.members.iter().map(|(_, authority)| authority.as_str()));
            }
        }
        let holder = Holder::this_process(id, self.state.root(), self.clock.now());
        Ok(self.locks.lock_targets(&targets, &holder)?)
    }

    /// The plan's text with its sealing key, wrapped by the state key.
    pub fn with_key(&self, prepared: &Prepared) -> Result<String, HostError> {
        self.keyed(prepared.text.clone(), prepared)
    }

    fn keyed(&self, text: String, prepared: &Prepared) -> Result<String, HostError> {
        let key = Key::from_bytes(*prepared.key.expose());
        let wrapped = WrappedKey::wrap(&key, &self.state_key, SEALING_KEY, &*self.entropy);
        let wrapped = serde_json::to_value(&wrapped).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        Plan::attach_key(text, &wrapped).map_err(|source| HostError::Plan { path: prepared.plan.header.file.clone().into(), source })
    }

    fn sealing_key(&self, text: &str, path: &Path) -> Result<Arc<SealingKey>, HostError> {
        let unreadable = |source| HostError::Plan { path: path.to_owned(), source };
        let wrapped = Plan::key_of(text).map_err(unreadable)?.ok_or(HostError::PlanWithoutKey { path: path.to_owned() })?;
        let wrapped: WrappedKey = serde_json::from_value(wrapped.into()).map_err(|_| unreadable(cutover_engine::PlanTextError::Trailer))?;
        let key = wrapped.unwrap(&self.state_key, SEALING_KEY)?;
        Ok(Arc::new(SealingKey::from_bytes(Zeroizing::new(*key.as_bytes()))))
    }

    fn plan_text(&self, path: &Path) -> Result<String, HostError> {
        plan_text(&**self.state.disk(), path)
    }
}

fn plan_text(disk: &dyn Disk, path: &Path) -> Result<String, HostError> {
    let bytes = disk.read(path).map_err(DiskError::io("read", path))?;
    String::from_utf8(bytes).map_err(|_| HostError::Plan { path: path.to_owned(), source: cutover_engine::PlanTextError::Cut })
}

/// What the wrapped key of a plan is for.
const SEALING_KEY: &str = "sealing key of a plan";

/// A run with everything it needs and its locks held, before it is driven.
pub struct OpenRun {
    folder: RunFolder,
    run: Run,
    journal: Journal<Event>,
    sealed: Arc<SealedLog>,
    equipment: Equipment,
    key: Arc<SealingKey>,
    text: String,
    locks: Vec<Lock>,
}

impl OpenRun {
    /// The run as its journal tells it.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Where its journal ends.
    pub fn head(&self) -> Anchor {
        self.journal.head()
    }

    /// Knows the secrets that are live while the run is driven.
    pub fn scanner(&self) -> &Arc<Scanner> {
        self.key.scanner()
    }
}

/// Changes by the names that people give them.
fn named(plan: &Plan, names: &[String]) -> Result<Vec<ChangeNo>, HostError> {
    names.iter().map(|name| plan.find(name).ok_or_else(|| HostError::NoChange { name: name.clone() })).collect()
}
