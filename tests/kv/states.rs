//! Secrets of every kind and state arrive version by version, and nowhere else.

use std::collections::BTreeMap;

use cutover_tests::{KvDump, KvVersion, KvWorkload, differences};
use serde_json::{Value, json};

use crate::{
    evidence,
    site::{Site, keys},
};

/// More of them (`CUTOVER_KV_KEYS`) take too long for every change.
const KEYS: usize = 60;
/// Chooses the secrets; another one chooses others.
const SEED: u64 = 0x2026_1122;

#[test]
fn secrets_of_all_states_arrive_version_by_version() {
    let keys = keys(KEYS);
    let workload = KvWorkload::mixed(keys, SEED);
    let site = Site::new(&workload);
    let source = site.source();
    assert_eq!(source.len(), keys);
    let planned = site.document(&["plan", "w.toml", "--out", "a.cutplan"]);
    assert_eq!(planned["losses"], losses(&source), "the plan names what a count over the API finds");
    let status = site.start("run", &["run", "a.cutplan", "--yes", "--events", "events.jsonl"]).wait().expect("an end");
    assert_eq!(status.code(), Some(0), "{}", site.said("run"));
    let target = site.target();
    // A scheduled deletion keeps the time it had left: the run took no longer than this.
    let differences = differences(&source, &target, 15);
    assert!(differences.is_empty(), "{} differences, such as {:#?}", differences.len(), &differences[..differences.len().min(10)]);
    // The old path is dead: nothing can be read there, and nothing is lost.
    for (path, key) in site.source() {
        for (number, before) in &source[&path].versions {
            let expected = if *before == KvVersion::Destroyed { KvVersion::Destroyed } else { KvVersion::Deleted };
            assert_eq!(key.versions.get(number), Some(&expected), "version {number} of {path} at the source");
        }
    }
    evidence::no_secret_is_left(&site, &workload.secrets);
    evidence::journal_and_audit_agree(&site, &site.run().expect("a run").1);
}

/// What a plan must say about a numbered copy of this, counted by the states that the API shows.
fn losses(source: &KvDump) -> Value {
    let mut losses: BTreeMap<&str, u64> = BTreeMap::new();
    let mut add = |code: &'static str, items: usize| {
        if items > 0 {
            *losses.entry(code).or_default() += items as u64;
        }
    };
    for key in source.values() {
        let versions = key.versions.values();
        let of = |is: fn(&KvVersion) -> bool| versions.clone().filter(|version| is(version)).count();
        add("version-times", of(|version| matches!(version, KvVersion::Live { .. })));
        // Once for the copy, and once for the retirement, whose way back could not set the time again.
        add("deletion-times", 2 * of(|version| matches!(version, KvVersion::Live { until, .. } if !until.is_empty())));
        add("deleted-version-data", of(|version| *version == KvVersion::Deleted));
        add("destroyed-version-data", of(|version| *version == KvVersion::Destroyed));
        let oldest = key.versions.keys().next().copied().unwrap_or(key.current + 1);
        add("pruned-versions", usize::try_from(oldest - 1).expect("a small number"));
        add("number-precision", of(|version| matches!(version, KvVersion::Live { data, .. } if data["big"].is_number())));
    }
    json!(losses)
}
