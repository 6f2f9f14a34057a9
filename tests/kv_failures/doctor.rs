//! What `doctor` and a plan say of the credentials of the shipped workflows, asked of real servers.

use cutover_tests::OpenBao;
use serde_json::{Value, json};

use crate::{
    site::{Site, shipped_policy},
    workflows::write,
};

const WORKFLOW: &str = "openbao-to-openbao.toml";

/// Two servers with a key at the source, and the shipped tokens.
fn scene() -> (OpenBao, OpenBao, Site) {
    let (source, target) = (OpenBao::start_unaudited(), OpenBao::start_unaudited());
    write(&source, "app/db", json!({"password": "s3cret-of-the-database"}));
    let site = Site::between(&source, &target, &target.url());
    (source, target, site)
}

/// What `doctor` finds, as `FAULT STEP CONNECTION: TEXT`, when it ends with this code. A plan must say the same.
fn found(site: &Site, exit: i32) -> Vec<String> {
    let findings = site.document(&format!("doctor {WORKFLOW} --fix"), exit)["findings"].clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let told = site.document(&format!("plan {WORKFLOW}"), 0)["plan"]["notes"].clone();
    let mut found = Vec::new();
    for finding in findings.as_array().expect("findings") {
        let [fault, step, connection, what] = ["fault", "step", "connection", "text"].map(|name| text(&finding[name]));
        let note =
            |note: &Value| text(note).starts_with(&format!("{step}: the credential of `{connection}`")) && text(note).ends_with(&what);
        assert!(told.as_array().expect("notes").iter().any(note), "{what}: {told:#}");
        found.push(format!("{fault} {step} {connection}: {what}"));
    }
    found
}

fn has(found: &[String], begins: &str, holds: &str) {
    assert!(found.iter().any(|finding| finding.starts_with(begins) && finding.contains(holds)), "{begins} … {holds}: {found:#?}");
}

#[test]
fn the_shipped_workflows_with_the_shipped_policies_have_no_finding() {
    let (_source, _target, site) = scene();
    assert_eq!(found(&site, 0), Vec::<String>::new());
    let (source, target) = (OpenBao::start_unaudited(), OpenBao::start_unaudited());
    source.mount_kv("kv", 1);
    source.must("PUT", "/v1/kv/app/db", json!({"password": "s3cret-of-the-database"}));
    let mut site = Site::of("kv1-to-kv2.toml", &source.url(), &target.url());
    for (server, variable, policy) in [
        (&source, "OLD_TOKEN", "source-v1"),
        (&source, "OLD_DESTROY_TOKEN", "source-v1-destroy"),
        (&target, "NEW_TOKEN", "target"),
        (&target, "NEW_AUDIT_TOKEN", "auditor"),
    ] {
        site.token(server, variable, policy);
    }
    let document = site.document("doctor kv1-to-kv2.toml --fix", 0);
    assert_eq!(document["findings"], json!([]), "{document:#}");
    // A v1 mount is judged by its own paths.
    let mighty = shipped_policy("source-v1").replacen("\"list\"", "\"list\", \"delete\"", 1);
    site.token_of(&source, "OLD_TOKEN", ("mighty", &mighty), "1h");
    let half = shipped_policy("source-v1-destroy").replacen(", \"delete\"", "", 1);
    site.token_of(&source, "OLD_DESTROY_TOKEN", ("half", &half), "1h");
    let document = site.document("doctor kv1-to-kv2.toml --fix", 1);
    let told: Vec<&str> =
        document["findings"].as_array().expect("findings").iter().filter_map(|finding| finding["text"].as_str()).collect();
    assert_eq!(told, ["it cannot delete `kv/app/db`", "it can delete `kv/app/db`, which the step never does"], "{document:#}");
}

#[test]
fn the_access_of_a_plan_has_writes_only_where_one_can_be_sent() {
    let (source, _target, site) = scene();
    let writes = || -> Vec<String> {
        let access = site.document(&format!("plan {WORKFLOW}"), 0)["plan"]["access"].clone();
        let all = access.as_array().expect("connections").iter();
        let writing = all.filter(|one| one["classes"].as_str().is_some_and(|classes| classes.contains("write")));
        writing.map(|one| one["connection"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(writes(), ["new", "old-retirer"]);
    // A soft-deleted version that is to be recovered is undeleted at the source for a while.
    write(&source, "app/db", json!({"password": "another"}));
    source.must("PUT", "/v1/secret/delete/app/db", json!({"versions": [1]}));
    site.edit("with        = { mount", "with        = { recover_deleted = true, mount");
    assert_eq!(writes(), ["new", "old", "old-retirer"]);
}

#[test]
fn what_the_inputs_do_not_need_is_not_missed() {
    let (source, target, mut site) = scene();
    let rules = shipped_policy("target");
    let (before, after) = rules.split_once("path \"secret/delete/*\"").expect("a stanza for deletions");
    let without = format!("{before}{}", after.split_once('}').expect("its end").1);
    site.token_of(&target, "NEW_TOKEN", ("least", &without), "1h");
    assert_eq!(found(&site, 0), Vec::<String>::new());
    // A key with a soft-deleted version that is to be recovered needs it, at both ends.
    write(&source, "app/db", json!({"password": "another"}));
    source.must("PUT", "/v1/secret/delete/app/db", json!({"versions": [1]}));
    site.edit("with        = { mount", "with        = { recover_deleted = true, mount");
    let found = found(&site, 1);
    has(&found, "missing copy new: ", "it cannot create or update `secret/delete/app/db`");
    has(&found, "missing copy old: ", "it cannot create or update `secret/undelete/app/db`");
}

#[test]
fn more_than_a_step_does_is_found_at_the_source_and_at_the_auditor_too() {
    let (source, target, mut site) = scene();
    let all = "path \"secret/*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\"] }\n";
    let mighty = format!("{all}{}", shipped_policy("source"));
    site.token_of(&source, "OLD_TOKEN", ("mighty", &mighty.replace("[\"read\"]", "[\"read\", \"update\", \"patch\"]")), "1h");
    site.token_of(&target, "NEW_AUDIT_TOKEN", ("mighty", &mighty), "1h");
    let found = found(&site, 0);
    has(&found, "excess copy old: ", "it can create or update `secret/data/app/db`, which the step never does");
    has(&found, "excess copy old: ", "it can patch `secret/data/app/db`, which the step never does");
    has(&found, "excess copy old: ", "it can create or update `secret/destroy/app/db`");
    has(&found, "excess copy auditor: ", "it can create or update `secret/destroy/app/db`, which a verification never does");
    assert!(!found.iter().any(|finding| finding.contains(" new: ") || finding.contains("old-retirer")), "{found:#?}");
}

#[test]
fn a_missing_right_a_root_token_and_a_short_life_are_named() {
    let (source, target, mut site) = scene();
    let reads_only = shipped_policy("source-retire").replace("secret/undelete/*", "secret/nothing/*");
    site.token_of(&source, "OLD_RETIRE_TOKEN", ("half", &reads_only), "1h");
    site.give("NEW_AUDIT_TOKEN", target.root());
    site.token_of(&target, "NEW_TOKEN", ("target", &shipped_policy("target")), "5m");
    let found = found(&site, 1);
    has(&found, "missing retire old-retirer: ", "it cannot create or update `secret/undelete/app/db`");
    has(&found, "excess copy auditor: ", "it is a root token");
    has(&found, "short copy new: ", "the run may need it for");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_credential_that_ends_in_the_soak_is_found_for_every_step_that_is_looked_at_after_it() {
    let (_source, _target, site) = scene();
    site.edit("default = \"5s\"", "default = \"24h\"");
    let found = found(&site, 1);
    for who in ["copy old", "copy new", "copy auditor", "retire old-retirer"] {
        has(&found, &format!("short {who}: "), "the run may need it for 87");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn one_connection_that_cannot_be_asked_hides_no_other() {
    let (source, target, mut site) = scene();
    let rules = shipped_policy("source").replace("sys/capabilities-self", "sys/nothing");
    site.token_of(&source, "OLD_TOKEN", ("mute", &rules), "1h");
    site.give("NEW_AUDIT_TOKEN", target.root());
    let rules = shipped_policy("target").replace("auth/token/lookup-self", "auth/token/nothing");
    site.token_of(&target, "NEW_TOKEN", ("lifeless", &rules), "1h");
    let found = found(&site, 1);
    has(&found, "unknown copy old: ", "sys/capabilities-self");
    has(&found, "unknown copy new: ", "how long it lives could not be asked");
    has(&found, "excess copy auditor: ", "it is a root token");
    assert_eq!(found.len(), 3, "{found:#?}");
}
