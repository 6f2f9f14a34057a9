//! Which change comes after which: chains on shared objects, links, and inputs that name a step.

use std::collections::HashMap;

use crate::{
    change::ChangeNo,
    plan::{Plan, StepNo},
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
    /// For each step those whose input names it.
    pub(super) read_by: Vec<Vec<StepNo>>,
}

impl Chains {
    pub(super) fn new(plan: &Plan) -> Self {
        let count = plan.changes.len();
        let mut chains = Self {
            before: vec![Vec::new(); count],
            after: vec![Vec::new(); count],
            linked_by: vec![Vec::new(); count],
            read_by: vec![Vec::new(); plan.header.steps.len()],
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
        for (number, step) in (0u32..).map(StepNo).zip(&plan.header.steps) {
            for read in &step.reads {
                chains.read_by[read.index()].push(number);
            }
        }
        chains
    }
}
