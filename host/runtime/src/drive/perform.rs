//! Performs one command and answers with its event.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use cutover_engine::{
    ChangeBody, ChangeNo, CheckResult, Command, Event, Failure, FailureCase, HookKind, Operation, Outcome, Phase, Plan, PlannedOperation,
    Proof, Run, Span, StepNo, Verdict,
};
use futures_util::FutureExt as _;

use super::{
    Answer, Answers, Memories, Outfit, UnderWay,
    batch::{Batch, Batches},
    ledger::ChangeLedger,
    lines::Lines,
    probe::Prober,
};
use crate::{
    change_memory::ChangeMemory,
    equipment::Seats,
    hook::{self, Call, HookContext, Stage},
    policy::Hook,
    sandbox::Plugin,
    session::{Ledger, OldPath, Report, Rights, Session},
};

/// Performs commands. Shared by all tasks of a run.
pub(super) struct Performer {
    pub(super) plan: Arc<Plan>,
    pub(super) outfit: Arc<Outfit>,
    pub(super) answers: Answers,
    memories: Memories,
    steps: Vec<Option<StepTools>>,
    pub(super) probers: Vec<Vec<Prober>>,
    pub(super) batches: Batches,
}

/// What the hooks of one step work with.
struct StepTools {
    plugin: Arc<Plugin>,
    operation: Arc<Operation>,
    seats: Arc<Seats>,
    verify_seats: Arc<Seats>,
}

/// Everything about one change that a hook needs.
pub(super) struct Hands<'p> {
    pub(super) change: ChangeNo,
    pub(super) planned: &'p PlannedOperation,
    tools: &'p StepTools,
    pub(super) body: Arc<ChangeBody>,
    pub(super) memory: Arc<ChangeMemory>,
}

/// The hooks by the names of the contract; part of idempotency keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HookName {
    Capture,
    Apply,
    Rollback,
    Verify(Stage),
}

impl HookName {
    const fn kind(self) -> HookKind {
        match self {
            Self::Capture => HookKind::Capture,
            Self::Apply => HookKind::Apply,
            Self::Rollback => HookKind::Rollback,
            Self::Verify(_) => HookKind::Verify,
        }
    }
}

impl Performer {
    pub(super) fn new(plan: Arc<Plan>, outfit: Arc<Outfit>, answers: Answers) -> Result<Self, Failure> {
        let mut steps = Vec::with_capacity(plan.header.steps.len());
        let mut probers = Vec::with_capacity(plan.header.steps.len());
        for step in &plan.header.steps {
            let Some(planned) = step.operation().filter(|operation| !operation.skipped) else {
                steps.push(None);
                probers.push(Vec::new());
                continue;
            };
            let operation = outfit.equipment.operation(&planned.plugin, &planned.operation)?.clone();
            let seats = Arc::new(outfit.equipment.seats(planned, false)?);
            let verify_seats =
                if planned.verify_with.is_empty() { seats.clone() } else { Arc::new(outfit.equipment.seats(planned, true)?) };
            let plugin = outfit.equipment.plugins[&planned.plugin].clone();
            steps.push(Some(StepTools { plugin, operation: Arc::new(operation), seats, verify_seats }));
            probers.push(planned.probes.iter().map(|probe| Prober::new(&outfit, probe, &plan)).collect::<Result<_, _>>()?);
        }
        Ok(Self { plan, outfit, answers, memories: Memories::default(), steps, probers, batches: Batches::default() })
    }

    /// Performs a command; its event goes to the driver, also if this program panics on the way.
    pub(super) async fn perform(self: Arc<Self>, command: Command, batch: Option<Batch>) {
        let answers = self.answers.clone();
        let _at_work = self.outfit.journal.at_work();
        let event = AssertUnwindSafe(self.event_of(command, batch)).catch_unwind().await;
        // Whatever the event says then, it was made of a log that somebody changed.
        if let Some(error) = self.outfit.sealed.damage() {
            return drop(answers.events.send(Answer::Damaged(error)).await);
        }
        match event {
            Ok(event) => answers.send(event).await,
            Err(_) => drop(answers.events.send(Answer::Panicked).await),
        }
    }

    /// A change that was only looked at need not stay in memory.
    pub(super) fn forget(&self, change: ChangeNo) {
        self.memories.forget(change);
    }

    /// Memory of a change at rest is in the sealed log; it need not be here too.
    pub(super) fn forget_if_at_rest(&self, run: &Run, change: ChangeNo) {
        if matches!(run.phase(change), Phase::Verified | Phase::Proven | Phase::RolledBack | Phase::Stuck | Phase::Failed | Phase::Deferred)
        {
            self.memories.forget(change);
        }
    }

    async fn event_of(&self, command: Command, batch: Option<Batch>) -> Event {
        let change = match command {
            Command::Observe { step, probe, scope, sample } => return self.observe(step, probe, scope, sample).await,
            Command::Capture { change, .. }
            | Command::Apply { change, .. }
            | Command::Compare { change, .. }
            | Command::Check { change, .. }
            | Command::Prove { change, .. }
            | Command::Recheck { change, .. }
            | Command::BackLook { change, .. }
            | Command::Rollback { change, .. }
            | Command::BackCompare { change, .. }
            | Command::BackCheck { change, .. } => change,
        };
        if let Some(batch) = batch
            && let Err(failure) = self.begin(batch, change).await
        {
            return Event::HookFailed { change, failure };
        }
        let result = match command {
            Command::Capture { attempt, .. } => self.capture(change, attempt).await,
            Command::Apply { attempt, follows, .. } => match self.found_what_was_left(change, follows) {
                Ok(vouched) => self.write(change, change, attempt, HookName::Apply, vouched).await,
                Err(failure) => Err(failure),
            },
            Command::Compare { attempt, effect, .. } => self.compare(change, attempt, effect).await,
            Command::Check { attempt, .. } => self.check(change, attempt).await,
            Command::Prove { attempt, .. } => self.prove(change, attempt).await,
            Command::Recheck { link, target, retired, attempt, .. } => self.recheck(change, (link, target), retired, attempt).await,
            Command::BackLook { origin, attempt, .. } => self.back_look(change, origin, attempt).await,
            Command::Rollback { origin, attempt, over, .. } => self.write(change, origin, attempt, HookName::Rollback, over).await,
            Command::BackCompare { origin, attempt, effect, .. } => self.back_compare(change, origin, attempt, effect).await,
            Command::BackCheck { origin, attempt, .. } => self.back_check(change, origin, attempt).await,
            Command::Observe { .. } => unreachable!("handled above"),
        };
        result.unwrap_or_else(|failure| Event::HookFailed { change, failure })
    }

    /// Who plays the roles of a change's hooks, and who those of its checks.
    pub(super) fn seats_of(&self, change: ChangeNo) -> Result<(&Seats, &Seats), Failure> {
        let tools = self.steps[self.plan.change(change).step.index()].as_ref();
        let tools = tools.ok_or_else(|| defect("a change of a step without an operation".to_owned()))?;
        Ok((&tools.seats, &tools.verify_seats))
    }

    pub(super) fn hands(&self, change: ChangeNo) -> Result<Hands<'_>, Failure> {
        let step: StepNo = self.plan.change(change).step;
        let tools = self.steps[step.index()].as_ref().ok_or_else(|| defect("a change of a step without an operation".to_owned()))?;
        let UnderWay { memory, body } = self.memories.get(&self.outfit, &self.plan, change)?;
        Ok(Hands { change, planned: self.plan.operation_of(change), tools, body, memory })
    }

    /// Calls a hook in a fresh instance and takes the host's own notes with its answer.
    pub(super) async fn call(
        &self,
        hands: &Hands<'_>,
        name: HookName,
        attempt: u32,
        ledger: Option<Arc<dyn Ledger>>,
        call: impl FnOnce(HookContext, String, ChangeBody) -> Call,
    ) -> (Result<hook::Answer, Failure>, Arc<Session>, Report) {
        // A retirement is proven with the rights that used to work: an auditor's refusal proves nothing.
        let seats = if matches!(name, HookName::Verify(Stage::Applied | Stage::RolledBack)) {
            &hands.tools.verify_seats
        } else {
            &hands.tools.seats
        };
        let rights = Rights {
            operation: hands.tools.operation.clone(),
            seats: seats.clone(),
            hook: if ledger.is_some() { Hook::Writing } else { Hook::Looking },
            subject: hands.body.subject.clone(),
            captured: if ledger.is_some() { hands.memory.remembered().captured.clone() } else { HashSet::new() },
            keep_raw: name == HookName::Capture && hands.memory.remembered().pre_image.is_none(),
        };
        let label = self.plan.name_of(hands.change);
        let lines = Lines {
            answers: self.answers.clone(),
            plan: self.plan.clone(),
            step: self.plan.change(hands.change).step,
            change: Some(hands.change),
            hook: name.kind(),
            scanner: self.outfit.key.scanner().clone(),
        };
        let session = Session::new(rights, hands.memory.scope.clone(), ledger, self.outfit.entropy.clone(), self.outfit.limits, label);
        let session = Arc::new(session.noting(Arc::new(lines)));
        let context = self.context(hands, name, attempt);
        let call = call(context, hands.planned.operation.clone(), ChangeBody::clone(&hands.body));
        let timeout = Duration::from_millis(hands.planned.timeout.0);
        let result = hands.tools.plugin.call(session.clone(), call, timeout).await;
        let mut report = session.report();
        (report.verdict(result), session, report)
    }

    fn context(&self, hands: &Hands<'_>, name: HookName, attempt: u32) -> HookContext {
        let now = self.outfit.clock.now();
        let change = hands.body.id.to_string();
        let key = cutover_engine::Digest::of(format!("{}\n{}\n{name:?}", self.outfit.id, self.plan.name_of(hands.change)).as_bytes());
        HookContext {
            run: self.outfit.id.to_string(),
            change,
            attempt,
            now,
            deadline: now.after(hands.planned.timeout),
            idempotency_key: key.to_string(),
        }
    }

    /// Whether the change's capture found just what an earlier change of the run left there.
    fn found_what_was_left(&self, change: ChangeNo, follows: Option<ChangeNo>) -> Result<bool, Failure> {
        let Some(earlier) = follows else { return Ok(false) };
        let found = self.memories.get(&self.outfit, &self.plan, change)?.memory.remembered().pre_image.clone();
        let left = Memories::load(&self.outfit, &self.plan, earlier)?.remembered().after.clone();
        Ok(found.is_some() && found == left)
    }

    /// Apply or rollback: the intent is journaled, then the hook is called. `vouched` if what is there is not as the plan saw
    /// it, nor this change's own, and may be replaced all the same: by the operator's word, or because the run itself wrote it.
    async fn write(&self, change: ChangeNo, origin: ChangeNo, attempt: u32, name: HookName, vouched: bool) -> Result<Event, Failure> {
        let apply = name == HookName::Apply;
        let started =
            if apply { Event::ApplyStarted { change, attempt } } else { Event::RollbackStarted { change, attempt, over: vouched } };
        let ended = move |outcome| if apply { Event::ApplyEnded { change, outcome } } else { Event::RollbackEnded { change, outcome } };
        let hands = match self.hands(change) {
            Ok(hands) => hands,
            Err(failure) => {
                self.answers.send(started).await;
                return Ok(ended(Outcome::Failed(failure)));
            }
        };
        let pre_image = match self.pre_image(&hands, origin) {
            Ok(pre_image) => pre_image,
            Err(failure) => {
                self.answers.send(started).await;
                return Ok(ended(Outcome::Failed(failure)));
            }
        };
        // A memo must be durable before the call that gets it; everything else is synced by the first write.
        // A memo tells a hook what apply left there: `null` that the host answers for what is there now.
        let memo = hands.memory.remembered().memo.clone();
        let memo = match (apply, vouched) {
            (true, true) => memo.or(Some(serde_json::Value::Null)),
            (false, true) => Some(serde_json::Value::Null),
            (_, false) => memo,
        };
        let recorded = if memo.is_some() {
            self.answers.send_durable(&self.outfit.journal, started).await
        } else {
            self.answers.send(started).await;
            Ok(())
        };
        if let Err(failure) = recorded {
            return Ok(ended(Outcome::Failed(failure)));
        }
        let ledger = Arc::new(ChangeLedger {
            change,
            memory: hands.memory.clone(),
            journal: self.outfit.journal.clone(),
            answers: self.answers.clone(),
            count: AtomicU32::new(0),
        });
        let (result, _, report) = self
            .call(&hands, name, attempt, Some(ledger), |context, operation, change| {
                if apply {
                    Call::Apply { context, operation, change, pre_image, memo }
                } else {
                    Call::Rollback { context, operation, change, pre_image, memo }
                }
            })
            .await;
        Ok(ended(self.outcome(&hands, result, report)))
    }

    fn outcome(&self, hands: &Hands<'_>, result: Result<hook::Answer, Failure>, report: Report) -> Outcome {
        let stored = match &result {
            // One that is `null` is the host's own sign, never a plugin's note.
            Ok(hook::Answer::Done { memo: Some(memo) } | hook::Answer::Again { memo, .. }) if !memo.is_null() => {
                hands.memory.store_memo(memo.clone())
            }
            _ => Ok(()),
        };
        // A call that was ended from outside may have had a request under way.
        let lost = report.lost.or_else(|| match &result {
            Err(failure) if report.unanswered > 0 => Some(failure.clone()),
            _ => None,
        });
        match (lost, stored, result) {
            (Some(failure), _, _) => Outcome::Unknown(failure),
            (None, Err(failure), _) | (None, Ok(()), Err(failure)) => Outcome::Failed(failure),
            (None, Ok(()), Ok(hook::Answer::Done { .. })) => Outcome::Done,
            (None, Ok(()), Ok(hook::Answer::Again { after_seconds, note, .. })) => {
                Outcome::Again { after: self.outfit.clock.now().after(Span::seconds(u64::from(after_seconds))), note }
            }
            (None, Ok(()), Ok(_)) => Outcome::Failed(defect("the sandbox gave another answer than asked for".to_owned())),
        }
    }

    /// The pre-image of the change that `origin` names: its own, or the oldest of a chain that goes back as one. Its
    /// sealed values are valid in this change's hooks.
    pub(super) fn pre_image(&self, hands: &Hands<'_>, origin: ChangeNo) -> Result<Option<serde_json::Value>, Failure> {
        let none = || defect(format!("{} has no pre-image", self.plan.name_of(origin)));
        if origin == hands.change {
            return hands.memory.remembered().pre_image.clone().ok_or_else(none);
        }
        // The origin itself never comes to rest in a drive that takes its chain back: its memory is not kept.
        let memory = Memories::load(&self.outfit, &self.plan, origin)?;
        let pre_image = memory.remembered().pre_image.clone().ok_or_else(none)?;
        if let Some(pre_image) = &pre_image {
            hands.memory.scope.import(memory.scope.export(pre_image));
        }
        Ok(pre_image)
    }

    /// Calls verify and adds its checks up.
    pub(super) async fn verify(
        &self,
        hands: &Hands<'_>,
        origin: ChangeNo,
        attempt: u32,
        stage: Stage,
    ) -> Result<(Verdict, Vec<CheckResult>, Report), Failure> {
        let pre_image = self.pre_image(hands, origin)?;
        let memo = hands.memory.remembered().memo.clone();
        let (result, _, report) = self
            .call(hands, HookName::Verify(stage), attempt, None, |context, operation, change| Call::Verify {
                context,
                operation,
                change,
                pre_image,
                memo,
                stage,
            })
            .await;
        let hook::Answer::Checks(checks) = result? else {
            return Err(defect("the sandbox gave another answer than asked for".to_owned()));
        };
        let written = hands.memory.remembered().written.clone();
        let looked = match (written.is_empty(), hands.planned.self_checking) {
            (true, true) => report.read_any(&hands.body.subject),
            (true, false) => true,
            (false, _) => report.read_any(&written),
        };
        let verdict = add_up(&checks, looked, hands.planned.self_checking);
        let checks = checks.into_iter().take(MAX_CHECKS).map(|check| CheckResult {
            name: check.name,
            verdict: check.verdict,
            detail: check.detail.chars().take(MAX_DETAIL).collect(),
        });
        Ok((verdict, checks.collect(), report))
    }

    async fn check(&self, change: ChangeNo, attempt: u32) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let (verdict, checks, _) = self.verify(&hands, change, attempt, Stage::Applied).await?;
        Ok(Event::Checked { change, verdict, checks })
    }

    async fn back_check(&self, change: ChangeNo, origin: ChangeNo, attempt: u32) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let (verdict, checks, _) = self.verify(&hands, origin, attempt, Stage::RolledBack).await?;
        // The host's own capture equals the pre-image, and that is what done means; a check that saw nothing takes nothing
        // from it. Where the host has nothing to compare, the check is all there is.
        let verdict = if verdict == Verdict::Inconclusive && !hands.planned.self_checking { Verdict::Pass } else { verdict };
        Ok(Event::BackChecked { change, verdict, checks })
    }

    /// The old path is tried: only a refusal that the host itself saw counts.
    async fn prove(&self, change: ChangeNo, attempt: u32) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let (verdict, mut checks, report) = self.verify(&hands, change, attempt, Stage::Retired).await?;
        let not_provable = |check: &CheckResult| check.name == NOT_PROVABLE && check.verdict == Verdict::Inconclusive;
        let proof = match verdict {
            Verdict::Fail => Proof::Open,
            _ if !checks.is_empty() && checks.iter().all(not_provable) && nothing_to_refuse(&hands) => Proof::NotProvable,
            Verdict::Inconclusive => Proof::Inconclusive,
            Verdict::Pass => {
                let (proof, verdict, detail) = match report.old_path(&hands.memory.remembered().alive) {
                    OldPath::Refused => (Proof::Refused, Verdict::Pass, "every request that worked before is refused".to_owned()),
                    OldPath::Works(request) => (Proof::Open, Verdict::Fail, format!("`{request}` still works")),
                    OldPath::Untried(request) => {
                        (Proof::Inconclusive, Verdict::Inconclusive, format!("nothing shows that it is refused: `{request}`"))
                    }
                };
                checks.push(CheckResult { name: "old-path".to_owned(), verdict, detail });
                proof
            }
        };
        Ok(Event::Proved { change, proof, checks })
    }
}

/// Whether no credential can exist that still worked at the first capture: nothing answered, or nothing was left to retire.
fn nothing_to_refuse(hands: &Hands<'_>) -> bool {
    let before = hands.memory.remembered();
    before.alive.is_empty() || before.pre_image.as_ref() == Some(&before.expected)
}

/// Most checks of one hook that are journaled, and most characters of a detail: a plugin must not fill a record.
const MAX_CHECKS: usize = 100;
const MAX_DETAIL: usize = 1_000;

/// The name of the only check of a retire change whose old credential cannot exist any more.
const NOT_PROVABLE: &str = "not-provable";

/// Fail beats inconclusive beats pass. Checks that looked nowhere near what was written pass nothing.
pub(crate) fn add_up(checks: &[hook::Check], looked: bool, self_checking: bool) -> Verdict {
    if checks.iter().any(|check| check.verdict == Verdict::Fail) {
        Verdict::Fail
    } else if checks.iter().any(|check| check.verdict == Verdict::Inconclusive) || (checks.is_empty() && self_checking) {
        Verdict::Inconclusive
    } else if checks.is_empty() || looked {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    }
}

/// Something that only a defect of this program or a damaged state folder can bring about.
pub(super) fn defect(text: String) -> Failure {
    Failure { case: FailureCase::Internal, code: Some("CUT3409".to_owned()), text }
}
