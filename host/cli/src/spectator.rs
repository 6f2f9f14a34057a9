//! Watches a drive: shows it to the person, writes its events down, and tells the run when to stop.

use std::{
    fs::File,
    io::Write as _,
    sync::{Arc, OnceLock},
};

use cutover_engine::{Event, Plan, Run, RunId, Timestamp};
use cutover_runtime::{
    clock::Clock,
    runs::{Host, OpenRun},
    sealing::Scanner,
};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    args::{Output, ProgressStyle, TelemetryArgs},
    board::Board,
    console::Console,
    error::{CommandError, code},
    inquiry::Inquiry,
    logging,
    program::Program,
    report::{
        event::{EventHeader, EventLine},
        progress::{Moment, ProgressView},
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

impl<'a> Drive<'a> {
    /// Of a run that was opened again.
    pub(crate) fn of_opened(
        command: &'static str,
        (host, id): (&'a Host, &'a RunId),
        opened: &'a OpenRun,
        telemetry: &'a TelemetryArgs,
    ) -> Self {
        Self { command, host, id, plan: opened.run().plan(), seq: opened.head().n, scanner: opened.scanner(), telemetry }
    }
}

/// Sees every event of a run.
pub(crate) struct Spectator<'p> {
    console: &'p mut Console,
    board: Board,
    inquiry: Inquiry,
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
        let style = program.settings.progress;
        let looking = Self::looking(program, drive.id, (drive.plan, drive.seq), &drive.host.clock)?;
        if drive.seq == 0 {
            looking.board.wait(Moment::begin(style, "planning again: the world may have moved".to_owned()));
        }
        Ok(Self { metrics, exporter, sieve, ..looking })
    }

    /// Begins to watch run `id`, driven by another process or at rest, from the journal's record `seq` on. Needs a Tokio
    /// runtime.
    pub(crate) fn looking(
        program: &'p mut Program,
        id: &RunId,
        (plan, seq): (&Plan, u64),
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, CommandError> {
        let Program { settings, console, environment } = program;
        let events = settings.events.as_deref().map(|path| {
            // The stream of a run goes on where the process before ended.
            let mut options = File::options();
            let options = if seq == 0 { options.write(true).truncate(true) } else { options.append(true) };
            options
                .create(true)
                .open(path)
                .map_err(|error| CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error))
        });
        let events = events.transpose()?;
        let keys = settings.progress == ProgressStyle::Live && environment.terminals.input;
        let board = Board::new(id.clone(), ProgressView::new(settings.progress, keys), console.another(settings));
        let (answering, clock) = (board.clone(), Arc::clone(clock));
        let inquiry = Inquiry::listen(keys, move || answering.answer(clock.now()));
        let inquiry = inquiry.map_err(|error| CommandError::no(code::MACHINE, "cannot listen for signals").because(&error))?;
        let mut spectator = Self {
            console,
            board,
            inquiry,
            events,
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

    /// Where others say something while the run is shown.
    pub(crate) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Knows when something was withheld.
    pub(crate) fn sieve(&self) -> Sieve {
        self.sieve.clone()
    }

    /// Takes note of one event and shows, now and then, where the run stands.
    pub(crate) fn see(&mut self, run: &Run, at: Timestamp, event: &Event) {
        self.tell(run, at, event);
        let pause = (run.plan().changes.len() as u64 / CHANGES_A_MILLISECOND).min(LONGEST_PAUSE);
        // Nothing may come for hours after the last event of a batch.
        let pause = if self.board.is_still() { pause / 10 } else { pause };
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
        self.board.note(run, at, event);
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
        self.board.show(&standing);
    }

    /// Takes away what moves, and writes what is left of metrics and trace.
    pub(crate) async fn finish(mut self) {
        drop(self.inquiry);
        self.board.finish();
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
pub(crate) struct Stops {
    receiver: watch::Receiver<Stop>,
    /// The board of the run, once there is one.
    board: Arc<OnceLock<Board>>,
}

impl Stops {
    /// Listens for signals from now on; the second one ends the process. Needs a Tokio runtime.
    pub(crate) fn listen(settings: &Settings) -> Result<Self, CommandError> {
        const HEARD: &str = "stopping at the next safe point; the same signal again stops at once";
        let settings = settings.clone();
        let board: Arc<OnceLock<Board>> = Arc::default();
        let shown = Arc::clone(&board);
        let told = move |stop: Stop| {
            let mut console = Console::new(&settings);
            match (stop, shown.get()) {
                (Stop::No, _) => {}
                (Stop::AtSafePoint(_), Some(board)) => board.say(HEARD),
                (Stop::AtSafePoint(_), None) => console.note(HEARD),
                (Stop::AtOnce(signal), board) => {
                    if let Some(board) = board {
                        board.finish();
                    }
                    console.fail(
                        &Self::error(signal, "stopped at once").hint("what was under way is looked at again by `cutover resume last`"),
                    );
                    std::process::exit(signal.exit().number().into());
                }
            }
        };
        let receiver =
            signal::listen(told).map_err(|error| CommandError::no(code::MACHINE, "cannot listen for signals").because(&error))?;
        Ok(Self { receiver, board })
    }

    /// From now on what is heard is said beside what this board shows.
    pub(crate) fn speak_through(&self, board: Board) {
        // A command drives one run.
        let _ = self.board.set(board);
    }

    /// The signal that came, if one did.
    pub(crate) fn signal(&self) -> Option<Signal> {
        match *self.receiver.borrow() {
            Stop::No => None,
            Stop::AtSafePoint(signal) | Stop::AtOnce(signal) => Some(signal),
        }
    }

    /// Ends once a signal came.
    pub(crate) async fn stopped(&self) {
        let mut receiver = self.receiver.clone();
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
