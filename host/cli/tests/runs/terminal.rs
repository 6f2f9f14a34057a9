//! A run at a terminal: what its keys do, and that the terminal is as before whoever has it meanwhile.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command},
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{SpecialCodeIndex, Termios, tcgetattr},
};

use crate::site::{GATE, Site};

const CTRL_C: u8 = 3;
const CTRL_Z: u8 = 26;
const CTRL_BACKSLASH: u8 = 28;

/// What is restored besides the modes: the reading of keys, and the key that ends a program.
const CODES: [SpecialCodeIndex; 3] = [SpecialCodeIndex::VMIN, SpecialCodeIndex::VTIME, SpecialCodeIndex::VQUIT];

/// A pseudo-terminal with a program in its foreground.
struct Terminal {
    keyboard_and_screen: File,
    before: Termios,
    program: Child,
}

impl Terminal {
    /// With `cutover LINE` as the only program there, or as a job of a shell that then says how it ended or was stopped, and lets
    /// a stopped one go on after Enter.
    fn with(site: &Site, line: &str, is_job: bool) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).expect("a pseudo-terminal");
        grantpt(&ours).expect("ours");
        unlockpt(&ours).expect("ours");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        let theirs: File = open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("the other end").into();
        let wanted = site.command(line);
        // A session of its own, of which this is the terminal.
        let mut command = Command::new("/usr/bin/setsid");
        command.arg("--ctty").current_dir(site.0.path()).env_clear().env("TERM", "xterm");
        if is_job {
            command.args(["/bin/sh", "-mc", r#""$@"; echo "left with $?"; read enter; fg; echo "ended with $?""#, "sh"]);
        }
        command.arg(wanted.get_program()).args(wanted.get_args());
        let end = || theirs.try_clone().expect("a file");
        let before = tcgetattr(&ours).expect("a terminal");
        let program = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program starts");
        Self { keyboard_and_screen: ours.into(), before, program }
    }

    fn press(&mut self, key: u8) {
        self.keyboard_and_screen.write_all(&[key]).expect("it is read");
    }

    /// Reads until these words were on the screen.
    fn read_until(&mut self, words: &str) {
        let (mut seen, mut part) = (Vec::new(), [0; 4_096]);
        while !String::from_utf8_lossy(&seen).contains(words) {
            let count = self.keyboard_and_screen.read(&mut part).unwrap_or(0);
            assert!(count > 0, "it ended before `{words}`: {}", String::from_utf8_lossy(&seen));
            seen.extend(&part[..count]);
        }
    }

    /// Whether what is typed is shown and comes in lines, as before.
    fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&self.keyboard_and_screen).expect("a terminal");
        modes.local_modes == self.before.local_modes
            && CODES.iter().all(|code| modes.special_codes[*code] == self.before.special_codes[*code])
    }

    /// Until keys come one by one.
    fn wait_for_keys(&mut self) {
        while self.is_as_before() {
            assert!(self.program.try_wait().expect("a child").is_none(), "it ended before it looked at keys");
            std::thread::yield_now();
        }
    }

    /// The exit code of the program, once it and everything it said are at an end.
    fn end(mut self) -> (Option<i32>, bool) {
        let mut part = [0; 4_096];
        // The other end is closed then, which is an error on Linux.
        while self.keyboard_and_screen.read(&mut part).is_ok_and(|count| count > 0) {}
        (self.program.wait().expect("it ends").code(), self.is_as_before())
    }
}

/// A run that waits at its gate and takes keys.
fn at_its_gate(is_job: bool) -> (Site, Terminal) {
    let site = Site::with("", "", "", GATE);
    let mut terminal = Terminal::with(&site, "run w.toml --yes --max-wait 2h", is_job);
    terminal.wait_for_keys();
    terminal.read_until("soak");
    (site, terminal)
}

#[test]
fn t_tells_where_the_run_stands() {
    let (_site, mut terminal) = at_its_gate(false);
    terminal.press(b'x');
    terminal.press(b't');
    terminal.read_until("status of run");
    // There is no shell that could let it go on, nor anything to be taken for one.
    terminal.press(CTRL_Z);
    terminal.press(CTRL_BACKSLASH);
    terminal.wait_for_keys();
    terminal.press(CTRL_C);
    terminal.read_until("INTERRUPTED");
    assert_eq!(terminal.end(), (Some(130), true));
}

#[test]
fn ctrl_z_leaves_the_terminal_as_it_was_and_the_run_goes_on_in_the_foreground() {
    let (_site, mut terminal) = at_its_gate(true);
    terminal.press(CTRL_Z);
    terminal.read_until("left with ");
    assert!(terminal.is_as_before());
    terminal.press(b'\n');
    terminal.wait_for_keys();
    terminal.press(b't');
    terminal.read_until("status of run");
    terminal.press(CTRL_C);
    terminal.read_until("ended with 130");
    assert_eq!(terminal.end(), (Some(0), true));
}

#[test]
fn a_run_that_ends_leaves_the_terminal_as_it_was() {
    let site = Site::with("", "", "", GATE);
    let mut terminal = Terminal::with(&site, "run w.toml --yes --max-wait 1s", false);
    terminal.wait_for_keys();
    assert_eq!(terminal.end(), (Some(13), true));
}
