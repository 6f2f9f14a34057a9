//! Looking at a run, also while another process drives it.

use std::sync::Arc;

use cutover_engine::{ChangeBody, ChangeNo, Event, Plan, Run, RunId, Timestamp};

use super::{Host, HostError};
use crate::{
    bodies::Bodies,
    change_memory::ChangeMemory,
    journal::{Anchor, Record, read_only},
    session::RawResponse,
};

/// A run as its journal tells it.
pub struct Shown {
    /// The run.
    pub id: RunId,
    /// The fold of all its events.
    pub run: Run,
    /// Where the journal ends.
    pub head: Anchor,
    /// When its first event was.
    pub began: Option<Timestamp>,
}

impl Host {
    /// Reads a run without locking it; every event goes to `each` too.
    pub fn show(&self, id: &RunId, anchor: Option<Anchor>, mut each: impl FnMut(&Run, Timestamp, &Event)) -> Result<Shown, HostError> {
        let folder = self.state.run(id)?;
        let text = self.plan_text(&folder.plan())?;
        let plan = Plan::read(&text).map_err(|source| HostError::Plan { path: folder.plan(), source })?;
        let mut run = Run::new(Arc::new(plan));
        let mut began = None;
        let opened = read_only(&**self.state.disk(), &folder.journal(), anchor, |record: Record<Event>| {
            began.get_or_insert(record.at);
            run.apply(record.at, &record.event).map_err(|error| error.to_string())?;
            each(&run, record.at, &record.event);
            Ok(())
        })?;
        Ok(Shown { id: id.clone(), run, head: opened.head, began })
    }

    /// The bodies of some of a run's changes.
    pub fn bodies(&self, id: &RunId, changes: &[ChangeNo]) -> Result<Vec<ChangeBody>, HostError> {
        let folder = self.state.run(id)?;
        let text = self.plan_text(&folder.plan())?;
        let bodies = Bodies::open(self.state.disk(), &folder.plan(), &text)?;
        changes.iter().map(|change| bodies.read(*change).map_err(HostError::from)).collect()
    }

    /// The raw responses from which a change's pre-image was made: the last resort that needs no plugin. In plain.
    pub fn raw_pre_image(&self, id: &RunId, name: &str) -> Result<Vec<RawResponse>, HostError> {
        let folder = self.state.run(id)?;
        let text = self.plan_text(&folder.plan())?;
        let plan = Plan::read(&text).map_err(|source| HostError::Plan { path: folder.plan(), source })?;
        let change = plan.find(name).ok_or_else(|| HostError::NoChange { name: name.to_owned() })?;
        let data_key = folder.data_key(&self.state_key)?;
        let sealed = folder.sealed_log(data_key, self.entropy.clone())?;
        let key = self.sealing_key(&text, &folder.plan())?;
        let memory = ChangeMemory::load(sealed, key, change, plan.name_of(change))
            .map_err(|failure| HostError::Damaged { text: failure.to_string() })?;
        memory.raw().map_err(|failure| HostError::Damaged { text: failure.to_string() })
    }
}
