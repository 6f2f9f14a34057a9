//! The application says no after the second cohort.

use std::sync::Arc;

use cutover_tests::OpenBao;
use serde_json::json;

use crate::{
    picture,
    site::Site,
    workflows::{seed, write},
};

#[test]
fn the_target_goes_back_to_its_pre_image_but_for_the_losses_that_were_planned() {
    let (source, target) = (OpenBao::start(), Arc::new(OpenBao::start()));
    seed(&source, 16);
    // Two keys that are merged, one that the move does not touch.
    for path in ["moo", "team1/k 01"] {
        write(&target, path, json!({"theirs": 1}));
        write(&target, path, json!({"theirs": 2}));
    }
    target.must("PUT", "/v1/secret/metadata/moo", json!({"custom_metadata": {"kept": "yes"}, "max_versions": 20}));
    write(&target, "zoo", json!({"untouched": true}));
    target.must("PUT", "/v1/secret/destroy/zoo", json!({"versions": [1]}));
    let (before, origin) = (picture::keys(&target, "secret"), picture::keys(&source, "secret"));

    let site = Site::between(&source, &target, &target.url());
    // Merging gives versions other numbers: a loss to be accepted by name.
    let seen = Arc::clone(&target);
    // After the first cohort there is one key that came or grew, after the second there are three.
    let (start, most) = (before.clone(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    site.failures(move || {
        let now = picture::keys(&seen, "secret");
        let moved = now.iter().filter(|(path, key)| start.get(*path) != Some(*key)).count();
        highest.fetch_max(moved, std::sync::atomic::Ordering::SeqCst);
        moved.saturating_sub(1)
    });
    let document = site.run("--var existing=merge", 10);
    assert_eq!((&document["ending"], &document["cause"]["code"]), (&json!("rolled-back"), &json!("CUT4103")), "{document:#}");
    let moved = most.load(std::sync::atomic::Ordering::SeqCst);
    assert!(moved > 1 && moved < origin.len(), "the probe spoke after the second cohort: {moved} of {}", origin.len());
    assert!(document["losses"].to_string().contains("rollback-advances"), "{document:#}");

    let after = picture::keys(&target, "secret");
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let mut advanced = 0;
    for (path, old) in &before {
        let new = &after[path];
        if new == old {
            continue;
        }
        // The planned loss: numbers advance. Settings, the old versions and the current value are as they were.
        advanced += 1;
        assert_eq!((&new["settings"], picture::latest(new)), (&old["settings"], picture::latest(old)), "{path}");
        let current = new["current"].as_u64().expect("a number");
        for (number, version) in new["versions"].as_object().expect("versions") {
            let is_old = !old["versions"][number].is_null();
            assert!(
                if is_old { *version == old["versions"][number] } else { number.parse() == Ok(current) || version["state"] == "destroyed" },
                "{path} {new:#}"
            );
        }
    }
    assert!(advanced <= 2, "only merged keys advance");
    assert_eq!(picture::keys(&source, "secret"), origin);
}
