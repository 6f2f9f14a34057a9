//! Where a run stands, for whoever asks while it goes on.

use std::{
    io::{BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::{
    interruption::{read_until, signal, waiting},
    site::{GATE, Site, plugins},
};

#[test]
fn a_signal_asks_and_the_run_goes_on() {
    let site = Site::with("", "", "", GATE);
    let (child, mut lines) = waiting(&site);
    for _ in 0..2 {
        signal(&child, Signal::USR1);
        read_until(&mut lines, "status of run ");
        let told = read_until(&mut lines, " wait  retire");
        assert!(told.starts_with(" ok    copy    2 verified") && told.contains("\n RUN   soak"), "{told}");
    }
    assert_eq!(site.document("runs show last", 13)["ending"], "running");
    signal(&child, Signal::INT);
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(130));
}

/// `script` of util-linux is the terminal.
#[test]
fn a_key_asks_at_the_terminal_which_is_as_before_afterwards() {
    let site = Site::with("", "", "", GATE);
    let program = format!("'{}' --plugin-path '{}'", env!("CARGO_BIN_EXE_cutover"), plugins().display());
    // Ctrl-C reaches the shell, too, which would go without waiting.
    let line = format!("trap : INT; {program} run w.toml --yes --max-wait 2h; code=$?; stty -a; exit $code");
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(site.path("")).env_clear();
    terminal.env("TERM", "xterm").env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script of util-linux starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), BufReader::new(child.stdout.take().expect("a pipe")));
    read_until(&mut screen, "t  status");
    keys.write_all(b"xt").expect("two keys");
    let shown = read_until(&mut screen, "status of run ");
    assert!(!shown.contains("xt"), "keys are not shown: {shown}");
    keys.write_all(b"\x03").expect("Ctrl-C");
    let mut rest = String::new();
    screen.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest}");
    assert!(rest.contains("stopping at the next safe point") && rest.contains("INTERRUPTED at a safe point"), "{rest}");
    let modes = rest.rsplit("INTERRUPTED").next().unwrap_or_default();
    assert!(modes.contains(" icanon") && modes.contains(" echo "), "{modes}");
}
