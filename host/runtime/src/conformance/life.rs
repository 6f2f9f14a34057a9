//! One change taken through its hooks, as the driver of a run does it.

use std::{collections::HashSet, sync::Arc};

use cutover_engine::{ChangeBody, Failure, FailureCase, Object, Verdict, equal_outside};
use serde_json::Value;

use super::bench::{Bench, Called, HookRights, other_answer};
use crate::{
    drive::add_up,
    hook::{Answer, Call, Check, Stage},
    sealing::Scope,
    session::{Access, Answered, OldPath},
};

/// How often a hook may say `again`: the kit does not wait in between.
const MOST_CALLS: usize = 50;

/// The name that the contract gives the only check of a retirement whose old credential cannot exist any more.
const NOT_PROVABLE: &str = "not-provable";

/// One change from its first capture on.
pub(super) struct Life<'b> {
    bench: &'b Bench,
    pub(super) change: ChangeBody,
    scope: Arc<Scope>,
    captured: HashSet<Object>,
    /// The requests by which the subject was read at first, and that worked.
    alive: HashSet<Access>,
    pre_image: Option<Value>,
    expected: Option<Value>,
    pub(super) memo: Option<Value>,
    written: HashSet<Object>,
}

/// What capture returned.
pub(super) struct Look {
    pub(super) state: Option<Value>,
    pub(super) expected: Option<Value>,
    read: HashSet<Object>,
    alive: HashSet<Access>,
}

impl<'b> Life<'b> {
    /// Captures the pre-image.
    pub(super) async fn begin(bench: &'b Bench, change: &ChangeBody) -> Result<(Self, Look), Failure> {
        let scope = bench.scope(&change.id.to_string());
        let mut life = Self {
            bench,
            change: change.clone(),
            scope,
            captured: HashSet::new(),
            alive: HashSet::new(),
            pre_image: None,
            expected: None,
            memo: None,
            written: HashSet::new(),
        };
        let look = life.capture().await?;
        life.captured.clone_from(&look.read);
        life.alive.clone_from(&look.alive);
        life.pre_image.clone_from(&look.state);
        life.expected.clone_from(&look.expected);
        Ok((life, look))
    }

    /// A fresh look, held against the host's rules for captures.
    pub(super) async fn look(&self) -> Result<Look, Failure> {
        self.capture().await
    }

    async fn capture(&self) -> Result<Look, Failure> {
        let called = self.bench.call(self.looking("capture"), self.scope.clone(), self.capture_call()).await;
        let Answer::Snapshot { state, expected } = called.result? else { return Err(other_answer()) };
        let read: HashSet<Object> = self.change.subject.iter().filter(|object| called.report.read.contains(object)).cloned().collect();
        if read.is_empty() {
            return Err(refused("CUT3410", "its capture read no object of the change's subject"));
        }
        if state.as_ref().is_some_and(|state| !called.session.vouches_for(state)) {
            return Err(refused("CUT3411", "its capture returned a state with sealed values that it did not read"));
        }
        let works = |answer: &&Answered| (200..300).contains(&answer.status) && self.change.subject.contains(&answer.access.object);
        let alive = called.report.answers.iter().filter(works).map(|answer| answer.access.clone()).collect();
        Ok(Look { state, expected, read, alive })
    }

    /// Captures in a world that refuses or never answers. Nothing of it counts but the answer.
    pub(super) async fn capture_in_trouble(bench: &'b Bench, change: &ChangeBody, silent: bool) -> Result<Answer, Failure> {
        let scope = bench.scope(&change.id.to_string());
        let rights = HookRights { name: "capture", subject: change.subject.clone(), captured: None };
        let context = bench.context(&change.id.to_string());
        let call = Call::Capture { context, operation: bench.operation.name.clone(), change: change.clone() };
        let called = if silent { bench.call_in_silence(rights, scope, call).await } else { bench.call(rights, scope, call).await };
        called.result
    }

    /// Whether a state is what capture expected at first.
    pub(super) fn is_reached(&self, state: Option<&Value>) -> bool {
        equal_outside(state, self.expected.as_ref(), &self.bench.operation.server_chosen)
    }

    /// The state before.
    pub(super) fn pre_image(&self) -> Option<&Value> {
        self.pre_image.as_ref()
    }

    /// Applies until it is done, with this memo for the first call.
    pub(super) async fn apply(&mut self, memo: Option<Value>) -> Result<(), Failure> {
        self.write("apply", memo).await
    }

    /// Rolls back until it is done.
    pub(super) async fn roll_back(&mut self) -> Result<(), Failure> {
        let memo = self.memo.clone();
        self.write("rollback", memo).await
    }

    async fn write(&mut self, name: &'static str, mut memo: Option<Value>) -> Result<(), Failure> {
        for _ in 0..MOST_CALLS {
            let rights = HookRights { name, subject: self.change.subject.clone(), captured: Some(self.captured.clone()) };
            let (context, operation) = (self.bench.context(&self.change.id.to_string()), self.bench.operation.name.clone());
            let (change, pre_image) = (self.change.clone(), self.pre_image.clone());
            let call = if name == "apply" {
                Call::Apply { context, operation, change, pre_image, memo }
            } else {
                Call::Rollback { context, operation, change, pre_image, memo }
            };
            let called = self.bench.call(rights, self.scope.clone(), call).await;
            self.written.extend(called.report.written.iter().cloned());
            match called.result? {
                Answer::Done { memo } => {
                    self.memo = memo.or(self.memo.take());
                    return Ok(());
                }
                Answer::Again { memo: next, .. } => {
                    self.memo = Some(next.clone());
                    memo = Some(next);
                }
                _ => return Err(other_answer()),
            }
        }
        let text = format!("{name} said `again` {MOST_CALLS} times");
        Err(Failure { case: FailureCase::Exhausted, code: Some("CUT3102".to_owned()), text })
    }

    /// The plugin's checks, added up as the host does it, and the first that did not pass.
    pub(super) async fn verify(&self, stage: Stage) -> Result<(Verdict, String), Failure> {
        let (called, checks) = self.checks(stage).await?;
        Ok(self.sum(&called, &checks))
    }

    /// Why the host would not hold the old path for dead; nothing if it would, or if no old credential can exist any more.
    pub(super) async fn lives_on(&self) -> Result<Option<String>, Failure> {
        let (called, checks) = self.checks(Stage::Retired).await?;
        let nothing_to_refuse = self.alive.is_empty() || self.pre_image == self.expected;
        let not_provable = |check: &Check| check.name == NOT_PROVABLE && check.verdict == Verdict::Inconclusive;
        if nothing_to_refuse && !checks.is_empty() && checks.iter().all(not_provable) {
            return Ok(None);
        }
        let (verdict, detail) = self.sum(&called, &checks);
        Ok(match (verdict, called.report.old_path(&self.alive)) {
            (Verdict::Fail | Verdict::Inconclusive, _) => Some(detail),
            (Verdict::Pass, OldPath::Refused) => None,
            (Verdict::Pass, OldPath::Works(request)) => Some(format!("`{request}` still works")),
            (Verdict::Pass, OldPath::Untried(request)) => Some(format!("nothing shows that it is refused: `{request}`")),
        })
    }
    async fn checks(&self, stage: Stage) -> Result<(Called, Vec<Check>), Failure> {
        let call = Call::Verify {
            context: self.bench.context(&self.change.id.to_string()),
            operation: self.bench.operation.name.clone(),
            change: self.change.clone(),
            pre_image: self.pre_image.clone(),
            memo: self.memo.clone(),
            stage,
        };
        let mut called = self.bench.call(self.looking("verify"), self.scope.clone(), call).await;
        match std::mem::replace(&mut called.result, Err(other_answer()))? {
            Answer::Checks(checks) => Ok((called, checks)),
            _ => Err(other_answer()),
        }
    }

    fn sum(&self, called: &Called, checks: &[Check]) -> (Verdict, String) {
        let own = self.bench.operation.self_checking;
        let looked = match (self.written.is_empty(), own) {
            (true, true) => called.report.read_any(&self.change.subject),
            (true, false) => true,
            (false, _) => called.report.read_any(&self.written),
        };
        let first =
            checks.iter().find(|check| check.verdict != Verdict::Pass).map(|check| format!("check `{}`: {}", check.name, check.detail));
        let nothing = || if looked { "no check" } else { "it read nothing of what was written" }.to_owned();
        (add_up(checks, looked, own), first.unwrap_or_else(nothing))
    }

    fn capture_call(&self) -> Call {
        let context = self.bench.context(&self.change.id.to_string());
        Call::Capture { context, operation: self.bench.operation.name.clone(), change: self.change.clone() }
    }

    fn looking(&self, name: &'static str) -> HookRights {
        HookRights { name, subject: self.change.subject.clone(), captured: None }
    }
}

fn refused(code: &str, text: &str) -> Failure {
    Failure { case: FailureCase::Refused, code: Some(code.to_owned()), text: text.to_owned() }
}
