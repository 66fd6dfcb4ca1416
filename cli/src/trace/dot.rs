//! The graph in the language of Graphviz.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aemp::NodeId;

use super::graph::{Graph, shown};

/// The whole picture, for `dot -Tpdf` and its like.
pub(super) fn render(graph: &Graph) -> String {
    let mut dot = String::from("graph aemp {\n  layout=circo;\n");
    dot.push_str("  node [shape=ellipse, fontname=\"sans-serif\"];\n");
    dot.push_str("  edge [fontname=\"sans-serif\", fontsize=9];\n");
    for (at, (id, met)) in graph.nodes.iter().enumerate() {
        let shape = match (met.bridge.is_empty(), met.is_global) {
            (false, _) => ", shape=diamond",
            (true, true) => ", shape=box",
            (true, false) => "",
        };
        let seed = if met.is_seed { ", peripheries=2" } else { "" };
        let lost = if met.lost.is_some() {
            ", style=dashed"
        } else {
            ""
        };
        let label = format!("{}\\n{}", escape(id.as_str()), escape(&met.words()));
        let _ = writeln!(dot, "  n{at} [label=\"{label}\"{shape}{seed}{lost}];");
    }
    let names: BTreeMap<&NodeId, usize> = graph.nodes.keys().zip(0..).collect();
    let name = |id: &NodeId| names.get(id).copied().unwrap_or(0);
    for ((a, b), link) in &graph.links {
        let label = escape(&link.words());
        let _ = writeln!(dot, "  n{} -- n{} [label=\"{label}\"];", name(a), name(b));
    }
    for (a, b) in graph.missing() {
        let (a, b) = (name(&a), name(&b));
        let _ = writeln!(
            dot,
            "  n{a} -- n{b} [label=\"missing\", style=dashed, color=\"#c0392b\", constraint=false];"
        );
    }
    dot.push_str("}\n");
    dot
}

/// A text within the quotes of a label: there `\` begins an escape and `&` an entity of HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in shown(text).chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{example, id};
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn nodes_links_and_what_is_missing() {
        let dot = render(&example());
        for wanted in [
            "n0 [label=\"a\\n\"];",
            "n2 [label=\"gone\\nnot reached\", style=dashed];",
            "n3 [label=\"hub\\nAE-of-hub, seed, global, bridge of 1+2\", shape=diamond, peripheries=2];",
            "n0 -- n3 [label=\"generation 1b, json and cbor\"];",
            "n0 -- n1 [label=\"missing\", style=dashed",
        ] {
            assert!(dot.contains(wanted), "{wanted} is missing in:\n{dot}");
        }
        assert_eq!(dot.matches(" -- ").count(), 4);
    }

    /// Reads a quoted text at the start as Graphviz does, and returns what is behind it as well.
    fn read(text: &str) -> Option<(String, &str)> {
        let mut letters = text.strip_prefix('"')?.char_indices();
        let mut read = String::new();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Some((read.replace("&amp;", "&"), &text[at + 2..])),
                '\\' => match letters.next()?.1 {
                    'n' => read.push('\n'),
                    other => read.push(other),
                },
                other => read.push(other),
            }
        }
        None
    }

    proptest! {
        #[test]
        fn any_id_is_read_as_it_is_shown(name in any::<String>()) {
            let mut graph = Graph::default();
            graph.told(&id(&name), []);
            let dot = render(&graph);
            let (_, label) = dot.split_once("n0 [label=").unwrap();
            let (label, rest) = read(label).unwrap();
            prop_assert_eq!(label, format!("{}\n", shown(&name)));
            prop_assert_eq!(rest, "];\n}\n");
        }
    }
}
