//! Pre-images are kept for a while after the end of a run; then the way back is given up.

use cutover_engine::{Event, RunId};

use super::{Host, HostError};
use crate::{
    journal::{Journal, Record},
    key::KeyError,
    state::RunFolder,
};

impl Host {
    /// Destroys the pre-images of runs whose time is over, and says of which. A run that a process holds is left alone,
    /// and one that cannot be opened only warned about: an old run does not stand in a new one's way.
    pub fn give_up_expired(&self) -> Result<Vec<RunId>, HostError> {
        let now = self.clock.now();
        let mut given_up = Vec::new();
        for folder in self.state.expired(now)? {
            let Ok(_lock) = folder.lock(&self.locks, now) else { continue };
            match self.give_up(&folder) {
                Ok(true) => given_up.push(folder.id().clone()),
                Ok(false) => {}
                Err(error) => tracing::warn!(run = %folder.id(), "its pre-images could not be destroyed: {error}"),
            }
        }
        Ok(given_up)
    }

    /// Journals that there is no way back, and makes it so.
    fn give_up(&self, folder: &RunFolder) -> Result<bool, HostError> {
        let now = self.clock.now();
        // Read again under the lock: a rollback may have begun before.
        if !folder.is_expired(now)? {
            return Ok(false);
        }
        let data_key = folder.data_key(&self.state_key)?;
        let resumed = folder.resume(data_key, self.entropy.clone(), None, |_: Record<Event>| Ok(()))?;
        resumed.journal.append(now, &Event::PreImagesDestroyed {})?;
        resumed.journal.close()?;
        Ok(folder.destroy_data_key(now)?)
    }

    /// The process died after it journaled that there is no way back: it is made so now. Returns what there is to say.
    pub(super) fn finish_giving_up(&self, folder: &RunFolder, journal: Journal<Event>) -> Result<KeyError, HostError> {
        let at = self.clock.now();
        journal.close()?;
        folder.destroy_data_key(at)?;
        Ok(KeyError::Destroyed { run: folder.id().clone(), at })
    }
}
