//! The smaller trait: a place that can be read and written. All hooks follow from it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    change::{Action, Change, Object},
    failure::Failure,
    guard::{Guard, Seen},
    manifest::Manifest,
    migrator::{Check, Context, Migrator, Page, Progress, Snapshot, Stage},
    request::{Present, Prior},
};

/// A place where objects are read and written whole: files, key-value stores, weights. Its manifest has one operation.
pub trait Place {
    /// What it offers and asks for.
    fn manifest() -> Manifest;

    /// What should be there. It follows from the input and what it reads from sources, and has the same order on every call.
    fn wanted(input: &Value) -> Result<Vec<Wanted>, Failure>;

    /// What is there; none if there is nothing. [`Response::present`](crate::Response::present) tells absence from failure.
    fn read(object: &Object) -> Result<Option<Present>, Failure>;

    /// Puts the value there, or removes what is there. [`Request::expecting`](crate::Request::expecting) carries `prior`.
    fn write(object: &Object, value: Option<&Value>, prior: &Prior) -> Result<(), Failure>;

    /// What should be at one object. By default looked up in [`Place::wanted`]; worth its own code where there are many.
    fn wanted_at(input: &Value, object: &Object) -> Result<Wanted, Failure> {
        let found = Self::wanted(input)?.into_iter().find(|wanted| wanted.object == *object);
        found.ok_or_else(|| Failure::not_found(format!("{object} is wanted no longer")))
    }
}

/// One object and what should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Where.
    pub object: Object,
    /// The document, with tokens for secrets.
    pub value: Value,
    /// One line for the plan, without values.
    pub summary: String,
}

/// Changes of one page of a plan.
const PAGE: usize = 200;

/// What a change of a [`Place`] is told again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Instruction {
    input: Value,
    /// What the plan saw at the object, so that its movement is drift.
    seen: Seen,
}

impl<T: Place> Migrator for T {
    fn manifest() -> Manifest {
        <T as Place>::manifest()
    }

    fn plan(_: &str, input: &Value, _: &[Change], cursor: Option<&str>) -> Result<Page, Failure> {
        let start = cursor.unwrap_or("0").parse::<usize>().map_err(|_| Failure::invalid_input("the cursor is not of this plugin"))?;
        let wanted = T::wanted(input)?;
        let end = wanted.len().min(start.saturating_add(PAGE));
        let page = wanted.get(start..end).unwrap_or_default();
        let changes = page.iter().map(|wanted| planned::<T>(input, wanted)).collect::<Result<_, _>>()?;
        // The first page names all others, so that the host can ask for them side by side.
        let rest = if cursor.is_none() { end..wanted.len() } else { 0..0 };
        Ok(Page::of(changes).followed_by(rest.step_by(PAGE).map(|start| start.to_string())))
    }

    fn capture(_: &Context, _: &str, change: &Change) -> Result<Snapshot, Failure> {
        let object = object(change)?;
        let state = T::read(object)?.map(|present| present.value);
        Ok(Snapshot { state, expected: Some(expected::<T>(change, object)?) })
    }

    fn apply(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        let object = object(change)?;
        let Instruction { input, seen } = change.instruction()?;
        let wanted = T::wanted_at(&input, object)?.value;
        let present = T::read(object)?;
        let guard = Guard::new(object, &seen, pre_image, memo)?;
        guard.apply(present.as_ref(), &wanted, |value, prior| T::write(object, value, prior))
    }

    fn rollback(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        let object = object(change)?;
        let Instruction { input, seen } = change.instruction()?;
        let present = T::read(object)?;
        let guard = Guard::new(object, &seen, pre_image, memo)?;
        let wanted = || Ok(T::wanted_at(&input, object)?.value);
        guard.rollback(present.as_ref(), wanted, |value, prior| T::write(object, value, prior))
    }

    fn verify(
        _: &Context,
        _: &str,
        change: &Change,
        pre_image: Option<&Value>,
        _: Option<&Value>,
        stage: Stage,
    ) -> Result<Vec<Check>, Failure> {
        let object = object(change)?;
        let present = T::read(object)?.map(|present| present.value);
        let (should, words) = match stage {
            Stage::Applied | Stage::Retired => (Some(expected::<T>(change, object)?), "what is wanted"),
            Stage::RolledBack => (pre_image.cloned(), "what was there before"),
        };
        Ok(vec![Check::application("reads-back", present == should, format!("{object} was read again and compared with {words}"))])
    }
}

fn planned<T: Place>(input: &Value, wanted: &Wanted) -> Result<Change, Failure> {
    let present = T::read(&wanted.object)?;
    let object = &wanted.object;
    let (action, by_hand) = match &present {
        None => (Action::Create, format!("remove {object}")),
        Some(_) => (Action::Update, format!("put the captured value back to {object}")),
    };
    let change = Change::new(action, object.clone()).summary(&wanted.summary).by_hand(by_hand);
    change.instruct(&Instruction { input: input.clone(), seen: Seen::of(present.as_ref()) })
}

fn object(change: &Change) -> Result<&Object, Failure> {
    match change.subject.as_slice() {
        [object] => Ok(object),
        _ => Err(Failure::invalid_input(format!("change {} is not of this plugin: its subject is not one object", change.id))),
    }
}

fn expected<T: Place>(change: &Change, object: &Object) -> Result<Value, Failure> {
    let instruction: Instruction = change.instruction()?;
    Ok(T::wanted_at(&instruction.input, object)?.value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        manifest::{Operation, Role, Route},
        request::Request,
        testing::{Folder, pages},
    };

    struct Shelf;

    impl Place for Shelf {
        fn manifest() -> Manifest {
            let role = Role::one("target").kind("http").route(Route::read("GET", "/{+path}"));
            Manifest::new("test:shelf", "0.1.0", "a shelf").operation(Operation::migrate("put", "puts").role(role))
        }

        fn wanted(input: &Value) -> Result<Vec<Wanted>, Failure> {
            let items = input.as_object().into_iter().flatten();
            let wanted = |(path, value): (&String, &Value)| {
                let object = Object::new("target", path);
                Wanted { summary: format!("put {object}"), object, value: value.clone() }
            };
            Ok(items.map(wanted).collect())
        }

        fn read(object: &Object) -> Result<Option<Present>, Failure> {
            Request::get(&object.path).send_to(object)?.present("read")
        }

        fn write(object: &Object, value: Option<&Value>, prior: &Prior) -> Result<(), Failure> {
            let request = value.map_or_else(|| Request::delete(&object.path), |value| Request::put(&object.path).json(value.clone()));
            request.expecting(prior).send_to(object)?.expect_success("write").map(drop)
        }
    }

    fn only(input: &Value) -> Change {
        Shelf::plan("put", input, &[], None).expect("a plan").changes.remove(0)
    }

    fn capture(change: &Change) -> Snapshot {
        Shelf::capture(&Context::default(), "put", change).expect("a snapshot")
    }

    fn apply(change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Value, Failure> {
        match Shelf::apply(&Context::default(), "put", change, pre_image, memo)? {
            Progress::Done(Some(memo)) => Ok(memo),
            progress => panic!("apply of a place is done at once, not {progress:?}"),
        }
    }

    fn rollback(change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        Shelf::rollback(&Context::default(), "put", change, pre_image, memo)
    }

    #[test]
    fn creates_and_removes_again() {
        let shelf = Folder::new().install();
        let change = only(&json!({"a": 1}));
        assert_eq!(change.action, Action::Create);
        assert_eq!(capture(&change), Snapshot { state: None, expected: Some(json!(1)) });
        let memo = apply(&change, None, None).expect("applied");
        assert_eq!(shelf.get("target", "a"), Some(json!(1)));
        rollback(&change, None, Some(&memo)).expect("back");
        assert_eq!(shelf.get("target", "a"), None);
        rollback(&change, None, Some(&memo)).expect("back again");
        assert_eq!(shelf.writes(), 2);
    }

    #[test]
    fn an_apply_that_was_cut_off_converges_without_a_second_write() {
        let shelf = Folder::new().with("target", "a", json!(0)).install();
        let change = only(&json!({"a": 1}));
        apply(&change, Some(&json!(0)), None).expect("applied");
        apply(&change, Some(&json!(0)), None).expect("applied again");
        assert_eq!(shelf.writes(), 1);
        rollback(&change, Some(&json!(0)), None).expect("back without a memo");
        assert_eq!(shelf.get("target", "a"), Some(json!(0)));
    }

    #[test]
    fn a_foreign_value_is_left_alone() {
        let shelf = Folder::new().with("target", "a", json!(0)).install();
        let change = only(&json!({"a": 1}));
        let memo = apply(&change, Some(&json!(0)), None).expect("applied");
        shelf.put("target", "a", json!("foreign"));
        assert!(matches!(rollback(&change, Some(&json!(0)), Some(&memo)), Err(Failure::Conflict(_))));
        assert!(matches!(apply(&change, Some(&json!(0)), Some(&memo)), Err(Failure::Conflict(_))));
        assert_eq!(shelf.get("target", "a"), Some(json!("foreign")));
    }

    #[test]
    fn what_moved_after_the_start_is_left_alone() {
        let shelf = Folder::new().with("target", "a", json!(0)).install();
        let (change, made) = (only(&json!({"a": 1})), only(&json!({"b": 1})));
        shelf.put("target", "a", json!("rotated"));
        shelf.put("target", "b", json!("made"));
        for (change, foreign) in [(&change, json!("rotated")), (&made, json!("made"))] {
            let before = capture(change).state;
            assert_eq!(before, Some(foreign));
            assert!(matches!(apply(change, before.as_ref(), None), Err(Failure::Conflict(_))));
        }
        assert_eq!(shelf.writes(), 0);
    }

    #[test]
    fn a_rollback_after_an_apply_that_never_returned_leaves_a_foreign_value() {
        for before in [None, Some(json!(0))] {
            let shelf = Folder::new().install();
            before.iter().for_each(|value| shelf.put("target", "a", value.clone()));
            let change = only(&json!({"a": 1}));
            shelf.put("target", "a", json!("foreign"));
            assert!(matches!(rollback(&change, before.as_ref(), None), Err(Failure::Conflict(_))));
            assert_eq!((shelf.writes(), shelf.get("target", "a")), (0, Some(json!("foreign"))));
            // The operator's word, as the host tells it.
            rollback(&change, before.as_ref(), Some(&Value::Null)).expect("back");
            assert_eq!(shelf.get("target", "a"), before);
        }
    }

    #[test]
    fn a_write_between_read_and_write_is_a_conflict() {
        let shelf = Folder::new().with("target", "a", json!(0)).install();
        let change = only(&json!({"a": 1}));
        shelf.before_next_write("target", "a", json!("foreign"));
        assert!(matches!(apply(&change, Some(&json!(0)), None), Err(Failure::Conflict(_))));
        assert_eq!(shelf.get("target", "a"), Some(json!("foreign")));
    }

    #[test]
    fn drift_of_the_target_shows_in_the_change() {
        let shelf = Folder::new().with("target", "a", json!(0)).install();
        let before = only(&json!({"a": 1}));
        assert_eq!(before, only(&json!({"a": 1})));
        shelf.put("target", "a", json!(7));
        assert_ne!(before, only(&json!({"a": 1})));
    }

    #[test]
    fn plans_in_pages() {
        let _shelf = Folder::new().install();
        let input: Value = (0..450).map(|n| (format!("k{n:03}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
        let pages = pages(|cursor| Shelf::plan("put", &input, &[], cursor)).expect("pages");
        let sizes: Vec<usize> = pages.iter().map(|page| page.changes.len()).collect();
        let mut ids: Vec<String> = pages.into_iter().flat_map(|page| page.changes).map(|change| change.id).collect();
        assert_eq!(sizes, [200, 200, 50]);
        ids.dedup();
        assert_eq!(ids.len(), 450);
    }

    #[test]
    fn verify_reads_again() {
        let shelf = Folder::new().install();
        let change = only(&json!({"a": 1}));
        let passes = |stage| {
            let checks = Shelf::verify(&Context::default(), "put", &change, None, None, stage).expect("checks");
            checks.iter().all(|check| check.verdict == crate::Verdict::Pass)
        };
        assert!(!passes(Stage::Applied) && passes(Stage::RolledBack));
        shelf.put("target", "a", json!(1));
        assert!(passes(Stage::Applied) && !passes(Stage::RolledBack));
    }
}
