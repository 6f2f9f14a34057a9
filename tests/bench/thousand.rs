//! A thousand one-write changes, durable, sixteen at once: against the sandbox calls and the bytes alone.

use std::{path::Path, time::Instant};

use crate::{
    floor,
    setting::{Setting, sandbox},
    table::{Row, median, ms},
};

const CHANGES: u32 = 1_000;
const ROUNDS: usize = 5;

/// The ratio of the run to its floor, in the same rounds; and the time beside the one we aim at.
pub(crate) async fn measure(folder: &Path) -> Vec<Row> {
    let sandbox = sandbox(folder);
    let plugin = sandbox.load(&cutover_tests::component("one-write").await).await.expect("the guest");
    let (mut runs, mut calls, mut syncs, mut ratios, mut count) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let setting = Setting::new(CHANGES, sandbox.clone());
        let prepared = setting.prepare(CHANGES).await;
        let bodies = floor::bodies(&prepared.text);
        let begun = Instant::now();
        let id = setting.run(prepared).await;
        let run = begun.elapsed();
        count = setting.place.take_requests();
        let call = floor::calls(&plugin, &setting.place, bodies).await;
        // The guest makes one request a call: both sides made the same calls.
        assert_eq!(setting.place.take_requests(), count);
        // No more writes can share a sync than are under way at once.
        let groups = CHANGES.div_ceil(u32::try_from(floor::PARALLEL).unwrap_or(1));
        let sync = floor::syncs(setting.rig.folder.path(), groups, ["sealed.log", "journal.jsonl"].map(|file| setting.size_of(&id, file)));
        ratios.push(run.as_secs_f64() / (call + sync).as_secs_f64());
        runs.push(run);
        calls.push(call);
        syncs.push(sync);
    }
    let run = median(runs);
    let against = format!("{count} sandbox calls {} + grouped syncs {}", ms(median(calls)), ms(median(syncs)));
    vec![
        Row {
            what: "1,000 one-write changes, durable, parallel 16".to_owned(),
            measured: ms(run),
            against,
            result: median(ratios),
            target: 2.0,
            unit: "x",
        },
        Row {
            what: "the same, as a time".to_owned(),
            measured: ms(run),
            against: "what we aim at".to_owned(),
            result: run.as_secs_f64(),
            target: 0.3,
            unit: "s",
        },
    ]
}
