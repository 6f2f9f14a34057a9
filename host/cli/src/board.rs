//! The board of a run under way: shows it as it moves, says once why it fails, and answers whoever asks in between.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cutover_engine::{ChangeNo, Event, Phase, Plan, Run, RunId, Timestamp};

use crate::{
    console::Console,
    keyboard,
    report::{
        event::step_of,
        event_text,
        progress::{Moment, ProgressView, Snapshot},
        standing::{Standing, word},
        status::{StatusView, UnderWay},
    },
};

/// How many of the last lines that a step's plugins logged are kept for the moment when it fails.
const LINES_KEPT: usize = 10;

/// A board that several can speak through. Clones are the same board.
#[derive(Clone)]
pub(crate) struct Board(Arc<Mutex<Content>>);

struct Content {
    console: Console,
    run: RunId,
    view: ProgressView,
    /// What the time goes into before the first event.
    moment: Option<Moment>,
    plan: Option<Arc<Plan>>,
    snapshot: Option<Snapshot>,
    began: Option<Timestamp>,
    under_way: BTreeMap<ChangeNo, (Phase, Timestamp)>,
    logged: BTreeMap<String, VecDeque<String>>,
}

impl Board {
    /// An empty one. `console` is where its lines go.
    pub(crate) fn new(run: RunId, view: ProgressView, console: Console) -> Self {
        Self(Arc::new(Mutex::new(Content {
            console,
            run,
            view,
            moment: None,
            plan: None,
            snapshot: None,
            began: None,
            under_way: BTreeMap::new(),
            logged: BTreeMap::new(),
        })))
    }

    /// Takes note of one event; takes the same time however many changes there are.
    pub(crate) fn note(&self, run: &Run, at: Timestamp, event: &Event) {
        self.content().note(run, at, event);
    }

    /// Shows this until something happens.
    pub(crate) fn wait(&self, moment: Moment) {
        self.content().moment = Some(moment);
    }

    /// Whether no change is under way.
    pub(crate) fn is_still(&self) -> bool {
        self.content().under_way.is_empty()
    }

    /// Shows where the run stands.
    pub(crate) fn show(&self, standing: &Standing<'_>) {
        self.content().show(standing);
    }

    /// Says something beside what moves.
    pub(crate) fn say(&self, text: &str) {
        self.content().say(text);
    }

    /// Tells where the run stands, also if the person wants quiet: somebody asked.
    pub(crate) fn answer(&self, now: Timestamp) {
        self.content().answer(now);
    }

    /// Takes away what moves, and gives the terminal back.
    pub(crate) fn finish(&self) {
        let mut content = self.content();
        content.moment = None;
        content.view.finish();
        keyboard::restore();
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn note(&mut self, run: &Run, at: Timestamp, event: &Event) {
        self.began.get_or_insert(at);
        let plan = self.plan.get_or_insert_with(|| run.plan().clone());
        if let Event::Logged { .. } = event
            && let Some(step) = step_of(plan, event)
        {
            let lines = self.logged.entry(plan.step(step).id.clone()).or_default();
            lines.push_back(event_text::line(plan, at, event));
            if lines.len() > LINES_KEPT {
                lines.pop_front();
            }
        }
        if let Some(change) = event.change() {
            let phase = run.phase(change);
            if matches!(phase, Phase::Captured | Phase::Applied | Phase::Unknown | Phase::GoingBack) {
                self.under_way.insert(change, (phase, at));
            } else {
                self.under_way.remove(&change);
            }
        }
    }

    fn show(&mut self, standing: &Standing<'_>) {
        self.moment = None;
        let snapshot = standing.snapshot();
        let is_told = self.snapshot.as_ref().is_some_and(|before| before.cause.is_some());
        if snapshot.cause.is_some() && !is_told && !self.view.is_none() {
            self.tell_cause(standing);
        }
        let console = &mut self.console;
        self.view.show(&snapshot, |line| console.note(line));
        self.snapshot = Some(snapshot);
    }

    /// Why it fails, at the moment when it does, with the last lines that the plugins of that step logged.
    fn tell_cause(&mut self, standing: &Standing<'_>) {
        let Some(cause) = standing.cause() else { return };
        let lines = self.logged.get(&cause.step).into_iter().flatten().map(|line| format!("  {line}"));
        let text: String = std::iter::once(cause.text(crate::report::palette::ERROR)).chain(lines).collect();
        self.say(&text);
    }

    fn say(&mut self, text: &str) {
        let Some(text) = self.console.fit(text) else { return };
        let console = &mut self.console;
        self.view.say(&text, |text| console.note(text));
    }

    fn answer(&mut self, now: Timestamp) {
        let text = match (&self.plan, &self.snapshot) {
            (Some(plan), Some(snapshot)) => {
                let elapsed = self.began.map_or(snapshot.elapsed, |began| now.since(began));
                let mut under_way: Vec<_> = self.under_way.iter().collect();
                under_way.sort_by_key(|(_, (_, since))| *since);
                let named = under_way.into_iter().map(|(change, (phase, since))| UnderWay {
                    change: plan.name_of(*change),
                    phase: word(phase),
                    span: now.since(*since),
                });
                let snapshot = Snapshot { elapsed, ..snapshot.clone() };
                StatusView { run: self.run.to_string(), snapshot, under_way: named.collect() }.text()
            }
            _ => format!("status of run {}: nothing happened yet\n", self.run),
        };
        let text = self.console.strained(&text);
        let console = &mut self.console;
        self.view.say(&text, |text| console.complain(text));
    }
}
