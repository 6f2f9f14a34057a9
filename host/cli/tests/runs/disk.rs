//! Disks that are full: a small tmpfs, mounted where only the program sees it.

use std::process::{Command, Output, Stdio};

use crate::site::{GATE, Site, plugins, seen};

/// Runs a shell script in a mount namespace of its own, in the site's folder. `cutover` is the program with its plugins.
fn script(site: &Site, text: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_cutover");
    let head = format!("set -u; cutover() {{ '{program}' --plugin-path '{}' \"$@\"; echo \"exit $?\"; }}\n", plugins().display());
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &(head + text)]).current_dir(site.path("")).stdin(Stdio::null());
    command.output().expect("unshare of util-linux starts")
}

/// What it printed of exit codes, in order.
fn exits(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix("exit ")).map(str::to_owned).collect()
}

#[test]
fn a_state_folder_that_fills_up_keeps_room_to_go_back_and_begins_nothing_new() {
    let site = Site::with("", "", "", GATE);
    let text = "mkdir -m 700 .cutover && mount -t tmpfs -o size=80m,mode=700 none .cutover || exit 99
        cutover run w.toml --yes --max-wait 1s
        dd if=/dev/zero of=.cutover/filler bs=4k 2> filled
        cutover run w.toml --yes
        cutover rollback last --yes";
    let output = script(&site, text);
    assert_eq!(exits(&output), ["13", "1", "0"], "{}", seen(&output));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("error[CUT4001]") && errors.contains("nothing was begun; free at least 64 MiB"), "{errors}");
    assert!(site.is_as_before(), "{}", seen(&output));
}

#[test]
fn a_target_without_room_is_waited_for_and_all_can_go_back() {
    let site = Site::new();
    let text = "mount -t tmpfs -o size=4k none store || exit 99
        cutover run w.toml --yes --max-wait 1s
        cutover rollback last --yes
        echo left $(find store -type f | wc -l)";
    let output = script(&site, text);
    assert_eq!(exits(&output), ["13", "0"], "{}", seen(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("left 0"), "{}", seen(&output));
    assert!(site.is_as_before());
}
