//! The conformance kit: plugins that keep the rules pass, and each rule names the plugin that breaks it.

use std::collections::BTreeSet;

use cutover_runtime::conformance::{ConformanceReport, Fixture, Found, Rule, examine};
use cutover_tests::{component, warm_sandbox};

/// A world for the guest `hostile`: it copies three secrets from `s/` to `t/`.
fn hostile(mode: &str) -> String {
    // The manifest calls `/note` public: a secret must not stand there.
    let note = if mode == "log-note" { "canary-note" } else { "harmless" };
    format!(
        r#"
[[case]]
name = "{mode}"
operation = "copy"
with = {{ mode = "{mode}" }}
timeout = "1s"

[case.world.source]
"s/1" = {{ password = "canary-one" }}
"s/2" = {{ password = "canary-two" }}
"s/3" = {{ password = "canary-three" }}
"s/4" = {{ password = "canary-four" }}

[case.world.target]
"t/1" = {{ password = "canary-old", note = "{note}" }}
"t/foreign" = {{ password = "canary-foreign" }}
"#
    )
}

/// The same, and the retirement of two of the three.
fn retiring(mode: &str) -> String {
    let retire = format!(
        "\n[[case]]\nname = \"retire\"\noperation = \"retire\"\nchanges = \"\"\nwith = {{ mode = \"{mode}\" }}\ntimeout = \"1s\"\n"
    );
    hostile("") + &retire
}

async fn examined(guest: &str, fixture: &str) -> ConformanceReport {
    let fixture = Fixture::parse(fixture).unwrap_or_else(|error| panic!("{error}"));
    examine(&warm_sandbox(), &component(guest).await, &fixture).await.unwrap_or_else(|error| panic!("{guest}: {error}"))
}

/// The rules that are broken, with the reasons.
fn broken(report: &ConformanceReport) -> Vec<(Rule, String)> {
    let findings = report.cases.iter().flat_map(|case| &case.findings).filter(|finding| finding.found == Found::Broken);
    findings.map(|finding| (finding.rule, finding.reason.clone().unwrap_or_default())).collect()
}

/// Mode of the guest `hostile`, the rule that it breaks, and words of the reason.
const BROKEN: [(&str, Rule, &str); 24] = [
    ("plan-writes", Rule::LooksOnly, "`PUT /t/1` changes something"),
    ("capture-writes", Rule::LooksOnly, "this hook may only look"),
    ("verify-writes", Rule::LooksOnly, "this hook may only look"),
    ("no-route", Rule::AsksWhatItSaid, "`POST /admin/shutdown`"),
    ("leak-elsewhere", Rule::AsksWhatItSaid, "no flow of the operation leads from `source` to `elsewhere`"),
    ("token-in-path", Rule::AsksWhatItSaid, "the path"),
    ("plan-doubles", Rule::PlanIsStable, "two changes have the id"),
    ("wrong-output", Rule::FitsSchema, "/copied"),
    ("capture-blind", Rule::CaptureCovers, "read no object"),
    ("capture-skips", Rule::CaptureCovers, "capture did not read"),
    ("apply-fourth", Rule::CaptureCovers, "not in the change's subject"),
    ("capture-thin", Rule::CaptureCovers, "capture does not hold all that apply writes"),
    ("apply-two-of-three", Rule::ApplyReaches, "not what capture expected"),
    ("apply-always", Rule::ApplyTwice, "sent `PUT /t/1` again"),
    ("apply-all-or-nothing", Rule::ApplyResumes, "the answer of write 1 was lost"),
    ("apply-blind", Rule::ApplyYields, "apply wrote over that"),
    ("verify-always", Rule::VerifySees, "and verify still passes"),
    ("proof-one-of-two", Rule::EndsPath, "nothing shows that it is refused: `GET /s/2"),
    ("proof-other-credential", Rule::EndsPath, "nothing shows that it is refused: `GET /s/1"),
    ("rollback-destroys", Rule::RollbackInverts, "not the pre-image"),
    ("rollback-always", Rule::RollbackTwice, "sent `PUT /t/1` again"),
    ("capture-forgiving", Rule::RefusalIsNoAbsence, "answered 401, and capture returned a state"),
    ("loop", Rule::EndsInTime, "limit reached"),
    ("log-note", Rule::KeepsSecrets, "a log line shows a secret of the fixture"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_names_the_plugin_that_breaks_it() {
    for (mode, rule, words) in BROKEN {
        let fixture = if rule == Rule::EndsPath { retiring(mode) } else { hostile(mode) };
        let found = broken(&examined("hostile", &fixture).await);
        let told = found.iter().any(|(broken, reason)| *broken == rule && reason.contains(words));
        assert!(told, "{mode}: wanted {rule:?} `{words}`, got {found:#?}");
        // Nothing else is blamed on it: an author would mend the wrong thing.
        let others: Vec<Rule> = found.iter().map(|(broken, _)| *broken).filter(|broken| *broken != rule).collect();
        assert_eq!(others, Vec::<Rule>::new(), "{mode}: {found:#?}");
    }
}

#[test]
fn no_rule_is_without_a_plugin_that_breaks_it() {
    let shown: BTreeSet<Rule> = BROKEN.iter().map(|(_, rule, _)| *rule).collect();
    let forgotten: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| !shown.contains(rule)).collect();
    assert_eq!(forgotten, Vec::<Rule>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_guest_without_a_fault_keeps_every_rule() {
    let report = examined("hostile", &hostile("")).await;
    assert_eq!(broken(&report), Vec::new());
    assert!(report.cases[0].findings.iter().all(|finding| finding.found == Found::Kept), "{report:#?}");
    assert!(report.cases[0].findings.iter().all(|finding| finding.rule != Rule::EndsPath), "a copy ends nothing");
    let report = examined("hostile", &retiring("")).await;
    assert_eq!((broken(&report), report.cases[1].changes), (Vec::new(), 1));
    assert!(report.cases[1].findings.iter().all(|finding| finding.found == Found::Kept), "{report:#?}");
    assert_eq!(report.cases[1].findings.len(), Rule::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projects_own_plugins_conform() {
    let put = r#"
[[case]]
name = "put"
operation = "put"
with = { path = "flag", value = [1, "x"] }

[case.world.target]
flag = false
"#;
    assert_eq!(broken(&examined("example", put).await), Vec::new());
    let get = r#"
[[case]]
name = "get"
operation = "get"
with = { path = "health" }

[case.world.target]
health = { token = "canary-token" }
"#;
    assert_eq!(broken(&examined("http-probe", get).await), Vec::new());
    let copy = r#"
[[case]]
name = "copy"
operation = "copy-files"

[case.world.source]
"a/b.env" = "KEY=canary-key\nOTHER=canary-other\n"

[case.world.target]
"unrelated.json" = { a = "canary-a" }

[[case]]
name = "retire"
operation = "retire-files"
changes = "copy"

[[case]]
name = "destroy"
operation = "destroy-files"
changes = "retire"
"#;
    let report = examined("vault-migrator", copy).await;
    let changes: Vec<usize> = report.cases.iter().map(|case| case.changes).collect();
    assert_eq!((broken(&report), changes), (Vec::new(), vec![2, 1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_in_which_nothing_is_to_do_shows_nothing() {
    let put =
        "[[case]]\nname = \"put\"\noperation = \"put\"\nwith = { path = \"flag\", value = false }\n\n[case.world.target]\nflag = false\n";
    let found = broken(&examined("example", put).await);
    assert!(matches!(found.as_slice(), [(Rule::ApplyReaches, reason)] if reason.contains("all is as it is wanted already")), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixture_that_does_not_fit_the_plugin_says_what_would() {
    let wrong = async |text: &str| {
        let fixture = Fixture::parse(text).expect("a fixture");
        examine(&warm_sandbox(), &component("example").await, &fixture).await.expect_err("it does not fit").to_string()
    };
    let case = |rest: &str| format!("[[case]]\nname = \"a\"\n{rest}");
    assert!(wrong(&case("operation = \"move\"\n")).await.contains("it has `put`"));
    assert!(wrong(&case("operation = \"put\"\nwith = { path = 7, value = 1 }\n")).await.contains("`with/path`"));
    let world = "operation = \"put\"\nwith = { path = \"a\", value = 1 }\n\n[case.world.targt]\na = 1\n";
    assert!(wrong(&case(world)).await.contains("it has `target`"));
}

/// The refusal says what to write, or what to do without the kit.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_kit_cannot_play_yet_says_what_to_do_instead() {
    let wrong = async |guest: &str, text: &str| {
        let fixture = Fixture::parse(text).expect("a fixture");
        examine(&warm_sandbox(), &component(guest).await, &fixture).await.expect_err("it is not played").to_string()
    };
    let case = |rest: &str| format!("[[case]]\nname = \"a\"\n{rest}");
    let alone = wrong("vault-migrator", &case("operation = \"retire-files\"\n")).await;
    assert!(alone.contains("write a case for that one above, and `changes = \"ITS NAME\"` in this one"), "{alone}");
    let vault = wrong("vault-migrator", &case("operation = \"copy-kv\"\nwith = { mount = \"secret\" }\n")).await;
    assert!(vault.contains("the kit plays `http` and `file` only: leave the case out, test the hooks natively"), "{vault}");
    let twice = hostile("") + "\n[[case]]\nname = \"b\"\noperation = \"retire\"\nchanges = \"\"\n\n[case.world.source]\n\"s/1\" = 1\n";
    assert!(wrong("hostile", &twice).await.contains("`world.source` is as the case before left it"));
}
