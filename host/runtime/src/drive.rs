//! The one loop: ask the run what is next, perform it, journal the answer, tell the run.

mod batch;
mod ledger;
mod lines;
mod look;
mod movement;
mod perform;
mod probe;

use std::{
    borrow::Cow,
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use cutover_engine::{
    ChangeBody, ChangeNo, Command, Ending, Event, Failure, IllegalEvent, Next, Plan, Run, RunId, Span, Timestamp, WaitReason,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub(crate) use self::perform::add_up;
use self::perform::{Performer, defect};
use crate::{
    bodies::Bodies,
    change_memory::ChangeMemory,
    clock::Clock,
    entropy::Entropy,
    equipment::Equipment,
    journal::{Anchor, Journal, JournalError, Lsn},
    policy::CallLimits,
    sealed_log::{SealedLog, SealedLogError},
    sealing::{Scanner, SealingKey},
};

/// Stands in the journal where a text held a secret.
pub const WITHHELD: &str = "(withheld: it held a secret)";

/// What a drive needs besides the run itself.
pub struct Outfit {
    /// The run's id.
    pub id: RunId,
    /// Plugins and connections.
    pub equipment: Equipment,
    /// The changes' bodies.
    pub bodies: Bodies,
    /// Where events go.
    pub journal: Arc<Journal<Event>>,
    /// Where states and values go.
    pub sealed: Arc<SealedLog>,
    /// The plan's sealing key.
    pub key: Arc<SealingKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// For every hook call.
    pub limits: CallLimits,
    /// A longer wait ends the process; `resume` goes on.
    pub longest_wait: Span,
}

/// Sees every event after it was taken note of.
pub type Observer<'o> = Box<dyn FnMut(&Run, Timestamp, &Event) + Send + 'o>;

/// Why a drive broke off. The journal is whole up to there; `resume` goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DriveError {
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A defect of this program.
    #[error("a defect of cutover: {0}")]
    Illegal(#[from] IllegalEvent),
    /// An entry of the sealed log was changed: nothing more is done with what it holds.
    #[error(transparent)]
    Sealed(#[from] SealedLogError),
    /// A task of this program panicked.
    #[error("a defect of cutover: a task ended without an answer")]
    Lost,
}

/// Drives a run until it comes to rest. `stop` ends when a person asks to stop at the next safe point.
pub async fn drive(
    run: &mut Run,
    outfit: Arc<Outfit>,
    first: Option<Event>,
    stop: impl Future<Output = ()> + Send,
    observer: Observer<'_>,
) -> Result<(Ending, Anchor), DriveError> {
    let (answers, incoming) = mpsc::channel(64);
    let (lines, logged) = mpsc::unbounded_channel();
    let performer = Performer::new(run.plan().clone(), outfit.clone(), Answers { events: answers, lines })
        .map_err(|failure| DriveError::Illegal(IllegalEvent { event: "start".to_owned(), state: failure.to_string() }))?;
    let tasks = JoinSet::new();
    let mut driver = Driver { run, outfit, performer: Arc::new(performer), incoming, logged, observer, tasks, lags: false };
    let ending = driver.from_first(first, stop).await;
    // Nothing of this run may go on once its locks are gone.
    driver.tasks.shutdown().await;
    let ending = ending?;
    driver.outfit.journal.flush().await?;
    Ok((ending, driver.outfit.journal.head()))
}

struct Driver<'r> {
    run: &'r mut Run,
    outfit: Arc<Outfit>,
    performer: Arc<Performer>,
    incoming: mpsc::Receiver<Answer>,
    /// Lines of plugins. Unbounded, because a plugin's call cannot wait; each call may log 16 KiB.
    logged: mpsc::UnboundedReceiver<Event>,
    observer: Observer<'r>,
    tasks: JoinSet<()>,
    /// Records were made since the journal was last flushed here; who waits for his own has it written before.
    lags: bool,
}

impl Driver<'_> {
    async fn from_first(&mut self, first: Option<Event>, stop: impl Future<Output = ()> + Send) -> Result<Ending, DriveError> {
        if let Some(event) = first {
            self.record(&event)?;
        }
        self.to_rest(stop).await
    }

    async fn to_rest(&mut self, stop: impl Future<Output = ()> + Send) -> Result<Ending, DriveError> {
        let mut stop = std::pin::pin!(stop);
        let mut stopping = false;
        loop {
            match self.run.next(self.outfit.clock.now()) {
                Next::Do(command) => self.start(command),
                Next::Record(event) => drop(self.record(&event)?),
                Next::Ended(ending) => return Ok(ending),
                Next::Wait { until, reason } if self.is_too_long(until, reason) => {
                    self.record(&Event::Ended { ending: Ending::Waiting { until } })?;
                }
                next @ (Next::Wait { .. } | Next::Busy { .. }) => {
                    let until = match next {
                        Next::Wait { until, .. } => {
                            // Whatever happens to the process meanwhile: how far it came is known, and when the dual run ends.
                            self.catch_up().await?;
                            Some(until)
                        }
                        Next::Busy { until } => until,
                        _ => None,
                    };
                    let clock = self.outfit.clock.clone();
                    let timer = async move {
                        match until {
                            Some(until) => clock.sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        biased;
                        () = &mut stop, if !stopping => {
                            stopping = true;
                            self.record(&Event::StopRequested {})?;
                        }
                        answer = self.incoming.recv() => self.take(answer.ok_or(DriveError::Lost)?)?,
                        Some(line) = self.logged.recv() => self.note(line)?,
                        () = timer => {}
                    }
                }
            }
            // Answers that are here already are taken before the next command is asked for.
            while let Ok(answer) = self.incoming.try_recv() {
                self.take(answer)?;
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), DriveError> {
        if std::mem::take(&mut self.lags) {
            self.outfit.journal.flush().await?;
        }
        Ok(())
    }

    /// Pauses between attempts and samples are waited out; what a plugin or a gate waits for may take days, and so may
    /// an outage, however short its pauses are.
    fn is_too_long(&self, until: Timestamp, reason: WaitReason) -> bool {
        let from = match reason {
            WaitReason::Outage { since, .. } => since,
            WaitReason::Change(_) | WaitReason::Sample(_) | WaitReason::Gate(_) | WaitReason::Soak(_) => self.outfit.clock.now(),
        };
        until.since(from) > self.outfit.longest_wait
    }

    fn start(&mut self, command: Command) {
        // The ends of tasks are told by their answers.
        while self.tasks.try_join_next().is_some() {}
        let performer = self.performer.clone();
        let batch = match command {
            Command::Capture { change, .. } | Command::Recheck { change, .. } => {
                Some((self.run.plan().change(change).step, self.run.cohort_of(change)))
            }
            _ => None,
        };
        self.tasks.spawn(async move { performer.perform(command, batch).await });
    }

    fn take(&mut self, answer: Answer) -> Result<(), DriveError> {
        // What a call logged comes before its outcome.
        while let Ok(line) = self.logged.try_recv() {
            self.note(line)?;
        }
        match answer {
            Answer::Event { event, durable } => {
                let lsn = self.record(&event)?;
                if let Some(durable) = durable {
                    // Whoever asked may be gone with its hook's time limit; the record stays.
                    let _ = durable.send(lsn);
                }
                Ok(())
            }
            Answer::Damaged(error) => Err(error.into()),
            Answer::Panicked => Err(DriveError::Lost),
        }
    }

    /// Journals a plugin's line as far as there is room for it.
    fn note(&mut self, line: Event) -> Result<(), DriveError> {
        // Before it is cut to size: half a secret is not found.
        let (line, withheld) = strained(&line, self.outfit.key.scanner(), self.run.plan());
        if let Event::Logged { step, change, hook, level, text } = line.into_owned()
            && let Some(text) = self.run.admit_line(level, text)
        {
            self.record(&Event::Logged { step, change, hook, level, text })?;
        }
        if withheld { self.stop_for_a_secret() } else { Ok(()) }
    }

    /// A secret should never get as far as a text. The way back is not held up by one.
    fn stop_for_a_secret(&mut self) -> Result<(), DriveError> {
        if !self.run.goes_forward() {
            return Ok(());
        }
        tracing::error!("a text of a plugin or a backend held a secret: it was withheld, and the run stops at the next safe point");
        self.record(&Event::StopRequested {}).map(drop)
    }

    fn record(&mut self, event: &Event) -> Result<Lsn, DriveError> {
        let at = self.outfit.clock.now();
        let (event, withheld) = strained(event, self.outfit.key.scanner(), self.run.plan());
        let event = &*event;
        self.run.apply(at, event)?;
        let lsn = self.outfit.journal.append(at, event)?;
        self.lags = true;
        (self.observer)(self.run, at, event);
        if let Some(change) = event.change() {
            self.performer.forget_if_at_rest(self.run, change);
        }
        if withheld {
            self.stop_for_a_secret()?;
        }
        Ok(lsn)
    }
}

/// The last net, before a text is in a hash chain out of which nothing can be taken: one that holds a secret is replaced.
/// Ids, digests and the host's own words are no plugin's, and what the plan mentions is known: a secret that equals one of
/// them holds nothing up.
fn strained<'e>(event: &'e Event, scanner: &Scanner, plan: &Plan) -> (Cow<'e, Event>, bool) {
    let (mut copy, mut withheld) = (event.clone(), false);
    copy.each_text(&mut |text| {
        if scanner.hit_in_text(text.as_bytes(), |form| plan.mentions(form)) {
            WITHHELD.clone_into(text);
            withheld = true;
        }
    });
    (if withheld { Cow::Owned(copy) } else { Cow::Borrowed(event) }, withheld)
}

/// What a task tells the driver.
enum Answer {
    /// Something happened; `durable` gets the record's number.
    Event { event: Event, durable: Option<oneshot::Sender<Lsn>> },
    /// The sealed log was changed.
    Damaged(SealedLogError),
    /// A task died.
    Panicked,
}

/// A task's way to the driver.
#[derive(Clone)]
struct Answers {
    events: mpsc::Sender<Answer>,
    lines: mpsc::UnboundedSender<Event>,
}

impl Answers {
    async fn send(&self, event: Event) {
        // A driver that is gone broke off with an error; nobody waits for this answer.
        let _ = self.events.send(Answer::Event { event, durable: None }).await;
    }

    /// Journals an event and waits until it is durable, and all that was appended before it.
    async fn send_durable(&self, journal: &Journal<Event>, event: Event) -> Result<(), Failure> {
        let (durable, number) = oneshot::channel();
        let gone = || broken_journal("the driver ended");
        self.events.send(Answer::Event { event, durable: Some(durable) }).await.map_err(|_| gone())?;
        let lsn = number.await.map_err(|_| gone())?;
        journal.sync(lsn).await.map_err(|error| broken_journal(&error.to_string()))
    }
}

fn broken_journal(text: &str) -> Failure {
    Failure { case: cutover_engine::FailureCase::Exhausted, code: Some("CUT3408".to_owned()), text: format!("the journal: {text}") }
}

/// What the hooks of the changes under way work with.
#[derive(Default)]
struct Memories(Mutex<HashMap<ChangeNo, UnderWay>>);

/// One change: what the host remembers of it, and what the plan says.
#[derive(Clone)]
struct UnderWay {
    memory: Arc<ChangeMemory>,
    body: Arc<ChangeBody>,
}

impl Memories {
    fn get(&self, outfit: &Outfit, plan: &Plan, change: ChangeNo) -> Result<UnderWay, Failure> {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memories.get(&change) {
            return Ok(known.clone());
        }
        let body = outfit.bodies.read(change).map_err(|error| defect(error.to_string()))?;
        let new = UnderWay { memory: Arc::new(Self::load(outfit, plan, change)?), body: Arc::new(body) };
        memories.insert(change, new.clone());
        Ok(new)
    }

    /// The memory of a change that is not under way itself: nobody keeps it.
    fn load(outfit: &Outfit, plan: &Plan, change: ChangeNo) -> Result<ChangeMemory, Failure> {
        ChangeMemory::load(outfit.sealed.clone(), outfit.key.clone(), change, plan.name_of(change))
    }

    fn forget(&self, change: ChangeNo) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&change);
    }
}
