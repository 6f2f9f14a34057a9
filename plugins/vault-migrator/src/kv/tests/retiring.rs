//! The source retired, brought back, and destroyed.

use super::*;

fn copied() -> (Server, Vec<Change>) {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"}), json!({"a": "3"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[2], now));
    let copies = copies(json!({}));
    for change in &copies {
        there(&server, change);
    }
    (server, copies)
}

#[test]
fn live_versions_are_deleted_tried_and_brought_back() {
    let (server, copies) = copied();
    let change = &planned("retire-kv", &json!({}), &copies).expect("a plan")[0];
    assert_eq!((change.id.as_str(), change.links.as_slice()), ("source:secret/k", &[copies[0].id.clone()][..]));
    assert!(change.summary.contains("2 live versions") && change.summary.contains("take away 3"), "{}", change.summary);
    let there = there(&server, change);
    assert_eq!(shown(&server, SOURCE, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["deleted"; 3]);
    passes(change, there.before.state.as_ref(), Stage::Retired);
    back(change, &there);
    assert_eq!(shown(&server, SOURCE, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["live", "deleted", "live"]);
}

#[test]
fn a_plan_reads_a_document_only_where_the_metadata_leaves_its_state_open() {
    let (server, copies) = copied();
    let before = server.requests().len();
    planned("retire-kv", &json!({}), &copies).expect("a plan");
    // Of the three versions the second has a time of deletion, which may be yet to come.
    assert_eq!(server.requests()[before..], ["GET source:v1/secret/metadata/k", "GET source:v1/secret/data/k"]);
}

#[test]
fn an_old_version_that_still_works_is_found() {
    let (server, copies) = copied();
    let change = &planned("retire-kv", &json!({}), &copies).expect("a plan")[0];
    let before = captured(change);
    apply(&server, change, before.state.as_ref()).expect("applied");
    let verdicts = || {
        let checks = VaultMigrator::verify(&Context::default(), "", change, before.state.as_ref(), None, Stage::Retired);
        checks.expect("checks").into_iter().map(|check| check.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(), [Verdict::Pass; 2]);
    server.break_requests("GET source:v1/secret/data/k", 503);
    assert_eq!(verdicts(), [Verdict::Inconclusive; 2]);
    server.break_requests("GET source:v1/secret/data/k", 200);
    assert_eq!(verdicts(), [Verdict::Fail; 2]);
}

#[test]
fn deletes_that_do_nothing_and_foreign_versions_are_seen() {
    let (server, copies) = copied();
    let change = &planned("retire-kv", &json!({}), &copies).expect("a plan")[0];
    let before = captured(change);
    server.ignore_write(0);
    assert!(matches!(apply(&server, change, before.state.as_ref()), Err(Failure::Conflict(_))));
    fill(&server, "k", &[json!({"a": "4"})]);
    assert!(matches!(apply(&server, change, before.state.as_ref()), Err(Failure::Conflict(_))));
    assert!(matches!(rollback(change, before.state.as_ref(), None), Err(Failure::Conflict(_))));
    assert_eq!(shown(&server, SOURCE, "k").last().expect("a version").1, "live");
}

#[test]
fn a_key_without_a_readable_version_is_not_provable() {
    let (server, copies) = copied();
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[1, 3], now));
    let change = &planned("retire-kv", &json!({}), &copies).expect("a plan")[0];
    let before = captured(change);
    assert_eq!(before.state, before.expected);
    let checks = VaultMigrator::verify(&Context::default(), "", change, before.state.as_ref(), None, Stage::Retired).expect("checks");
    assert_eq!((checks[0].name.as_str(), checks[0].verdict), ("not-provable", Verdict::Inconclusive));
}

#[test]
fn a_scheduled_deletion_is_told() {
    let (server, copies) = copied();
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(3, now + 60_000));
    let change = &planned("retire-kv", &json!({}), &copies).expect("a plan")[0];
    assert_eq!(losses(change), [("deletion-times", 1)]);
    let before = captured(change);
    apply(&server, change, before.state.as_ref()).expect("applied");
    rollback(change, before.state.as_ref(), None).expect("back");
    let mut was = before.state.expect("a state");
    assert_eq!(was["versions"]["3"]["expires"], true);
    was["versions"]["3"].as_object_mut().expect("an entry").remove("expires");
    assert_eq!(captured(change).state, Some(was));
}

#[test]
fn destruction_takes_everything_after_a_retirement() {
    let (server, copies) = copied();
    let retired = planned("retire-kv", &json!({}), &copies).expect("a plan");
    let change = &planned("destroy-kv", &json!({}), &retired).expect("a plan")[0];
    assert_eq!(losses(change), [("destroyed-at-source", 3)]);
    there(&server, &retired[0]);
    let there = there(&server, change);
    assert_eq!(server.get(SOURCE, MOUNT, "k"), None);
    passes(change, there.before.state.as_ref(), Stage::Retired);
    assert!(matches!(rollback(change, there.before.state.as_ref(), None), Err(Failure::Unsupported(_))));
}

#[test]
fn hundreds_of_linked_keys_are_planned_in_pages_that_one_call_may_ask_for() {
    let server = servers().install();
    for number in 0..300 {
        fill(&server, &format!("k{number:03}"), &vec![json!({"a": "1"}); 3]);
    }
    let changes = |operation: &str, linked: &[Change]| {
        let asked = |cursor: Option<&str>| {
            let before = server.requests().len();
            let page = VaultMigrator::plan(operation, &input(json!({})), linked, cursor);
            let asked = server.requests().len() - before;
            assert!(asked < 800, "{operation}: {asked} requests in one page");
            page
        };
        pages(asked).expect("pages").into_iter().flat_map(|page| page.changes).collect::<Vec<_>>()
    };
    let copies = changes("copy-kv", &[]);
    let retired = changes("retire-kv", &copies);
    let destroyed = changes("destroy-kv", &retired);
    assert_eq!(destroyed.iter().map(|change| &change.id).collect::<Vec<_>>(), retired.iter().map(|change| &change.id).collect::<Vec<_>>());
    assert!(destroyed.iter().zip(&retired).all(|(change, link)| change.links == [link.id.clone()]));
    assert!(matches!(VaultMigrator::plan("destroy-kv", &json!({}), &retired, Some("not ours")), Err(Failure::InvalidInput(_))));
}

#[test]
fn destruction_stops_before_what_was_changed() {
    let (server, copies) = copied();
    let text = |refused| if let Err(Failure::InvalidInput(text)) = refused { text } else { panic!("{refused:?}") };
    assert!(text(planned("destroy-kv", &json!({}), &copies)).contains("retire it first"));
    let retired = planned("retire-kv", &json!({}), &copies).expect("a plan");
    let change = &planned("destroy-kv", &json!({}), &retired).expect("a plan")[0];
    there(&server, &retired[0]);
    let before = captured(change);
    fill(&server, "k", &[json!({"a": "4"})]);
    assert!(matches!(apply(&server, change, before.state.as_ref()), Err(Failure::Conflict(_))));
    assert!(server.get(SOURCE, MOUNT, "k").is_some());
}

#[test]
fn a_v1_source_is_destroyed_never_retired() {
    let server = Vault::new().folder(Folder::new()).v1(SOURCE, MOUNT).v2(TARGET, MOUNT, 0, 0).install();
    server.put(SOURCE, MOUNT, "k", json!({"a": "1"}));
    let copies = copies(json!({}));
    there(&server, &copies[0]);
    assert!(matches!(planned("retire-kv", &json!({}), &copies), Err(Failure::Unsupported(text)) if text.contains("destroy-kv")));
    let change = &planned("destroy-kv", &json!({}), &copies).expect("a plan")[0];
    let there = there(&server, change);
    assert_eq!(server.single(SOURCE, MOUNT, "k"), None);
    passes(change, there.before.state.as_ref(), Stage::Retired);
}

#[test]
fn files_are_retired_as_files() {
    let folder = Folder::new().sealing(SOURCE).with(SOURCE, "api.env", json!({"A": "1", "B": "2"}));
    let server = Vault::new().folder(folder).v2(TARGET, MOUNT, 0, 0).install();
    let copies = copies(json!({"from": "files"}));
    for change in &copies {
        there(&server, change);
    }
    assert!(matches!(planned("retire-kv", &json!({}), &copies), Err(Failure::InvalidInput(_))));
    assert!(matches!(planned("destroy-kv", &json!({}), &copies), Err(Failure::InvalidInput(_))));
    let retired = planned("retire-files", &json!({}), &copies).expect("a plan");
    assert_eq!((retired.len(), retired[0].links.len()), (1, 2));
}
