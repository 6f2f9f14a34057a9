//! Where boxes and lines of a graph go: layers from left to right, as of Sugiyama, Tagawa and Toda (1981).
//!
//! A step's layer is one more than the highest of those before it. An edge over several layers gets a waypoint in each
//! layer between, so that lines go around boxes. Within a layer the order is that of the mean of the neighbours.

use unicode_width::UnicodeWidthStr as _;

use super::{Edge, Graph, Node, Sort};

/// Width of a character of the drawing's type face, in tenths of a unit.
const CHARACTER: usize = 78;
/// Height of a line of text, in units.
const LINE: usize = 18;
/// Room above and below the text of a box together, in units.
const PADDING: usize = 10;
/// Room between two layers; lines run here.
const GAP_X: usize = 44;
/// Room between two boxes of a layer.
const GAP_Y: usize = 22;
/// Height of a waypoint.
const WAYPOINT: usize = 12;
/// Room around the drawing; above is the label of the dual run.
const MARGIN: usize = 34;
/// Longer lines of a box are cut, in characters.
const CHARACTERS: usize = 44;
/// Passes over the layers in both directions; more change little.
const SWEEPS: usize = 4;

/// A graph with places, in units from the upper left corner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    /// One a step.
    pub(super) boxes: Vec<Frame>,
    /// One an edge: from the right side of a box to the left side of another.
    pub(super) lines: Vec<Vec<(usize, usize)>>,
}

/// A box with its lines of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) text: Vec<String>,
}

/// Something that stands in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Step(usize),
    /// Where an edge passes.
    Waypoint(usize),
}

impl Frame {
    /// The smallest frame around both.
    pub(super) fn hull(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self { x, y, width: right - x, height: bottom - y, text: Vec::new() }
    }

    /// Whether they have a point in common.
    pub(super) fn touches(&self, other: &Self) -> bool {
        let apart = |start: usize, length: usize, other: usize, other_length: usize| start + length < other || other + other_length < start;
        !apart(self.x, self.width, other.x, other.width) && !apart(self.y, self.height, other.y, other.height)
    }
}

/// Room left and right of the text of a box, in units; the round ends of a gate need more.
pub(super) const fn inset(sort: Sort) -> usize {
    if matches!(sort, Sort::Gate) { 20 } else { 10 }
}

/// The layer of each step. A step of a circle, which no checked workflow has, counts as if its edges were not there.
pub(super) fn layers(steps: usize, edges: &[Edge]) -> Vec<usize> {
    let mut layers = vec![0; steps];
    // Without circles the longest way has fewer edges than there are steps.
    for _ in 0..steps {
        for edge in edges {
            layers[edge.to] = layers[edge.to].max(layers[edge.from] + 1).min(steps.saturating_sub(1));
        }
    }
    layers
}

impl Layout {
    pub(super) fn of(graph: &Graph) -> Self {
        let edges = shown(graph);
        let layer = layers(graph.steps.len(), &graph.edges);
        let mut frames: Vec<Frame> = graph.steps.iter().map(frame).collect();
        let mut columns = columns(&layer, &edges);
        for sweep in 0..SWEEPS {
            arrange(&mut columns, &edges, sweep % 2 == 0);
        }
        let tops = tops(&columns, &frames);
        let mut x = MARGIN;
        let mut passes: Vec<Vec<(usize, usize)>> = vec![Vec::new(); edges.len()];
        for (column, tops) in columns.iter().zip(&tops) {
            let width = column.iter().map(|item| item.width(&frames)).max().unwrap_or_default();
            for (item, top) in column.iter().zip(tops) {
                match *item {
                    Item::Step(step) => (frames[step].x, frames[step].y, frames[step].width) = (x, *top, width),
                    // A line goes straight through the whole column.
                    Item::Waypoint(edge) => passes[edge].extend([(x, top + WAYPOINT / 2), (x + width, top + WAYPOINT / 2)]),
                }
            }
            x += width + GAP_X;
        }
        let line = |(edge, passes): (&Edge, Vec<(usize, usize)>)| {
            let (from, to) = (&frames[edge.from], &frames[edge.to]);
            let (start, end) = ((from.x + from.width, from.y + from.height / 2), (to.x, to.y + to.height / 2));
            std::iter::once(start).chain(passes).chain([end]).collect()
        };
        let lines = edges.iter().zip(passes).map(line).collect();
        let height = frames.iter().map(|frame| frame.y + frame.height).max().unwrap_or_default();
        Self { width: x - GAP_X.min(x) + MARGIN, height: height + MARGIN, boxes: frames, lines }
    }
}

/// The edges of the drawing: those of order that follow from others are left out.
pub(super) fn shown(graph: &Graph) -> Vec<Edge> {
    let reaches = |from: usize, to: usize, without: &Edge| {
        let mut open = vec![from];
        let mut seen = vec![false; graph.steps.len()];
        while let Some(step) = open.pop() {
            for edge in graph.edges.iter().filter(|edge| edge.from == step && *edge != without) {
                if edge.to == to {
                    return true;
                }
                if !std::mem::replace(&mut seen[edge.to], true) {
                    open.push(edge.to);
                }
            }
        }
        false
    };
    let follows = |edge: &Edge| edge.why == super::Why::Order && reaches(edge.from, edge.to, edge);
    graph.edges.iter().filter(|edge| !follows(edge)).copied().collect()
}

fn frame(node: &Node) -> Frame {
    let cut = |text: &str| match text.chars().count() {
        0..=CHARACTERS => text.to_owned(),
        _ => text.chars().take(CHARACTERS - 1).chain(['…']).collect(),
    };
    let lines = [format!("{} {}", node.symbol(), node.id), node.what.clone(), node.remarks()];
    let text: Vec<String> = lines.iter().filter(|line| !line.is_empty()).map(|line| cut(line)).collect();
    let characters = text.iter().map(|line| line.width()).max().unwrap_or_default();
    Frame { width: characters * CHARACTER / 10 + 2 * inset(node.sort), height: text.len() * LINE + PADDING, text, ..Frame::default() }
}

fn columns(layer: &[usize], edges: &[Edge]) -> Vec<Vec<Item>> {
    let mut columns: Vec<Vec<Item>> = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    for (step, layer) in layer.iter().enumerate() {
        columns[*layer].push(Item::Step(step));
    }
    for (number, edge) in edges.iter().enumerate() {
        for column in columns.iter_mut().take(layer[edge.to]).skip(layer[edge.from] + 1) {
            column.push(Item::Waypoint(number));
        }
    }
    columns
}

/// Orders each column by the mean place of its items' neighbours in the column before (or after, going back).
fn arrange(columns: &mut [Vec<Item>], edges: &[Edge], forward: bool) {
    let count = columns.len();
    for index in 1..count {
        let (here, there) = if forward { (index, index - 1) } else { (count - 1 - index, count - index) };
        let neighbours = columns[there].clone();
        let mean = |item: &Item, own: usize| {
            let places: Vec<usize> =
                neighbours.iter().enumerate().filter(|(_, other)| touches(edges, *item, **other)).map(|(place, _)| place).collect();
            // Thousandths, so that equal means compare equal.
            if places.is_empty() { own * 1_000 } else { places.iter().sum::<usize>() * 1_000 / places.len() }
        };
        let mut items: Vec<(usize, Item)> = columns[here].iter().enumerate().map(|(own, item)| (mean(item, own), *item)).collect();
        items.sort_by_key(|(mean, _)| *mean);
        columns[here] = items.into_iter().map(|(_, item)| item).collect();
    }
}

/// Whether a line leads from one of two items of neighbouring columns to the other.
fn touches(edges: &[Edge], one: Item, other: Item) -> bool {
    let ends = |edge: usize, step: usize| edges[edge].from == step || edges[edge].to == step;
    match (one, other) {
        (Item::Waypoint(one), Item::Waypoint(other)) => one == other,
        (Item::Waypoint(edge), Item::Step(step)) | (Item::Step(step), Item::Waypoint(edge)) => ends(edge, step),
        (Item::Step(one), Item::Step(other)) => (0..edges.len()).any(|edge| ends(edge, one) && ends(edge, other)),
    }
}

impl Item {
    fn width(self, frames: &[Frame]) -> usize {
        match self {
            Self::Step(step) => frames[step].width,
            Self::Waypoint(_) => 0,
        }
    }

    fn height(self, frames: &[Frame]) -> usize {
        match self {
            Self::Step(step) => frames[step].height,
            Self::Waypoint(_) => WAYPOINT,
        }
    }
}

/// The upper edge of each item; every column is centred.
fn tops(columns: &[Vec<Item>], frames: &[Frame]) -> Vec<Vec<usize>> {
    let high = |column: &Vec<Item>| column.iter().map(|item| item.height(frames)).sum::<usize>() + GAP_Y * column.len().saturating_sub(1);
    let highest = columns.iter().map(high).max().unwrap_or_default();
    let top = |column: &Vec<Item>| {
        let mut y = MARGIN + (highest - high(column)) / 2;
        let place = |item: &Item| {
            let top = y;
            y += item.height(frames) + GAP_Y;
            top
        };
        column.iter().map(place).collect()
    };
    columns.iter().map(top).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::graph::Why;

    fn graph(steps: usize, edges: &[(usize, usize)]) -> Graph {
        let node = |step| Node { id: format!("s{step}"), sort: Sort::Change, what: "op".into(), notes: vec![], irreversible: false };
        let edges = edges.iter().map(|&(from, to)| Edge { from, to, why: Why::Links }).collect();
        Graph { workflow: "w".into(), steps: (0..steps).map(node).collect(), edges, dual_run: None }
    }

    #[test]
    fn boxes_do_not_touch_and_lines_go_to_the_right() {
        let graph = graph(7, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3), (3, 4), (0, 6), (4, 6), (5, 6)]);
        let layout = Layout::of(&graph);
        for (index, one) in layout.boxes.iter().enumerate() {
            assert!(one.x + one.width <= layout.width && one.y + one.height <= layout.height, "{one:?}");
            for other in &layout.boxes[index + 1..] {
                assert!(!one.touches(other), "{one:?} {other:?}");
            }
        }
        for line in &layout.lines {
            assert!(line.len() >= 2 && line.is_sorted_by_key(|point| point.0), "{line:?}");
            // Between two columns lines may cross; inside a column they pass beside the boxes.
            for pass in line[1..line.len() - 1].chunks(2) {
                let hits = |frame: &Frame| frame.x == pass[0].0 && pass[0].1 >= frame.y && pass[0].1 <= frame.y + frame.height;
                assert!(!layout.boxes.iter().any(hits), "{pass:?}");
            }
        }
    }

    #[test]
    fn a_circle_or_nothing_at_all_ends_nevertheless() {
        assert_eq!(layers(2, &graph(2, &[(0, 1), (1, 0)]).edges).len(), 2);
        assert_eq!(Layout::of(&graph(0, &[])).boxes, []);
    }

    #[test]
    fn an_order_that_follows_from_others_is_not_drawn() {
        let mut chain = graph(3, &[(0, 1), (1, 2), (0, 2)]);
        assert_eq!(shown(&chain).len(), 3);
        chain.edges[2].why = Why::Order;
        assert_eq!(shown(&chain).len(), 2);
    }
}
