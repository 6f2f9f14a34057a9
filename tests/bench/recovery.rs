//! Reading the journal of a hundred thousand changes: with the fold, and without.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::Duration,
};

use cutover_engine::{ChangeNo, CheckResult, Command, Digest, Event, Next, Outcome, Plan, Relation, Run, Timestamp, Verdict};
use cutover_runtime::{
    disk::SystemDisk,
    entropy::SystemEntropy,
    journal::{Journal, Record, read_only},
    key::Key,
};
use sha2::{Digest as _, Sha256};

use crate::{
    setting::{Setting, sandbox},
    table::{Row, median, ms},
};

const CHANGES: u32 = 100_000;
const ROUNDS: usize = 5;
const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// The ratio of recovery to a loop that reads, checks the chain and deserializes.
pub(crate) async fn measure(folder: &Path) -> Vec<Row> {
    let setting = Setting::new(0, sandbox(folder));
    let plan = Arc::new(setting.prepare(CHANGES).await.plan);
    let host = &setting.rig.host;
    let (run, _) = host.state.create_run(&host.new_id(), &host.state_key, &SystemEntropy).expect("a run's folder");
    let (journal, _, _) = run.begin(plan.digest, Key::from_bytes([2; 32]), Arc::new(SystemEntropy)).expect("a journal");
    write(&plan, &journal);
    journal.close().expect("a whole journal");

    let (mut folds, mut bares, mut ratios, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (bare, records) = bare(&run.journal());
        let fold = fold(&plan, &run.journal());
        count = records;
        ratios.push(fold.as_secs_f64() / bare.as_secs_f64());
        folds.push(fold);
        bares.push(bare);
    }
    vec![Row {
        what: format!("recovery of {CHANGES} changes, {count} records"),
        measured: ms(median(folds)),
        against: format!("bare loop {}", ms(median(bares))),
        result: median(ratios),
        target: 1.5,
        unit: "x",
    }]
}

/// The events of an undisturbed run, told by the run itself.
fn write(plan: &Arc<Plan>, journal: &Journal<Event>) {
    let mut run = Run::new(plan.clone());
    let record = |run: &mut Run, event: &Event| {
        run.apply(NOW, event).expect("it may follow");
        journal.append(NOW, event).expect("it is taken");
    };
    record(&mut run, &Event::Started { plan: plan.digest, deferred: Vec::new() });
    loop {
        match run.next(NOW) {
            Next::Do(command) => events(command).iter().for_each(|event| record(&mut run, event)),
            Next::Record(event) => record(&mut run, &event),
            Next::Ended(_) => return,
            next => panic!("nothing is outstanding, yet {next:?}"),
        }
    }
}

fn events(command: Command) -> Vec<Event> {
    let state = |change: ChangeNo| Some(Digest::of(&change.0.to_le_bytes()));
    match command {
        Command::Capture { change, .. } => {
            vec![Event::Captured { change, present: false, moved: false, state: None, expected: state(change) }]
        }
        Command::Apply { change, attempt, .. } => vec![
            Event::ApplyStarted { change, attempt },
            Event::WriteSent { change, write: 1, request: format!("PUT /items/{}", change.0) },
            Event::WriteAnswered { change, write: 1, status: 204 },
            Event::ApplyEnded { change, outcome: Outcome::Done },
        ],
        Command::Compare { change, .. } => vec![Event::Compared { change, relation: Relation::Expected, after: state(change) }],
        Command::Check { change, .. } => {
            let check = CheckResult { name: "reads-back".to_owned(), verdict: Verdict::Pass, detail: "it was read again".to_owned() };
            vec![Event::Checked { change, verdict: Verdict::Pass, checks: vec![check] }]
        }
        other => panic!("an undisturbed run does not ask for {other:?}"),
    }
}

/// How long this thread has been on a processor: both loops have one thread, and other programs are not measured.
fn computed() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

fn fold(plan: &Arc<Plan>, path: &Path) -> Duration {
    let begun = computed();
    let mut run = Run::new(plan.clone());
    let each = |record: Record<Event>| run.apply(record.at, &record.event).map_err(|error| error.to_string());
    read_only(&SystemDisk, path, None, each).expect("a whole journal");
    let time = computed() - begun;
    assert!(run.ending().is_some());
    time
}

fn bare(path: &Path) -> (Duration, u64) {
    const TAIL: usize = ",\"hash\":\"\"}".len() + 64;
    let begun = computed();
    let mut file = BufReader::with_capacity(1024 * 1024, File::open(path).expect("the journal"));
    let (mut line, mut before, mut records) = (Vec::new(), [0; 64], 0);
    while file.read_until(b'\n', &mut line).expect("it can be read") > 0 {
        line.pop();
        let body = line.len() - TAIL;
        // The first line follows nothing.
        let chained = if records == 0 { &[][..] } else { &before[..] };
        let digest = Sha256::new().chain_update(chained).chain_update(&line[..body]).finalize();
        hex::encode_to_slice(digest, &mut before).expect("32 bytes are 64 digits");
        assert_eq!(line[body + TAIL - 66..line.len() - 2], before);
        line.truncate(body);
        line.push(b'}');
        if records > 0 {
            std::hint::black_box(serde_json::from_slice::<Record<Event>>(&line).expect("a record"));
        }
        records += 1;
        line.clear();
    }
    (computed() - begun, records - 1)
}
