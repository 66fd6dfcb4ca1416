//! `aemp trace`: who is connected to whom, as text, JSON, or a picture.

pub(crate) mod details;
mod dot;
pub(crate) mod graph;
mod json;
pub(crate) mod svg;
mod walk;

use crate::ask::typed;
use crate::client::join;
use crate::{Failure, output};

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The ID of the first node
    node: String,
    /// Draw the network, for Graphviz
    #[arg(long)]
    dot: bool,
    /// Draw the network as a picture: nodes and their releases, links, their framings, and those
    /// that are missing
    #[arg(long, conflicts_with = "dot")]
    svg: bool,
}

pub(crate) const HELP: &str = "\
Examples: aemp trace ruth
          aemp trace --svg ruth > network.svg
          aemp trace --dot ruth | dot -Tpdf > network.pdf";

pub(crate) async fn trace(options: Options) -> Result<(), Failure> {
    if output::is_json() && (options.dot || options.svg) {
        return Err("the network is written as JSON or drawn, not both".into());
    }
    let is_text = !(output::is_json() || options.dot || options.svg);
    let node = join().await?;
    let mut walk = walk::Walk::new(&node, is_text);
    let walked = walk.walk(typed(options.node).node_id()).await;
    let mut graph = walk.graph;
    // What was found before a failure is drawn all the same.
    if !is_text && !graph.nodes.is_empty() {
        details::ask(&node, &mut graph).await;
    }
    node.shutdown().await;
    let is_empty = graph.nodes.is_empty();
    match (options.dot, options.svg) {
        _ if is_text || is_empty => {}
        (true, _) => output::print(&dot::render(&graph))?,
        (_, true) => output::print(&svg::render(&graph, svg::Layout::WIDE))?,
        _ => json::render(&graph).iter().try_for_each(output::line)?,
    }
    walked
}

#[cfg(test)]
mod tests {
    use aemp::NodeId;

    use super::graph::Graph;
    use super::{dot, json, svg};

    /// What is drawn costs what there is to be drawn: were each node looked for among all others,
    /// this would take minutes.
    #[test]
    fn many_nodes() {
        const MANY: usize = 20_000;
        let id = |n: usize| NodeId::new(format!("n{n:06}"));
        let mut graph = Graph::default();
        for n in 0..MANY {
            let next = id((n + 1) % MANY);
            graph.told(&id(n), [&next]);
            // Each knows the one behind the next, to which it has no link.
            graph.met(&id(n)).known = [id((n + 2) % MANY), id((n + MANY - 2) % MANY)].into();
        }
        graph.global(&id(5));
        graph.global(&id(7_000));
        assert_eq!(graph.links.len(), MANY);
        assert_eq!(graph.missing().len(), MANY + 1);
        let nodes = json::render(&graph);
        assert_eq!(nodes.len(), MANY);
        assert_eq!(nodes[5]["nodes"], serde_json::json!(["n000004", "n000006"]));
        assert_eq!(
            nodes[5]["missing"],
            serde_json::json!(["n000003", "n000007", "n007000"])
        );
        assert_eq!(dot::render(&graph).matches(" -- ").count(), 2 * MANY + 1);
        let picture = svg::render(&graph, svg::Layout::WIDE);
        assert_eq!(picture.matches("<path").count(), 2 * MANY + 3);
    }
}
