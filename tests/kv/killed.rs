//! A run between two servers is killed with SIGKILL at 40 moments, and ends as if nothing had been.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cutover_tests::{KvDump, KvVersion, KvWorkload, differences};
use serde_json::Value;

use crate::site::{Site, events, keys, said};

/// More of them (`CUTOVER_KV_KEYS`) take too long for every change.
const KEYS: usize = 60;
const KILLS: usize = 40;
/// Chooses secrets and moments; another one chooses others.
const SEED: u64 = 0x0040_2026;

#[test]
fn a_run_that_is_killed_forty_times_ends_as_an_undisturbed_one() {
    let workload = KvWorkload::mixed(keys(KEYS), SEED);
    let undisturbed = Site::new(&workload);
    let output = undisturbed.cutover(&["run", "w.toml", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let (_, journal) = undisturbed.run().expect("a run");
    let records = events(&journal).len();

    let site = Site::new(&workload);
    let source = site.source();
    let mut kills = Vec::new();
    for gap in gaps(records) {
        kills.push(kill(&site, gap, kills.len() + 1));
    }
    let (id, _) = site.run().expect("a run");
    let output = site.cutover(&["resume", &id]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    let in_flight = kills.iter().filter(|open| **open > 0).count();
    assert!(in_flight >= 5, "{in_flight} of {KILLS} kills fell between an intent and its outcome");
    let target = site.target();
    let found = differences(&source, &target, 15);
    assert!(found.is_empty(), "{} differences, such as {:#?}", found.len(), &found[..found.len().min(10)]);
    written_once(&site, &target);
    assert_eq!(without_times(target), without_times(undisturbed.target()));
    assert_eq!(without_times(site.source()), without_times(undisturbed.source()));
}

/// Kills a run that goes on, once its process has written this many records; says how many intents were open.
fn kill(site: &Site, gap: usize, number: usize) -> usize {
    let resumed = site.run().filter(|(_, journal)| !events(journal).is_empty());
    let before = resumed.as_ref().map_or(0, |(_, journal)| Watch::new(journal).count());
    let mut child = match &resumed {
        Some((id, _)) => site.start("killed", &["resume", id]),
        None => site.start("killed", &["run", "w.toml", "--yes"]),
    };
    let patience = Instant::now() + Duration::from_secs(120);
    let mut watch: Option<Watch> = None;
    loop {
        if watch.is_none() {
            watch = site.run().map(|(_, journal)| Watch::new(&journal));
        }
        if watch.as_mut().is_some_and(|watch| watch.count() > before + gap) {
            break;
        }
        let ended = child.try_wait().expect("a child").is_some();
        assert!(!ended, "kill {number}: the run ended before {gap} records after {before}: {}", site.said("killed"));
        assert!(Instant::now() < patience, "kill {number}: {gap} records after {before} never came: {}", site.said("killed"));
        std::thread::yield_now();
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
    let events = events(&site.run().expect("a run").1);
    let open = open_intents(&events);
    println_kill(number, &events, open);
    open
}

/// The records of a journal that a process may be writing: whole lines only.
struct Watch {
    path: PathBuf,
    offset: u64,
    lines: usize,
}

impl Watch {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, lines: 0 }
    }

    fn count(&mut self) -> usize {
        let mut file = fs::File::open(&self.path).expect("the journal");
        file.seek(SeekFrom::Start(self.offset)).expect("a file");
        let mut part = Vec::new();
        self.offset += file.read_to_end(&mut part).expect("a file") as u64;
        self.lines += part.iter().filter(|byte| **byte == b'\n').count();
        self.lines.saturating_sub(1)
    }
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

/// How many changes were begun without an end since the last resume.
fn open_intents(events: &[Value]) -> usize {
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
    open.len()
}

/// After how many records of its own each process is killed: the distances of random moments of an undisturbed run. What is
/// done again after a kill makes a killed run's journal longer, never shorter.
fn gaps(records: usize) -> Vec<usize> {
    // `xorshift64*` (Vigna 2016): the same moments in every run of the test.
    let mut state = SEED;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits")
    };
    // Not in the last tenth: the program may be over before it can be killed there.
    let mut moments: Vec<usize> = (0..KILLS).map(|_| 1 + next() % (records * 9 / 10)).collect();
    moments.sort_unstable();
    let before = std::iter::once(0).chain(moments.iter().copied());
    moments.iter().zip(before).map(|(moment, before)| moment - before).collect()
}

/// Times of deletions differ between two runs; that there is one does not.
fn without_times(mut dump: KvDump) -> KvDump {
    for version in dump.values_mut().flat_map(|key| key.versions.values_mut()) {
        if let KvVersion::Live { until, .. } = version
            && !until.is_empty()
        {
            *until = "some day".to_owned();
        }
    }
    dump
}

/// Every version came from one write that the server took, as its own log has it.
fn written_once(site: &Site, target: &KvDump) {
    let mut written: BTreeMap<String, u64> = BTreeMap::new();
    site.new.each_audited(|entry| {
        let took = entry["type"] == "response" && entry["request"]["operation"] != "read" && entry["response"]["data"]["version"].is_u64();
        if let Some(path) = entry["request"]["path"].as_str().and_then(|path| path.strip_prefix("secret/data/")).filter(|_| took) {
            *written.entry(path.to_owned()).or_default() += 1;
        }
    });
    let versions: BTreeMap<String, u64> =
        target.iter().filter(|(_, key)| key.current > 0).map(|(path, key)| (path.clone(), key.current)).collect();
    assert_eq!(written, versions, "writes that the target took, by path");
}

#[expect(clippy::print_stdout, reason = "where a kill fell is told to whoever reads the test's output")]
fn println_kill(number: usize, events: &[Value], open: usize) {
    let last = events.last().map(Value::to_string).unwrap_or_default();
    println!("kill {number:2} after record {:4}, {open} intents without outcome, last: {last}", events.len());
}
