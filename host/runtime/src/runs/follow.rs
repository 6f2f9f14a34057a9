//! Following a run that another process drives.

use std::sync::Arc;

use cutover_engine::{Event, Plan, Run, RunId, Timestamp};

use super::{HostError, plan_text};
use crate::{
    journal::{Anchor, Tail},
    state::StateFolder,
};

/// A run as far as its journal was read. Nothing is locked.
pub struct Followed {
    /// The fold of the events so far.
    pub run: Run,
    /// When the first event was.
    pub began: Option<Timestamp>,
    tail: Tail<Event>,
}

impl Followed {
    /// Begins to follow a run; no event was read yet.
    pub fn open(state: &StateFolder, id: &RunId) -> Result<Self, HostError> {
        let folder = state.run(id)?;
        let text = plan_text(&**state.disk(), &folder.plan())?;
        let plan = Plan::read(&text).map_err(|source| HostError::Plan { path: folder.plan(), source })?;
        let tail = Tail::new(Arc::clone(state.disk()), folder.journal());
        Ok(Self { run: Run::new(Arc::new(plan)), began: None, tail })
    }

    /// Reads what is new; each event goes to `each`, with its number and what the run is after it. Says whether there was one.
    pub fn read_on(&mut self, mut each: impl FnMut(&Run, u64, Timestamp, &Event)) -> Result<bool, HostError> {
        let before = self.tail.head().n;
        let Self { run, began, tail } = self;
        tail.read_on(|record| {
            began.get_or_insert(record.at);
            run.apply(record.at, &record.event).map_err(|error| error.to_string())?;
            each(run, record.n, record.at, &record.event);
            Ok(())
        })?;
        Ok(self.tail.head().n > before)
    }

    /// Where the journal ends as far as it was read.
    #[must_use]
    pub fn head(&self) -> Anchor {
        self.tail.head()
    }
}
