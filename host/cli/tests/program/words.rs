//! What the program explains, draws, formats and shows: commands that need no plugin and write nothing to a target.

use std::{fs, path::Path};

use insta::assert_snapshot;

use crate::desk::{cutover, cutover_with, document, folder, seen};

const WORKFLOW: &str = r#"cutover = 1
name = "payments"
[plugins]
vault = { package = "tests:not-packed", version = "0.1" }
[connections]
legacy = { kind = "file", path = "legacy" }
store = { kind = "file", path = "store" }
[dual_run]
from = "copy"
until = "retire"
max = "72h"
[[step]]
id = "copy"
uses = "vault.copy-files"
connections = { source = "legacy", target = "store" }
[[step]]
id = "soak"
gate = "wait"
for = "24h"
[[step]]
id = "retire"
uses = "vault.retire-files"
changes = "steps.copy"
connections = { source = "legacy" }
irreversible = true
"#;

#[test]
fn a_page_tells_what_why_and_what_next() {
    assert_snapshot!(seen(&cutover(folder().path(), "explain CUT0104")), @r#"
    exit 0
    --- stdout
    CUT0104: unknown key

    The file has a key that this place does not know. The help names the nearest one
    if there is one.

    Why: Keys are a closed list, so that a slip of the pen cannot silently
    switch off a check or a limit.

    For example:

        [[step]]
        id = "copy"
        uess = "vault.copy-files"     # `uses` is meant

    Next: Correct the key, then: `cutover validate workflow.toml`.
    `cutover schema workflow.toml --write` lets your editor complete keys.
    --- stderr
    "#);
}

#[test]
fn what_was_copied_from_an_error_is_understood() {
    let folder = folder();
    let wanted = cutover(folder.path(), "explain CUT0104").stdout;
    for word in ["cut0104", "0104", "error[CUT0104]:"] {
        assert_eq!(cutover(folder.path(), &format!("explain {word}")).stdout, wanted, "{word}");
    }
    let page = document(&cutover(folder.path(), "explain 11 -o json"));
    assert_eq!((page["code"].as_str(), page["title"].as_str(), page["exit"].as_u64()), (Some("11"), Some("a person is needed"), Some(0)));
    assert!(page["page"].as_str().is_some_and(|page| page.starts_with("# Exit code 11: ")));
}

#[test]
fn an_unknown_code_gets_the_nearest() {
    assert_snapshot!(seen(&cutover(folder().path(), "explain CUT0199")), @r"
    exit 64
    --- stdout
    --- stderr
    error[CUT6001]: there is no page about `CUT0199`
    help: there is `CUT0109`: not yet supported
    help: there is `CUT0101`: not TOML
    help: there is `CUT0102`: file too large
    help: `cutover explain` lists all codes, `cutover explain exit-codes` the exit codes
    ");
}

#[test]
fn exit_codes_are_listed() {
    assert_snapshot!(seen(&cutover(folder().path(), "explain exit-codes")), @r"
    exit 0
    --- stdout
    0    done, or nothing to do
    1    the answer is no: mistakes in a file, or refused before anything was written
    2    the plan has changes (only plan --detailed-exitcode)
    10   failed and rolled back, start state verified
    11   failed and something stayed: a person is needed
    12   stands still by policy; resume or rollback goes on
    13   waits for a gate, a long operation or a backend; resume goes on
    14   an approval is missing, rejected, expired or for another plan
    15   the world moved since the plan; nothing was written
    16   a digest, signature, journal or trust policy does not hold
    17   another process holds this run or target
    64   the command line is wrong
    70   a bug in cutover
    130  stopped by Ctrl-C; the journal is safe
    143  stopped by SIGTERM; the journal is safe
    --- stderr
    Next  cutover explain 11
    ");
    let all = document(&cutover(folder().path(), "explain -o json"));
    assert!(all["codes"].as_array().is_some_and(|codes| codes.len() > 150));
}

#[test]
fn a_workflow_is_drawn_without_its_plugins() {
    let folder = folder();
    fs::write(folder.path().join("a.toml"), WORKFLOW).expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "graph a.toml")), @r"
    exit 0
    --- stdout
    payments
      |  +     copy    copy-files legacy -> store
      |  gate  soak    wait 24h                    after copy
      |  !     retire  retire-files legacy         after soak, about copy  IRREVERSIBLE
    | dual run, at most 72h: old and new both work
    --- stderr
    ");
    let drawn = |form: &str| {
        let output = cutover(folder.path(), &format!("graph a.toml -o {form}"));
        assert!(output.status.success() && output.stderr.is_empty(), "{}", seen(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(drawn("svg").starts_with("<svg xmlns="));
    assert!(drawn("dot").starts_with("digraph \"payments\" {\n"));
    assert!(drawn("mermaid").starts_with("flowchart LR\n"));
    assert_eq!(document(&cutover(folder.path(), "graph a.toml -o json"))["graph"]["steps"][2]["sort"], "retire");
}

#[test]
fn a_workflow_with_mistakes_is_not_drawn() {
    let folder = folder();
    fs::write(folder.path().join("a.toml"), WORKFLOW.replace("gate", "gat")).expect("written");
    let output = cutover(folder.path(), "graph a.toml -o svg");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[CUT0104]"), "{}", seen(&output));
}

#[test]
fn files_are_formatted_or_only_checked() {
    let folder = folder();
    let file = folder.path().join("a.toml");
    fs::write(&file, "cutover=1\nname='a'\n[inputs]\n").expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "fmt --check")), @r"
    exit 1
    --- stdout
    would change a.toml
    --- stderr
    Next  cutover fmt
    ");
    assert_eq!(fs::read_to_string(&file).expect("kept"), "cutover=1\nname='a'\n[inputs]\n");
    assert_snapshot!(seen(&cutover(folder.path(), "fmt a.toml")), @r"
    exit 0
    --- stdout
    formatted a.toml
    --- stderr
    Next  cutover validate
    ");
    assert_eq!(fs::read_to_string(&file).expect("written"), "cutover = 1\nname = 'a'\n\n[inputs]\n");
    assert_eq!(document(&cutover(folder.path(), "fmt --check -o json")), serde_json::json!({"changed": [], "exit": 0}));
    fs::write(&file, "cutover=\n").expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "fmt a.toml")), @r"
    exit 1
    --- stdout
    --- stderr
    error[CUT0101]: `a.toml` is no TOML
      caused by: string values must be quoted, expected literal string
    help: run `cutover validate a.toml`
    ");
    assert_eq!(fs::read_to_string(&file).expect("kept"), "cutover=\n");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[test]
fn settings_are_shown_with_their_origin() {
    let folder = folder();
    let variables = [("CUTOVER_STATE", "/var/lib/cutover"), ("CUTOVER_KEY", "env:STATE_KEY"), ("STATE_KEY", "canary-canary-canary")];
    let output = cutover_with(folder.path(), &variables, "config show --origin --plugin-path plugins");
    assert_snapshot!(seen(&output), @r"
    exit 0
    --- stdout
    state        /var/lib/cutover  variable CUTOVER_STATE
    plugin-path  plugins           option --plugin-path
    output       text              default
    events       none              default
    color        no                terminal
    progress     plain             terminal
    quiet        no                default
    verbose      0                 default
    log-format   text              default
    key          env:STATE_KEY     variable CUTOVER_KEY
    input        no                terminal
    --- stderr
    ");
    let settings = document(&cutover(folder.path(), "config show -o json"));
    assert_eq!(settings["settings"][0], serde_json::json!({"name": "state", "value": ".cutover", "origin": "default", "by": null}));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = folder();
    let output = cutover(folder.path(), "man --dir pages -o json");
    let written = document(&output)["written"].as_array().expect("a list").len();
    let page = |name: &str| fs::read_to_string(folder.path().join("pages").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(fs::read_dir(folder.path().join("pages")).expect("readable").count(), written);
    assert!(page("cutover-plan-diff.1").contains("cutover plan diff monday.cutplan today.cutplan"));
    assert_eq!(page("cutover.1").as_bytes(), cutover(folder.path(), "man").stdout);
    assert!(!folder.path().join("pages/cutover-__panic.1").exists());
}

#[test]
fn mistakes_are_annotations_or_code_scanning() {
    let folder = folder();
    fs::write(
        folder.path().join("a.toml"),
        "cutover = 1\nname = \"Payments\"\nownr = \"me\"\n[[step]]\nid = \"a\"\ngate = \"wait\"\nfor = \"1h\"\n",
    )
    .expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "validate a.toml -o github")), @r"
    exit 1
    --- stdout
    ::error file=a.toml,line=2,endLine=2,col=8,endColumn=18,title=CUT0108::`Payments` is no workflow name: it must begin with a lower-case letter
    ::error file=a.toml,line=3,endLine=3,col=1,endColumn=5,title=CUT0104::a workflow has no key `ownr`%0Ahelp: did you mean `owner`?
    --- stderr
    ");
    let log = document(&cutover(folder.path(), "validate a.toml -o sarif"));
    let region = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 2, "{log}");
    assert_snapshot!(seen(&cutover(folder.path(), "validate a.toml -o svg")), @r"
    exit 64
    --- stdout
    --- stderr
    error[CUT6001]: this command has no form `svg`
    help: it has text, json, jsonl, github, sarif
    ");
}

#[test]
fn the_picture_of_the_readme_is_what_the_program_draws() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let drawn = cutover(&root, "graph workflows/dotenv-to-age.toml -o svg");
    let picture = fs::read_to_string(root.join("docs/src/dotenv-to-age.svg")).expect("a picture");
    let advice = "type `cutover graph workflows/dotenv-to-age.toml -o svg > docs/src/dotenv-to-age.svg`";
    assert!(String::from_utf8_lossy(&drawn.stdout) == picture, "{advice}: {}", seen(&drawn));
}
