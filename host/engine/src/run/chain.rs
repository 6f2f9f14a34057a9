//! Which change comes after which: chains on shared objects, links, and inputs that name a step.

use std::collections::{BTreeSet, HashMap};

use crate::{
    change::ChangeNo,
    plan::{Plan, PlannedStep, StepNo},
};

/// The relations between the changes of a plan, made once.
#[derive(Debug)]
pub(super) struct Chains {
    /// For each change the nearest earlier change on each of its objects.
    pub(super) before: Vec<Vec<ChangeNo>>,
    /// The reverse.
    pub(super) after: Vec<Vec<ChangeNo>>,
    /// For each change those that link it.
    pub(super) linked_by: Vec<Vec<ChangeNo>>,
    /// For each step those whose input names it, directly or by way of what they need, change by change or as a whole.
    pub(super) read_by: Vec<Vec<StepNo>>,
    /// The reverse.
    pub(super) reads: Vec<Vec<StepNo>>,
}

impl Chains {
    pub(super) fn new(plan: &Plan) -> Self {
        let count = plan.changes.len();
        let mut chains = Self {
            before: vec![Vec::new(); count],
            after: vec![Vec::new(); count],
            linked_by: vec![Vec::new(); count],
            read_by: vec![Vec::new(); plan.header.steps.len()],
            reads: (0u32..).map(StepNo).take(plan.header.steps.len()).map(|step| read_by_way(plan, step)).collect(),
        };
        let mut latest: HashMap<u32, ChangeNo> = HashMap::new();
        for (change, (planned, objects)) in (0u32..).map(ChangeNo).zip(plan.changes.iter().zip(&plan.objects)) {
            for object in objects {
                if let Some(earlier) = latest.insert(*object, change)
                    && !chains.before[change.index()].contains(&earlier)
                {
                    chains.before[change.index()].push(earlier);
                    chains.after[earlier.index()].push(change);
                }
            }
            for link in &planned.links {
                chains.linked_by[link.index()].push(change);
            }
        }
        for (number, reads) in (0u32..).map(StepNo).zip(&chains.reads) {
            for read in reads {
                chains.read_by[read.index()].push(number);
            }
        }
        chains
    }
}

/// All steps that this one depends on as a whole: at the end of a way of inputs that name a step, and of links.
fn read_by_way(plan: &Plan, step: StepNo) -> Vec<StepNo> {
    let mut seen = BTreeSet::from([(step, false)]);
    let mut open = vec![(step, false)];
    while let Some((step, read)) = open.pop() {
        let PlannedStep { reads, linked, .. } = plan.step(step);
        for next in reads.iter().map(|step| (*step, true)).chain(linked.iter().map(|step| (*step, read))) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    let steps: BTreeSet<StepNo> = seen.into_iter().filter_map(|(step, read)| read.then_some(step)).collect();
    steps.into_iter().collect()
}
