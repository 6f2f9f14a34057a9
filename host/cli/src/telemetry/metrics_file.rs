//! The metrics of a run under way, in a file that a collector reads: written anew every few seconds, each time as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use cutover_engine::RunId;
use cutover_runtime::{clock::Clock, runs::Followed, state::StateFolder};

use crate::{
    report::{metrics::Exposition, standing::Standing},
    sieve::Sieve,
};

/// Between two writes: shorter than any collector looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Keeps the file up to date until it is finished. It reads the journal, as everybody else who looks at the run.
pub(crate) struct MetricsFile {
    over: mpsc::Sender<()>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl MetricsFile {
    /// Begins to keep `path` up to date with run `id`, which may not be there yet.
    pub(crate) fn keep(path: &Path, state: &StateFolder, id: &RunId, clock: &Arc<dyn Clock>, sieve: &Sieve) -> Self {
        let (over, told) = mpsc::channel();
        let mut writer = Writer {
            path: path.to_owned(),
            state: state.clone(),
            id: id.clone(),
            clock: Arc::clone(clock),
            sieve: sieve.clone(),
            followed: None,
        };
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            loop {
                let is_over = !matches!(told.recv_timeout(PAUSE), Err(mpsc::RecvTimeoutError::Timeout));
                let written = writer.write(!is_over);
                // A disk that was full may have room at the next time.
                if is_over {
                    return written;
                }
            }
        });
        Self { over, thread: thread.ok() }
    }

    /// Writes the file for the last time.
    ///
    /// # Errors
    /// Why it is not up to date.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        // A thread that ended already has an error to tell.
        let _ = self.over.send(());
        let Some(thread) = self.thread.take() else { return Err("no thread could be started for it".to_owned()) };
        thread.join().unwrap_or_else(|_| Err("its thread broke off".to_owned()))
    }
}

struct Writer {
    path: PathBuf,
    state: StateFolder,
    id: RunId,
    clock: Arc<dyn Clock>,
    sieve: Sieve,
    followed: Option<Followed>,
}

impl Writer {
    fn write(&mut self, is_driven: bool) -> Result<(), String> {
        if self.followed.is_none() {
            // A run is there once its journal is.
            self.followed = Followed::open(&self.state, &self.id).ok();
        }
        let Some(followed) = &mut self.followed else { return Ok(()) };
        followed.read_on(|_, _, _, _| {}).map_err(|error| error.to_string())?;
        let standing =
            Standing { id: &self.id, run: &followed.run, head: String::new(), began: followed.began, now: self.clock.now(), is_driven };
        let text = Exposition::of(&[standing]).text();
        if self.sieve.catches(&text) {
            return Err(Sieve::withheld());
        }
        replace(&self.path, &text).map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}

/// Whoever reads sees the old text or the new one. It need not be durable: it is made of what is. The name in between does
/// not end as collectors want it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", std::process::id()));
    let draft = PathBuf::from(draft);
    let replaced = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cutover.prom");
        for text in ["old\n", "new\n"] {
            replace(&path, text).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert!(replace(&folder.path().join("no/such.prom"), "x").is_err());
    }
}
