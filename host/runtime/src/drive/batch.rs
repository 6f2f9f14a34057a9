//! Before a batch of changes begins, its servers are asked whether they can work at all: a sealed one is waited for before
//! anything is sent to it.

use std::collections::HashSet;

use cutover_engine::{ChangeNo, Failure, StepNo};
use tokio::sync::Mutex;

use super::perform::Performer;

/// The changes of a step that are exposed together: the step, and the cohort's number.
pub(super) type Batch = (StepNo, u32);

/// The batches whose servers said that they can work.
#[derive(Default)]
pub(super) struct Batches(Mutex<HashSet<Batch>>);

impl Performer {
    /// Asks once for each batch; again for each of its changes as long as a server says no.
    pub(super) async fn begin(&self, batch: Batch, change: ChangeNo) -> Result<(), Failure> {
        let mut begun = self.batches.0.lock().await;
        if begun.contains(&batch) {
            return Ok(());
        }
        let (seats, verify_seats) = self.seats_of(change)?;
        seats.health().await?;
        verify_seats.health().await?;
        begun.insert(batch);
        Ok(())
    }
}
