//! Watches a drive: shows it to the person, writes its events down, and tells the run when to stop.

use std::{fs::File, io::Write as _, sync::Arc};

use cutover_engine::{Event, Plan, Run, RunId, Timestamp};
use cutover_runtime::sealing::Scanner;
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    args::Output,
    console::Console,
    error::{CommandError, code},
    program::Program,
    report::{
        event::{EventHeader, EventLine},
        progress::ProgressView,
        standing::Standing,
    },
    settings::Settings,
    sieve::Sieve,
    signal::{self, Signal, Stop},
};

/// Making a view looks at all changes: between two there is a millisecond for each so many of them.
const CHANGES_A_MILLISECOND: u64 = 20;
/// The longest time between two views while something happens, in milliseconds.
const LONGEST_PAUSE: u64 = 250;

/// Sees every event of a run.
pub(crate) struct Spectator<'p> {
    console: &'p mut Console,
    progress: ProgressView,
    events: Option<File>,
    id: RunId,
    seq: u64,
    began: Option<Timestamp>,
    shown: Option<Timestamp>,
    sieve: Sieve,
}

impl<'p> Spectator<'p> {
    /// Begins to watch run `id`, whose journal has `seq` records so far. From now on nothing that `scanner` knows leaves.
    pub(crate) fn new(program: &'p mut Program, id: &RunId, plan: &Plan, seq: u64, scanner: &Arc<Scanner>) -> Result<Self, CommandError> {
        let Program { settings, console, .. } = program;
        let sieve = Sieve::new(scanner.clone(), &plan.header.source);
        console.strain_with(sieve.clone());
        let events = settings.events.as_deref().map(|path| {
            // The stream of a run goes on where the process before ended.
            let mut options = File::options();
            let options = if seq == 0 { options.write(true).truncate(true) } else { options.append(true) };
            options
                .create(true)
                .open(path)
                .map_err(|error| CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error))
        });
        // A stream of events on stdout takes the place of the progress.
        let progress = ProgressView::new(settings.progress);
        let mut spectator = Self { console, progress, events: events.transpose()?, id: id.clone(), seq, began: None, shown: None, sieve };
        spectator.write(&EventHeader::new(id, plan));
        Ok(spectator)
    }

    /// Knows when something was withheld.
    pub(crate) fn sieve(&self) -> Sieve {
        self.sieve.clone()
    }

    /// Takes note of one event.
    pub(crate) fn see(&mut self, run: &Run, at: Timestamp, event: &Event) {
        self.seq += 1;
        self.sieve.publish(run.plan());
        if !run.goes_forward() {
            self.sieve.goes_back();
        }
        if self.events.is_some() || self.console.output() == Output::Jsonl {
            let line = EventLine::new(&self.id, run.plan(), self.seq, at, event);
            self.write(&line);
        }
        let began = *self.began.get_or_insert(at);
        let pause = (run.plan().changes.len() as u64 / CHANGES_A_MILLISECOND).min(LONGEST_PAUSE);
        let is_due = self.shown.is_none_or(|shown| at.0 >= shown.0 + pause);
        if is_due || matches!(event, Event::Ended { .. }) {
            self.shown = Some(at);
            let standing = Standing { id: &self.id, run, head: String::new(), now: at, is_driven: true };
            let console = &mut *self.console;
            self.progress.show(&standing.snapshot(began), |line| console.note(line));
        }
    }

    /// Takes away what moves.
    pub(crate) fn finish(mut self) {
        self.progress.finish();
    }

    fn write(&mut self, line: &impl Serialize) {
        if self.console.output() == Output::Jsonl {
            // A reader that went away must not stop the run.
            let _ = self.console.document(line);
        }
        let Some(file) = &mut self.events else { return };
        let text = serde_json::to_string(line).expect("events have string keys only") + "\n";
        let text = if self.sieve.catches(&text) {
            serde_json::json!({"type": "withheld", "error": {"code": code::LEAK, "message": Sieve::withheld()}}).to_string() + "\n"
        } else {
            text
        };
        if let Err(error) = file.write_all(text.as_bytes()) {
            self.events = None;
            self.console.note(&format!("warning: the events are no longer written down: {error}"));
        }
    }
}

/// The wish of the person or the machine to stop.
#[derive(Clone)]
pub(crate) struct Stops(watch::Receiver<Stop>);

impl Stops {
    /// Listens for signals from now on; the second one ends the process. Needs a Tokio runtime.
    pub(crate) fn listen(settings: &Settings) -> Result<Self, CommandError> {
        let settings = settings.clone();
        let told = move |stop: Stop| {
            let mut console = Console::new(&settings);
            match stop {
                Stop::No => {}
                Stop::AtSafePoint(_) => console.note("stopping at the next safe point; the same signal again stops at once"),
                Stop::AtOnce(signal) => {
                    console.fail(
                        &Self::error(signal, "stopped at once").hint("what was under way is looked at again by `cutover resume last`"),
                    );
                    std::process::exit(signal.exit().number().into());
                }
            }
        };
        let receiver =
            signal::listen(told).map_err(|error| CommandError::no(code::MACHINE, "cannot listen for signals").because(&error))?;
        Ok(Self(receiver))
    }

    /// The signal that came, if one did.
    pub(crate) fn signal(&self) -> Option<Signal> {
        match *self.0.borrow() {
            Stop::No => None,
            Stop::AtSafePoint(signal) | Stop::AtOnce(signal) => Some(signal),
        }
    }

    /// Ends once a signal came.
    pub(crate) async fn stopped(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop != Stop::No).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Performs something that writes nothing to a target; a signal ends it.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, CommandError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stopped() => {
                let signal = self.signal().unwrap_or(Signal::Interrupt);
                Err(Self::error(signal, "stopped before anything was written"))
            }
        }
    }

    fn error(signal: Signal, text: &str) -> CommandError {
        CommandError::new(signal.kind(), code::STOPPED, text)
    }
}
