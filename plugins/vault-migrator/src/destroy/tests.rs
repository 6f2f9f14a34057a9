use cutover_plugin::{
    Verdict,
    testing::{Folder, Installed},
};

use super::*;
use crate::copy;

const LIVE: &str = "api.env";
const ASIDE: &str = "api.env.retired";

fn legacy() -> Installed {
    Folder::new().sealing(SOURCE).sealing("target").with(SOURCE, LIVE, json!({"A": "1", "B": "2"})).install()
}

fn copies() -> Vec<Change> {
    copy::plan(&json!({}), None).expect("a plan").changes
}

fn only(linked: &[Change]) -> (Change, Destroyed) {
    let mut changes = plan(linked).expect("a plan").changes;
    assert_eq!(changes.len(), 1);
    let change = changes.remove(0);
    match change.instruction().expect("an instruction") {
        Instruction::Destroy(destroyed) => (change, destroyed),
        other => panic!("{other:?} is no destroy change"),
    }
}

/// A look as the host takes it: with the links of the change.
fn look(destroyed: &Destroyed) -> Result<Snapshot, Failure> {
    capture(destroyed, &["A", "B"].map(|key| format!("target:api/{key}.json.age")))
}

#[test]
fn is_planned_before_anything_was_moved_aside() {
    let _folder = legacy();
    let retires = retire::plan(&copies()).expect("a plan").changes;
    let (change, destroyed) = only(&retires);
    assert_eq!((destroyed.path.as_str(), change.links.as_slice()), (ASIDE, [retires[0].id.clone()].as_slice()));
    assert!(change.by_hand.contains("cannot be undone"));
}

#[test]
fn deletes_the_legacy_file_of_linked_copies() {
    let folder = legacy();
    let copies = copies();
    let (change, destroyed) = only(&copies);
    assert_eq!(change.links.len(), 2);
    let before = look(&destroyed).expect("a snapshot");
    assert_eq!(before.expected, None);
    apply(&destroyed, before.state.as_ref()).expect("applied");
    apply(&destroyed, before.state.as_ref()).expect("applied again");
    assert_eq!(folder.get(SOURCE, LIVE), None);
    assert_eq!(folder.writes(), 1);
    assert_eq!(look(&destroyed).expect("a snapshot").state, None);
    assert!(verify(&destroyed, Stage::Retired).expect("checks").iter().all(|check| check.verdict == Verdict::Pass));
    assert!(matches!(rollback(&destroyed, before.state.as_ref()), Err(Failure::Unsupported(_))));
}

#[test]
fn a_file_that_changed_after_its_capture_stays() {
    let folder = legacy();
    let (_, destroyed) = only(&copies());
    let before = look(&destroyed).expect("a snapshot").state;
    folder.put(SOURCE, LIVE, json!({"A": "rotated", "B": "2"}));
    assert!(matches!(apply(&destroyed, before.as_ref()), Err(Failure::Conflict(_))));
    assert!(matches!(apply(&destroyed, None), Err(Failure::Conflict(_))));
    let before = look(&destroyed).expect("a snapshot").state;
    folder.before_next_write(SOURCE, LIVE, json!({"A": "rotated again"}));
    assert!(matches!(apply(&destroyed, before.as_ref()), Err(Failure::Conflict(_))));
    assert_eq!(folder.get(SOURCE, LIVE), Some(json!({"A": "rotated again"})));
}

#[test]
fn a_change_that_did_not_happen_needs_no_way_back() {
    let _folder = legacy();
    let (_, destroyed) = only(&copies());
    let before = look(&destroyed).expect("a snapshot").state;
    rollback(&destroyed, before.as_ref()).expect("nothing to do");
    assert_eq!(verify(&destroyed, Stage::RolledBack).expect("checks")[0].verdict, Verdict::Pass);
}

#[test]
fn a_key_that_was_added_after_the_plan_keeps_its_file() {
    let folder = legacy();
    let (change, destroyed) = only(&copies());
    folder.put(SOURCE, LIVE, json!({"A": "rotated and copied again", "B": "2"}));
    capture(&destroyed, &change.links).expect("each key has a copy");
    folder.put(SOURCE, LIVE, json!({"A": "1", "B": "2", "NEW_KEY": "the only one"}));
    let Err(Failure::Conflict(why)) = capture(&destroyed, &change.links) else { panic!("the key has no copy") };
    assert!(why.contains("NEW_KEY") && why.contains("plan again"), "{why}");
    assert_eq!(folder.writes(), 0);
}

#[test]
fn what_was_moved_aside_is_held_against_the_copies_that_its_retirement_links() {
    let folder = legacy();
    let retires = retire::plan(&copies()).expect("a plan").changes;
    let (change, destroyed) = only(&retires);
    folder.remove(SOURCE, LIVE);
    folder.put(SOURCE, ASIDE, json!({"A": "rotated and copied again", "B": "2"}));
    capture(&destroyed, &change.links).expect("each key has a copy");
    folder.put(SOURCE, ASIDE, json!({"A": "1", "B": "2", "NEW_KEY": "the only one"}));
    assert!(matches!(capture(&destroyed, &change.links), Err(Failure::Conflict(_))));
    assert_eq!(folder.paths(SOURCE), [ASIDE]);
}
