//! Watches a drive: shows it to the person, writes its events down, and tells the run when to stop.

use std::{fs::File, io::Write as _, sync::Arc};

use cutover_engine::{Event, Plan, Run, RunId, Timestamp};
use cutover_runtime::{runs::Host, sealing::Scanner};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    args::{Output, TelemetryArgs},
    console::Console,
    error::{CommandError, code},
    logging,
    program::Program,
    report::{
        event::{EventHeader, EventLine},
        progress::ProgressView,
        standing::Standing,
    },
    settings::Settings,
    sieve::Sieve,
    signal::{self, Signal, Stop},
    telemetry::{Exporter, MetricsFile, Traced, trace_context::TraceContext},
};

/// Making a view looks at all changes: between two there is a millisecond for each so many of them.
const CHANGES_A_MILLISECOND: u64 = 20;
/// The longest time between two views while something happens, in milliseconds.
const LONGEST_PAUSE: u64 = 250;

/// A drive that is about to begin.
pub(crate) struct Drive<'a> {
    /// The command that begins it, such as `run`.
    pub(crate) command: &'static str,
    /// The host.
    pub(crate) host: &'a Host,
    /// The run.
    pub(crate) id: &'a RunId,
    /// Its plan.
    pub(crate) plan: &'a Plan,
    /// How many records its journal has so far.
    pub(crate) seq: u64,
    /// Knows the secrets that are live while the run is driven: none of them leaves.
    pub(crate) scanner: &'a Arc<Scanner>,
    /// Where metrics and trace go.
    pub(crate) telemetry: &'a TelemetryArgs,
}

/// Sees every event of a run.
pub(crate) struct Spectator<'p> {
    console: &'p mut Console,
    progress: ProgressView,
    events: Option<File>,
    metrics: Option<MetricsFile>,
    exporter: Option<Exporter>,
    id: RunId,
    seq: u64,
    began: Option<Timestamp>,
    shown: Option<Timestamp>,
    sieve: Sieve,
}

impl<'p> Spectator<'p> {
    /// Begins to watch a drive of this process. Needs a Tokio runtime.
    pub(crate) fn new(program: &'p mut Program, drive: &Drive<'_>) -> Result<Self, CommandError> {
        let sieve = Sieve::new(drive.scanner.clone(), &drive.plan.header.source);
        program.console.strain_with(sieve.clone());
        let context = TraceContext::of(&program.environment, drive.id);
        logging::drives(drive.id, &context.trace, &sieve);
        let traced = Traced { command: drive.command, id: drive.id, seq: drive.seq, context };
        let exporter = Exporter::new(traced, drive.telemetry, &program.environment, &sieve)?;
        let metrics = drive.telemetry.metrics.as_deref();
        let metrics = metrics.map(|path| MetricsFile::keep(path, &drive.host.state, drive.id, &drive.host.clock, &sieve));
        let looking = Self::looking(program, drive.id, drive.plan, drive.seq)?;
        Ok(Self { metrics, exporter, sieve, ..looking })
    }

    /// Begins to watch run `id`, driven by another process or at rest, from the journal's record `seq` on.
    pub(crate) fn looking(program: &'p mut Program, id: &RunId, plan: &Plan, seq: u64) -> Result<Self, CommandError> {
        let Program { settings, console, .. } = program;
        let events = settings.events.as_deref().map(|path| {
            // The stream of a run goes on where the process before ended.
            let mut options = File::options();
            let options = if seq == 0 { options.write(true).truncate(true) } else { options.append(true) };
            options
                .create(true)
                .open(path)
                .map_err(|error| CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error))
        });
        let mut spectator = Self {
            console,
            // A stream of events on stdout takes the place of the progress.
            progress: ProgressView::new(settings.progress),
            events: events.transpose()?,
            metrics: None,
            exporter: None,
            id: id.clone(),
            seq,
            began: None,
            shown: None,
            sieve: Sieve::default(),
        };
        spectator.write(&EventHeader::new(id, plan));
        Ok(spectator)
    }

    /// Knows when something was withheld.
    pub(crate) fn sieve(&self) -> Sieve {
        self.sieve.clone()
    }

    /// Takes note of one event and shows, now and then, where the run stands.
    pub(crate) fn see(&mut self, run: &Run, at: Timestamp, event: &Event) {
        self.tell(run, at, event);
        let pause = (run.plan().changes.len() as u64 / CHANGES_A_MILLISECOND).min(LONGEST_PAUSE);
        let is_due = self.shown.is_none_or(|shown| at.0 >= shown.0 + pause);
        if is_due || matches!(event, Event::Ended { .. }) {
            self.show(run, at);
        }
    }

    /// Takes note of one event.
    pub(crate) fn tell(&mut self, run: &Run, at: Timestamp, event: &Event) {
        self.seq += 1;
        self.sieve.publish(run.plan());
        if !run.goes_forward() {
            self.sieve.goes_back();
        }
        self.began.get_or_insert(at);
        if self.events.is_some() || self.console.output() == Output::Jsonl {
            let line = EventLine::new(&self.id, run.plan(), self.seq, at, event);
            self.write(&line);
        }
        if let Some(exporter) = &mut self.exporter {
            exporter.see(run, at, event);
        }
    }

    /// Shows where the run stands.
    pub(crate) fn show(&mut self, run: &Run, now: Timestamp) {
        self.shown = Some(now);
        let standing = Standing { id: &self.id, run, head: String::new(), began: self.began, now, is_driven: true };
        let console = &mut *self.console;
        self.progress.show(&standing.snapshot(), |line| console.note(line));
    }

    /// Takes away what moves, and writes what is left of metrics and trace.
    pub(crate) async fn finish(mut self) {
        self.progress.finish();
        // Neither is worth more than a word: the run is what its journal says.
        if let Some(Err(problem)) = self.metrics.take().map(MetricsFile::finish) {
            self.console.note(&format!("warning: the metrics are not up to date: {problem}"));
        }
        if let Some(exporter) = self.exporter.take()
            && let Err(problem) = exporter.finish().await
        {
            self.console.note(&format!("warning: the trace is not complete: {problem}"));
        }
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
