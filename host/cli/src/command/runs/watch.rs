//! `cutover runs watch`: a run that another process drives.

use std::{thread, time::Duration};

use cutover_engine::RunId;
use cutover_runtime::runs::{Followed, Host};

use super::{answer, is_driven};
use crate::{
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    host_error::refused,
    program::Program,
    report::standing::Standing,
    signal::{self, Signal, Stop},
    spectator::Spectator,
};

/// How often the journal is looked at. A person notices nothing shorter.
const PAUSE: Duration = Duration::from_millis(200);
/// After so long without an event it is looked whether a process drives the run at all, in milliseconds.
const SILENCE: u64 = 1_500;

/// Shows the run until it comes to rest.
pub(crate) fn perform(program: &mut Program, run: &str) -> Outcome {
    let host = host::looking(program)?;
    let id = host::find_run(host.as_ref(), run, &program.settings.state)?;
    let Some(host) = host else { return Err(CommandError::defect("a run was found without a state folder")) };
    let mut followed = Followed::open(&host.state, &id).map_err(refused)?;
    let threads = Program::threads()?;
    let mut stop = Until::rest(&threads)?;
    let plan = followed.run.plan().clone();
    let mut spectator = {
        let _threads = threads.enter();
        Spectator::looking(program, &id, (&plan, 0), &host.clock)?
    };
    let left = loop {
        let read = followed.read_on(|run, _, at, event| spectator.tell(run, at, event));
        let news = match read {
            Ok(news) => news,
            Err(error) => {
                threads.block_on(spectator.finish());
                return Err(refused(error));
            }
        };
        let now = host.clock.now();
        // What is over is told by the answer alone.
        if followed.run.ending().is_none() {
            spectator.show(&followed.run, now);
        }
        if let Some(left) = stop.is_due(&host, &id, &followed, news) {
            break left;
        }
        thread::sleep(PAUSE);
    };
    threads.block_on(spectator.finish());
    let standing = Standing {
        id: &id,
        run: &followed.run,
        head: followed.head().to_string(),
        began: followed.began,
        now: host.clock.now(),
        is_driven: matches!(left, Left::Stopped(_)) && followed.run.ending().is_none() && is_driven(&host, &id),
    };
    let exit = match left {
        Left::AtRest => None,
        Left::Stopped(signal) => {
            program.console.note("no longer watching; the run is not touched by this");
            Some(signal.exit())
        }
    };
    answer(program, &host, &standing, exit)
}

/// Why the following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The run is at rest, or its process is gone.
    AtRest,
    /// The person had enough.
    Stopped(Signal),
}

impl Left {
    /// The exit code of a command that only shows.
    pub(super) fn exit(self) -> ExitCode {
        match self {
            Self::AtRest => ExitCode::Done,
            Self::Stopped(signal) => signal.exit(),
        }
    }
}

/// Knows when to follow a run no longer.
pub(super) struct Until {
    stop: tokio::sync::watch::Receiver<Stop>,
    last: Option<u64>,
    /// Nobody drove the run when it was looked last.
    deserted: bool,
}

impl Until {
    /// From now on, until the run is at rest or a signal comes.
    pub(super) fn rest(threads: &tokio::runtime::Runtime) -> Result<Self, CommandError> {
        let listening = threads.block_on(async { signal::listen(|_| {}) });
        let stop = listening.map_err(|error| CommandError::no(code::MACHINE, "cannot listen for signals").because(&error))?;
        Ok(Self { stop, last: None, deserted: false })
    }

    /// Whether that is now. `news` if the last look found an event.
    pub(super) fn is_due(&mut self, host: &Host, id: &RunId, followed: &Followed, news: bool) -> Option<Left> {
        if let Stop::AtSafePoint(signal) | Stop::AtOnce(signal) = *self.stop.borrow() {
            return Some(Left::Stopped(signal));
        }
        let now = host.clock.now().0;
        if news {
            self.deserted = false;
        }
        let is_first = self.last.is_none();
        let last = *self.last.get_or_insert(now);
        if news {
            self.last = Some(now);
        }
        if self.deserted {
            // Nothing came since its process was seen to be gone: that was all.
            return Some(Left::AtRest);
        }
        if is_first || followed.run.ending().is_some() || now.saturating_sub(last) > SILENCE {
            self.last = Some(now);
            self.deserted = !is_driven(host, id);
        }
        None
    }
}
