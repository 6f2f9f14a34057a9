//! What processes took: time on the processors, and memory.

use std::{fs, process::Child, time::Duration};

/// How long all threads of a process, also those that are gone, and the children that it waited for have been on a
/// processor, in steps of 10 ms.
pub(crate) fn computed(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("Linux, and the process");
    let ticks = fields(&text).skip(11).take(4).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// A line of the status of a process, in KiB; nothing for one that has ended.
pub(crate) fn status(id: u32, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse().expect("a number"))
}

/// Waits for a child; what it took of the processors, and the peak of its memory in KiB.
pub(crate) fn watch(child: &Child) -> (Duration, f64) {
    let mut peak = 0.0_f64;
    loop {
        peak = peak.max(status(child.id(), "VmHWM:").unwrap_or(0.0));
        let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("nobody waited for it yet");
        // One that has ended keeps its times until somebody waits for it.
        if fields(&text).next() == Some("Z") {
            return (computed(child.id()), peak);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The fields of proc_pid_stat(5) from the third on, behind the program's name, which may hold anything. The times (14
/// to 17) are in ticks of 1/100 s.
fn fields(text: &str) -> impl Iterator<Item = &str> {
    text.rsplit_once(')').expect("a name in parentheses").1.split_whitespace()
}
