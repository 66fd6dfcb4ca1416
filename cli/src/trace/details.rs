//! What nodes say of themselves besides whom they are connected to.

use std::time::Duration;

use aemp::node::STATS_FUNCTION;
use aemp::{LinkStats, Node, NodeId, NodeStats};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::graph::Graph;
use crate::ask::is_perl;

/// How long a node may take; all are asked at once.
const LIMIT: Duration = Duration::from_secs(5);

/// The family of the database whose keys are the global nodes.
const GLOBAL: &str = "'g";

/// What a node has answered.
enum Answer {
    /// All there is to know, which nodes of this crate say.
    Stats(Box<NodeStats>),
    /// Which nodes it knows, which Perl's of generations 0 and 1 say.
    Known(NodeId, Vec<NodeId>),
    /// It was not reached, refuses to say, or has nothing to say.
    Nothing,
}

/// Asks the nodes that were met, and looks at what our own node sees of them.
pub(super) async fn ask(node: &Node, graph: &mut Graph) {
    let own = node.stats();
    let links = own.links.into_iter();
    let links: Vec<LinkStats> = links
        .filter(|link| graph.nodes.contains_key(&link.node))
        .collect();
    let mut asked = JoinSet::new();
    for link in &links {
        graph.seen(link);
        asked.spawn(answer(
            node.clone(),
            link.node.clone(),
            is_perl(link),
            link.generation == "2",
        ));
    }
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok(Answer::Stats(stats)) => graph.stats(*stats),
            Ok(Answer::Known(id, known)) => graph.met(&id).known = known.into_iter().collect(),
            Ok(Answer::Nothing) | Err(_) => {}
        }
    }
    graph.settle_generations();
    own.seeds.iter().for_each(|seed| graph.seed(seed));
    let globals = globals(node, &links).await;
    globals.iter().for_each(|id| graph.global(id));
}

/// The global nodes that the database knows, if it is asked over one of these links: in the other
/// generations there are none to wait for.
pub(crate) async fn globals(node: &Node, links: &[LinkStats]) -> Vec<NodeId> {
    if links.iter().all(|link| link.generation != "2") {
        return Vec::new();
    }
    let asked = timeout(LIMIT, node.db_keys(GLOBAL)).await;
    let ids = asked.map_or_else(|_| Vec::new(), Result::unwrap_or_default);
    ids.into_iter().map(NodeId::new).collect()
}

async fn answer(node: Node, id: NodeId, is_perl: bool, is_generation_2: bool) -> Answer {
    if !is_perl {
        let stats = node.cal(&id, &(STATS_FUNCTION,), Some(LIMIT)).await;
        return match stats {
            Ok((stats,)) => Answer::Stats(stats),
            Err(_) => Answer::Nothing,
        };
    }
    if is_generation_2 {
        return Answer::Nothing;
    }
    match node.cal(&id, &("known_nodes",), Some(LIMIT)).await {
        Ok(known) => Answer::Known(id, known),
        Err(_) => Answer::Nothing,
    }
}
