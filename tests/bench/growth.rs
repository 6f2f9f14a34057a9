//! From a thousand changes to a hundred thousand: time and memory of each, in a process of its own per size.

use std::{
    fs,
    path::Path,
    process::{Command, id},
    time::{Duration, Instant},
};

use crate::{
    process::{computed, status},
    setting::{Setting, sandbox},
    table::{Row, median},
};

/// What the others are held against.
const SMALL: u32 = 1_000;
const SIZES: [u32; 2] = [10_000, 100_000];
/// The small one is measured so often before and after each other: the machine's speed changes within minutes.
const AROUND: usize = 3;
/// A size that would take longer is left out.
const LONGEST: Duration = Duration::from_mins(10);

/// What one size took.
struct Size {
    changes: u32,
    plan: Duration,
    run: Duration,
    /// What both took of the processors: other programs are not measured.
    computed: Duration,
    /// Peak of resident memory over that of a host that has run [`SMALL`] changes before, in bytes.
    peak: f64,
}

/// Time per change of each size against that of the small one around it, and the memory of each change.
pub(crate) fn measure(folder: &Path) -> Vec<Row> {
    let small = || (0..AROUND).map(|_| Size::in_process(SMALL, folder)).collect::<Vec<_>>();
    let mut around = small();
    let (mut rows, mut memory) = (Vec::new(), Vec::new());
    for changes in SIZES {
        let expected = around.last().map_or(Duration::ZERO, |size| (size.plan + size.run) * (changes / SMALL));
        if expected > LONGEST {
            eprintln!("{changes} changes would take some {} s on this machine: left out", expected.as_secs());
            break;
        }
        let size = Size::in_process(changes, folder);
        let after = small();
        let one = median(around.iter().chain(&after).map(Size::per_change).collect());
        rows.push(Row {
            what: format!("{changes} changes, plan and run, processor time of each"),
            measured: format!(
                "{:.0} us (plan {:.2} s, run {:.2} s)",
                size.per_change() * 1e6,
                size.plan.as_secs_f64(),
                size.run.as_secs_f64()
            ),
            against: format!("{:.0} us of {SMALL}, {} times around it", one * 1e6, 2 * AROUND),
            result: size.per_change() / one,
            target: 1.2,
            unit: "x",
        });
        memory.push(Row {
            what: format!("{changes} changes, memory of each"),
            measured: format!("peak {:.1} MiB over the host's own", size.peak / 1024.0 / 1024.0),
            against: "1 KiB".to_owned(),
            result: size.peak / 1024.0 / f64::from(changes),
            target: 1.0,
            unit: "KiB",
        });
        around = after;
    }
    rows.append(&mut memory);
    rows
}

impl Size {
    fn in_process(changes: u32, folder: &Path) -> Self {
        let itself = std::env::current_exe().expect("this program");
        let output = Command::new(itself).args(["one-size", &changes.to_string()]).arg(folder).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("a number"));
        let mut next = || numbers.next().expect("four numbers");
        let mut time = || Duration::from_secs_f64(next());
        let (plan, run, computed) = (time(), time(), time());
        Self { changes, plan, run, computed, peak: next() * 1024.0 }
    }

    fn per_change(&self) -> f64 {
        self.computed.as_secs_f64() / f64::from(self.changes)
    }
}

/// The child's side: prints seconds of planning, of running and of processors, and KiB of memory.
pub(crate) async fn one_size(changes: u32, folder: &Path) {
    let sandbox = sandbox(folder);
    // Some changes first: what the host needs anyway is not counted.
    let some = Setting::new(SMALL, sandbox.clone());
    some.run(some.prepare(SMALL).await).await;
    drop(some);
    let setting = Setting::new(changes, sandbox);
    fs::write("/proc/self/clear_refs", "5").expect("the peak is set back");
    let before = memory("VmRSS:");
    let (begun, computed_before) = (Instant::now(), computed(id()));
    let prepared = setting.prepare(changes).await;
    let planned = begun.elapsed();
    setting.run(prepared).await;
    let run = begun.elapsed() - planned;
    let computed = computed(id()) - computed_before;
    println!("{} {} {} {}", planned.as_secs_f64(), run.as_secs_f64(), computed.as_secs_f64(), memory("VmHWM:") - before);
}

fn memory(name: &str) -> f64 {
    status(id(), name).expect("Linux")
}
