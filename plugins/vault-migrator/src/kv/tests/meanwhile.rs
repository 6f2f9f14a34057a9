//! What timers and people delete while a run is under way.

use cutover_plugin::testing::Stored;

use super::*;

/// Three versions, of which the second one has a minute left.
fn timed() -> Server {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"}), json!({"a": "3"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(2, now + 60_000));
    server
}

fn states(server: &Server, role: &str) -> Vec<&'static str> {
    shown(server, role, "k").iter().map(|version| version.1).collect()
}

/// Nothing has moved since: neither what is there nor what is wanted.
fn is_as_it_was(change: &Change, there: &There) {
    let now = captured(change);
    assert_eq!((&now.state, &now.expected), (&there.before.expected, &there.before.expected));
    passes(change, there.before.state.as_ref(), Stage::Applied);
}

fn applied_again(server: &Server, change: &Change, there: &There) -> Result<Option<Value>, Failure> {
    match VaultMigrator::apply(&context(server), "", change, there.before.state.as_ref(), there.memo.as_ref())? {
        Progress::Done(memo) => Ok(memo),
        Progress::Again { .. } => panic!("nothing moves in the middle"),
    }
}

#[test]
fn a_timer_that_runs_out_moves_nothing() {
    for input in [json!({}), json!({"history": "compact"})] {
        let server = timed();
        let change = copies(input).remove(0);
        let there = there(&server, &change);
        server.wait(120_000);
        assert_eq!((states(&server, SOURCE), states(&server, TARGET)), (vec!["live", "deleted", "live"], vec!["live", "deleted", "live"]));
        is_as_it_was(&change, &there);
        let checks = VaultMigrator::verify(&Context::default(), "", &change, None, None, Stage::Applied).expect("checks");
        assert!(checks[0].detail.ends_with("have run out since: 2"), "{}", checks[0].detail);
        assert_eq!(applied_again(&server, &change, &there), Ok(there.memo.clone()));
        back(&change, &there);
        assert_eq!(server.get(TARGET, MOUNT, "k"), None);
    }
}

#[test]
fn the_newest_version_may_run_out_too() {
    let server = timed();
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(3, now + 90_000));
    let change = copies(json!({})).remove(0);
    let there = there(&server, &change);
    for _ in 0..3 {
        server.wait(50_000);
        is_as_it_was(&change, &there);
    }
    assert_eq!(states(&server, TARGET), ["live", "deleted", "deleted"]);
    back(&change, &there);
}

#[test]
fn a_timed_version_that_somebody_deletes_or_replaces_at_the_target_has_moved() {
    let server = timed();
    let change = copies(json!({})).remove(0);
    let there = there(&server, &change);
    server.wait(1_234);
    server.change(TARGET, MOUNT, "k", |stored, now| stored.soft_delete(&[2], now));
    assert_ne!(captured(&change).state, there.before.expected);
    server.remove(TARGET, MOUNT, "k");
    for document in ["1", "foreign", "3"] {
        server.put(TARGET, MOUNT, "k", json!({ "a": document }));
    }
    server.change(TARGET, MOUNT, "k", |stored, now| stored.schedule(2, now + 60_000));
    assert_ne!(captured(&change).state, there.before.expected);
    assert!(matches!(applied_again(&server, &change, &there), Err(Failure::Conflict(_))));
}

#[test]
fn a_version_that_ran_out_before_it_was_copied_leaves_an_empty_one_that_is_deleted() {
    let run_out = || {
        let server = timed();
        let change = copies(json!({})).remove(0);
        server.wait(61_000);
        (server, change)
    };
    let (server, change) = run_out();
    let undisturbed = there(&server, &change);
    let writes = server.writes();
    assert_eq!(states(&server, TARGET), ["live", "deleted", "live"]);
    assert_eq!(server.get(TARGET, MOUNT, "k").expect("a key").versions[&2].document, Some(json!({})));
    let checks = VaultMigrator::verify(&Context::default(), "", &change, None, None, Stage::Applied).expect("checks");
    assert!(checks[0].detail.ends_with("never copied, as their timers had run out before: 2"), "{}", checks[0].detail);
    back(&change, &undisturbed);
    for nth in 0..writes {
        for lose in [Server::lose_answer, Server::lose_write] {
            let (server, change) = run_out();
            lose(&server, nth);
            let there = there(&server, &change);
            assert_eq!(states(&server, TARGET), ["live", "deleted", "live"], "write {nth}");
            back(&change, &there);
        }
    }
}

#[test]
fn a_version_that_runs_out_in_the_middle_of_its_copy_is_copied_on() {
    for nth in 0..6 {
        let server = timed();
        let change = copies(json!({})).remove(0);
        let before = captured(&change);
        server.lose_write(nth);
        assert!(VaultMigrator::apply(&context(&server), "", &change, None, None).is_err());
        server.wait(120_000);
        apply(&server, &change, before.state.as_ref()).expect("applied");
        let now = captured(&change);
        assert_eq!(now.state, now.expected, "write {nth}");
        rollback(&change, None, None).expect("back");
        assert_eq!(server.get(TARGET, MOUNT, "k"), None, "write {nth}");
    }
}

#[test]
fn what_the_targets_mount_deletes_sooner_moves_nothing() {
    let folder = Folder::new().sealing(SOURCE).sealing(TARGET);
    let server = Vault::new().folder(folder).v2(SOURCE, MOUNT, 0, 0).v2(TARGET, MOUNT, 0, 12).install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"})]);
    let change = copies(json!({})).remove(0);
    let there = there(&server, &change);
    server.wait(13_000);
    assert_eq!((states(&server, SOURCE), states(&server, TARGET)), (vec!["live"; 2], vec!["deleted"; 2]));
    is_as_it_was(&change, &there);
    // What has run out is no copy of what the source still has, for a plan that begins now.
    let late = copies(json!({"existing": "present"})).remove(0);
    assert!(late.conflict.is_some_and(|conflict| conflict.contains("something else")));
    back(&change, &there);
}

#[test]
fn timers_of_a_merged_key_move_nothing() {
    let server = timed();
    fill_target(&server, &[json!({"t": "1"}), json!({"t": "2"})]);
    server.change(TARGET, MOUNT, "k", |stored, now| stored.schedule(1, now - 1 + 30_000));
    let change = copies(json!({"existing": "merge"})).remove(0);
    assert!(losses(&change).iter().all(|(code, _)| *code != "limit-raised"), "there was room");
    let there = there(&server, &change);
    server.wait(120_000);
    assert_eq!(states(&server, TARGET), ["deleted", "live", "live", "deleted", "live"]);
    is_as_it_was(&change, &there);
}

#[test]
fn a_v1_target_keeps_what_ran_out_or_was_deleted_at_the_source() {
    let begin = |at: u64| {
        let folder = Folder::new().sealing(SOURCE).sealing(TARGET);
        let server = Vault::new().folder(folder).v2(SOURCE, MOUNT, 0, 0).v1(TARGET, MOUNT).install();
        fill(&server, "k", &[json!({"a": "1"})]);
        if at > 0 {
            server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(1, now + at));
        }
        let change = copies(json!({})).remove(0);
        (there(&server, &change), server, change)
    };
    let (there, server, change) = begin(60_000);
    server.wait(61_000);
    is_as_it_was(&change, &there);
    back(&change, &there);
    let (there, server, change) = begin(0);
    server.wait(5);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[1], now));
    let Err(Failure::Conflict(why)) = applied_again(&server, &change, &there) else { panic!("it would be gone for good") };
    assert!(why.contains("no document any more"), "{why}");
    assert_eq!(server.single(TARGET, MOUNT, "k"), Some(json!({"a": "1"})));
    back(&change, &there);
}

#[test]
fn what_the_source_soft_deletes_after_the_plan_is_soft_deleted_at_the_target_with_its_data() {
    for input in [json!({}), json!({"history": "compact"}), json!({"recover_deleted": true})] {
        let server = timed();
        let change = copies(input).remove(0);
        let there = there(&server, &change);
        server.wait(1_234);
        // The newest version, and the one that has a timer.
        server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[2, 3], now));
        assert_ne!(captured(&change).expected, there.before.expected);
        let memo = applied_again(&server, &change, &there).expect("applied");
        let now = captured(&change);
        assert_eq!(now.state, now.expected);
        passes(&change, None, Stage::Applied);
        assert_eq!(states(&server, TARGET), ["live", "deleted", "deleted"]);
        let stored = server.get(TARGET, MOUNT, "k").expect("a key");
        assert_eq!((&stored.versions[&2].document, &stored.versions[&3].document), (&Some(json!({"a": "2"})), &Some(json!({"a": "3"}))));
        back(&change, &There { before: there.before, memo });
    }
}

#[test]
fn a_lost_write_on_the_way_to_a_soft_deletion_changes_nothing() {
    for nth in 0..3 {
        for lose in [Server::lose_answer, Server::lose_write, Server::ignore_write] {
            let server = timed();
            let change = copies(json!({})).remove(0);
            let mut there = there(&server, &change);
            server.wait(1_234);
            server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[3], now));
            lose(&server, nth);
            let first = applied_again(&server, &change, &there);
            assert!(matches!(first, Ok(_) | Err(Failure::Unavailable(_))), "{first:?}");
            there.memo = applied_again(&server, &change, &there).expect("applied");
            let now = captured(&change);
            assert_eq!(now.state, now.expected, "write {nth}");
            assert_eq!(states(&server, TARGET), ["live", "scheduled", "deleted"], "write {nth}");
            back(&change, &there);
        }
    }
}

#[test]
fn a_version_that_came_and_was_deleted_after_the_plan_follows_too() {
    for input in [json!({}), json!({"history": "compact"})] {
        let server = timed();
        let change = copies(input).remove(0);
        let mut there = there(&server, &change);
        fill(&server, "k", &[json!({"a": "4"})]);
        there.memo = applied_again(&server, &change, &there).expect("copied on");
        server.wait(1_234);
        server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[4], now));
        applied_again(&server, &change, &there).expect("followed");
        assert_eq!(states(&server, TARGET), ["live", "scheduled", "live", "deleted"]);
        fill(&server, "k", &[json!({"a": "5"})]);
        server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[5], now));
        let Err(Failure::Conflict(why)) = applied_again(&server, &change, &there) else { panic!("there is no copy of it") };
        assert!(why.contains("version 5") && why.contains("no copy"), "{why}");
    }
}

#[test]
fn what_is_taken_away_at_the_source_before_it_is_copied_fails_by_name_and_nothing_is_written() {
    let deleted = |stored: &mut Stored, now: u64| stored.soft_delete(&[3], now);
    let destroyed = |stored: &mut Stored, _: u64| stored.destroy_versions(&[3]);
    let cases: [(&str, fn(&mut Stored, u64)); 2] = [("soft-deleted", deleted), ("destroyed", destroyed)];
    for (how, act) in cases {
        let server = timed();
        let change = copies(json!({})).remove(0);
        server.wait(1_234);
        server.change(SOURCE, MOUNT, "k", act);
        let Err(Failure::Conflict(why)) = apply(&server, &change, None) else { panic!("no loss of the plan names it") };
        assert!(why.contains("version 3") && why.contains(how), "{why}");
        assert_eq!(server.writes(), 0);
    }
}

#[test]
fn what_is_destroyed_at_the_source_after_the_plan_stays_at_the_target_until_somebody_destroys_it() {
    let server = timed();
    let change = copies(json!({})).remove(0);
    let there = there(&server, &change);
    server.change(SOURCE, MOUNT, "k", |stored, _| stored.destroy_versions(&[1]));
    let writes = server.writes();
    let Err(Failure::Conflict(why)) = applied_again(&server, &change, &there) else { panic!("the only copy is gone") };
    assert!(why.contains("version 1") && why.contains("still has it"), "{why}");
    assert_eq!((server.writes(), states(&server, TARGET)), (writes, vec!["live", "scheduled", "live"]));
    server.change(TARGET, MOUNT, "k", |stored, _| stored.destroy_versions(&[1]));
    applied_again(&server, &change, &there).expect("as it is at the source");
    back(&change, &there);
}

#[test]
fn a_copy_whose_source_is_gone_goes_only_by_the_operators_word() {
    for input in [json!({}), json!({"recover_deleted": true})] {
        let server = timed();
        server.wait(1_234);
        server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[1], now));
        let change = copies(input).remove(0);
        let there = there(&server, &change);
        server.remove(SOURCE, MOUNT, "k");
        let now = captured(&change);
        assert_eq!(now.state, there.before.expected);
        assert!(now.expected != now.state && now.expected != there.before.expected && now.expected.is_some());
        assert!(matches!(applied_again(&server, &change, &there), Err(Failure::NotFound(_))));
        let (pre_image, memo) = (there.before.state.as_ref(), there.memo.as_ref());
        assert!(matches!(rollback(&change, pre_image, memo), Err(Failure::Conflict(text)) if text.contains("may be the last copy")));
        assert!(server.get(TARGET, MOUNT, "k").is_some());
        rollback(&change, pre_image, Some(&Value::Null)).expect("back");
        assert_eq!(captured(&change).state, there.before.state);
        assert_eq!(server.get(TARGET, MOUNT, "k"), None);
    }
}

#[test]
fn a_deletion_that_the_source_takes_back_is_named_where_its_copy_has_run_out() {
    let server = timed();
    let change = copies(json!({})).remove(0);
    let there = there(&server, &change);
    server.wait(100_000);
    // Undeleted there, it lives on by a new timer.
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(2, now + 3_600_000));
    let now = captured(&change);
    assert!(now.state != now.expected, "{now:?}");
    let refused = applied_again(&server, &change, &there);
    assert!(matches!(&refused, Err(Failure::Conflict(text)) if text.contains("has deleted version 2, which")), "{refused:?}");
}

#[test]
fn a_timer_that_runs_out_in_the_middle_of_a_retirement_changes_nothing() {
    for early in [true, false] {
        let server = timed();
        let copies = copies(json!({}));
        let copied = there(&server, &copies[0]);
        let change = &planned("retire-kv", &json!({}), &copies).expect("a plan")[0];
        let before = captured(change);
        if early {
            server.wait(120_000);
        }
        apply(&server, change, before.state.as_ref()).expect("retired");
        server.wait(120_000);
        assert_eq!(captured(change).state, before.expected);
        for stage in [Stage::Applied, Stage::Retired] {
            passes(change, before.state.as_ref(), stage);
        }
        // Before its source is destroyed only the copy's state counts.
        assert_eq!(captured(&copies[0]).state, copied.before.expected);
    }
}

#[test]
fn a_source_that_does_not_answer_is_not_gone() {
    let server = timed();
    let change = copies(json!({})).remove(0);
    there(&server, &change);
    for status in [401, 403, 503] {
        server.break_requests("GET source:", status);
        let failure = VaultMigrator::capture(&Context::default(), "", &change).expect_err("a failure");
        assert!(!matches!(failure, Failure::NotFound(_)), "{status}: {failure}");
    }
}

fn fill_target(server: &Server, documents: &[Value]) {
    for document in documents {
        server.put(TARGET, MOUNT, "k", document.clone());
    }
}
