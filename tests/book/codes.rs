//! The pages of the codes show how each comes about: their commands run here, in a folder where it does.

use std::{collections::BTreeSet, fs};

use crate::{
    block::{Block, blocks},
    player::{Shell, root},
};

/// A folder with secrets to be moved and a workflow for it.
const FOLDER: &str = r#"
cutover init . --template demo -q > init.out
cat > workflow.toml << 'END'
cutover = 1
name = "move"

[inputs]
prefix = { type = "string", default = "" }
retries = { type = "integer", default = 3 }

[plugins]
vault = { package = "cutover:vault-migrator", version = "0.1" }

[connections]
legacy = { kind = "file", path = "legacy" }
store = { kind = "file", path = "store", identity = "file:store.agekey" }

[[step]]
id = "copy"
uses = "vault.copy-files"
with = { prefix = "${inputs.prefix}" }
connections = { source = "legacy", target = "store" }
END
"#;
/// A gate behind the copy.
const GATE: &str = "printf '\\n[[step]]\\nid = \"soak\"\\ngate = \"wait\"\\nfor = \"1h\"\\n' >> workflow.toml";
/// A run that is done.
const RUN: &str = "cutover run workflow.toml --yes -q > run.out";

/// A page, what is done before its commands, what after them, and what must then have been said.
struct Scene {
    page: &'static str,
    before: &'static [&'static str],
    after: &'static str,
    said: &'static str,
}

const fn scene(page: &'static str, before: &'static [&'static str], after: &'static str, said: &'static str) -> Scene {
    Scene { page, before, after, said }
}

const CODE: &str = "echo exit $?";

const SCENES: &[Scene] = &[
    scene("codes/CUT0210", &[FOLDER], "", "error[CUT0210]"),
    scene("codes/CUT0317", &[FOLDER], "", "error[CUT0317]"),
    scene(
        "codes/CUT3121",
        &["target=target/wasm32-unknown-unknown/release; mkdir -p $target; printf '\\0asm\\1\\0\\0\\0' > $target/my_plugin.wasm"],
        "",
        "error[CUT3121]",
    ),
    scene("codes/CUT3220", &[FOLDER, "sed -i s/file:store.agekey/env:LEGACY_TOKEN/ workflow.toml"], "", "error[CUT3220]"),
    scene("codes/CUT3240", &[FOLDER, "ln -s /tmp store/mail"], "cutover plan workflow.toml", "error[CUT3240]"),
    scene("codes/CUT4011", &[FOLDER, RUN, "HEAD=999:$(printf '0%.0s' {1..64})"], "", "error[CUT4011]"),
    scene("codes/CUT4020", &[FOLDER, GATE, "cutover run workflow.toml --yes -q --max-wait 1s > run.out"], "", "error[CUT4020]"),
    scene(
        "codes/CUT4021",
        &[FOLDER, "echo password > state.key; cutover run workflow.toml --yes --key file:state.key"],
        "cutover run workflow.toml --yes -q --key file:state.key",
        "COMPLETED  exit 0",
    ),
    scene(
        "codes/CUT4041",
        &[FOLDER, "export XDG_RUNTIME_DIR=$PWD/runtime; mkdir -p runtime/cutover; chmod 777 runtime/cutover"],
        "cutover run workflow.toml --yes",
        "error[CUT4041]",
    ),
    scene("codes/CUT6001", &[FOLDER], CODE, "error[CUT6001]"),
    scene("codes/CUT6002", &[FOLDER], CODE, "error[CUT6002]"),
    scene("codes/CUT6003", &[FOLDER], CODE, "error[CUT6003]"),
    scene("codes/CUT6004", &[FOLDER], "", "error[CUT6004]"),
    scene("codes/CUT6011", &[FOLDER, "mv workflow.toml payments.toml"], "", "help: there is `payments.toml`"),
    scene("codes/CUT6012", &[FOLDER, "mkdir workflows"], "", "error[CUT6012]"),
    scene("codes/CUT6013", &[FOLDER], "", "error[CUT6013]"),
    scene("codes/CUT6014", &["cutover init payments -q > init.out"], "", "error[CUT6014]"),
    scene("codes/CUT6042", &[FOLDER], "", "error[CUT6042]"),
    scene(
        "codes/CUT6051",
        &[FOLDER, RUN, "sed -i s/move/again/ workflow.toml; cutover run workflow.toml --yes -q > run.out"],
        "",
        "error[CUT6051]",
    ),
    scene("codes/CUT6053", &[FOLDER, RUN], "", "error[CUT6053]"),
    scene("codes/CUT6071", &["mkdir -p plugins/mover"], "", "error[CUT6071]"),
    scene("exit-codes/0", &[FOLDER], "", "planned"),
    scene("exit-codes/1", &["printf 'cutover = 1\\n' > workflow.toml"], "", "has mistakes"),
    scene("exit-codes/2", &[FOLDER], "", "there is work"),
    scene("exit-codes/13", &[FOLDER, GATE], "", "later"),
    scene("exit-codes/15", &[FOLDER, "cutover plan workflow.toml --out move.cutplan -q > plan.out; rm legacy/mail.env"], "", "new.cutplan"),
    scene("exit-codes/64", &[FOLDER], CODE, "exit 64"),
    scene(
        "exit-codes/143",
        &[
            FOLDER,
            GATE,
            "cutover run workflow.toml --yes --max-wait 1h > told 2>&1 & PID=$!; until grep -q 'ok    copy' told; do sleep 0.05; done",
        ],
        "wait $PID; echo exit $?",
        "exit 143",
    ),
];

/// Pages whose commands cannot show their code here, each with the reason.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("codes/CUT4042", "needs a network file system"),
    ("codes/CUT4051", "the command shows where to look; the code needs a run that goes away while it is opened"),
];

/// Every page with commands, named as `codes/CUT0104`.
fn pages() -> BTreeSet<String> {
    let mut pages = BTreeSet::new();
    for folder in ["codes", "exit-codes"] {
        let entries = fs::read_dir(root().join("docs/src").join(folder)).expect("a folder");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if !blocks(&fs::read_to_string(&path).expect("text")).is_empty() {
                pages.insert(format!("{folder}/{name}"));
            }
        }
    }
    pages
}

#[test]
fn every_page_with_commands_is_played_or_listed_with_a_reason() {
    let known = SCENES.iter().map(|scene| scene.page).chain(NOT_SHOWN.iter().map(|(page, _)| *page));
    assert_eq!(known.map(str::to_owned).collect::<BTreeSet<_>>(), pages());
}

#[test]
fn the_commands_of_each_page_bring_its_code_about() {
    for scene in SCENES {
        let text = fs::read_to_string(root().join("docs/src").join(scene.page).with_extension("md")).expect("text");
        let mut shell = Shell::start();
        let mut said = Vec::new();
        for command in scene.before {
            said.extend(shell.perform(command, 0).0);
        }
        for block in blocks(&text) {
            let Block::Script(script) = block else { panic!("{}: a page of a code has `sh` blocks only", scene.page) };
            said.extend(shell.perform(&script, 0).0);
        }
        said.extend(shell.perform(scene.after, 0).0);
        assert!(said.iter().any(|line| line.contains(scene.said)), "{}: no `{}` in:\n{}", scene.page, scene.said, said.join("\n"));
    }
}
