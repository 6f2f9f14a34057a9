//! The host's own looks at the world: what was there, what is there now, and what that means.

use std::collections::{BTreeSet, HashSet};

use cutover_engine::{
    BackRelation, ChangeNo, Digest, Effect, Event, Failure, FailureCase, Object, Recheck, Relation, Verdict, canonical_digest,
    equal_outside, without,
};
use serde_json::Value;

use super::{
    movement::movement,
    perform::{Hands, HookName, Performer, defect},
};
use crate::{
    change_memory::Remembered,
    hook::{Answer, Call, Stage},
    sealing::Scope,
    session::{Access, RawResponse},
};

/// What a capture found.
struct Look {
    state: Option<Value>,
    expected: Option<Value>,
    read: HashSet<Object>,
    raw: Vec<RawResponse>,
    /// Reads of the subject that were answered with 2xx.
    alive: Vec<Access>,
}

impl Performer {
    /// A capture in a fresh, read-only instance, held against the rules for captures.
    async fn look(&self, hands: &Hands<'_>, attempt: u32) -> Result<Look, Failure> {
        let (result, session, report) = self
            .call(hands, HookName::Capture, attempt, None, |context, operation, change| Call::Capture { context, operation, change })
            .await;
        let Answer::Snapshot { state, expected } = result? else {
            return Err(defect("the sandbox gave another answer than asked for".to_owned()));
        };
        let read: HashSet<Object> = hands.body.subject.iter().filter(|object| report.read.contains(object)).cloned().collect();
        if read.is_empty() {
            return Err(refused("CUT3410", "its capture read no object of the change's subject"));
        }
        if state.as_ref().is_some_and(|state| !session.vouches_for(state)) {
            return Err(refused("CUT3411", "its capture returned a state with sealed values that it did not read"));
        }
        let alive = report
            .answers
            .iter()
            .filter(|answer| (200..300).contains(&answer.status) && hands.body.subject.contains(&answer.access.object));
        let alive = alive.map(|answer| answer.access.clone()).collect();
        Ok(Look { state, expected, read, raw: report.raw, alive })
    }

    /// The first look: the pre-image, and whether there is anything to do.
    pub(super) async fn capture(&self, change: ChangeNo, attempt: u32) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let look = self.look(&hands, attempt).await?;
        let present = look.state == look.expected;
        let alike = equal_outside(look.state.as_ref(), look.expected.as_ref(), &hands.planned.server_chosen);
        if !present && alike && !hands.planned.self_checking {
            return Err(refused("CUT3412", "the host has nothing to compare: state and expected differ only where the server chooses"));
        }
        let known = {
            let before = hands.memory.remembered();
            before.pre_image.as_ref().is_none_or(|pre_image| *pre_image == look.state) || before.after.as_ref() == Some(&look.state)
        };
        let event = Event::Captured {
            change,
            present,
            moved: !known && !present,
            state: digest(look.state.as_ref()),
            expected: digest(look.expected.as_ref()),
        };
        hands.memory.store_capture(look.state, look.expected, look.read, look.alive, &look.raw)?;
        Ok(event)
    }

    /// The look after apply: what the world says of it. What nobody but somebody else can have written is not kept as ours.
    pub(super) async fn compare(&self, change: ChangeNo, attempt: u32, effect: Effect) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let look = self.look(&hands, attempt).await?;
        let places = &hands.planned.server_chosen;
        let relation = {
            let before = hands.memory.remembered();
            if equal_outside(look.state.as_ref(), before.expected.as_ref(), places) {
                Relation::Expected
            } else if Some(&look.state) == before.pre_image.as_ref() {
                Relation::PreImage
            } else if look.expected != before.expected && equal_outside(look.state.as_ref(), look.expected.as_ref(), places) {
                Relation::NewExpected
            } else if is_doing(&look, &before, None, effect, &hands) {
                Relation::Other
            } else {
                Relation::Foreign
            }
        };
        let after = digest(look.state.as_ref());
        if relation != Relation::Foreign {
            hands.memory.store_after(look.state)?;
        }
        Ok(Event::Compared { change, relation, after })
    }

    /// A linked change is looked at and verified again before what it copied is retired. Of one whose source is `retired` already,
    /// what it left is compared: nothing else can be had any more.
    pub(super) async fn recheck(
        &self,
        change: ChangeNo,
        (link, target): (u32, ChangeNo),
        retired: bool,
        attempt: u32,
    ) -> Result<Event, Failure> {
        let hands = self.hands(target)?;
        let look = self.look(&hands, attempt).await?;
        let places = &hands.planned.server_chosen;
        let (source_moved, target_moved) = {
            let before = hands.memory.remembered();
            // A change that was present was never written: its pre-image is what was verified.
            let verified = before.after.as_ref().or(before.pre_image.as_ref());
            let same = verified.is_some_and(|verified| equal_outside(look.state.as_ref(), verified.as_ref(), places));
            let reached = retired || equal_outside(look.state.as_ref(), look.expected.as_ref(), places);
            (!retired && look.expected != before.expected, !same || !reached)
        };
        let relation = if source_moved {
            Recheck::SourceMoved
        } else if target_moved {
            Recheck::TargetMoved
        } else if retired {
            Recheck::Same
        } else {
            match self.verify(&hands, target, attempt, Stage::Applied).await? {
                (Verdict::Pass, ..) => Recheck::Same,
                (verdict, checks, _) => {
                    let detail = checks.iter().find(|check| check.verdict != Verdict::Pass);
                    let detail =
                        detail.map_or_else(|| "no check gave a result".to_owned(), |check| format!("`{}`: {}", check.name, check.detail));
                    if verdict == Verdict::Inconclusive { Recheck::Inconclusive(detail) } else { Recheck::CheckFailed(detail) }
                }
            }
        };
        self.forget(target);
        Ok(Event::Rechecked { change, link, relation })
    }

    /// The look before rollback: whether what is there is this change's to take back.
    pub(super) async fn back_look(&self, change: ChangeNo, origin: ChangeNo, attempt: u32) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let look = self.look(&hands, attempt).await?;
        let pre_image = self.pre_image(&hands, origin)?;
        let before = hands.memory.remembered();
        // Residue excuses what a rollback could not restore, never what it was not asked to.
        let relation = if look.state == pre_image {
            BackRelation::PreImage
        } else if before.after.as_ref() == Some(&look.state) {
            BackRelation::After
        } else if equal_outside(look.state.as_ref(), pre_image.as_ref(), &self.plan.residue_of(change)) {
            BackRelation::PreImage
        } else if is_own(&look, &before, pre_image.as_ref(), &hands) {
            BackRelation::Partial
        } else {
            BackRelation::Other
        };
        let ours = before.after.as_ref().or(before.pre_image.as_ref()).and_then(Option::as_ref);
        let moved = matches!(relation, BackRelation::Partial | BackRelation::Other)
            .then(|| movement(look.state.as_ref(), ours, hands.planned.plaintext.is_empty()));
        Ok(Event::BackLooked { change, relation, state: digest(look.state.as_ref()), moved })
    }

    /// The look after rollback.
    pub(super) async fn back_compare(&self, change: ChangeNo, origin: ChangeNo, attempt: u32, effect: Effect) -> Result<Event, Failure> {
        let hands = self.hands(change)?;
        let look = self.look(&hands, attempt).await?;
        let pre_image = self.pre_image(&hands, origin)?;
        let relation = if equal_outside(look.state.as_ref(), pre_image.as_ref(), &self.plan.residue_of(change)) {
            BackRelation::PreImage
        } else if is_doing(&look, &hands.memory.remembered(), pre_image.as_ref(), effect, &hands) {
            BackRelation::After
        } else {
            BackRelation::Other
        };
        let state = digest(look.state.as_ref());
        if relation != BackRelation::Other {
            hands.memory.store_after(look.state)?;
        }
        Ok(Event::BackCompared { change, relation, state })
    }
}

/// Whether a state that nobody expected can be what the change's writes since the last look made.
fn is_doing(look: &Look, before: &Remembered, pre_image: Option<&Value>, effect: Effect, hands: &Hands<'_>) -> bool {
    let as_before = Some(&look.state) == before.after.as_ref();
    match effect {
        Effect::None => as_before,
        Effect::Certain => true,
        Effect::Unknown => as_before || is_own(look, before, pre_image, hands),
    }
}

/// Whether every secret in a state is one that the change found, was to reach or wrote.
fn is_own(look: &Look, before: &Remembered, pre_image: Option<&Value>, hands: &Hands<'_>) -> bool {
    let Some(state) = &look.state else { return true };
    let found = before.pre_image.as_ref().and_then(Option::as_ref);
    let known = [pre_image, found, before.expected.as_ref(), before.after.as_ref().and_then(Option::as_ref)];
    let known: BTreeSet<String> = known.into_iter().flatten().flat_map(Scope::tokens_of).collect();
    let state = without(state, &hands.planned.server_chosen);
    Scope::tokens_of(&state).into_iter().all(|token| known.contains(&token) || hands.memory.scope.has_written(&token))
}

/// States are journaled by digest: their tokens say nothing without the plan's key.
fn digest(state: Option<&Value>) -> Option<Digest> {
    state.map(canonical_digest)
}

fn refused(code: &str, text: &str) -> Failure {
    Failure { case: FailureCase::Refused, code: Some(code.to_owned()), text: text.to_owned() }
}
