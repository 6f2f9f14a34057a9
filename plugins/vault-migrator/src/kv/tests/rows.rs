//! Kinds of keys that other copy tools lose, and the list of losses.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn keys_that_other_tools_lose_are_copied() {
    let server = servers().install();
    server.change(SOURCE, MOUNT, "only-metadata", |stored, _| {
        stored.custom.insert("a".to_owned(), json!("b"));
    });
    server.change(SOURCE, MOUNT, "plain-metadata", |_, _| {});
    fill(&server, "empty", &[json!({})]);
    fill(&server, "null", &[Value::Null]);
    fill(&server, "deleted", &[json!({"a": "1"})]);
    server.change(SOURCE, MOUNT, "deleted", |stored, now| stored.soft_delete(&[1], now));
    fill(&server, "destroyed", &[json!({"a": "1"})]);
    server.change(SOURCE, MOUNT, "destroyed", |stored, _| stored.destroy_versions(&[1]));
    fill(&server, "deep", &[json!({"a": {"b": [1, {"c": null}], "d": ""}})]);
    let changes = copies(json!({}));
    assert_eq!(changes.len(), 7);
    let there: Vec<There> = changes.iter().map(|change| there(&server, change)).collect();
    assert_eq!(server.paths(TARGET, MOUNT), server.paths(SOURCE, MOUNT));
    for path in ["empty", "null", "deep"] {
        assert_eq!(shown(&server, TARGET, path), shown(&server, SOURCE, path), "{path}");
    }
    assert_eq!(shown(&server, TARGET, "deleted"), [(1, "destroyed", None)]);
    for (change, there) in changes.iter().zip(&there) {
        back(change, there);
    }
    assert!(server.paths(TARGET, MOUNT).is_empty());
}

#[test]
fn a_history_longer_than_the_limit_is_copied_whole() {
    let server = servers().install();
    fill(&server, "k", &(1..=8).map(|n| json!({ "n": n })).collect::<Vec<_>>());
    server.change(SOURCE, MOUNT, "k", |stored, _| stored.max_versions = 3);
    let change = &copies(json!({}))[0];
    let there = there(&server, change);
    let stored = server.get(TARGET, MOUNT, "k").expect("a key");
    assert_eq!((stored.versions.len(), stored.max_versions), (8, 3));
    back(change, &there);
}

#[test]
fn limits_of_the_source_mount_go_along() {
    let vault = Vault::new().folder(Folder::new()).v2(SOURCE, MOUNT, 30, 0).v2(TARGET, MOUNT, 5, 0);
    let server = vault.install();
    fill(&server, "k", &(1..=20).map(|n| json!({ "n": n })).collect::<Vec<_>>());
    there(&server, &copies(json!({}))[0]);
    let stored = server.get(TARGET, MOUNT, "k").expect("a key");
    assert_eq!((stored.versions.len(), stored.max_versions), (20, 30));
}

#[test]
fn scheduled_versions_keep_the_time_they_have_left() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"}), json!({"a": "3"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(2, now + 90_000));
    let change = &copies(json!({}))[0];
    assert!(losses(change).contains(&("deletion-times", 1)));
    there(&server, change);
    assert_eq!(shown(&server, TARGET, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["live", "scheduled", "live"]);
    server.wait(95_000);
    assert_eq!(shown(&server, TARGET, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["live", "deleted", "live"]);
}

#[test]
fn what_a_timer_has_left_is_counted_by_the_clock_of_its_server() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"})]);
    server.change(SOURCE, MOUNT, "k", |stored, now| stored.schedule(2, now + 90_000));
    let change = &copies(json!({}))[0];
    server.dated(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(server.now())));
    // This machine's clock is an hour ahead of both servers.
    let ahead = Context { now: server.now() + 3_600_000, ..Context::default() };
    let before = captured(change);
    VaultMigrator::apply(&ahead, "", change, before.state.as_ref(), None).expect("applied");
    assert_eq!(shown(&server, TARGET, "k").iter().map(|version| version.1).collect::<Vec<_>>(), ["live", "scheduled"]);
    server.wait(80_000);
    assert_eq!(shown(&server, TARGET, "k")[1].1, "scheduled");
    server.wait(15_000);
    assert_eq!(shown(&server, TARGET, "k")[1].1, "deleted");
}

#[test]
fn expiry_of_a_key_begins_no_timer_for_old_versions() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"})]);
    server.change(SOURCE, MOUNT, "k", |stored, _| stored.delete_after = 3_600);
    there(&server, &copies(json!({}))[0]);
    assert_eq!(shown(&server, TARGET, "k")[0].1, "live");
    assert_eq!(server.get(TARGET, MOUNT, "k").expect("a key").delete_after, 3_600);
}

#[test]
fn a_plain_key_takes_one_write() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"})]);
    there(&server, &copies(json!({}))[0]);
    assert_eq!(server.writes(), 1);
}

#[test]
fn nobody_writes_without_looking_while_versions_are_copied() {
    let server = servers().install();
    fill(&server, "k", &[json!({"a": "1"}), json!({"a": "2"})]);
    server.before_write(2, |vault| {
        vault.change(TARGET, MOUNT, "k", |stored, _| assert!(stored.cas_required));
    });
    there(&server, &copies(json!({}))[0]);
    assert_eq!(server.writes(), 4);
    assert!(!server.get(TARGET, MOUNT, "k").expect("a key").cas_required);
}

/// The README's table, the manifest and the code agree.
#[test]
fn the_readme_lists_every_loss() {
    let readme = include_str!("../../../README.md");
    let manifest = format!("{:?}", VaultMigrator::manifest());
    let codes: Vec<&str> = manifest.split("LossCode { code: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let section = readme.split("\n## ").find(|section| section.starts_with("Losses")).expect("a section");
    let table: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(codes.len(), table.len());
    for line in table {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let code = cells[1].trim_matches('`');
        let entry = manifest.split(&format!("LossCode {{ code: \"{code}\", ")).nth(1);
        let material = entry.unwrap_or_else(|| panic!("`{code}` is in the README only")).starts_with("material: true");
        assert_eq!(cells[2], if material { "material" } else { "inherent" }, "{code}");
    }
}
