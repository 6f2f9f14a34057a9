//! Every request that a secret takes, and what it is for.

use std::fmt;

use super::recording::{KEYS, Part, Recording, Request};

/// Requests of one sort.
struct Sort {
    part: Part,
    hook: &'static str,
    what: String,
    /// For a secret with one version less, and with all.
    counts: [usize; 2],
}

/// The sorts, in the order of a run.
pub(crate) struct Inventory {
    sorts: Vec<Sort>,
    versions: usize,
    /// Requests about no secret.
    others: usize,
}

impl Inventory {
    /// From what was recorded of secrets with one version less, and with all.
    pub(crate) fn new(fewer: &Recording, all: &Recording, versions: usize) -> Self {
        let mut sorts: Vec<Sort> = Vec::new();
        for (index, recording) in [fewer, all].into_iter().enumerate() {
            for request in &recording.of_each {
                let what = what(request);
                let known = sorts.iter().position(|sort| (sort.part, sort.hook, &sort.what) == (request.part, request.hook, &what));
                let at = known.unwrap_or_else(|| {
                    sorts.push(Sort { part: request.part, hook: request.hook, what, counts: [0; 2] });
                    sorts.len() - 1
                });
                sorts[at].counts[index] += 1;
            }
        }
        Self { sorts, versions, others: all.others }
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Part | Hook | Request | per secret | per version | What for |\n|---|---|---|---|---|---|")?;
        let mut sums = [0, 0];
        for Sort { part, hook, what, counts: [fewer, all] } in &self.sorts {
            let each = all - fewer;
            let fixed = all - each * self.versions;
            sums = [sums[0] + fixed, sums[1] + each];
            let part = match part {
                Part::Plan => "plan",
                Part::PlanAgain => "plan again",
                Part::Copy => "copy",
                Part::Retire => "retire",
            };
            writeln!(f, "| {part} | {hook} | {what} | {fixed} | {each} | {} |", reason(hook, what))?;
        }
        writeln!(f, "| all | | | {} | {} | |", sums[0], sums[1])?;
        writeln!(f, "Beside these {} requests about no secret in a run of {KEYS}: lists, mounts and their limits.", self.others)
    }
}

/// The sort of a request: the connection, the method, and metadata or data.
fn what(request: &Request) -> String {
    let path = request.target.split('?').next().unwrap_or_default();
    let infix = path.split('/').nth(3).unwrap_or_default();
    format!("`{}`: {} {infix}", request.connection, request.method)
}

fn reason(hook: &str, what: &str) -> &'static str {
    let (reads, of_source) = (what.contains("GET"), what.contains("`old"));
    match (hook, reads) {
        ("plan", _) if of_source => "what is to be moved: the bodies of the changes, losses, conflicts",
        ("plan", _) => "whether something is there already",
        ("plan again", _) => "whether anything moved since (drift): invariant 9",
        ("capture", _) if of_source && what.contains("retirer") => "the pre-image of the retirement, and the old path while it works",
        ("capture", _) if of_source => "what is to be reached (expected)",
        ("capture", _) => "the pre-image: invariant 1",
        ("apply", true) if of_source => "what to write, read by the writer itself; at the end, whether the source is still the same",
        ("apply", true) => "read before write, and read back what the server changes without a word",
        ("apply", false) if what.contains("metadata") => "nobody may write without looking meanwhile; then the source's settings",
        ("apply", false) => "the write itself, naming the version that it replaces",
        ("look after apply", _) => "the host's own look in a fresh instance: invariant 3",
        ("verify", _) => "the plugin's checks, with the auditor's credential at the target",
        ("look at the copy", _) => "a fresh look and verification of the copy before its source is retired: invariant 5",
        ("prove", _) => "each request that worked with the old credential must be refused: invariant 5",
        _ => "",
    }
}
