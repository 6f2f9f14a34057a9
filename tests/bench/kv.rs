//! Secrets with all their versions between two real servers, against a bare loop that sends the very same requests.

mod bare;
mod inventory;
mod pair;
mod recording;
mod shell;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use self::{
    inventory::Inventory,
    pair::{Pair, Took},
    recording::{Part, Request, record},
};
use crate::{floor::PARALLEL, table::Row};

/// How many secrets there are, unless `CUTOVER_KV_KEYS` says otherwise.
const KEYS: usize = 2_000;
/// Versions of each.
const VERSIONS: usize = 3;
/// How many of them the shell loop copies.
const BY_SHELL: usize = 100;
/// What the aim is: the floor's time in parts of ours.
const TARGET: f64 = 0.8;

/// The run's parts as one process saw them.
struct Run {
    plan: Took,
    /// All three parts below.
    run: Took,
    again: Duration,
    copy: Duration,
    retire: Duration,
}

/// The ratio of the run to its floor. What else there is to tell is printed behind the table.
pub(crate) async fn measure(folder: &Path) -> (Vec<Row>, String) {
    let keys = std::env::var("CUTOVER_KV_KEYS").ok().map_or(KEYS, |keys| keys.parse().expect("CUTOVER_KV_KEYS is a number"));
    let mut plugins = BTreeMap::new();
    plugins.insert("vault".to_owned(), cutover_tests::component("vault-migrator").await);
    fs::write(folder.join("vault-migrator.wasm"), &plugins["vault"]).expect("a file");
    let recording = record(VERSIONS, &plugins).await;
    let inventory = Inventory::new(&record(VERSIONS - 1, &plugins).await, &recording, VERSIONS);

    // Before and after the run: a machine that others use is not as fast in one minute as in another.
    let before = floor(keys, &recording.of_each).await;
    let pair = Pair::new(keys, VERSIONS, false);
    let run = Run::measure(&pair, folder);
    drop(pair);
    let mut floor = floor(keys, &recording.of_each).await;
    for (part, took) in &mut floor {
        *took = took.mean(before[part]);
    }
    let pair = Pair::new(keys, VERSIONS, false);
    let shell = shell::copy(&pair, BY_SHELL.min(keys));
    drop(pair);
    let text = [run.against(&floor, &recording.of_each), run.told(keys, &floor, shell, BY_SHELL.min(keys)), inventory.to_string()];
    (run.rows(keys, &floor), text.join("\n"))
}

/// What the bare loop took for each part, from an empty target on.
async fn floor(keys: usize, requests: &[Request]) -> BTreeMap<Part, Took> {
    let pair = Pair::new(keys, VERSIONS, false);
    let mut floor = BTreeMap::new();
    for part in [Part::Plan, Part::PlanAgain, Part::Copy, Part::Retire] {
        floor.insert(part, bare::send(&pair, requests, part, PARALLEL).await);
    }
    floor
}

impl Run {
    fn measure(pair: &Pair, plugins: &Path) -> Self {
        // Compiles the plugin; nothing is asked for.
        pair.cutover(plugins, &["plan", "w.toml", "--var", "prefix=none/"]);
        let plan = pair.cutover(plugins, &["plan", "w.toml", "--out", "a.cutplan"]);
        let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
        let run = pair.cutover(plugins, &["run", "a.cutplan", "--yes"]);
        let times = times(pair);
        let [started, copied, ended] = times;
        Self { plan, run, again: started - begun, copy: copied - started, retire: ended - copied }
    }

    /// The ratio by the clock, and by the processors: there both sides are given what the servers took in our run, since they
    /// did the same and other programs disturb them more than anything else.
    fn rows(&self, keys: usize, floor: &BTreeMap<Part, Took>) -> Vec<Row> {
        let what = format!("{keys} KV v2 secrets of {VERSIONS} versions, plan and run, parallel 16");
        let sum = |part: fn(&Took) -> Duration| floor.values().map(part).sum::<Duration>().as_secs_f64();
        let (wall, bare_wall) = ((self.plan.wall + self.run.wall).as_secs_f64(), sum(|took| took.wall));
        let servers = (self.plan.servers + self.run.servers).as_secs_f64();
        let (own, bare_own) = ((self.plan.own + self.run.own).as_secs_f64(), sum(|took| took.own));
        let row = |what: String, ours: f64, theirs: f64| Row {
            what,
            measured: format!("{ours:.1} s"),
            against: format!("the same requests bare {theirs:.1} s"),
            result: ours / theirs,
            target: 1.0 / TARGET,
            unit: "x",
        };
        vec![
            row(what, wall, bare_wall),
            row(format!("the same in processor time, with {servers:.1} s of the servers"), own + servers, bare_own + servers),
        ]
    }

    /// A table of the parts.
    fn against(&self, floor: &BTreeMap<Part, Took>, requests: &[Request]) -> String {
        let mut text = "\n| Part | Requests per secret | cutover | bare loop | loop / cutover |\n|---|---|---|---|---|\n".to_owned();
        let mut line = |name: &str, part: Option<Part>, ours: Duration| {
            let of_part = |other: Part| part.is_none_or(|part| part == other);
            let count = requests.iter().filter(|request| of_part(request.part)).count();
            let theirs: f64 = floor.iter().filter(|(other, _)| of_part(**other)).map(|(_, took)| took.wall.as_secs_f64()).sum();
            let ours = ours.as_secs_f64();
            text += &format!("| {name} | {count} | {ours:.1} s | {theirs:.1} s | {:.2} |\n", theirs / ours);
        };
        line("plan", Some(Part::Plan), self.plan.wall);
        line("plan again under the locks", Some(Part::PlanAgain), self.again);
        line("copy", Some(Part::Copy), self.copy);
        line("retire", Some(Part::Retire), self.retire);
        line("all", None, self.plan.wall + self.run.wall);
        text
    }

    fn told(&self, keys: usize, floor: &BTreeMap<Part, Took>, shell: Took, by_shell: usize) -> String {
        let seconds = |took: Duration| took.as_secs_f64();
        let (own, servers) = (seconds(self.plan.own + self.run.own), seconds(self.plan.servers + self.run.servers));
        let bare_own: f64 = floor.values().map(|took| seconds(took.own)).sum();
        let bare_servers: f64 = floor.values().map(|took| seconds(took.servers)).sum();
        let per_minute = |count: usize, took: Duration| f64::from(u32::try_from(count).expect("a small number")) * 60.0 / seconds(took);
        format!(
            "Processor time: cutover {own:.1} s and its servers {servers:.1} s; bare loop {bare_own:.1} s and its servers {bare_servers:.1} s; \
             loop / cutover, servers included, {:.2}.\nMemory of cutover: at most {:.0} MiB.\n\
             Secrets per minute: {:.0} copied and verified, {:.0} from the first plan to the end of the old path; \
             a shell loop of `bao kv get | bao kv put`, latest version only, unverified: {:.0} ({by_shell} secrets, processor time {:.1} s \
             and the servers' {:.1} s).\n",
            (bare_own + bare_servers) / (own + servers),
            self.plan.peak.max(self.run.peak) / 1024.0,
            per_minute(keys, self.copy),
            per_minute(keys, self.plan.wall + self.run.wall),
            per_minute(by_shell, shell.wall),
            seconds(shell.own),
            seconds(shell.servers),
        )
    }
}

/// When the run began, when its last copy was verified, and when it ended.
fn times(pair: &Pair) -> [Duration; 3] {
    let runs = pair.folder.path().join(".cutover/runs");
    let run = fs::read_dir(runs).expect("a state folder").flatten().next().expect("a run").path();
    let journal = fs::read_to_string(run.join("journal.jsonl")).expect("a journal");
    let records: Vec<Value> = journal.lines().skip(1).map(|line| serde_json::from_str(line).expect("a record")).collect();
    let at = |record: &Value| Duration::from_millis(record["at"].as_u64().expect("a time"));
    // Changes are numbered in the order of the plan: copies come first.
    let is_checked_copy = |record: &&Value| {
        record["event"]["type"] == "checked" && record["event"]["change"].as_u64().is_some_and(|change| change < pair.keys.len() as u64)
    };
    let copied = records.iter().filter(is_checked_copy).next_back().expect("a copy was verified");
    [at(&records[0]), at(copied), at(&records[records.len() - 1])]
}
