//! On which node a remote child runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Backoff;
use crate::node::Node;
use crate::proto::{NodeId, PortId};

/// Where a remote child is to run: see [`on_node`] and [`on_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// On this node.
    Node(NodeId),
    /// On any node that has a member in this group.
    Group(Arc<str>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Node(node) => write!(f, "node {node}"),
            Place::Group(group) => write!(f, "a node of group {group}"),
        }
    }
}

/// On the node of that ID; for the ID of a port, on its node.
///
/// ```
/// use aemp::supervise::{Place, on_node};
/// assert_eq!(on_node("ruth#port"), Place::Node("ruth".into()));
/// ```
pub fn on_node(node: impl Into<PortId>) -> Place {
    Place::Node(node.into().node_id())
}

/// On a node that has a member in the group, chosen at random for each start. A node that the child
/// was lost with is not chosen again as long as there are others.
///
/// ```
/// use aemp::supervise::{Place, on_group};
/// assert_eq!(on_group("workers"), Place::Group("workers".into()));
/// ```
pub fn on_group(group: impl Into<Arc<str>>) -> Place {
    Place::Group(group.into())
}

/// The time between two looks for a node. News of the group or of the node end it early.
const PATIENCE: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));

/// Waits until there is a node. `tell` is called after each look that found none, with the number
/// of looks.
pub(super) async fn find(
    node: &Node,
    place: &Place,
    avoid: Option<&NodeId>,
    mut tell: impl FnMut(u32),
) -> NodeId {
    match place {
        Place::Node(id) => {
            reach(node, id, tell).await;
            id.clone()
        }
        Place::Group(group) => {
            let mut changes = node.mon_group(group);
            let mut tries = 0;
            loop {
                let next = Instant::now() + PATIENCE.delay(tries, node.inner().random.fraction());
                let is_up = |id: &str| id == node.id().as_str() || node.node_is_up(id);
                // Who was lost a moment ago may still be in the group.
                let avoid = avoid.filter(|_| tries == 0);
                let members = node.members(group);
                if let Some(found) = choose(&members, is_up, avoid, node.inner().random.fraction())
                {
                    return found;
                }
                tell(tries + 1);
                tokio::select! {
                    biased; // chance comes from the node alone
                    () = sleep_until(next) => tries += 1,
                    Some(_) = changes.next() => {}
                }
            }
        }
    }
}

/// Waits until a node is connected; tries to connect to it.
async fn reach(node: &Node, id: &NodeId, mut tell: impl FnMut(u32)) {
    let mut tries = 0;
    let mut events = node.mon_nodes();
    loop {
        if id == node.id() || node.node_is_up(id.as_str()) {
            return;
        }
        let (lost, failed) = tokio::sync::oneshot::channel();
        // A monitor makes the node connect, and tells when it can't.
        let _monitor = node
            .mon(id, move |_| lost.send(()).unwrap_or_default())
            .guard();
        let up = async {
            while let Some(event) = events.next().await {
                if event.node() == id && event.is_up() {
                    return;
                }
            }
            std::future::pending().await
        };
        let again = async {
            let _ = failed.await;
            tell(tries + 1);
            let wait = PATIENCE.delay(tries, node.inner().random.fraction());
            tokio::time::sleep(wait).await;
        };
        tokio::select! {
            biased;
            () = up => {}
            () = again => tries += 1,
        }
    }
}

/// Chooses among the nodes that have members. Connected ones come first; `avoid` is taken only if
/// it is connected and the only one. `roll`, from 0 up to 1, is chance.
fn choose(
    members: &[PortId],
    is_up: impl Fn(&str) -> bool,
    avoid: Option<&NodeId>,
    roll: f64,
) -> Option<NodeId> {
    let mut nodes: Vec<&str> = members.iter().map(PortId::node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let avoided = |id: &str| avoid.is_some_and(|avoid| avoid == id);
    let (up, down): (Vec<&str>, Vec<&str>) = nodes.into_iter().partition(|id| is_up(id));
    let (last, up): (Vec<&str>, Vec<&str>) = up.into_iter().partition(|id| avoided(id));
    let down: Vec<&str> = down.into_iter().filter(|id| !avoided(id)).collect();
    let candidates = [up, down, last].into_iter().find(|list| !list.is_empty())?;
    let at = (roll * candidates.len() as f64) as usize;
    candidates
        .get(at.min(candidates.len() - 1))
        .map(|id| NodeId::new(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(members: &[&str], up: &[&str], avoid: &str, roll: f64) -> Option<String> {
        let members: Vec<PortId> = members.iter().map(|id| PortId::new(*id)).collect();
        let avoid = NodeId::new(avoid);
        let found = choose(&members, |id| up.contains(&id), Some(&avoid), roll);
        found.map(|id| id.to_string())
    }

    #[test]
    fn connected_ones_first_and_the_lost_one_last() {
        assert_eq!(chosen(&[], &[], "", 0.5), None);
        assert_eq!(chosen(&["a#1"], &["a"], "", 0.99).unwrap(), "a");
        assert_eq!(chosen(&["a#1", "b"], &["a", "b"], "a", 0.0).unwrap(), "b");
        assert_eq!(chosen(&["a#1", "b"], &["a"], "a", 0.0).unwrap(), "b");
        assert_eq!(chosen(&["a#1"], &["a"], "a", 0.0).unwrap(), "a");
        assert_eq!(chosen(&["a#1"], &[], "a", 0.0), None);
        assert_eq!(chosen(&["a#1", "b", "c#1"], &["c"], "a", 0.0).unwrap(), "c");
    }

    proptest! {
        /// A node counts once, however many members it has, and all have their chance.
        #[test]
        fn fair_by_node(counts in prop::collection::vec(1..4usize, 1..5), roll in 0.0..1.0f64) {
            let member = |(node, n): (usize, usize)| PortId::new(format!("n{node}#{n}"));
            let all = counts.iter().enumerate();
            let members: Vec<PortId> =
                all.flat_map(|(node, n)| (0..*n).map(move |n| member((node, n)))).collect();
            let found = choose(&members, |_| true, None, roll).unwrap();
            let expected = format!("n{}", (roll * counts.len() as f64) as usize);
            prop_assert_eq!(found.as_str(), expected);
        }
    }
}
