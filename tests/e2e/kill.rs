//! A run of 500 changes is killed with SIGKILL at 30 moments, and ends as if nothing had been.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::site::Site;

const FILES: usize = 50;
const KEYS: usize = 10;
const KILLS: usize = 30;
/// Chooses the moments; another one chooses others.
const SEED: u64 = 0x2026_1122;

/// A legacy folder with 500 secrets.
struct Many(Site);

impl Many {
    async fn new() -> Self {
        let site = Site::new("many", "rollout = { cohorts = [\"100%\"], parallel = 4 }").await;
        for file in 0..FILES {
            let lines: String = (0..KEYS).map(|key| format!("KEY_{key}=value-of-{file:02}-{key}-0123456789\n")).collect();
            fs::write(site.path(&format!("legacy/app{file:02}.env")), lines).expect("a file");
        }
        Self(site)
    }

    fn start(&self, words: &[&str]) -> Child {
        self.0.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    fn ends(&self, words: &[&str]) -> Output {
        self.start(words).wait_with_output().expect("an end")
    }

    /// The only run of the state folder, once it has a journal.
    fn run(&self) -> Option<(String, PathBuf)> {
        let entry = fs::read_dir(self.0.path(".cutover/runs")).ok()?.flatten().next()?;
        let journal = entry.path().join("journal.jsonl");
        journal.exists().then(|| (entry.file_name().to_string_lossy().into_owned(), journal))
    }

    /// What the store holds, decrypted.
    fn stored(&self) -> BTreeMap<String, Value> {
        let mut stored = BTreeMap::new();
        for folder in fs::read_dir(self.0.path("store")).expect("the store").flatten() {
            for file in fs::read_dir(folder.path()).expect("only folders").flatten() {
                let plain = age::decrypt(&self.0.identity, &fs::read(file.path()).expect("a file")).expect("whole and for this identity");
                let name = format!("{}/{}", folder.file_name().to_string_lossy(), file.file_name().to_string_lossy());
                stored.insert(name, serde_json::from_slice(&plain).expect("a document"));
            }
        }
        stored
    }
}

/// The records of a journal that a process may be writing: whole lines only.
struct Watch {
    path: PathBuf,
    offset: u64,
    part: Vec<u8>,
    records: usize,
}

impl Watch {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, part: Vec::new(), records: 0 }
    }

    fn count(&mut self) -> usize {
        let mut file = fs::File::open(&self.path).expect("the journal");
        file.seek(SeekFrom::Start(self.offset)).expect("a file");
        let read = file.read_to_end(&mut self.part).expect("a file");
        self.offset += read as u64;
        self.records += self.part.iter().filter(|byte| **byte == b'\n').count();
        self.part.clear();
        self.records.saturating_sub(1)
    }
}

/// The events of a journal, without a torn last line.
fn events(journal: &Path) -> Vec<Value> {
    let text = fs::read_to_string(journal).expect("a journal");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    lines.map(|record| record["event"].clone()).collect()
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

/// Changes whose apply was begun without an end after the last resume.
fn open_intents(events: &[Value]) -> BTreeSet<u64> {
    let mut open = BTreeSet::new();
    for event in events {
        let change = event["change"].as_u64().unwrap_or_default();
        match kind(event) {
            "apply-started" => drop(open.insert(change)),
            "apply-ended" => drop(open.remove(&change)),
            "resumed" => open.clear(),
            _ => {}
        }
    }
    open
}

/// `xorshift64*` (Vigna 2016): the same moments in every run of the test.
fn moments(records: usize) -> Vec<usize> {
    let mut state = SEED;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits")
    };
    // Not in the last twentieth: the program may be over before it can be killed there.
    let mut moments: Vec<usize> = (0..KILLS).map(|_| 1 + next() % (records * 19 / 20)).collect();
    moments.sort_unstable();
    moments
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_thirty_times_ends_as_an_undisturbed_one() {
    let undisturbed = Many::new().await;
    let output = undisturbed.ends(&["run", "w.toml", "--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wanted = undisturbed.stored();
    assert_eq!(wanted.len(), FILES * KEYS);
    let (_, journal) = undisturbed.run().expect("a run");
    let records = events(&journal).len();

    let site = Many::new().await;
    let mut killed = Vec::new();
    for moment in moments(records) {
        let resumed = site.run().filter(|(_, journal)| !events(journal).is_empty());
        let mut child = match &resumed {
            Some((id, _)) => site.start(&["resume", id]),
            None => site.start(&["run", "w.toml", "--yes"]),
        };
        let before = resumed.map_or(0, |(_, journal)| Watch::new(&journal).count());
        let patience = Instant::now() + Duration::from_secs(120);
        let mut watch: Option<Watch> = None;
        loop {
            if watch.is_none() {
                watch = site.run().map(|(_, journal)| Watch::new(&journal));
            }
            // It must have come further than the last one, or the same moment would be tried twice.
            if watch.as_mut().is_some_and(|watch| watch.count() > before.max(moment)) {
                break;
            }
            assert!(child.try_wait().expect("a child").is_none(), "the run ended before record {moment} of {records}");
            assert!(Instant::now() < patience, "record {moment} of {records} never came");
            std::thread::yield_now();
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
        let (_, journal) = site.run().expect("a run");
        let events = events(&journal);
        let open = open_intents(&events);
        println_kill(killed.len() + 1, &events, &open);
        killed.push((events.len(), !open.is_empty()));
    }
    let (id, journal) = site.run().expect("a run");
    let output = site.ends(&["resume", &id]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let events = events(&journal);
    let first = events.iter().position(|event| kind(event) == "apply-started").expect("an intent");
    let last = events.iter().rposition(|event| kind(event) == "apply-ended").expect("an outcome");
    let between = killed.iter().filter(|(at, _)| (first + 1..=last).contains(at)).count();
    let in_flight = killed.iter().filter(|(_, open)| *open).count();
    assert!(between >= 20, "{between} of {KILLS} kills fell between the first intent and the last outcome");
    assert!(in_flight >= 3, "{in_flight} of {KILLS} kills fell between an intent and its outcome");

    assert_eq!(site.stored(), wanted, "the same files with the same values, and nothing else");
    // A write is sent again only if a crash left its first answer unknown.
    let mut answered = BTreeSet::new();
    for event in &events {
        let change = event["change"].as_u64().unwrap_or_default();
        match kind(event) {
            "write-answered" => assert!(answered.insert(change), "change {change} was written twice"),
            "write-sent" => assert!(!answered.contains(&change), "change {change} was written again after its answer"),
            _ => {}
        }
    }
}

#[expect(clippy::print_stdout, reason = "where a kill fell is told to whoever reads the test's output")]
fn println_kill(number: usize, events: &[Value], open: &BTreeSet<u64>) {
    let last = events.last().map(|event| event.to_string()).unwrap_or_default();
    println!("kill {number:2} after record {:4}, {} intents without outcome, last: {last}", events.len(), open.len());
}
