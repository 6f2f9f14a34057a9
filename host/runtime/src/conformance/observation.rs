//! The rules for operations that only look.

use super::{bench::Bench, finding::Findings, migration::fits, rule::Rule, trouble::Trouble};

/// Plays everything.
pub(super) async fn examine(bench: &Bench, findings: &mut Findings) {
    bench.restart();
    let before = bench.world();
    let observed = bench.observe().await;
    let Some(seen) = findings.of("observe", observed, Rule::FitsSchema) else { return };
    fits(bench, Some(&seen), "the observation", findings);
    if bench.world() == before {
        findings.kept(Rule::LooksOnly);
    } else {
        findings.broken(Rule::LooksOnly, "the world is not as it was before observe");
    }
    // What it says of a refusal is its own affair, as long as it fits and keeps secrets.
    for status in [403, 503] {
        bench.restart();
        bench.trouble(&Trouble::Refuses(status));
        if let Ok(seen) = bench.observe().await {
            fits(bench, Some(&seen), &format!("the observation of a server that answers {status}"), findings);
        }
    }
    bench.restart();
    let observed = bench.observe().await;
    if findings.of("observe, the second time", observed, Rule::EndsInTime).is_some() {
        findings.kept(Rule::EndsInTime);
    }
}
