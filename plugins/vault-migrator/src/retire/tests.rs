use cutover_plugin::{
    Verdict,
    testing::{Folder, Installed},
};

use super::*;
use crate::copy;

const LIVE: &str = "payments/api.env";
const ASIDE: &str = "payments/api.env.retired";

fn legacy() -> Installed {
    Folder::new()
        .sealing(SOURCE)
        .sealing("target")
        .with(SOURCE, LIVE, json!({"A": "1", "B": "2"}))
        .with(SOURCE, "web.env", json!({"C": "3"}))
        .install()
}

fn copies() -> Vec<Change> {
    copy::plan(&json!({}), None).expect("a plan").changes
}

fn first() -> Retired {
    match plan(&copies()).expect("a plan").changes[0].instruction().expect("an instruction") {
        Instruction::Retire(retired) => retired,
        other => panic!("{other:?} is no retire change"),
    }
}

/// A look as the host takes it: with the links of the change.
fn look(retired: &Retired) -> Result<Snapshot, Failure> {
    capture(retired, &["A", "B"].map(|key| format!("target:payments/api/{key}.json.age")))
}

fn captured(retired: &Retired) -> Option<Value> {
    look(retired).expect("a snapshot").state
}

#[test]
fn plans_one_change_per_file_with_all_its_copies() {
    let _folder = legacy();
    let copies = copies();
    let changes = plan(&copies).expect("a plan").changes;
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0].links, [copies[0].id.clone(), copies[1].id.clone()]);
    assert_eq!(changes[0].subject, [Object::new(SOURCE, LIVE), Object::new(SOURCE, ASIDE)]);
    assert_eq!((changes[0].action, changes[0].group.as_deref()), (Action::Remove, Some("payments")));
}

#[test]
fn moves_aside_and_back() {
    let folder = legacy();
    let retired = first();
    let document = folder.get(SOURCE, LIVE);
    let before = look(&retired).expect("a snapshot");
    apply(&retired, before.state.as_ref()).expect("applied");
    assert_eq!((folder.get(SOURCE, LIVE), folder.get(SOURCE, ASIDE)), (None, document.clone()));
    let after = look(&retired).expect("a snapshot");
    assert_eq!((&after.state, &after.expected), (&before.expected, &before.expected));
    let verdicts = |stage: Stage| -> Vec<Verdict> {
        verify(&retired, before.state.as_ref(), stage).expect("checks").iter().map(|check| check.verdict).collect()
    };
    assert_eq!((verdicts(Stage::Applied), verdicts(Stage::Retired)), (vec![Verdict::Pass], vec![Verdict::Pass; 2]));
    folder.put(SOURCE, ASIDE, json!({"A": "changed by somebody else"}));
    assert_eq!((verdicts(Stage::Applied), verdicts(Stage::Retired)), (vec![Verdict::Fail], vec![Verdict::Fail, Verdict::Pass]));
    folder.put(SOURCE, ASIDE, document.clone().expect("it was there"));
    rollback(&retired, before.state.as_ref()).expect("back");
    assert_eq!(verdicts(Stage::RolledBack), [Verdict::Pass]);
    assert_eq!((folder.get(SOURCE, LIVE), folder.get(SOURCE, ASIDE)), (document, None));
    assert_eq!(captured(&retired), before.state);
}

#[test]
fn repeats_after_a_crash_without_a_second_move() {
    let folder = legacy();
    let retired = first();
    let before = captured(&retired);
    apply(&retired, before.as_ref()).expect("applied");
    apply(&retired, before.as_ref()).expect("applied again");
    rollback(&retired, before.as_ref()).expect("back");
    rollback(&retired, before.as_ref()).expect("back again");
    assert_eq!(folder.writes(), 2);
}

#[test]
fn a_file_that_changed_after_its_capture_stays() {
    let folder = legacy();
    let retired = first();
    let before = captured(&retired);
    folder.put(SOURCE, LIVE, json!({"A": "rotated", "B": "2"}));
    assert!(matches!(apply(&retired, before.as_ref()), Err(Failure::Conflict(_))));
    let before = captured(&retired);
    folder.before_next_write(SOURCE, LIVE, json!({"A": "rotated again"}));
    assert!(matches!(apply(&retired, before.as_ref()), Err(Failure::Conflict(_))));
    assert_eq!(folder.get(SOURCE, LIVE), Some(json!({"A": "rotated again"})));
}

#[test]
fn a_file_made_anew_at_the_old_path_is_not_overwritten() {
    let folder = legacy();
    let retired = first();
    let before = captured(&retired);
    apply(&retired, before.as_ref()).expect("applied");
    folder.put(SOURCE, LIVE, json!({"A": "back by hand"}));
    let checks = verify(&retired, before.as_ref(), Stage::Retired).expect("checks");
    assert!(checks.iter().all(|check| check.verdict == Verdict::Fail));
    assert!(matches!(rollback(&retired, before.as_ref()), Err(Failure::Conflict(_))));
    assert_eq!(folder.get(SOURCE, LIVE), Some(json!({"A": "back by hand"})));
}

#[test]
fn something_in_the_way_is_told_when_planning() {
    let folder = legacy();
    folder.put(SOURCE, ASIDE, json!({}));
    let changes = plan(&copies()).expect("a plan").changes;
    assert!(changes[0].conflict.as_deref().is_some_and(|why| why.contains(ASIDE)), "{changes:?}");
}

#[test]
fn only_a_definite_refusal_proves_the_end() {
    let folder = legacy();
    let verdict = |status: u16| {
        folder.break_request(&format!("GET {SOURCE}:{LIVE}"), status);
        refused(LIVE).expect("a check").verdict
    };
    assert_eq!([401, 403, 404].map(verdict), [Verdict::Pass; 3]);
    assert_eq!([500, 503, 302].map(verdict), [Verdict::Inconclusive; 3]);
    assert_eq!(verdict(200), Verdict::Fail);
}

#[test]
fn a_file_that_cannot_be_read_is_no_absence() {
    let folder = legacy();
    let retired = first();
    folder.break_request(&format!("GET {SOURCE}:{LIVE}"), 403);
    assert!(matches!(look(&retired), Err(Failure::Denied(_))));
}

#[test]
fn a_file_that_vanished_is_told() {
    let folder = legacy();
    let retired = first();
    let before = captured(&retired);
    folder.remove(SOURCE, LIVE);
    assert!(matches!(look(&retired), Err(Failure::NotFound(_))));
    assert!(matches!(apply(&retired, before.as_ref()), Err(Failure::NotFound(_))));
    assert!(matches!(rollback(&retired, before.as_ref()), Err(Failure::NotFound(_))));
}

#[test]
fn a_key_that_was_added_after_the_plan_keeps_its_file() {
    let folder = legacy();
    let retired = first();
    folder.put(SOURCE, LIVE, json!({"A": "1", "B": "2", "NEW_KEY": "the only one"}));
    let Err(Failure::Conflict(why)) = look(&retired) else { panic!("the key has no copy") };
    assert!(why.contains("source:payments/api.env has NEW_KEY without a linked copy"), "{why}");
    assert!(why.contains("plan again") && !why.contains("the only one"), "{why}");
    folder.put(SOURCE, LIVE, json!({"A": "1", "B": "2"}));
    look(&retired).expect("the key was taken out again");
    assert_eq!(folder.writes(), 0);
}

#[test]
fn a_key_that_only_the_retirement_was_planned_with_keeps_its_file() {
    let folder = legacy();
    let copies = copies();
    folder.put(SOURCE, LIVE, json!({"A": "1", "B": "2", "NEW_KEY": "made between two plans"}));
    let change = plan(&copies).expect("a plan").changes.remove(0);
    let Instruction::Retire(retired) = change.instruction().expect("an instruction") else { panic!("{change:?}") };
    assert!(matches!(capture(&retired, &change.links), Err(Failure::Conflict(_))));
}

#[test]
fn keys_that_were_copied_again_are_retired_with_their_new_values() {
    let folder = legacy();
    let retired = first();
    folder.put(SOURCE, LIVE, json!({"A": "rotated", "B": "2"}));
    let before = look(&retired).expect("each key has a copy").state;
    apply(&retired, before.as_ref()).expect("applied");
    assert_eq!(folder.get(SOURCE, ASIDE), Some(json!({"A": "rotated", "B": "2"})));
}

#[test]
fn a_file_that_has_no_names_any_more_stays() {
    let folder = legacy();
    let retired = first();
    folder.put(SOURCE, LIVE, json!(["A", "B"]));
    assert!(matches!(look(&retired), Err(Failure::Conflict(_))));
}

#[test]
fn a_whole_document_is_retired_whatever_it_grew() {
    let folder = legacy();
    let copies = copy::plan(&json!({"each": "file"}), None).expect("a plan").changes;
    let change = plan(&copies).expect("a plan").changes.remove(0);
    let Instruction::Retire(retired) = change.instruction().expect("an instruction") else { panic!("{change:?}") };
    folder.put(SOURCE, LIVE, json!({"A": "1", "B": "2", "NEW_KEY": "copied again with the rest"}));
    capture(&retired, &change.links).expect("the copy is of all of it");
}

#[test]
fn pages_of_links_give_one_and_the_same_change() {
    let _folder = legacy();
    let copies = copies();
    let (one, other) = (plan(&copies[..1]).expect("a plan").changes.remove(0), plan(&copies[1..]).expect("a plan").changes.remove(0));
    assert_ne!(one.links, other.links);
    assert_eq!(Change { links: Vec::new(), ..one }, Change { links: Vec::new(), ..other });
}
