//! A graph in the languages of other programs that draw: Graphviz and Mermaid.

use std::fmt::Write as _;

use super::{Graph, Node, Sort, Why, layout::shown};
use crate::report::printable;

/// The language of Graphviz, <https://graphviz.org/doc/info/lang.html>.
pub(super) fn dot(graph: &Graph) -> String {
    let quote = |text: &str| format!("\"{}\"", printable::line(text).replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = format!("digraph {} {{\n  rankdir = LR;\n  node [shape = box, fontname = monospace];\n", quote(&graph.workflow));
    let line = |step: usize| {
        let node = &graph.steps[step];
        let shape = match node.sort {
            _ if node.irreversible => ", peripheries = 2, color = red",
            Sort::Gate => ", style = rounded",
            Sort::Change | Sort::Retire => "",
        };
        // `\n` is Graphviz's own line break, so it stands outside of what is quoted.
        let label: Vec<String> = lines(node).iter().map(|line| quote(line).trim_matches('"').to_owned()).collect();
        format!("n{step} [label = \"{}\"{shape}];\n", label.join("\\n"))
    };
    if let Some(band) = &graph.dual_run {
        let _ = writeln!(
            out,
            "  subgraph cluster_dual_run {{\n    label = {};\n    style = dashed;",
            quote(&format!("dual run {}", band.span))
        );
        out.extend(band.steps.iter().map(|step| format!("    {}", line(*step))));
        out.push_str("  }\n");
    }
    out.extend((0..graph.steps.len()).filter(|step| !graph.is_dual(*step)).map(|step| format!("  {}", line(step))));
    for edge in shown(graph) {
        let style = match edge.why {
            Why::Order => "",
            Why::Reads => " [style = dotted]",
            Why::Links => " [style = dashed]",
        };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from, edge.to);
    }
    out + "}\n"
}

/// The language of Mermaid, <https://mermaid.js.org/syntax/flowchart.html>.
pub(super) fn mermaid(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    let line = |step: usize| {
        let node = &graph.steps[step];
        let label = lines(node).iter().map(|line| entities(line)).collect::<Vec<_>>().join("<br>");
        match node.sort {
            _ if node.irreversible => format!("n{step}[[\"{label}\"]]\n"),
            Sort::Gate => format!("n{step}([\"{label}\"])\n"),
            Sort::Change | Sort::Retire => format!("n{step}[\"{label}\"]\n"),
        }
    };
    if let Some(band) = &graph.dual_run {
        let _ = writeln!(out, "  subgraph dual_run[\"dual run {}\"]", entities(&band.span));
        out.extend(band.steps.iter().map(|step| format!("    {}", line(*step))));
        out.push_str("  end\n");
    }
    out.extend((0..graph.steps.len()).filter(|step| !graph.is_dual(*step)).map(|step| format!("  {}", line(step))));
    for edge in shown(graph) {
        let arrow = match edge.why {
            Why::Order => "-->",
            Why::Reads => "-. uses .->",
            Why::Links => "-. about .->",
        };
        let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    out
}

fn lines(node: &Node) -> Vec<String> {
    let lines = [format!("{} {}", node.symbol(), node.id), node.what.clone(), node.remarks()];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// Mermaid's entities: `#` and a number or name; backticks would begin Markdown.
fn entities(text: &str) -> String {
    let mut out = String::new();
    for c in printable::line(text).chars() {
        match c {
            '#' | '"' | '<' | '>' | '&' | '`' | ';' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn graphviz_gets_the_band_as_a_cluster() {
        insta::assert_snapshot!(dot(&example()), @r#"
        digraph "payments" {
          rankdir = LR;
          node [shape = box, fontname = monospace];
          subgraph cluster_dual_run {
            label = "dual run 1h to 72h";
            style = dashed;
            n0 [label = "+ copy\ncopy-files legacy -> store\n2 cohorts"];
            n2 [label = "gate soak\nwait 24h", style = rounded];
            n3 [label = "- retire\nretire-files legacy"];
          }
          n1 [label = "+ other\ncopy-files legacy -> store"];
          n4 [label = "! destroy\ndestroy-files legacy\nIRREVERSIBLE", peripheries = 2, color = red];
          n0 -> n2;
          n0 -> n3 [style = dashed];
          n0 -> n4 [style = dashed];
          n1 -> n2;
          n2 -> n3;
          n3 -> n4;
        }
        "#);
    }

    #[test]
    fn mermaid_gets_the_band_as_a_subgraph() {
        insta::assert_snapshot!(mermaid(&example()), @r#"
        flowchart LR
          subgraph dual_run["dual run 1h to 72h"]
            n0["+ copy<br>copy-files legacy -#62; store<br>2 cohorts"]
            n2(["gate soak<br>wait 24h"])
            n3["- retire<br>retire-files legacy"]
          end
          n1["+ other<br>copy-files legacy -#62; store"]
          n4[["! destroy<br>destroy-files legacy<br>IRREVERSIBLE"]]
          n0 --> n2
          n0 -. about .-> n3
          n0 -. about .-> n4
          n1 --> n2
          n2 --> n3
          n3 --> n4
        "#);
    }

    #[test]
    fn text_of_others_is_text() {
        let mut graph = example();
        graph.steps[0].what = "a\"]; evil [label=\"<b>`x`#\\".into();
        assert!(dot(&graph).contains(r#"a\"]; evil [label=\"<b>`x`#\\"#));
        assert!(mermaid(&graph).contains("a#34;]#59; evil [label=#34;#60;b#62;#96;x#96;#35;"), "{}", mermaid(&graph));
    }
}
