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

/// A copy that is there; how many writes take it back.
fn copied() -> (Server, Change, There, usize) {
    let copy = || {
        let (server, change) = server();
        let there = there(&server, &change);
        (server, change, there)
    };
    let (server, change, there) = copy();
    let before = server.writes();
    back(&change, &there);
    let writes = server.writes() - before;
    let (server, change, there) = copy();
    (server, change, there, writes)
}

#[test]
fn a_rollback_that_breaks_off_anywhere_is_finished_by_the_next_one() {
    let writes = copied().3;
    assert_eq!(writes, 3, "closed, used up, removed");
    for nth in 0..writes {
        for lose in [Server::lose_answer, Server::lose_write] {
            let (server, change, there, _) = copied();
            lose(&server, nth);
            back(&change, &there);
            assert_eq!(server.get(TARGET, MOUNT, "k"), None, "write {nth}");
        }
    }
}

#[test]
fn a_foreign_version_in_the_middle_of_a_rollback_stays_with_the_key() {
    let writes = copied().3;
    // Only before the very last request is there a moment left (README): it names nothing that it expects.
    for nth in 0..writes - 1 {
        let (server, change, there, _) = copied();
        server.before_write(nth, |vault| vault.put(TARGET, MOUNT, "k", json!({"a": "foreign"})));
        for attempt in 0..3 {
            let result = rollback(&change, there.before.state.as_ref(), there.memo.as_ref());
            assert!(matches!(result, Err(Failure::Conflict(_))), "write {nth}, attempt {attempt}: {result:?}");
        }
        let stored = server.get(TARGET, MOUNT, "k").expect("a key");
        assert!(stored.versions.values().any(|version| version.document == Some(json!({"a": "foreign"}))), "write {nth}: {stored:?}");
        assert!(!stored.cas_required, "write {nth}: whoever wrote it can go on as before");
    }
}

#[test]
fn before_a_key_is_removed_nobody_can_write_it_without_having_seen_the_last_moment() {
    let (server, change, there, writes) = copied();
    server.before_write(writes - 1, |vault| {
        vault.change(TARGET, MOUNT, "k", |stored, _| assert_eq!((stored.cas_required, stored.current), (true, 5)));
    });
    back(&change, &there);
}

#[test]
fn foreign_settings_in_the_middle_of_a_rollback_stay_with_the_key() {
    let (server, change, there, _) = copied();
    server.before_write(1, |vault| vault.change(TARGET, MOUNT, "k", |stored, _| stored.max_versions = 77));
    let result = rollback(&change, there.before.state.as_ref(), there.memo.as_ref());
    assert!(matches!(result, Err(Failure::Conflict(_))), "{result:?}");
    assert_eq!(server.get(TARGET, MOUNT, "k").expect("a key").max_versions, 77);
}

#[test]
fn foreign_settings_in_the_middle_of_a_copy_are_not_overwritten() {
    for nth in 0..writes_of_a_copy() {
        let (server, change) = server();
        let before = captured(&change);
        server.before_write(nth, |vault| {
            let write = cutover_plugin::Request::put("v1/secret/metadata/k").json(json!({"custom_metadata": {"theirs": "yes"}}));
            vault.as_somebody(TARGET, &write);
        });
        let result = apply(&server, &change, before.state.as_ref());
        let stored = server.get(TARGET, MOUNT, "k").expect("a key");
        assert_eq!(stored.custom, *json!({"theirs": "yes"}).as_object().expect("an object"), "write {nth}: {result:?}");
    }
}

#[test]
fn a_server_that_does_not_number_metadata_gets_and_loses_the_same() {
    let server = servers().unnumbered(SOURCE).unnumbered(TARGET).install();
    source(&server);
    let change = &copies(json!({"recover_deleted": true}))[0];
    assert!(!losses(change).iter().any(|(code, _)| *code == "metadata-cas"));
    let there = there(&server, change);
    back(change, &there);
    assert_eq!(server.get(TARGET, MOUNT, "k"), None);
}

#[test]
fn writes_of_metadata_are_guarded_at_the_target_as_at_the_source() {
    for (vault, known) in [(servers(), true), (servers().unnumbered(TARGET), false)] {
        let server = vault.install();
        source(&server);
        server.change(SOURCE, MOUNT, "k", |stored, _| stored.metadata_cas_required = true);
        let change = &copies(json!({"recover_deleted": true}))[0];
        assert_eq!(losses(change).contains(&("metadata-cas", 1)), !known);
        let there = there(&server, change);
        assert_eq!(server.get(TARGET, MOUNT, "k").expect("a key").metadata_cas_required, known);
        back(change, &there);
        assert_eq!(server.get(TARGET, MOUNT, "k"), None);
    }
}

#[test]
fn a_rollback_makes_no_key_where_somebody_removed_it() {
    let (server, change, there, writes) = copied();
    for nth in 0..writes {
        server.before_write(nth, |vault| vault.remove(TARGET, MOUNT, "k"));
    }
    for _ in 0..3 {
        if rollback(&change, there.before.state.as_ref(), there.memo.as_ref()).is_ok() {
            break;
        }
    }
    assert_eq!(server.get(TARGET, MOUNT, "k"), None);
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
    assert_eq!(shown(&server, TARGET, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["deleted", "live", "live"]);
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
