//! A legacy folder of dotenv files moves into an encrypted store.

use age::secrecy::ExposeSecret as _;
use cutover_engine::{Ending, Phase};
use cutover_tests::Rig;

/// The workflow of most tests here: copy, then retire.
fn workflow(rig: &Rig) -> String {
    let identity = age::x25519::Identity::generate();
    rig.write("identity", identity.to_string().expose_secret());
    std::fs::create_dir_all(rig.path("store")).expect("a folder");
    format!(
        r#"
cutover = 1
name = "files"
owner = "tests"

[plugins]
files = {{ path = "vault-migrator.wasm" }}

[connections]
legacy = {{ kind = "file", path = "legacy" }}
store = {{ kind = "file", path = "store", identity = "file:identity", recipients = ["{}"] }}

[[step]]
id = "copy"
uses = "files.copy-files"
connections = {{ source = "legacy", target = "store" }}

[[step]]
id = "retire"
uses = "files.retire-files"
changes = "steps.copy"
connections = {{ source = "legacy" }}
"#,
        identity.to_public()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_copied_verified_and_the_old_files_retired() {
    let rig = Rig::new();
    rig.write("legacy/app.env", "DB_PASSWORD=correct horse battery staple\nAPI_KEY=k-0123456789abcdef\n");
    rig.write("legacy/team/web.json", r#"{"cookie_secret": "0123456789abcdef0123", "port": 9007199254740993}"#);
    let (rested, events) = rig.run(&workflow(&rig), &[("files", "vault-migrator")]).await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed, "{events:#?} {:#?}", rested.run.cause());
    let phases: Vec<Phase> = rested.run.steps().flat_map(|step| step.counts).map(|(phase, _)| phase).collect();
    assert_eq!(phases, [Phase::Verified, Phase::Proven]);
    assert!(!rig.path("legacy/app.env").exists() && rig.path("legacy/app.env.retired").exists());
    let stored = std::fs::read(rig.path("store/app/DB_PASSWORD.json.age")).expect("a stored secret");
    assert!(stored.starts_with(b"age-encryption.org/v1"));

    let (rested, _) = rig.rollback(&rested.id, &[]).await.expect("a rollback");
    assert_eq!(rested.ending, Ending::RolledBack);
    assert!(rig.path("legacy/app.env").exists() && !rig.path("store/app/DB_PASSWORD.json.age").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_given_up_when_its_time_is_over() {
    let rig = Rig::new();
    rig.write("legacy/app.env", "API_KEY=k-0123456789abcdef\n");
    let text = workflow(&rig).replacen("owner", "keep_pre_images = \"0s\"\nowner", 1);
    let (rested, _) = rig.run(&text, &[("files", "vault-migrator")]).await.expect("a run");
    assert_eq!(rig.host.give_up_expired().expect("an expired run"), [rested.id.clone()]);
    let refused = rig.rollback(&rested.id, &[]).await.err().expect("no way back");
    assert!(refused.to_string().contains("destroyed"), "{refused}");
    assert!(rig.host.show(&rested.id, None, |_, _, _| ()).expect("a run").run.has_no_way_back());
    assert!(rig.host.give_up_expired().expect("nothing left to do").is_empty());
}
