//! How long a run may need a step's credential.

use std::collections::BTreeSet;

use cutover_engine::{Per, PlannedDualRun, PlannedOperation, PlannedStep, Span, StepNo, Work};

/// Whatever the plan, so much life should be left for looks, retries and a way back.
const WORK: Span = Span::seconds(600);
/// The work of one change, in milliseconds: three times of what it takes between two servers that share two cores.
const CHANGE: u64 = 100;

/// How long a run may need the credentials of the step of this number, from its start: until the last step that needs them is
/// done. What can be taken back is needed to the end of the run, and what a later step is about is looked at again before that
/// one writes. Waits until a certain time do not count.
pub(super) fn needed(steps: &[PlannedStep], dual_run: Option<&PlannedDualRun>, number: usize) -> Span {
    let last = last_use(steps, number);
    let has_soak = |dual: &&PlannedDualRun| dual.until.iter().any(|step| step.index() <= last);
    let soak = dual_run.filter(has_soak).map_or(0, |dual| dual.min.0);
    let work = steps.iter().take(last + 1).map(|step| match &step.work {
        Work::Wait { span, .. } => span.map_or(0, |span| span.0),
        Work::Operation(operation) => length(operation),
    });
    Span(work.fold(0, u64::saturating_add).saturating_add(soak).saturating_add(WORK.0))
}

fn last_use(steps: &[PlannedStep], number: usize) -> usize {
    let can_go_back = steps[number].operation().is_some_and(|operation| !operation.irreversible && !operation.changes.is_empty());
    if can_go_back {
        return steps.len() - 1;
    }
    let mut behind = BTreeSet::from([number]);
    for (other, step) in steps.iter().enumerate().skip(number + 1) {
        if step.linked.iter().map(|linked: &StepNo| linked.index()).any(|linked| behind.contains(&linked)) {
            behind.insert(other);
        }
    }
    behind.last().copied().unwrap_or(number)
}

/// Of changes and of the probes on them; those of single changes run side by side.
fn length(operation: &PlannedOperation) -> u64 {
    let changes = u64::from(operation.changes.end.saturating_sub(operation.changes.start));
    let probes = operation.probes.iter().map(|probe| {
        let series = match probe.per {
            Per::Change => changes.div_ceil(u64::from(operation.parallel.max(1))),
            Per::Cohort => operation.cohorts.len().max(1) as u64,
            Per::Step => 1,
        };
        probe.span.0.saturating_mul(series)
    });
    probes.fold(0, u64::saturating_add).saturating_add(changes.saturating_mul(CHANGE))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn step(id: &str, linked: &[u32], work: &Value) -> PlannedStep {
        let step = json!({"id": id, "place": [1, 1], "needs": [], "reads": [], "linked": linked, "work": work});
        serde_json::from_value(step).expect("a step")
    }

    fn operation(changes: u32, irreversible: bool) -> Value {
        json!({"operation": {
            "plugin": "p", "operation": "o", "purpose": "migrate", "input": {}, "connections": {}, "verify_with": {}, "public": {},
            "plaintext": [], "accept": [], "cohorts": [], "parallel": 16, "max_failed": 0, "timeout": 1, "deadline": 1, "attempts": 1,
            "backoff": 1, "irreversible": irreversible, "resumable": true, "collapses": false, "self_checking": false,
            "server_chosen": [], "residue": {}, "probes": [], "skipped": false, "output": null, "changes": {"start": 0, "end": changes},
        }})
    }

    fn seconds(steps: &[PlannedStep], number: usize) -> u64 {
        let soak =
            PlannedDualRun { from: vec![StepNo(0)], until: vec![StepNo(2)], min: Span::seconds(86_400), max: Span::seconds(200_000) };
        needed(steps, Some(&soak), number).0 / 1_000
    }

    #[test]
    fn what_can_go_back_is_needed_to_the_end_with_waits_soak_and_the_work_of_all_changes() {
        let wait = json!({"wait": {"span": 60_000, "until": null}});
        let steps = [
            step("copy", &[], &operation(20_000, false)),
            step("wait", &[], &wait),
            step("retire", &[0], &operation(20_000, false)),
            step("last", &[], &operation(0, false)),
        ];
        for number in [0, 2] {
            assert_eq!(seconds(&steps, number), 600 + 2_000 + 60 + 86_400 + 2_000, "{number}");
        }
    }

    #[test]
    fn what_cannot_go_back_is_needed_until_the_last_step_that_is_about_it() {
        let steps = [
            step("first", &[], &operation(10, true)),
            step("copy", &[], &operation(10, true)),
            step("retire", &[1], &operation(10, true)),
            step("destroy", &[2], &operation(10, true)),
            step("other", &[], &operation(10, true)),
        ];
        assert_eq!(seconds(&steps, 0), 601, "nothing is about it");
        assert_eq!(seconds(&steps, 1), 604 + 86_400, "also what is about a step that is about it");
        assert_eq!(seconds(&steps, 4), 605 + 86_400);
    }
}
