//! Keys there and back again.

use super::*;

/// A key with every state a version can have: 1 destroyed, 2 soft-deleted, 3 live, 4 live.
fn mixed() -> Server {
    let server = servers().install();
    fill(&server, "app/db", &[json!({"a": "1"}), json!({"a": "2"}), json!({"a": "3"}), json!({"a": "4", "n": null, "e": ""})]);
    server.change(SOURCE, MOUNT, "app/db", |stored, now| {
        stored.destroy_versions(&[1]);
        stored.soft_delete(&[2], now);
        stored.custom.insert("owner".to_owned(), json!("pay"));
        stored.max_versions = 20;
    });
    server
}

#[test]
fn numbers_states_and_metadata_are_kept() {
    let server = mixed();
    let changes = copies(json!({}));
    assert_eq!((changes.len(), changes[0].id.as_str(), changes[0].group.as_deref()), (1, "target:secret/app/db", Some("app")));
    assert_eq!(losses(&changes[0]), [("version-times", 2), ("deleted-version-data", 1), ("destroyed-version-data", 1)]);
    let there = there(&server, &changes[0]);
    let last = json!({"a": "4", "n": null, "e": ""});
    let expected = [(1, "destroyed", None), (2, "destroyed", None), (3, "live", Some(json!({"a": "3"}))), (4, "live", Some(last))];
    assert_eq!(shown(&server, TARGET, "app/db"), expected);
    let stored = server.get(TARGET, MOUNT, "app/db").expect("a key");
    assert_eq!((stored.max_versions, stored.cas_required, stored.custom["owner"].as_str()), (20, false, Some("pay")));
    back(&changes[0], &there);
    assert_eq!(server.get(TARGET, MOUNT, "app/db"), None);
}

#[test]
fn soft_deleted_versions_are_recovered_where_asked_for() {
    let server = mixed();
    let change = &copies(json!({"recover_deleted": true}))[0];
    assert_eq!(losses(change), [("version-times", 3), ("deletion-times", 1), ("destroyed-version-data", 1)]);
    assert_eq!(change.subject.iter().map(ToString::to_string).collect::<Vec<_>>(), ["target:secret/app/db", "source:secret/app/db"]);
    let there = there(&server, change);
    assert_eq!(shown(&server, TARGET, "app/db")[1], (2, "deleted", None));
    assert_eq!(shown(&server, SOURCE, "app/db")[1], (2, "deleted", None));
    let stored = server.get(TARGET, MOUNT, "app/db").expect("a key");
    assert_eq!(stored.versions[&2].document, Some(json!({"a": "2"})));
    back(change, &there);
}

#[test]
fn a_crash_in_the_middle_of_a_recovery_leaves_nothing_open() {
    let server = mixed();
    let change = &copies(json!({"recover_deleted": true}))[0];
    let before = captured(change);
    // Metadata, version 1, undelete: the next write is the source's delete.
    server.lose_write(3);
    let context = context(&server);
    assert!(matches!(VaultMigrator::apply(&context, "", change, before.state.as_ref(), None), Err(Failure::Unavailable(_))));
    assert_eq!(shown(&server, SOURCE, "app/db")[1].1, "live");
    assert_ne!(captured(change).state, before.expected);
    apply(&server, change, before.state.as_ref()).expect("applied");
    assert_eq!(captured(change).state, before.expected);
    assert_eq!(shown(&server, SOURCE, "app/db")[1].1, "deleted");
}

#[test]
fn compact_copies_leave_out_what_has_no_data() {
    let server = mixed();
    let change = &copies(json!({"history": "compact"}))[0];
    assert!(losses(change).contains(&("renumbered", 2)));
    let there = there(&server, change);
    let numbers: Vec<u64> = shown(&server, TARGET, "app/db").iter().map(|version| version.0).collect();
    assert_eq!(numbers, [1, 2]);
    back(change, &there);
}

#[test]
fn a_secret_that_was_taken_away_stays_away_in_a_compact_copy() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "old"}), json!({"a": "withdrawn"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.soft_delete(&[2], now));
    there(&server, &copies(json!({"history": "compact"}))[0]);
    assert_eq!(shown(&server, TARGET, "k"), [(1, "live", Some(json!({"a": "old"}))), (2, "destroyed", None)]);
}

#[test]
fn a_key_that_is_there_is_refused_or_taken_if_equal() {
    let server = mixed();
    there(&server, &copies(json!({}))[0]);
    let free: Vec<String> = copies(json!({"existing": "merge"})).iter().map(|change| change.id.clone()).collect();
    let refused = |existing: &str| {
        let changes = copies(json!({ "existing": existing }));
        assert_eq!(changes.iter().map(|change| change.id.clone()).collect::<Vec<_>>(), free, "a conflict keeps the id");
        changes[0].conflict.clone().expect("a conflict")
    };
    assert!(refused("refuse").contains("equal: `existing = \"present\"`"));
    let change = &copies(json!({"existing": "present"}))[0];
    assert_eq!(change.conflict, None);
    let snapshot = captured(change);
    assert_eq!(snapshot.state, snapshot.expected);
    server.put(TARGET, MOUNT, "app/db", json!({"a": "foreign"}));
    assert!(refused("present").contains("with something else in it"));
}

#[test]
fn merged_versions_come_after_those_that_were_there() {
    let server = mixed();
    server.put(TARGET, MOUNT, "app/db", json!({"a": "theirs"}));
    server.change(TARGET, MOUNT, "app/db", |stored, _| stored.max_versions = 2);
    let change = &copies(json!({"existing": "merge"}))[0];
    assert!(losses(change).contains(&("rollback-advances", 1)) && losses(change).contains(&("settings-kept", 1)));
    assert!(losses(change).contains(&("limit-raised", 1)), "two versions were kept, and four are to be");
    let there = there(&server, change);
    let versions = shown(&server, TARGET, "app/db");
    assert_eq!(versions.iter().map(|version| version.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((versions[0].2.clone(), versions[1].2.clone()), (Some(json!({"a": "theirs"})), Some(json!({"a": "3"}))));
    rollback(change, there.before.state.as_ref(), there.memo.as_ref()).expect("back");
    rollback(change, there.before.state.as_ref(), there.memo.as_ref()).expect("back again");
    let now = captured(change).state.expect("a state");
    let before = there.before.state.as_ref().expect("a state");
    for name in ["kept", "latest", "settings"] {
        assert_eq!(now[name], before[name], "{name}");
    }
    let states: Vec<&str> = shown(&server, TARGET, "app/db").iter().map(|version| version.1).collect();
    assert_eq!(states, ["live", "destroyed", "destroyed", "live"]);
    passes(change, there.before.state.as_ref(), Stage::RolledBack);
}

#[test]
fn a_merge_that_never_wrote_puts_only_the_settings_back() {
    let server = mixed();
    server.put(TARGET, MOUNT, "app/db", json!({"a": "theirs"}));
    server.change(TARGET, MOUNT, "app/db", |stored, _| stored.max_versions = 2);
    let change = &copies(json!({"existing": "merge"}))[0];
    let before = captured(change);
    server.lose_write(1);
    let context = context(&server);
    assert!(VaultMigrator::apply(&context, "", change, before.state.as_ref(), None).is_err());
    rollback(change, before.state.as_ref(), None).expect("back");
    assert_eq!(captured(change).state, before.state);
}

#[test]
fn a_v1_target_holds_the_current_version() {
    let server = Vault::new().folder(Folder::new()).v2(SOURCE, MOUNT, 0, 0).v1(TARGET, MOUNT).install();
    fill(&server, "a", &[json!({"x": "1"}), json!({"x": "2"})]);
    fill(&server, "empty", &[json!({})]);
    let changes = copies(json!({}));
    assert_eq!(losses(&changes[0]), [("older-versions", 1), ("version-times", 1)]);
    assert_eq!(losses(&changes[1]), [("empty-document", 1), ("version-times", 1)]);
    let nothing = captured(&changes[1]);
    assert_eq!((nothing.state, nothing.expected), (None, None));
    let there = there(&server, &changes[0]);
    assert_eq!(server.single(TARGET, MOUNT, "a"), Some(json!({"x": "2"})));
    back(&changes[0], &there);
    server.put(TARGET, MOUNT, "a", json!({"x": "theirs"}));
    let merged = &copies(json!({"existing": "merge"}))[0];
    let there = super::there(&server, merged);
    assert_eq!(server.single(TARGET, MOUNT, "a"), Some(json!({"x": "2"})));
    back(merged, &there);
    assert_eq!(server.single(TARGET, MOUNT, "a"), Some(json!({"x": "theirs"})));
}

#[test]
fn what_somebody_else_put_into_a_v1_target_stays() {
    let server = Vault::new().folder(Folder::new()).v2(SOURCE, MOUNT, 0, 0).v1(TARGET, MOUNT).install();
    fill(&server, "a", &[json!({"x": "1"})]);
    fill(&server, "b", &[json!({"x": "2"})]);
    server.put(TARGET, MOUNT, "b", json!({"x": "before"}));
    for (number, change) in copies(json!({"existing": "merge"})).iter().enumerate() {
        let path = ["a", "b"][number];
        let there = there(&server, change);
        let theirs = json!({"x": "theirs"});
        server.put(TARGET, MOUNT, path, theirs.clone());
        // With what the change remembers, and without, as after an attempt that broke off.
        for memo in [there.memo.as_ref(), None] {
            let result = rollback(change, there.before.state.as_ref(), memo);
            assert!(matches!(result, Err(Failure::Conflict(_))), "{path}: {result:?}");
        }
        assert_eq!(server.single(TARGET, MOUNT, path), Some(theirs), "{path}");
    }
}

#[test]
fn by_the_operators_word_what_somebody_else_wrote_goes_back_too() {
    let theirs = json!({"x": "theirs"});
    for versioned in [true, false] {
        let vault = Vault::new().folder(Folder::new()).v2(SOURCE, MOUNT, 0, 0);
        let server = if versioned { vault.v2(TARGET, MOUNT, 0, 0) } else { vault.v1(TARGET, MOUNT) }.install();
        fill(&server, "a", &[json!({"x": "1"}), json!({"x": "2"})]);
        fill(&server, "b", &[json!({"x": "3"})]);
        server.put(TARGET, MOUNT, "b", json!({"x": "before"}));
        for (number, change) in copies(json!({"existing": "merge"})).iter().enumerate() {
            let there = there(&server, change);
            server.put(TARGET, MOUNT, ["a", "b"][number], theirs.clone());
            assert!(matches!(rollback(change, there.before.state.as_ref(), there.memo.as_ref()), Err(Failure::Conflict(_))));
            rollback(change, there.before.state.as_ref(), Some(&Value::Null)).expect("back");
            passes(change, there.before.state.as_ref(), Stage::RolledBack);
        }
        let left: Vec<Option<Value>> = if versioned {
            assert!(!shown(&server, TARGET, "b").iter().any(|version| version.2 == Some(theirs.clone())), "theirs is destroyed");
            ["a", "b"]
                .map(|path| server.get(TARGET, MOUNT, path).and_then(|stored| stored.live(stored.current, server.now()).cloned()))
                .into()
        } else {
            ["a", "b"].map(|path| server.single(TARGET, MOUNT, path)).into()
        };
        assert_eq!(left, [None, Some(json!({"x": "before"}))], "versioned: {versioned}");
    }
}

#[test]
fn a_v1_target_that_somebody_emptied_meanwhile_is_no_longer_ours() {
    let server = Vault::new().folder(Folder::new()).v2(SOURCE, MOUNT, 0, 0).v1(TARGET, MOUNT).install();
    fill(&server, "a", &[json!({"x": "1"})]);
    server.put(TARGET, MOUNT, "a", json!({"x": "before"}));
    let change = &copies(json!({"existing": "merge"}))[0];
    let there = there(&server, change);
    server.remove(TARGET, MOUNT, "a");
    assert!(matches!(rollback(change, there.before.state.as_ref(), there.memo.as_ref()), Err(Failure::Conflict(_))));
    assert_eq!(server.single(TARGET, MOUNT, "a"), None);
}

#[test]
fn a_v1_source_becomes_one_version() {
    let server = Vault::new().folder(Folder::new()).v1(SOURCE, MOUNT).v2(TARGET, "new", 0, 0).install();
    server.put(SOURCE, MOUNT, "team/a", json!({"x": {"y": [null, ""]}, "ttl": "1h", "lease": "1h"}));
    let change = &copies(json!({"target_mount": "new", "prefix": "team/", "target_prefix": "moved/"}))[0];
    assert_eq!(losses(change), [("lease-hint", 2)]);
    let there = there(&server, change);
    assert_eq!(server.paths(TARGET, "new"), ["moved/a"]);
    assert_eq!(server.writes(), 1);
    back(change, &there);
}

#[test]
fn files_become_keys() {
    let folder = Folder::new().sealing(SOURCE).with(SOURCE, "pay/api.env", json!({"DB_PASSWORD": "x", "odd/name": "y", "..": "z"}));
    let folder = folder.with(SOURCE, "web.yaml", json!({"tls": {"key": "k"}}));
    let server = Vault::new().folder(folder).v2(TARGET, MOUNT, 0, 0).install();
    let changes = copies(json!({"from": "files", "target_prefix": "apps/"}));
    assert_eq!(
        changes.iter().map(|change| change.subject[0].path.as_str()).collect::<Vec<_>>(),
        ["secret/apps/pay/api/DB_PASSWORD", "secret/apps/web/tls"]
    );
    assert!(losses(&changes[1]).contains(&("not-addressable", 2)));
    let there: Vec<There> = changes.iter().map(|change| there(&server, change)).collect();
    assert_eq!(shown(&server, TARGET, "apps/web/tls")[0].2, Some(json!({"value": {"key": "k"}})));
    for (change, there) in changes.iter().zip(&there) {
        back(change, there);
    }
    let whole = copies(json!({"from": "files", "each": "file"}));
    super::there(&server, &whole[1]);
    assert_eq!(shown(&server, TARGET, "web")[0].2, Some(json!({"tls": {"key": "k"}})));
}

#[test]
fn no_plan_state_or_memo_holds_a_secret() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "hunter2-hunter2"})]);
    let change = &copies(json!({}))[0];
    let there = there(&server, change);
    for text in [format!("{change:?}"), format!("{:?}", there.before), format!("{:?}", there.memo)] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
