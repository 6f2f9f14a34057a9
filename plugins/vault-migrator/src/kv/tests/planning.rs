//! What a plan refuses, leaves out and counts.

use super::*;

#[test]
fn unreadable_parts_are_never_taken_for_empty() {
    let server = servers().install();
    fill(&server, "a/x", &[json!({"v": "1"})]);
    fill(&server, "b/y", &[json!({"v": "1"})]);
    fill(&server, "c", &[json!({"v": "1"})]);
    let refused = |more: Value| match planned("copy-kv", &input(more), &[]) {
        Err(Failure::Denied(text)) => text,
        other => panic!("{other:?}"),
    };
    server.break_requests("LIST source:v1/secret/metadata/b/", 403);
    server.break_requests("GET source:v1/secret/metadata/c", 403);
    let text = refused(json!({}));
    assert!(text.contains(r#": "b/";"#) && text.ends_with(r#"skip = ["b/"]"#), "{text}");
    assert!(refused(json!({"skip": ["b/"]})).ends_with(r#"skip = ["c"]"#));
    assert_eq!(copies(json!({"skip": ["b/", "c"]})).len(), 1);
    server.break_requests("LIST source:v1/secret/metadata/", 403);
    assert!(refused(json!({})).ends_with(r#"`list` on "secret/metadata/""#));
    server.break_requests("LIST source:v1/secret/metadata/a/", 403);
    assert!(refused(json!({"prefix": "a/x"})).ends_with(r#"`list` on "secret/metadata/a/""#));
    server.break_requests("GET source:v1/sys/internal/ui/mounts/", 403);
    assert!(refused(json!({})).contains("look up the mount"));
}

#[test]
fn a_refusal_names_many_and_counts_the_others() {
    let server = servers().install();
    for folder in 0..25 {
        fill(&server, &format!("f{folder:02}/x"), &[json!({"v": "1"})]);
        server.break_requests(&format!("LIST source:v1/secret/metadata/f{folder:02}/"), 403);
    }
    fill(&server, "z", &[json!({"v": "1"})]);
    let Err(Failure::Denied(text)) = planned("copy-kv", &input(json!({})), &[]) else { panic!("it is denied") };
    assert!(text.contains(r#""f19/" and 5 more here; "#) && text.ends_with(r#""f18/", "f19/"]"#), "{text}");
}

#[test]
fn a_version_that_may_not_be_read_makes_its_key_unreadable() {
    let server = servers().install();
    fill(&server, "a", &[json!({"v": "1"})]);
    server.break_requests("GET source:v1/secret/data/a", 403);
    assert!(matches!(planned("copy-kv", &input(json!({})), &[]), Err(Failure::Denied(_))));
    server.break_requests("GET source:v1/secret/data/a", 503);
    assert!(matches!(planned("copy-kv", &input(json!({})), &[]), Err(Failure::Unavailable(_))));
}

#[test]
fn a_secret_and_a_folder_of_one_name_are_two() {
    let server = servers().install();
    for path in ["moo", "moo/cow", "moo-2", "app/data/x", "config", "metadata/x", "a b ", "t\tab", "per%2fcent", "ü/ß"] {
        fill(&server, path, &[json!({ "path": path })]);
    }
    let changes = copies(json!({}));
    assert_eq!(changes.len(), 10);
    for change in &changes {
        there(&server, change);
    }
    assert_eq!(server.paths(TARGET, MOUNT), server.paths(SOURCE, MOUNT));
}

#[test]
fn names_that_cannot_be_addressed_are_told() {
    let server = servers().install();
    for path in ["a", "b//c", "b/", "../x", "./y"] {
        fill(&server, path, &[json!({"v": "1"})]);
    }
    let changes = copies(json!({}));
    assert_eq!(changes.len(), 1);
    let told: u32 = changes[0].losses.iter().filter(|loss| loss.code == "not-addressable").map(|loss| loss.count).sum();
    assert_eq!(told, 4);
    assert!(changes[0].summary.contains("4 names"), "{}", changes[0].summary);
    server.remove(SOURCE, MOUNT, "a");
    assert!(matches!(planned("copy-kv", &input(json!({})), &[]), Err(Failure::Unsupported(_))));
}

#[test]
fn names_that_a_server_refuses_are_told() {
    let server = servers().install();
    for path in ["a", "b\tb", "c\tc", "d"] {
        fill(&server, path, &[json!({"v": "1"})]);
    }
    server.break_requests("GET source:v1/secret/metadata/b\tb", 400);
    server.break_requests("GET target:v1/secret/metadata/c\tc", 400);
    let changes = copies(json!({}));
    assert_eq!(changes.len(), 2);
    assert!(losses(&changes[1]).contains(&("not-addressable", 2)));
    // Where no change is left to tell them, the plan does not go on without a word.
    assert!(
        matches!(planned("copy-kv", &input(json!({"skip": ["a", "d"]})), &[]), Err(Failure::Unsupported(text)) if text.contains("`skip`"))
    );
}

#[test]
fn names_that_the_host_sends_nowhere_are_told_and_those_outside_the_prefix_are_not() {
    let server = servers().install();
    for path in ["corp\\svc", "corp\\team/db", "a/b1", "a/", "a/c"] {
        fill(&server, path, &[json!({"v": "1"})]);
    }
    let all = copies(json!({}));
    assert_eq!(all.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["target:secret/a/b1", "target:secret/a/c"]);
    let told =
        |changes: &[Change]| changes.iter().flat_map(losses).filter(|(code, _)| *code == "not-addressable").map(|(_, n)| n).sum::<u32>();
    assert_eq!(told(&all), 3);
    assert_eq!(told(&copies(json!({"prefix": "a/b"}))), 0);
    assert!(copies(json!({"prefix": "a/x"})).is_empty());
}

#[test]
fn a_folder_whose_name_a_server_refuses_is_told_once() {
    let server = servers().install();
    for path in ["a", "odd/x", "z"] {
        fill(&server, path, &[json!({"v": "1"})]);
    }
    server.break_requests("LIST source:v1/secret/metadata/odd/", 400);
    let changes = copies(json!({}));
    assert_eq!(changes.len(), 2);
    assert!(losses(&changes[1]).contains(&("not-addressable", 1)), "{:?}", changes[1].losses);
}

#[test]
fn files_and_what_is_in_them_can_be_left_out() {
    let folder = Folder::new().sealing(SOURCE);
    let folder = folder.with(SOURCE, "prod/app.json", json!({"a": "1"})).with(SOURCE, "test/app.json", json!({"b": "1", "c": "2"}));
    let _server = Vault::new().folder(folder).v2(TARGET, MOUNT, 0, 0).install();
    let ids = |skip: Value| copies(json!({"from": "files", "skip": skip})).into_iter().map(|change| change.id).collect::<Vec<_>>();
    assert_eq!(ids(json!([])).len(), 3);
    assert_eq!(ids(json!(["prod/", "test/app/c"])), ["target:secret/test/app/b"]);
}

#[test]
fn pages_are_whole_and_plans_are_the_same_again() {
    let server = servers().install();
    for number in 0..450 {
        fill(&server, &format!("d{}/k{number:03}", number % 7), &[json!({"v": "1"})]);
    }
    fill(&server, "zz", &vec![json!({"v": "1"}); 9]);
    let all = || planned_pages("copy-kv", &input(json!({})), &[]).expect("pages");
    let pages = all();
    // All portions are known after the first page: the host can ask for them side by side.
    assert_eq!((pages[0].changes.len(), pages[0].rest.len(), pages.len()), (0, 23, 24));
    assert!(pages.iter().all(|page| page.changes.len() <= 20));
    let changes = |pages: Vec<Page>| pages.into_iter().flat_map(|page| page.changes).collect::<Vec<_>>();
    let planned = changes(pages);
    let mut ids: Vec<&str> = planned.iter().map(|change| change.id.as_str()).collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 451);
    assert_eq!(changes(all()), planned);
}

#[test]
fn pages_ask_for_nothing_twice() {
    let server = servers().install();
    for number in 0..100 {
        fill(&server, &format!("d{}/k{number:03}", number % 3), &[json!({"v": "1"})]);
    }
    assert_eq!(copies(json!({})).len(), 100);
    let mut requests = server.requests();
    // Both mounts with their limits, four folders; of each key its metadata and its version, and whether the target has it.
    assert_eq!(requests.len(), 4 + 4 + 3 * 100);
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), 4 + 4 + 3 * 100);
}

#[test]
fn thousands_of_keys_with_long_names_are_listed_on_pages_that_the_host_takes() {
    let server = servers().install();
    let folder = "f".repeat(400);
    for number in 0..4_000 {
        fill(&server, &format!("{folder}/k{number:04}"), &[json!({"v": "1"})]);
    }
    let first = VaultMigrator::plan("copy-kv", &input(json!({})), &[], None).expect("a page");
    let bytes = |page: &Page| page.rest.iter().map(String::len).sum::<usize>();
    assert!((1 << 20..=(1 << 20) + 32_768).contains(&bytes(&first)), "{}", bytes(&first));
    assert!(first.rest.iter().all(|cursor| cursor.len() <= 16_384));
    let second = VaultMigrator::plan("copy-kv", &input(json!({})), &[], first.rest.last().map(String::as_str)).expect("a page");
    let names = |page: &Page| page.rest.iter().map(|cursor| cursor.matches("/k").count()).sum::<usize>();
    // The cursor of the rest holds the last name once more.
    assert_eq!((second.changes.len(), names(&first) - 1 + names(&second)), (0, 4_000));
}

#[test]
fn folders_beyond_what_one_call_may_list_are_listed_by_the_next_one() {
    let server = servers().install();
    for number in 0..700 {
        fill(&server, &format!("d{number:03}/k"), &[json!({"v": "1"})]);
    }
    let first = VaultMigrator::plan("copy-kv", &input(json!({})), &[], None).expect("a page");
    assert!((600..700).contains(&server.requests().len()), "{}", server.requests().len());
    let before = server.requests().len();
    let second = VaultMigrator::plan("copy-kv", &input(json!({})), &[], first.rest.last().map(String::as_str)).expect("a page");
    assert!(server.requests().len() - before < 120, "{}", server.requests().len());
    let names = |page: &Page| page.rest.iter().map(|cursor| cursor.matches("/k").count()).sum::<usize>();
    assert_eq!(names(&first) - 1 + names(&second), 700);
}

#[test]
fn every_page_keeps_within_what_one_call_may_ask() {
    let server = servers().install();
    for number in 0..150 {
        server.change(SOURCE, MOUNT, &format!("k{number}"), |stored, _| stored.max_versions = 40);
        fill(&server, &format!("k{number}"), &vec![json!({"v": "1"}); 40]);
    }
    let asked = |cursor: Option<&str>| {
        let before = server.requests().len();
        let page = VaultMigrator::plan("copy-kv", &input(json!({})), &[], cursor);
        assert!(server.requests().len() - before < 700, "{}", server.requests().len() - before);
        page
    };
    let pages = pages(asked).expect("pages");
    assert_eq!(pages.iter().map(|page| page.changes.len()).sum::<usize>(), 150);
    // What does not fit is a further page of its portion.
    assert!(pages.iter().any(|page| !page.changes.is_empty() && page.rest.len() == 1));
}

#[test]
fn a_key_with_many_versions_begins_a_page_and_one_with_too_many_is_refused_by_name() {
    let server = servers().install();
    for number in 0..19 {
        fill(&server, &format!("a{number:02}"), &vec![json!({"v": "1"}); 10]);
    }
    let most = |path: &str, versions: u64| {
        server.change(SOURCE, MOUNT, path, |stored, _| stored.max_versions = versions);
        fill(&server, path, &vec![json!({"v": "1"}); usize::try_from(versions).expect("a number")]);
    };
    most("b", 400);
    let pages = planned_pages("copy-kv", &input(json!({})), &[]).expect("pages");
    assert_eq!(pages.iter().map(|page| page.changes.len()).collect::<Vec<_>>(), [0, 19, 1]);
    assert_eq!(pages[2].changes[0].conflict, None);
    most("c", 451);
    let refused = planned("copy-kv", &input(json!({})), &[]);
    assert!(matches!(&refused, Err(Failure::Unsupported(text)) if text.contains("secret/c has 451 versions")), "{refused:?}");
    assert_eq!(copies(json!({"skip": ["c"]})).len(), 20);
}

#[test]
fn a_key_whose_copy_takes_more_requests_than_a_call_may_send_is_in_the_way() {
    let server = servers().install();
    server.change(SOURCE, MOUNT, "timed", |stored, _| stored.max_versions = 400);
    fill(&server, "timed", &vec![json!({"v": "1"}); 400]);
    let now = server.now();
    server.change(SOURCE, MOUNT, "timed", |stored, _| (1..=400).for_each(|number| stored.schedule(number, now + number * 60_000)));
    let change = &copies(json!({}))[0];
    assert!(
        change.conflict.as_deref().is_some_and(|text| text.contains("1612 requests") && text.contains("skip")),
        "{:?}",
        change.conflict
    );
}

#[test]
fn movement_of_the_source_or_the_target_changes_the_plan() {
    let server = servers().install();
    fill(&server, "a", &[json!({"v": "1"})]);
    fill(&server, "b", &[json!({"v": "1"})]);
    let before = copies(json!({}));
    fill(&server, "a", &[json!({"v": "2"})]);
    let after = copies(json!({}));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn a_target_mount_that_deletes_is_a_loss() {
    let vault = Vault::new().folder(Folder::new()).v2(SOURCE, MOUNT, 0, 0).v2(TARGET, MOUNT, 0, 3_600);
    let server = vault.install();
    fill(&server, "a", &[json!({"v": "1"}), json!({"v": "2"})]);
    let change = &copies(json!({}))[0];
    assert!(losses(change).contains(&("mount-expiry", 2)), "{:?}", losses(change));
    there(&server, change);
    assert_eq!(shown(&server, TARGET, "a")[0].1, "scheduled");
}

#[test]
fn precision_and_pruning_are_counted() {
    let server = servers().install();
    let exact: Value = serde_json::from_str(r#"{"n": 12345678901234567890, "m": 7}"#).expect("a document");
    fill(&server, "a", &vec![exact; 13]);
    let change = &copies(json!({}))[0];
    assert_eq!(losses(change), [("number-precision", 10), ("version-times", 10), ("pruned-versions", 3)]);
    there(&server, change);
    assert_eq!(shown(&server, TARGET, "a").first().expect("a version").0, 4);
}

fn long() -> Value {
    serde_json::from_str(r#"{"n": 12345678901234567890, "deep": [{"a/b": 9007199254740993}], "m": 7, "t": "9007199254740993"}"#)
        .expect("a document")
}

#[test]
fn numbers_that_a_v2_target_would_change_are_in_the_way_by_name() {
    let server = Vault::new().folder(Folder::new()).v1(SOURCE, MOUNT).v2(TARGET, MOUNT, 0, 0).install();
    server.put(SOURCE, MOUNT, "long", long());
    server.put(SOURCE, MOUNT, "short", json!({"n": 7}));
    let changes = copies(json!({}));
    let conflict = changes[0].conflict.as_deref().expect("a conflict");
    assert!(conflict.contains("/deep/0/a/b, /n;") && conflict.contains("as text"), "{conflict}");
    assert_eq!((losses(&changes[0]), &changes[1].conflict), (vec![], &None));
}

#[test]
fn of_a_file_only_the_secrets_with_such_numbers_are_in_the_way() {
    let folder = Folder::new().sealing(SOURCE).with(SOURCE, "app.json", long());
    let _server = Vault::new().folder(folder).v2(TARGET, MOUNT, 0, 0).install();
    let conflicts = |each: &str| copies(json!({"from": "files", "each": each})).into_iter().map(|change| (change.id, change.conflict));
    let in_the_way: Vec<String> = conflicts("key").filter(|(_, conflict)| conflict.is_some()).map(|(id, _)| id).collect();
    assert_eq!(in_the_way, ["target:secret/app/deep", "target:secret/app/n"]);
    assert!(conflicts("file").all(|(_, conflict)| conflict.is_some_and(|text| text.contains("/n"))));
}

#[test]
fn a_v1_target_keeps_every_digit() {
    let server = Vault::new().folder(Folder::new()).v1(SOURCE, MOUNT).v1(TARGET, MOUNT).install();
    server.put(SOURCE, MOUNT, "long", long());
    let change = &copies(json!({}))[0];
    assert_eq!((losses(change), &change.conflict), (vec![], &None));
    there(&server, change);
    assert_eq!(server.single(TARGET, MOUNT, "long"), Some(long()));
}

fn between_versions() -> Vault {
    Vault::new().folder(Folder::new()).v1(SOURCE, MOUNT).v2(TARGET, MOUNT, 0, 0)
}

#[test]
fn rules_on_parameters_that_v2_does_not_take_are_a_loss_of_each_key_they_are_for() {
    let told = json!([{"path": "secret/app/*", "rules": ["allowed_parameters", "max_wrapping_ttl"]}, {"path": "other/*", "rules": ["denied_parameters"]}]);
    let server = between_versions().policy(SOURCE, "app", told).policy(SOURCE, "plain", json!([])).install();
    for path in ["app/db", "web"] {
        server.put(SOURCE, MOUNT, path, json!({"a": "1"}));
    }
    let changes = copies(json!({}));
    assert_eq!((losses(&changes[0]), losses(&changes[1])), (vec![("policy-constraints", 1)], vec![]));
    let detail = &changes[0].losses[0].detail;
    assert_eq!(detail, "allowed_parameters, max_wrapping_ttl of `secret/app/*` in the policy `app`");
}

#[test]
fn policies_that_may_not_be_read_are_told() {
    for broken in ["LIST source:v1/sys/policies/acl", "GET source:v1/sys/policies/acl/app"] {
        let server = between_versions().policy(SOURCE, "app", json!([])).install();
        server.put(SOURCE, MOUNT, "a", json!({"a": "1"}));
        server.break_requests(broken, 403);
        let changes = copies(json!({}));
        assert_eq!(losses(&changes[0]), [("policies-unread", 1)], "{broken}");
        assert!(changes[0].losses[0].detail.contains("403"), "{}", changes[0].losses[0].detail);
    }
}

#[test]
fn policies_are_read_once_for_all_pages_and_only_where_v2_takes_less() {
    let server = between_versions().policy(SOURCE, "app", json!([{"path": "secret/*", "rules": ["required_parameters"]}])).install();
    for number in 0..250 {
        server.put(SOURCE, MOUNT, &format!("k{number:03}"), json!({"a": "1"}));
    }
    let changes = copies(json!({}));
    assert_eq!(changes.len(), 250);
    assert!(changes.iter().all(|change| losses(change) == [("policy-constraints", 1)]));
    assert_eq!(server.requests().iter().filter(|line| line.contains("policies")).count(), 2);
    let server = servers().install();
    fill(&server, "a", &[json!({"a": "1"})]);
    copies(json!({}));
    assert!(!server.requests().iter().any(|line| line.contains("policies")));
}

#[test]
fn hundreds_of_policies_over_every_key_are_all_counted_and_no_cursor_is_too_long() {
    let told = |number: usize| json!([{"path": format!("secret/{}*", "team/".repeat(number % 3)), "rules": ["required_parameters"]}]);
    let mut server = between_versions();
    for number in 0..300 {
        server = server.policy(SOURCE, &format!("policy-with-a-long-name-{number:03}"), told(number));
    }
    let server = server.install();
    for path in ["web", "team/app", "team/team/a", "team/team/b", "team/team/c"] {
        server.put(SOURCE, MOUNT, path, json!({"a": "1"}));
    }
    let pages = planned_pages("copy-kv", &input(json!({})), &[]).expect("pages");
    // As many bytes as the host takes.
    assert!(pages.iter().flat_map(|page| &page.rest).all(|cursor| cursor.len() <= 16 * 1024));
    let changes: Vec<Change> = pages.into_iter().flat_map(|page| page.changes).collect();
    let counted = |change: &Change| losses(change).into_iter().map(|(_, count)| count).sum::<u32>();
    let counts: Vec<(&str, u32)> = changes.iter().map(|change| (change.id.as_str(), counted(change))).collect();
    assert_eq!(
        counts,
        [
            ("target:secret/team/app", 200),
            ("target:secret/team/team/a", 300),
            ("target:secret/team/team/b", 300),
            ("target:secret/team/team/c", 300),
            ("target:secret/web", 100),
        ]
    );
    let details = |index: usize| &changes[index].losses.last().expect("a loss").detail;
    assert!(details(1).ends_with("more like these"), "{}", details(1));
}

#[test]
fn too_many_pruned_versions_make_a_copy_compact() {
    let server = servers().install();
    fill(&server, "a", &vec![json!({"v": "1"}); 13]);
    let change = &copies(json!({"max_tombstones": 2}))[0];
    assert!(losses(change).contains(&("renumbered", 10)));
    there(&server, change);
    assert_eq!(shown(&server, TARGET, "a").last().expect("a version").0, 10);
}

#[test]
fn wrong_mounts_and_input_are_refused() {
    let server = Vault::new().folder(Folder::new()).v1(SOURCE, MOUNT).v2(TARGET, MOUNT, 0, 0).install();
    server.put(SOURCE, MOUNT, "a", json!({"v": "1"}));
    let refused = |input: Value| planned("copy-kv", &input, &[]).expect_err("a refusal");
    assert!(matches!(refused(json!({"mount": "nowhere"})), Failure::Denied(_)));
    assert!(matches!(refused(json!({"mount": "secret/a"})), Failure::InvalidInput(_)));
    assert!(matches!(refused(input(json!({"recover_deleted": true}))), Failure::InvalidInput(_)));
    assert!(matches!(refused(input(json!({"prefixx": "a"}))), Failure::InvalidInput(_)));
    assert!(matches!(VaultMigrator::plan("copy-kv", &input(json!({})), &[], Some("not ours")), Err(Failure::InvalidInput(_))));
}
