//! The steps of a workflow and what waits for what, to be drawn.

mod language;
mod layout;
mod svg;

use std::{collections::BTreeMap, fmt::Write as _};

use cutover_engine::{Body, Catalog, Purpose, Span, Step, Task, Wait, Workflow};
use serde::Serialize;

use super::{palette, printable, table::Table};
use crate::exit_code::ExitCode;

/// A workflow as a graph without circles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The workflow's name.
    pub workflow: String,
    /// The steps, in file order.
    pub steps: Vec<Node>,
    /// What comes after what.
    pub edges: Vec<Edge>,
    /// The span in which old and new both work.
    pub dual_run: Option<Band>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// What sort of step it is.
    pub sort: Sort,
    /// In words: operation and connections, or what a gate waits for.
    pub what: String,
    /// More in a few words, such as `each of inputs.hosts` or `3 cohorts`.
    pub notes: Vec<String>,
    /// Whether nothing of it can be taken back.
    pub irreversible: bool,
}

/// What sort of step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// Makes or changes something.
    Change,
    /// Ends an old path.
    Retire,
    /// Waits.
    Gate,
}

/// One step that comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The index of the earlier step.
    pub from: usize,
    /// The index of the later step.
    pub to: usize,
    /// Why.
    pub why: Why,
}

/// Why a step comes after another. The strongest reason counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// By `needs` or the order of the file.
    Order,
    /// It uses the other's output.
    Reads,
    /// Its changes are about the other's changes.
    Links,
}

/// The dual run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// `5s to 72h`.
    pub span: String,
    /// The indices of the steps in it.
    pub steps: Vec<usize>,
}

impl Graph {
    /// The graph of a workflow without circles. `catalog` tells what a plugin's manifest says of its operations.
    #[must_use]
    pub fn of(workflow: &Workflow, catalog: &Catalog) -> Self {
        let mut whys: BTreeMap<(usize, usize), Why> = BTreeMap::new();
        for (to, step) in workflow.steps.iter().enumerate() {
            let linked = step.task().and_then(|task| workflow.position(&task.changes.as_ref()?.value));
            let read = step.reads().into_iter().filter_map(|id| workflow.position(&id)).map(|from| (from, Why::Reads));
            let order = step.after.iter().map(|from| (*from, Why::Order));
            for (from, why) in order.chain(read).chain(linked.map(|from| (from, Why::Links))) {
                let known = whys.entry((from, to)).or_insert(why);
                *known = why.max(*known);
            }
        }
        Self {
            workflow: workflow.name.value.to_string(),
            steps: workflow.steps.iter().map(|step| Node::of(step, catalog)).collect(),
            edges: whys.into_iter().map(|((from, to), why)| Edge { from, to, why }).collect(),
            dual_run: band(workflow),
        }
    }

    /// For people: one line a step, each after those that it waits for. With ANSI styles.
    #[must_use]
    pub fn text(&self) -> String {
        let strong = palette::STRONG;
        let mut table = Table::new(&[]).indented(2);
        for step in self.in_order() {
            let node = &self.steps[step];
            let band = if self.is_dual(step) { "|" } else { "" };
            table.row([band, node.symbol(), &node.id, &node.what, &self.reasons(step), &node.remarks()]);
        }
        let mut out = format!("{strong}{}{strong:#}\n{}", printable::line(&self.workflow), table.text());
        if let Some(band) = &self.dual_run {
            let _ = writeln!(out, "{strong}|{strong:#} dual run, {}: old and new both work", band.span);
        }
        out
    }

    /// For Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        language::dot(self)
    }

    /// For Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> String {
        language::mermaid(self)
    }

    /// A drawing.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::text(self, &layout::Layout::of(self))
    }

    /// For programs: the graph itself, with `exit`.
    #[must_use]
    pub fn document(&self, exit: ExitCode) -> impl Serialize + '_ {
        Document { graph: self, exit }
    }

    /// The steps by layer, and within a layer as in the file.
    fn in_order(&self) -> Vec<usize> {
        let layers = layout::layers(self.steps.len(), &self.edges);
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        order.sort_by_key(|step| (layers[*step], *step));
        order
    }

    fn is_dual(&self, step: usize) -> bool {
        self.dual_run.as_ref().is_some_and(|band| band.steps.contains(&step))
    }

    /// `after copy, retires what switch did`.
    fn reasons(&self, step: usize) -> String {
        let of = |why: Why| {
            let edges = self.edges.iter().filter(move |edge| edge.to == step && edge.why == why);
            edges.map(|edge| self.steps[edge.from].id.as_str()).collect::<Vec<_>>().join(", ")
        };
        let parts = [("after", of(Why::Order)), ("uses", of(Why::Reads)), ("about", of(Why::Links))];
        let parts: Vec<String> = parts.iter().filter(|(_, ids)| !ids.is_empty()).map(|(word, ids)| format!("{word} {ids}")).collect();
        parts.join(", ")
    }
}

#[derive(Serialize)]
struct Document<'a> {
    graph: &'a Graph,
    exit: ExitCode,
}

impl Node {
    fn of(step: &Step, catalog: &Catalog) -> Self {
        let id = step.id.value.to_string();
        match &step.body {
            Body::Wait(wait) => {
                let what = match wait {
                    Wait::For(length) => format!("wait {}", length.value),
                    Wait::Until(time) => format!("wait until {time}"),
                };
                Self { id, sort: Sort::Gate, what, notes: Vec::new(), irreversible: false }
            }
            Body::Task(task) => Self::of_task(id, task, catalog),
        }
    }

    fn of_task(id: String, task: &Task, catalog: &Catalog) -> Self {
        let uses = &task.uses.value;
        let operation = catalog.plugins.get(&uses.plugin).and_then(|offer| offer.manifest.operation(&uses.operation));
        let retires = task.changes.is_some() || operation.is_some_and(|operation| operation.purpose == Purpose::Retire);
        let connections: Vec<&str> = task.connections.values().map(|binding| binding.connection.value.as_str()).collect();
        let many = |number: usize, noun: &str| match number {
            0 => None,
            1 => Some(format!("1 {noun}")),
            _ => Some(format!("{number} {noun}s")),
        };
        let cohorts = Some(task.rollout.cohorts.len()).filter(|count| *count > 1).and_then(|count| many(count, "cohort"));
        let fan = task.for_each.as_ref().map(|_| "for each".to_owned());
        let notes = [fan, task.when.as_ref().map(|_| "when".to_owned()), cohorts, many(task.probes.len(), "check")];
        Self {
            id,
            sort: if retires { Sort::Retire } else { Sort::Change },
            what: format!("{} {}", uses.operation, connections.join(" -> ")).trim_end().to_owned(),
            notes: notes.into_iter().flatten().collect(),
            irreversible: task.irreversible || operation.is_some_and(|operation| operation.irreversible),
        }
    }

    fn symbol(&self) -> &'static str {
        match self.sort {
            _ if self.irreversible => "!",
            Sort::Change => "+",
            Sort::Retire => "-",
            Sort::Gate => "gate",
        }
    }

    fn remarks(&self) -> String {
        let irreversible = self.irreversible.then(|| "IRREVERSIBLE".to_owned());
        irreversible.into_iter().chain(self.notes.iter().cloned()).collect::<Vec<_>>().join(", ")
    }
}

/// The steps between the two of `[dual_run]`, both included.
fn band(workflow: &Workflow) -> Option<Band> {
    let dual = workflow.dual_run.as_ref()?;
    let (from, until) = (workflow.position(&dual.from.value)?, workflow.position(&dual.until.value)?);
    let before_end = workflow.ancestors(until);
    let inside =
        |step: &usize| (*step == from || workflow.ancestors(*step).contains(&from)) && (*step == until || before_end.contains(step));
    let (min, max) = (&dual.min.value, &dual.max.value);
    let span = if min.literal() == Some(Span(0)) { format!("at most {max}") } else { format!("{min} to {max}") };
    Some(Band { span, steps: (0..workflow.steps.len()).filter(inside).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = r#"cutover = 1
name = "payments"
[plugins]
vault = { package = "cutover:vault-migrator", version = "0.1" }
[connections]
legacy = { kind = "file", path = "legacy" }
store = { kind = "file", path = "store" }
[dual_run]
from = "copy"
until = "retire"
min = "1h"
max = "72h"
[[step]]
id = "copy"
uses = "vault.copy-files"
connections = { source = "legacy", target = "store" }
rollout = { cohorts = ["1", "100%"] }
[[step]]
id = "other"
needs = []
uses = "vault.copy-files"
connections = { source = "legacy", target = "store" }
[[step]]
id = "soak"
needs = ["copy", "other"]
gate = "wait"
for = "24h"
[[step]]
id = "retire"
uses = "vault.retire-files"
changes = "steps.copy"
connections = { source = "legacy" }
[[step]]
id = "destroy"
uses = "vault.destroy-files"
changes = "steps.copy"
connections = { source = "legacy" }
irreversible = true
"#;

    pub(super) fn example() -> Graph {
        let (workflow, problems) = Workflow::parse(WORKFLOW);
        assert!(problems.iter().all(|problem| !problem.is_error()), "{problems:?}");
        Graph::of(&workflow.expect("a workflow"), &Catalog::default())
    }

    #[test]
    fn text_is_in_the_order_of_layers() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&example().text()), @r"
        payments
          |  +     copy     copy-files legacy -> store                            2 cohorts
             +     other    copy-files legacy -> store
          |  gate  soak     wait 24h                    after copy, other
          |  -     retire   retire-files legacy         after soak, about copy
             !     destroy  destroy-files legacy        after retire, about copy  IRREVERSIBLE
        | dual run, 1h to 72h: old and new both work
        ");
    }

    #[test]
    fn the_strongest_reason_for_an_order_counts() {
        let whys: Vec<(usize, usize, Why)> = example().edges.iter().map(|edge| (edge.from, edge.to, edge.why)).collect();
        assert_eq!(
            whys,
            [(0, 2, Why::Order), (0, 3, Why::Links), (0, 4, Why::Links), (1, 2, Why::Order), (2, 3, Why::Order), (3, 4, Why::Order)]
        );
        assert_eq!(example().dual_run.map(|band| band.steps), Some(vec![0, 2, 3]));
    }
}
