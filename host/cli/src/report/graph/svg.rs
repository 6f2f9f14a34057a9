//! A graph as a drawing: SVG 1.1 with presentation attributes only, so that it holds under any content policy.

use std::fmt::Write as _;

use super::{
    Graph, Sort, Why,
    layout::{Frame, Layout, inset, shown},
};
use crate::report::printable;

const INK: &str = "#1f2328";
const PAPER: &str = "#ffffff";

/// The drawing. Shape and words say what colours say.
pub(super) fn text(graph: &Graph, layout: &Layout) -> String {
    let (width, height) = (layout.width, layout.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"13\">\n"
    );
    let _ = writeln!(out, "<title>{}</title>", escape(&graph.workflow));
    let _ = writeln!(out, "<desc>{}</desc>", escape(&description(graph)));
    let _ = writeln!(
        out,
        "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0 0L8 4L0 8z\" fill=\"{INK}\"/></marker></defs>"
    );
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{PAPER}\"/>");
    band(&mut out, graph, layout);
    for (edge, points) in shown(graph).iter().zip(&layout.lines) {
        line(&mut out, edge.why, points);
    }
    for step in 0..graph.steps.len() {
        frame(&mut out, graph, layout, step);
    }
    out.push_str("</svg>\n");
    out
}

/// For those who hear the drawing.
fn description(graph: &Graph) -> String {
    let steps = graph.in_order().into_iter().map(|step| {
        let node = &graph.steps[step];
        let parts = [node.id.clone(), node.what.clone(), graph.reasons(step), node.remarks()];
        parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
    });
    steps.collect::<Vec<_>>().join("; ")
}

/// The dual run as one field behind its steps; as one behind each where the one would also touch other steps.
fn band(out: &mut String, graph: &Graph, layout: &Layout) {
    /// Around a box.
    const ROOM: usize = 12;
    let Some(band) = &graph.dual_run else { return };
    let around = |frame: &Frame| Frame {
        x: frame.x - ROOM,
        y: frame.y - ROOM,
        width: frame.width + 2 * ROOM,
        height: frame.height + 2 * ROOM,
        text: Vec::new(),
    };
    let each: Vec<Frame> = band.steps.iter().map(|step| around(&layout.boxes[*step])).collect();
    let Some(whole) = each.iter().cloned().reduce(|one, other| one.hull(&other)) else { return };
    let is_touched = |step: usize| !band.steps.contains(&step) && layout.boxes[step].touches(&whole);
    let fields = if (0..graph.steps.len()).any(is_touched) { each } else { vec![whole] };
    for Frame { x, y, width, height, .. } in &fields {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ddf4ff\" stroke=\"#54aeff\" stroke-dasharray=\"6 4\"/>"
        );
    }
    let Some(Frame { x, y, .. }) = fields.first() else { return };
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{}\" fill=\"#0550ae\" font-size=\"12\">dual run {}</text>", y - 6, escape(&band.span));
}

fn line(out: &mut String, why: Why, points: &[(usize, usize)]) {
    let Some(((x, y), rest)) = points.split_first() else { return };
    let mut path = format!("M{x} {y}");
    let mut last = (*x, *y);
    for (x, y) in rest {
        let middle = usize::midpoint(last.0, *x);
        let _ = write!(path, "C{middle} {} {middle} {y} {x} {y}", last.1);
        last = (*x, *y);
    }
    let dashes = match why {
        Why::Order => "",
        Why::Reads => " stroke-dasharray=\"2 3\"",
        Why::Links => " stroke-dasharray=\"7 3\"",
    };
    let _ = writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{INK}\"{dashes} marker-end=\"url(#tip)\"/>");
}

fn frame(out: &mut String, graph: &Graph, layout: &Layout, step: usize) {
    let (node, frame) = (&graph.steps[step], &layout.boxes[step]);
    let (fill, stroke, thick) = match node.sort {
        _ if node.irreversible => ("#ffebe9", "#cf222e", 3),
        Sort::Change => ("#f6f8fa", INK, 1),
        Sort::Retire => ("#fff8c5", "#9a6700", 1),
        Sort::Gate => (PAPER, INK, 1),
    };
    // Waiting has round ends.
    let round = if node.sort == Sort::Gate { frame.height / 2 } else { 4 };
    let _ = writeln!(
        out,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{thick}\"/>",
        frame.x, frame.y, frame.width, frame.height
    );
    let inset = inset(node.sort);
    for (index, text) in frame.text.iter().enumerate() {
        let weight = if index == 0 { " font-weight=\"bold\"" } else { "" };
        let (x, y) = (frame.x + inset, frame.y + 19 + 18 * index);
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" fill=\"{INK}\"{weight}>{}</text>", escape(text));
    }
}

/// Text of others as character data (XML 1.0, 2.4); characters that XML forbids are shown as escapes.
fn escape(text: &str) -> String {
    printable::line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn the_drawing_needs_nothing_else_and_runs_nothing() {
        let drawing = example().svg();
        for word in ["style", "<script", "href", "<image", "@import", "onload"] {
            assert!(!drawing.contains(word), "{word}");
        }
        assert!(
            drawing.contains("dual run 1h to 72h") && drawing.contains("IRREVERSIBLE") && drawing.contains(">gate soak</text>"),
            "{drawing}"
        );
        assert!(drawing.len() < 8_000, "{}", drawing.len());
    }

    #[test]
    fn text_of_others_is_text() {
        let mut graph = example();
        graph.workflow = "</title><script>alert(1)</script>\u{1b}".into();
        let drawing = graph.svg();
        assert!(drawing.contains("<title>&lt;/title&gt;&lt;script&gt;") && !drawing.contains("<script"), "{drawing}");
        assert!(!drawing.contains('\u{1b}'));
    }
}
