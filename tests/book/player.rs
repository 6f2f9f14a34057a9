//! Plays the blocks of a page in one shell, in a folder of its own, with the program that was built beside this test.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use crate::block::{Block, Shown, blocks};

/// No command of a page takes as long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Ends the output of each command, followed by its exit code.
const END: &str = "=end-of-command=";

/// Plays a page of the checkout, named from its root. Returns what differs from what it shows.
pub(crate) fn play(page: &str) {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{page} has no command");
    let mut shell = Shell::start();
    for block in blocks {
        match block {
            Block::Script(script) => {
                // Nobody could tell when it is ready: what goes on in the background belongs into a session.
                assert!(!script.lines().any(|line| line.ends_with(" &")), "{page}: {script}");
                let (lines, code) = shell.perform(&script, 0);
                assert_eq!(code, 0, "{page}: this ended with {code}:\n{script}\n{}", lines.join("\n"));
            }
            Block::Session(shown) => shell.compare(page, &shown),
        }
    }
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the checkout").to_owned()
}

/// The program that was built beside this test.
pub(crate) fn program() -> PathBuf {
    let here = std::env::current_exe().expect("this test");
    let program = here.ancestors().nth(2).expect("a target folder").join("cutover");
    assert!(program.is_file(), "type `cargo build --workspace --bin cutover` first");
    program
}

/// A shell in a folder of its own, which is gone afterwards.
pub(crate) struct Shell {
    bash: Child,
    input: ChildStdin,
    output: Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Shell {
    /// With nothing in its environment but where programs and the person's own files are.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let beside = program().parent().expect("a folder").to_owned();
        let usual = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc", "-s"])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", format!("{}:{usual}", beside.display()))
            .env("HOME", folder.path())
            .env("PLUGINS", root().join("target/plugins"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash is there");
        let mut input = bash.stdin.take().expect("piped");
        // Both streams of every command in the order in which a terminal shows them.
        writeln!(input, "exec 2>&1").expect("bash reads");
        let (lines, output) = channel();
        let from = BufReader::new(bash.stdout.take().expect("piped"));
        thread::spawn(move || from.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Self { bash, input, output, _folder: folder }
    }

    /// Types a command and waits for its end: its lines and exit code. What goes on in the background is waited for until it
    /// has told as many lines as the page shows.
    pub(crate) fn perform(&mut self, command: &str, background: usize) -> (Vec<String>, i32) {
        let command = command.trim_end();
        // `$?` of the next command must be that of this one.
        writeln!(self.input, "{command}\n{{ __code=$?; echo; echo {END}$__code; (exit $__code); }} 2>&1").expect("bash reads");
        let (mut lines, mut code) = (Vec::new(), None);
        loop {
            let line = self.output.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("`{command}` does not end:\n{}", lines.join("\n")));
            match line.strip_prefix(END) {
                Some(number) => code = Some(number.parse().expect("a number")),
                None => lines.push(line),
            }
            let told = lines.iter().filter(|line| !line.is_empty()).count();
            if let Some(code) = code.filter(|_| told >= background) {
                let is_empty = |line: &String| line.is_empty();
                let end = lines.iter().rposition(|line| !is_empty(line)).map_or(0, |last| last + 1);
                lines.truncate(end);
                return (lines.into_iter().skip_while(is_empty).collect(), code);
            }
        }
    }

    fn compare(&mut self, page: &str, session: &[Shown]) {
        for (index, shown) in session.iter().enumerate() {
            let background = if shown.command.ends_with('&') { shown.output.len() } else { 0 };
            let (lines, code) = self.perform(&shown.command, background);
            let told = || format!("{page}: `{}` ended with {code} and said:\n{}", shown.command, lines.join("\n"));
            // A page that shows a failure asks for its exit code.
            let asked = session.get(index + 1).is_some_and(|next| next.command == "echo $?");
            assert!(code == 0 || asked, "{}", told());
            let (wanted, found) = (shown.output.iter().map(|line| same(line)), lines.iter().map(|line| same(line)));
            let (wanted, found): (Vec<String>, Vec<String>) = (wanted.collect(), found.collect());
            assert!(fits(&wanted, &found), "{}\n\nnot, as the page shows:\n{}", told(), shown.output.join("\n"));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // What the page started in the background ends with it.
        drop(writeln!(self.input, "kill $(jobs -p) 2>/dev/null; exit"));
        drop(self.bash.wait());
    }
}

/// `…` alone on a line fits any number of lines, at the end of one any end.
fn fits(wanted: &[String], found: &[String]) -> bool {
    match wanted.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "…" => (0..=found.len()).any(|skipped| fits(rest, &found[skipped..])),
        Some((first, rest)) => found.split_first().is_some_and(|(line, others)| {
            let begins = first.strip_suffix('…').is_some_and(|beginning| line.starts_with(beginning));
            (begins || line == first) && fits(rest, others)
        }),
    }
}

/// A line without what differs from run to run: ids, digests, times, and the width of columns.
fn same(line: &str) -> String {
    without_ids_and_times(line).split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Ids of runs, as `20261122-034317-2wor`, and times, as `2026-11-22T03:43:17Z`: `d` stands for a digit, `x` for a letter or one.
fn without_ids_and_times(line: &str) -> String {
    let mut line = line.to_owned();
    for form in ["dddddddd-dddddd-xxxx", "dddd-dd-ddTdd:dd:ddZ"] {
        let is_one = |text: &[u8]| {
            text.iter().zip(form.bytes()).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                b'x' => byte.is_ascii_alphanumeric(),
                other => *byte == other,
            })
        };
        while let Some(at) = line.as_bytes().windows(form.len()).position(is_one) {
            line.replace_range(at..at + form.len(), "~");
        }
    }
    line
}

fn word(word: &str) -> String {
    if let Some((name, _)) = word.split_once("_ms=") {
        return format!("{name}_ms=~");
    }
    let mut out = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| c.is_ascii_alphanumeric() != first.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        out.push_str(if varies(part) { "~" } else { part });
        rest = after;
    }
    out
}

/// Digests and spans of time.
fn varies(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let hex = part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let span =
        ["ms", "s"].iter().any(|unit| part.strip_suffix(unit).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())));
    hex || span || (part.len() >= 6 && digits == part.len())
}

#[test]
fn only_what_differs_from_run_to_run_is_left_out() {
    assert_eq!(same("  2038ms  FAIL  copy  4 verified  2038ms"), "~ FAIL copy 4 verified ~");
    assert_eq!(same("ROLLED BACK  exit 10  run 20261122-034317-2w3r  demo"), "ROLLED BACK exit 10 run ~ demo");
    assert_eq!(same("plan 9c41e2d0aa  72h  v1  latency_ms=9"), "plan ~ 72h v1 latency_ms=~");
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(fits(&lines("a … d"), &lines("a b c d")) && fits(&lines("… d"), &lines("d")) && fits(&lines("a …"), &lines("a")));
    assert!(fits(&["a b…".to_owned()], &["a bc d".to_owned()]));
    assert!(!fits(&lines("a … d"), &lines("a b c")) && !fits(&lines("a"), &lines("a b")));
}
