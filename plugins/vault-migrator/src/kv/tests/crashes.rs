//! Lost answers, lost writes and foreign writes at every point.

use super::*;

/// A key whose copy takes every kind of write.
fn source(server: &Server) {
    fill(server, "k", &[json!({"a": "1"}), json!({"a": "2"}), json!({"a": "3"}), json!({"a": "4"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| {
        stored.destroy_versions(&[1]);
        stored.soft_delete(&[3], now);
        stored.custom.insert("owner".to_owned(), json!("pay"));
    });
}

fn server() -> (Server, Change) {
    let server = servers().install();
    source(&server);
    let change = copies(json!({"recover_deleted": true})).remove(0);
    (server, change)
}

fn writes_of_a_copy() -> usize {
    let (server, change) = server();
    there(&server, &change);
    server.writes()
}

#[test]
fn a_lost_answer_at_any_write_changes_nothing() {
    let undisturbed = {
        let (server, change) = server();
        there(&server, &change);
        shown(&server, TARGET, "k")
    };
    let writes = writes_of_a_copy();
    assert!(writes >= 10, "{writes}");
    for nth in 0..writes {
        for lose in [Server::lose_answer, Server::lose_write] {
            let (server, change) = server();
            lose(&server, nth);
            let there = there(&server, &change);
            assert_eq!(shown(&server, TARGET, "k"), undisturbed, "write {nth}");
            assert_eq!(shown(&server, SOURCE, "k")[2].1, "deleted", "write {nth}");
            back(&change, &there);
        }
    }
}

#[test]
fn a_rollback_from_any_point_ends_at_the_pre_image() {
    for nth in 0..writes_of_a_copy() {
        let (server, change) = server();
        let before = captured(&change);
        server.lose_write(nth);
        let context = context(&server);
        assert!(VaultMigrator::apply(&context, "", &change, before.state.as_ref(), None).is_err(), "write {nth}");
        server.lose_answer(0);
        rollback(&change, before.state.as_ref(), None).expect("back");
        assert_eq!(captured(&change).state, before.state, "write {nth}");
    }
}

#[test]
fn a_foreign_version_at_any_write_is_never_overwritten() {
    for nth in 0..writes_of_a_copy() {
        let (server, change) = server();
        let before = captured(&change);
        server.before_write(nth, |vault| vault.put(TARGET, MOUNT, "k", json!({"a": "foreign"})));
        let result = apply(&server, &change, before.state.as_ref());
        let stored = server.get(TARGET, MOUNT, "k").expect("a key");
        let foreign = stored.versions.values().any(|version| version.document == Some(json!({"a": "foreign"})));
        assert!(foreign, "write {nth}: {stored:?}");
        assert!(matches!(result, Err(Failure::Conflict(_))) || captured(&change).state != before.expected, "write {nth}: {result:?}");
    }
}

#[test]
fn silent_refusals_are_seen() {
    let (server, change) = server();
    let before = captured(&change);
    let writes = writes_of_a_copy_in_order();
    for (nth, line) in writes.iter().enumerate().filter(|(_, line)| line.contains("target") && !line.contains("/data/")) {
        let (server, change) = self::server();
        server.ignore_write(nth);
        apply(&server, &change, before.state.as_ref()).expect("applied in the end");
        assert_eq!(captured(&change).state, before.expected, "{line}");
    }
    drop((server, change));
}

fn writes_of_a_copy_in_order() -> Vec<String> {
    let (server, change) = server();
    there(&server, &change);
    server.requests().into_iter().filter(|line| !line.starts_with("GET ") && !line.starts_with("LIST ")).collect()
}

#[test]
fn a_key_made_after_the_plan_is_left_alone() {
    let (server, change) = server();
    server.put(TARGET, MOUNT, "k", json!({"a": "foreign"}));
    let before = captured(&change);
    assert!(matches!(apply(&server, &change, before.state.as_ref()), Err(Failure::Conflict(_))));
    assert_eq!(server.writes(), 0);
}

#[test]
fn a_foreign_version_before_rollback_is_left_alone() {
    let (server, change) = server();
    let there = there(&server, &change);
    server.put(TARGET, MOUNT, "k", json!({"a": "foreign"}));
    let back = rollback(&change, there.before.state.as_ref(), there.memo.as_ref());
    assert!(matches!(back, Err(Failure::Conflict(_))));
    assert_eq!(shown(&server, TARGET, "k").len(), 5);
}

#[test]
fn a_source_that_moves_meanwhile_is_followed() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"})]);
    let change = copies(json!({})).remove(0);
    server.before_write(1, |vault| vault.put(SOURCE, MOUNT, "k", json!({"a": "3"})));
    apply(&server, &change, None).expect("applied");
    let now = captured(&change);
    assert_eq!(now.state, now.expected);
    assert_eq!(shown(&server, TARGET, "k").len(), 3);
}

#[test]
fn a_source_that_moved_after_verification_is_copied_on() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"})]);
    let change = copies(json!({})).remove(0);
    let there = there(&server, &change);
    fill(&server, "k", &[json!({"a": "3"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[1], now));
    assert_ne!(captured(&change).expected, there.before.expected);
    let context = context(&server);
    VaultMigrator::apply(&context, "", &change, None, there.memo.as_ref()).expect("applied again");
    let now = captured(&change);
    assert_eq!(now.state, now.expected);
    assert_eq!(shown(&server, TARGET, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["destroyed", "live", "live"]);
}

#[test]
fn a_sealed_or_limited_server_is_no_absence() {
    let (server, change) = server();
    for (status, wanted) in [(503, "unavailable"), (403, "denied"), (429, "rate limited")] {
        server.break_requests("GET target:", status);
        let failure = VaultMigrator::capture(&Context::default(), "", &change).expect_err("a failure");
        assert!(failure.to_string().starts_with(wanted), "{failure}");
    }
}
