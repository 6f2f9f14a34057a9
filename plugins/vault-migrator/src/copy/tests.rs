use cutover_plugin::{
    Verdict,
    testing::{Folder, pages},
};

use super::*;

fn legacy() -> Folder {
    Folder::new()
        .sealing(SOURCE)
        .sealing(TARGET)
        .with(SOURCE, "payments/api.env", json!({"DB_PASSWORD": "hunter2-hunter2", "odd/name": "x"}))
        .with(SOURCE, "web.yaml", json!({"tls": {"key": "k", "days": 30}}))
}

fn changes(input: &Value) -> Vec<Change> {
    plan(input, None).expect("a plan").changes
}

fn copied(change: &Change) -> Copied {
    match change.instruction().expect("an instruction") {
        Instruction::Copy(copied) => copied,
        other => panic!("{other:?} is no copy"),
    }
}

fn password() -> Copied {
    copied(&changes(&json!({"prefix": "payments/"}))[0])
}

fn memo(progress: Progress) -> Value {
    match progress {
        Progress::Done(Some(memo)) => memo,
        other => panic!("{other:?} is not done"),
    }
}

const COPY: &str = "payments/api/DB_PASSWORD.json.age";

#[test]
fn plans_one_change_per_secret() {
    let _folder = legacy().install();
    let changes = changes(&json!({}));
    let paths: Vec<&str> = changes.iter().map(|change| change.subject[0].path.as_str()).collect();
    assert_eq!(paths, [COPY, "payments/api/odd=2Fname.json.age", "web/tls.json.age"]);
    assert_eq!(changes[0].id, format!("target:{COPY}"));
    assert_eq!((changes[0].action, changes[0].group.as_deref()), (Action::Create, Some("payments")));
    let codes = |index: usize| changes[index].losses.iter().map(|loss| loss.code.as_str()).collect::<Vec<_>>();
    assert_eq!(codes(0), ["file-mode", "file-comments"]);
    assert_eq!(codes(2), ["file-mode", "file-comments", "file-format"]);
    assert!(!format!("{changes:?}").contains("hunter2"));
}

#[test]
fn plans_one_change_per_file_below_into() {
    let folder = legacy().install();
    let changes = changes(&json!({"each": "file", "into": "new/", "prefix": "web"}));
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].subject[0].path, "new/web.json.age");
    apply(&copied(&changes[0]), None, None).expect("applied");
    assert_eq!(folder.get(TARGET, "new/web.json.age"), folder.get(SOURCE, "web.yaml"));
}

#[test]
fn copies_and_takes_back() {
    let folder = legacy().install();
    let copied = password();
    let before = capture(&copied).expect("a snapshot");
    assert_eq!(before.state, None);
    let memo = memo(apply(&copied, None, None).expect("applied"));
    assert_eq!(folder.get(TARGET, COPY), Some(json!({"value": "hunter2-hunter2"})));
    let after = capture(&copied).expect("a snapshot");
    assert_eq!((&after.state, &after.expected), (&before.expected, &before.expected));
    assert_eq!(verify(&copied, None, Stage::Applied).expect("checks")[0].verdict, Verdict::Pass);
    rollback(&copied, None, Some(&memo)).expect("back");
    assert_eq!(folder.get(TARGET, COPY), None);
    assert_eq!(verify(&copied, None, Stage::RolledBack).expect("checks")[0].verdict, Verdict::Pass);
}

#[test]
fn repeats_after_a_crash_without_a_second_write() {
    let folder = legacy().install();
    let copied = password();
    apply(&copied, None, None).expect("applied");
    apply(&copied, None, None).expect("applied again");
    rollback(&copied, None, None).expect("back without a memo");
    rollback(&copied, None, None).expect("back again");
    assert_eq!(folder.writes(), 2);
}

#[test]
fn an_equal_target_is_left_and_another_one_refused() {
    let folder = legacy().with(TARGET, COPY, json!({"value": "hunter2-hunter2"})).install();
    let before = capture(&password()).expect("a snapshot");
    assert_eq!(before.state, before.expected);
    folder.put(TARGET, COPY, json!({"value": "another"}));
    let planned = changes(&json!({}));
    let why = planned[0].conflict.as_deref().expect("a conflict");
    assert!(why.contains("existing = \"replace\""), "{why}");
    assert!(planned[1..].iter().all(|change| change.conflict.is_none()), "{planned:?}");
    let change = &changes(&json!({"existing": "replace"}))[0];
    assert_eq!((change.action, change.conflict.as_ref()), (Action::Update, None));
    assert_eq!(change.id, planned[0].id);
}

#[test]
fn replaces_where_told_and_puts_the_old_value_back() {
    let folder = legacy().with(TARGET, COPY, json!({"value": "another"})).install();
    let copied = copied(&changes(&json!({"existing": "replace"}))[0]);
    let before = capture(&copied).expect("a snapshot").state;
    let memo = memo(apply(&copied, before.as_ref(), None).expect("applied"));
    assert_eq!(folder.get(TARGET, COPY), Some(json!({"value": "hunter2-hunter2"})));
    rollback(&copied, before.as_ref(), Some(&memo)).expect("back");
    assert_eq!(folder.get(TARGET, COPY), Some(json!({"value": "another"})));
}

#[test]
fn a_foreign_value_is_left_alone() {
    let folder = legacy().install();
    let copied = password();
    let memo = memo(apply(&copied, None, None).expect("applied"));
    folder.put(TARGET, COPY, json!({"value": "foreign"}));
    assert!(matches!(rollback(&copied, None, Some(&memo)), Err(Failure::Conflict(_))));
    assert!(matches!(apply(&copied, None, None), Err(Failure::Conflict(_))));
    assert_eq!(folder.get(TARGET, COPY), Some(json!({"value": "foreign"})));
}

#[test]
fn without_a_memo_only_our_own_value_is_taken_away() {
    for before in [None, Some(json!({"value": "older"}))] {
        let folder = legacy().install();
        before.iter().for_each(|document| folder.put(TARGET, COPY, document.clone()));
        let copied = copied(&changes(&json!({"existing": "replace"}))[0]);
        let pre_image = capture(&copied).expect("a snapshot").state;
        folder.put(TARGET, COPY, json!({"value": "foreign"}));
        assert!(matches!(rollback(&copied, pre_image.as_ref(), None), Err(Failure::Conflict(_))));
        assert_eq!((folder.writes(), folder.get(TARGET, COPY)), (0, Some(json!({"value": "foreign"}))));
        folder.put(TARGET, COPY, json!({"value": "hunter2-hunter2"}));
        folder.put(SOURCE, "payments/api.env", json!({"DB_PASSWORD": "rotated"}));
        rollback(&copied, pre_image.as_ref(), None).expect("it is what the plan wanted");
        assert_eq!(folder.get(TARGET, COPY), before);
    }
}

#[test]
fn a_target_that_was_rotated_after_the_start_is_a_conflict_even_where_it_may_be_replaced() {
    let folder = legacy().with(TARGET, COPY, json!({"value": "older"})).install();
    let copied = copied(&changes(&json!({"existing": "replace"}))[0]);
    folder.put(TARGET, COPY, json!({"value": "rotated"}));
    let before = capture(&copied).expect("a snapshot").state;
    let Err(Failure::Conflict(why)) = apply(&copied, before.as_ref(), None) else { panic!("the plan saw another value") };
    assert!(why.contains("target:payments/api/DB_PASSWORD.json.age is not what the plan saw"), "{why}");
    assert_eq!(folder.writes(), 0);
}

#[test]
fn a_target_that_came_after_the_plan_is_a_conflict_even_if_captured() {
    let folder = legacy().install();
    let copied = password();
    folder.put(TARGET, COPY, json!({"value": "foreign"}));
    let before = capture(&copied).expect("a snapshot").state;
    assert!(matches!(apply(&copied, before.as_ref(), None), Err(Failure::Conflict(_))));
    assert_eq!(folder.writes(), 0);
}

#[test]
fn a_write_between_read_and_write_is_a_conflict() {
    let folder = legacy().install();
    let copied = password();
    folder.before_next_write(TARGET, COPY, json!({"value": "foreign"}));
    assert!(matches!(apply(&copied, None, None), Err(Failure::Conflict(_))));
    assert_eq!(folder.get(TARGET, COPY), Some(json!({"value": "foreign"})));
}

#[test]
fn a_source_that_moved_is_copied_again_over_our_own_value() {
    let folder = legacy().install();
    let copied = password();
    let first = capture(&copied).expect("a snapshot").expected;
    let memo = memo(apply(&copied, None, None).expect("applied"));
    folder.put(SOURCE, "payments/api.env", json!({"DB_PASSWORD": "rotated"}));
    assert_ne!(capture(&copied).expect("a snapshot").expected, first);
    apply(&copied, None, Some(&memo)).expect("applied again");
    assert_eq!(folder.get(TARGET, COPY), Some(json!({"value": "rotated"})));
}

#[test]
fn drift_shows_only_in_the_changes_it_is_about() {
    let folder = legacy().install();
    let before = changes(&json!({}));
    assert_eq!(before, changes(&json!({})));
    folder.put(SOURCE, "payments/api.env", json!({"DB_PASSWORD": "rotated", "odd/name": "x"}));
    let after = changes(&json!({}));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..]);
}

#[test]
fn what_is_wanted_is_known_after_the_source_was_moved_aside() {
    let folder = legacy().install();
    let copied = password();
    let before = capture(&copied).expect("a snapshot");
    let document = folder.get(SOURCE, "payments/api.env").expect("a file");
    folder.remove(SOURCE, "payments/api.env");
    assert!(matches!(capture(&copied), Err(Failure::NotFound(_))));
    folder.put(SOURCE, "payments/api.env.retired", document);
    assert_eq!(capture(&copied).expect("a snapshot"), before);
}

#[test]
fn an_unreadable_place_is_a_failure_and_not_absence() {
    let folder = legacy().install();
    let copied = password();
    folder.break_request(&format!("GET {TARGET}:{COPY}"), 403);
    assert!(matches!(capture(&copied), Err(Failure::Denied(_))));
    folder.break_request(&format!("GET {SOURCE}:payments/api.env"), 503);
    assert!(matches!(capture(&copied), Err(Failure::Unavailable(_))));
    assert!(matches!(plan(&json!({}), None), Err(Failure::Unavailable(_))));
}

#[test]
fn pages_are_whole_even_within_a_file() {
    let keys: Value = (0..450).map(|n| (format!("K{n:03}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    let _folder = legacy().with(SOURCE, "many.env", keys).with(SOURCE, "many/deep.pem", json!([{"label": "KEY"}])).install();
    let pages = pages(|cursor| plan(&json!({}), cursor)).expect("pages");
    let sizes: Vec<usize> = pages.iter().map(|page| page.changes.len()).collect();
    let mut ids: Vec<String> = pages.into_iter().flat_map(|page| page.changes).map(|change| change.id).collect();
    assert_eq!(sizes, [200, 200, 54]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 454);
    assert!(ids.contains(&"target:many/deep.pem.json.age".to_owned()));
}

#[test]
fn unknown_input_is_refused() {
    let _folder = legacy().install();
    assert!(matches!(plan(&json!({"prefixx": "a"}), None), Err(Failure::InvalidInput(_))));
    assert!(matches!(plan(&json!({}), Some("not ours")), Err(Failure::InvalidInput(_))));
}
