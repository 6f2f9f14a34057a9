//! `cutover doctor` without a server: what it finds in folders, and what `--fix` does.

use insta::assert_snapshot;

use crate::desk::{cutover, document, folder, seen};

#[test]
fn doctor_finds_what_others_can_read_and_sets_it_right_if_asked() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let doctor = |line: &str| cutover(folder.path(), line);
    let well = document(&doctor("doctor -o json"));
    assert_eq!((well["exit"].as_u64(), well["folders"].as_array().map(Vec::len)), (Some(0), Some(0)), "{well}");
    let state = folder.path().join(".cutover");
    std::fs::create_dir(&state).expect("a folder");
    std::fs::write(state.join(".gitignore"), "*\n").expect("a file");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).expect("ours");
    assert_snapshot!(seen(&doctor("doctor")), @r"
    exit 1
    --- stdout
    wrong  `.cutover` is open to other users (mode 755)
       fix  chmod 700 .cutover
    Next   cutover doctor --fix
    --- stderr
    ");
    assert_snapshot!(seen(&doctor("doctor --fix")), @r"
    exit 0
    --- stdout
    fixed  `.cutover` is open to other users (mode 755)
    --- stderr
    ");
    assert_snapshot!(seen(&doctor("doctor")), @r"
    exit 0
    --- stdout
    Nothing is wrong with the folders of runs and locks.
    --- stderr
    ");
}

#[test]
fn doctor_writes_the_schema_that_an_editor_misses() {
    let folder = folder();
    let workflow =
        "#:schema ./.cutover/workflow.schema.json\ncutover = 1\nname = \"wait\"\n[[step]]\nid = \"soak\"\ngate = \"wait\"\nfor = \"1s\"\n";
    std::fs::write(folder.path().join("workflow.toml"), workflow).expect("written");
    let line = "doctor workflow.toml -o json";
    let missed = document(&cutover(folder.path(), line));
    assert_eq!(missed["folders"][0]["fix"], "cutover schema workflow.toml --write", "{missed}");
    let fixed = document(&cutover(folder.path(), &format!("{line} --fix")));
    assert!(folder.path().join(".cutover/workflow.schema.json").is_file(), "{fixed}");
}
