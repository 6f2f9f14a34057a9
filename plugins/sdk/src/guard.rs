//! One object there and back, without writing over what somebody else put there.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    change::Object,
    failure::Failure,
    fingerprint::fingerprint,
    migrator::Progress,
    request::{Present, Prior},
};

/// What the plan saw of an object, by fingerprints. A part of the change's instruction: movement before the run begins is
/// drift then, and movement after its start a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Of what was there; none for nothing.
    there: Option<String>,
    /// Of what should be there, where the plan tells.
    wanted: Option<String>,
}

impl Seen {
    /// What was there.
    pub fn of(present: Option<&Present>) -> Self {
        Self { there: present.map(|present| fingerprint(&present.value)), wanted: None }
    }

    /// What should be there, as it was read: the source's movement is drift too. Not for documents with tokens that were
    /// rendered: these are others in every plan.
    pub fn wanting(mut self, wanted: &Value) -> Self {
        self.wanted = Some(fingerprint(wanted));
        self
    }
}

/// Writes one object and puts its pre-image back. What is there is replaced only if it is as the plan saw it and as it was
/// captured, or if this change wrote it; anything else is a conflict and is left alone.
///
/// The host may answer for what is there itself, with a memo that is `null`: in a rollback by the operator's `--over`, in an
/// apply where an earlier change of the same run wrote the object.
#[derive(Debug)]
pub struct Guard<'g> {
    object: &'g Object,
    seen: &'g Seen,
    pre_image: Option<&'g Value>,
    /// What an earlier attempt wrote, by its memo.
    wrote: Option<Value>,
    vouched: bool,
}

/// What a write has left there: the last memo of a change.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memo {
    wrote: Value,
}

impl<'g> Guard<'g> {
    /// For a hook that was given this pre-image and this memo, of a change that was planned with `seen`.
    pub fn new(object: &'g Object, seen: &'g Seen, pre_image: Option<&'g Value>, memo: Option<&Value>) -> Result<Self, Failure> {
        let vouched = memo.is_some_and(Value::is_null);
        let memo = memo.filter(|memo| !memo.is_null()).map(Memo::deserialize).transpose();
        let memo = memo.map_err(|error| Failure::invalid_input(format!("memo: {error}")))?;
        Ok(Self { object, seen, pre_image, wrote: memo.map(|memo| memo.wrote), vouched })
    }

    /// Makes the object what is `wanted`, unless it is that already. `present` was read just now; `write` puts a value there
    /// that replaces just that.
    pub fn apply(
        &self,
        present: Option<&Present>,
        wanted: &Value,
        write: impl FnOnce(Option<&Value>, &Prior) -> Result<(), Failure>,
    ) -> Result<Progress, Failure> {
        let value = present.map(|present| &present.value);
        if value != Some(wanted) {
            if !self.is_ours(value) {
                self.refuse_foreign(value)?;
            }
            write(Some(wanted), &Prior::of(present))?;
        }
        Ok(Progress::Done(Some(json!({ "wrote": wanted }))))
    }

    /// Makes the object what it was before, unless it is that already. `wanted` reads what should be there now: without a
    /// memo, as after an attempt that was cut off, only that is known to be this change's own.
    pub fn rollback(
        &self,
        present: Option<&Present>,
        wanted: impl FnOnce() -> Result<Value, Failure>,
        write: impl FnOnce(Option<&Value>, &Prior) -> Result<(), Failure>,
    ) -> Result<Progress, Failure> {
        let value = present.map(|present| &present.value);
        if value != self.pre_image {
            if !self.vouched && !self.is_ours(value) && !is_wanted(value, wanted)? {
                return Err(self.foreign("`--over` this change puts its pre-image back all the same"));
            }
            write(self.pre_image, &Prior::of(present))?;
        }
        Ok(Progress::Done(self.wrote.as_ref().map(|wrote| json!({ "wrote": wrote }))))
    }

    /// Whether an attempt of this change wrote it.
    fn is_ours(&self, value: Option<&Value>) -> bool {
        let planned = |value: &Value| self.seen.wanted.as_ref().is_some_and(|wanted| *wanted == fingerprint(value));
        value.is_some_and(|value| self.wrote.as_ref() == Some(value) || planned(value))
    }

    /// A conflict unless what is there is what was there when planned and when captured.
    fn refuse_foreign(&self, value: Option<&Value>) -> Result<(), Failure> {
        if value != self.pre_image {
            return Err(self.foreign("look at it, then plan again"));
        }
        // The first attempt has looked at this already.
        if self.vouched || self.wrote.is_some() || value.map(fingerprint) == self.seen.there {
            return Ok(());
        }
        let object = self.object;
        Err(Failure::conflict(format!("{object} is not what the plan saw there: it was written since, and left alone; plan again")))
    }

    fn foreign(&self, next: &str) -> Failure {
        let object = self.object;
        Failure::conflict(format!(
            "somebody else wrote {object}: it is neither as it was captured nor as this change left it, and was left alone; {next}"
        ))
    }
}

/// Whether there is what should be there. A source that is gone wants nothing.
fn is_wanted(value: Option<&Value>, wanted: impl FnOnce() -> Result<Value, Failure>) -> Result<bool, Failure> {
    let Some(value) = value else { return Ok(false) };
    match wanted() {
        Err(Failure::NotFound(_)) => Ok(false),
        wanted => Ok(wanted? == *value),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// One attempt on an object that the plan saw empty and wanted to be `planned`, captured empty.
    struct Attempt {
        seen: Seen,
        pre_image: Option<Value>,
        memo: Option<Value>,
        there: Option<Value>,
    }

    impl Attempt {
        fn on(there: Option<&str>) -> Self {
            let there = there.map(Value::from);
            Self { seen: Seen::of(None).wanting(&json!("planned")), pre_image: None, memo: None, there }
        }

        fn captured(mut self, pre_image: &str) -> Self {
            self.pre_image = Some(json!(pre_image));
            self
        }

        fn planned_on(mut self, there: &str) -> Self {
            self.seen.there = Some(fingerprint(&json!(there)));
            self
        }

        fn memo(mut self, memo: Value) -> Self {
            self.memo = Some(memo);
            self
        }

        /// What is there after a hook; a failure has written nothing.
        fn after(&self, hook: impl FnOnce(&Guard, Option<&Present>, &Cell<bool>) -> Result<Progress, Failure>) -> Result<bool, Failure> {
            let object = Object::new("target", "a");
            let guard = Guard::new(&object, &self.seen, self.pre_image.as_ref(), self.memo.as_ref())?;
            let present = self.there.clone().map(|value| Present { value, etag: None });
            let wrote = Cell::new(false);
            let result = hook(&guard, present.as_ref(), &wrote);
            assert!(result.is_ok() || !wrote.get(), "a refusal comes before any write");
            result.map(|_| wrote.get())
        }

        /// Whether apply wrote.
        fn apply(&self) -> Result<bool, Failure> {
            self.after(|guard, present, wrote| {
                guard.apply(present, &json!("wanted"), |value, _| {
                    assert_eq!(value, Some(&json!("wanted")));
                    wrote.set(true);
                    Ok(())
                })
            })
        }

        /// Whether rollback wrote, where the source has `source`.
        fn rollback(&self, source: Result<Value, Failure>) -> Result<bool, Failure> {
            self.after(|guard, present, wrote| {
                guard.rollback(
                    present,
                    || source,
                    |value, _| {
                        assert_eq!(value, self.pre_image.as_ref());
                        wrote.set(true);
                        Ok(())
                    },
                )
            })
        }
    }

    fn is_conflict(result: &Result<bool, Failure>) -> bool {
        matches!(result, Err(Failure::Conflict(why)) if why.contains("target:a"))
    }

    fn wanted() -> Result<Value, Failure> {
        Ok(json!("wanted"))
    }

    #[test]
    fn the_first_apply_replaces_only_what_the_plan_saw() {
        assert_eq!(Attempt::on(None).apply(), Ok(true));
        assert_eq!(Attempt::on(Some("old")).captured("old").planned_on("old").apply(), Ok(true));
        assert_eq!(Attempt::on(Some("wanted")).captured("old").apply(), Ok(false), "it is there already");
        assert!(is_conflict(&Attempt::on(Some("made")).captured("made").apply()), "made after the start");
        assert!(is_conflict(&Attempt::on(Some("rotated")).captured("rotated").planned_on("old").apply()), "rotated after the start");
        assert!(is_conflict(&Attempt::on(None).planned_on("old").apply()), "removed after the start");
        assert!(is_conflict(&Attempt::on(Some("foreign")).apply()), "made after the capture");
    }

    #[test]
    fn an_apply_converges_from_what_an_earlier_attempt_left() {
        let wrote = |value: &str| json!({ "wrote": value });
        assert_eq!(Attempt::on(Some("first")).memo(wrote("first")).apply(), Ok(true), "the source moved");
        assert_eq!(Attempt::on(Some("planned")).apply(), Ok(true), "the source moved, and the first answer was lost");
        assert_eq!(Attempt::on(None).memo(wrote("first")).apply(), Ok(true), "it went back in between");
        assert!(is_conflict(&Attempt::on(Some("foreign")).memo(wrote("first")).apply()));
    }

    #[test]
    fn an_apply_that_the_host_vouches_for_replaces_only_what_was_captured() {
        assert_eq!(Attempt::on(Some("of step one")).captured("of step one").memo(Value::Null).apply(), Ok(true));
        assert!(is_conflict(&Attempt::on(Some("foreign")).captured("of step one").memo(Value::Null).apply()));
    }

    #[test]
    fn a_rollback_without_a_memo_takes_away_only_what_is_known_to_be_ours() {
        for pre_image in [None, Some("old")] {
            let on =
                |there: Option<&str>| pre_image.map_or_else(|| Attempt::on(there), |old| Attempt::on(there).captured(old).planned_on(old));
            assert_eq!(on(pre_image).rollback(wanted()), Ok(false), "nothing was written");
            assert_eq!(on(Some("wanted")).rollback(wanted()), Ok(true));
            assert_eq!(on(Some("planned")).rollback(wanted()), Ok(true), "the source has moved since");
            assert!(is_conflict(&on(Some("foreign")).rollback(wanted())));
            assert!(is_conflict(&on(Some("foreign")).rollback(Err(Failure::not_found("gone")))), "the source is gone");
        }
        assert!(is_conflict(&Attempt::on(None).captured("old").planned_on("old").rollback(wanted())), "somebody removed it");
    }

    #[test]
    fn a_source_that_cannot_be_read_decides_nothing() {
        let closed = || Err(Failure::unavailable("sealed"));
        assert_eq!(Attempt::on(Some("unknown")).rollback(closed()), Err(Failure::unavailable("sealed")));
        assert_eq!(Attempt::on(Some("planned")).rollback(closed()), Ok(true), "it is not asked without need");
    }

    #[test]
    fn a_rollback_over_foreign_writes_needs_the_operators_word() {
        let wrote = json!({ "wrote": "wanted" });
        assert_eq!(Attempt::on(Some("wanted")).memo(wrote.clone()).rollback(wanted()), Ok(true));
        let refused = Attempt::on(Some("foreign")).memo(wrote).rollback(wanted());
        assert!(is_conflict(&refused) && format!("{refused:?}").contains("`--over` this change"), "{refused:?}");
        assert_eq!(Attempt::on(Some("foreign")).memo(Value::Null).rollback(wanted()), Ok(true));
        assert_eq!(Attempt::on(None).captured("old").memo(Value::Null).rollback(wanted()), Ok(true));
    }

    #[test]
    fn the_operators_word_is_no_memo_for_later() {
        let (object, seen) = (Object::new("target", "a"), Seen::of(None));
        let guard = Guard::new(&object, &seen, None, Some(&Value::Null)).expect("a guard");
        assert_eq!(guard.rollback(None, wanted, |_, _| Ok(())), Ok(Progress::Done(None)));
        assert!(matches!(Guard::new(&object, &seen, None, Some(&json!({"other": 1}))), Err(Failure::InvalidInput(_))));
    }
}
