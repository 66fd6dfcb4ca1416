//! Waiting for nodes and groups.

use std::panic::Location;

use tokio::time::timeout;

use super::clock;
use crate::node::Node;
use crate::proto::PortId;

/// Waits until a node has a link to another one.
///
/// # Panics
///
/// If that takes too long: 300 seconds in virtual time, else 20.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let cluster = aemp::testing::Cluster::new();
/// let [a, b] = cluster.start(["a", "b"]).await;
/// aemp::testing::up(&a, "b").await;
/// assert!(a.node_is_up("b"));
/// # }
/// ```
#[track_caller]
pub fn up(node: &Node, other: &str) -> impl Future<Output = ()> {
    is(node, other, true, Location::caller())
}

/// Waits until a node has no link to another one, or has lost the one that it had.
///
/// # Panics
///
/// If that takes too long: 300 seconds in virtual time, else 20.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let cluster = aemp::testing::Cluster::new();
/// let [a, b] = cluster.start(["a", "b"]).await;
/// b.shutdown().await;
/// aemp::testing::down(&a, "b").await;
/// assert!(!a.node_is_up("b"));
/// # }
/// ```
#[track_caller]
pub fn down(node: &Node, other: &str) -> impl Future<Output = ()> {
    is(node, other, false, Location::caller())
}

async fn is(node: &Node, other: &str, wanted: bool, at: &Location<'_>) {
    let limit = clock::patience();
    let mut events = node.mon_nodes();
    let change = async {
        while node.node_is_up(other) != wanted {
            match events.next().await {
                // It may be otherwise again by now.
                Some(event) if event.node() == other && event.is_up() == wanted => return,
                Some(_) => {}
                None => panic!("the node {} has stopped, at {at}", node.id()),
            }
        }
    };
    if timeout(limit, change).await.is_err() {
        let state = if wanted { "no" } else { "still a" };
        let (id, nodes) = (node.id(), node.up_nodes());
        panic!(
            "{id} has {state} link to {other} after {limit:?}, at {at}\n  its links are to: {nodes:?}"
        );
    }
}

/// Waits until a group has so many members, as this node sees it, and gives them, sorted.
///
/// # Panics
///
/// If that takes too long: 300 seconds in virtual time, else 20. The text says who is in it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let cluster = aemp::testing::Cluster::new();
/// let [a, b] = cluster.start(["a", "b"]).await;
/// let port = b.port();
/// b.register("workers", &port);
/// assert_eq!(aemp::testing::members(&a, "workers", 1).await, [port.id().clone()]);
/// # }
/// ```
#[track_caller]
pub fn members(node: &Node, group: &str, count: usize) -> impl Future<Output = Vec<PortId>> {
    let at = Location::caller();
    async move {
        let limit = clock::patience();
        let mut changes = node.mon_group(group);
        let change = async {
            loop {
                let members = node.members(group);
                if members.len() == count {
                    return members;
                }
                if changes.next().await.is_none() {
                    panic!("the node {} has stopped, at {at}", node.id());
                }
            }
        };
        match timeout(limit, change).await {
            Ok(members) => members,
            Err(_) => {
                let (id, found) = (node.id(), node.members(group));
                panic!(
                    "{id} sees {} members of {group}, not {count}, after {limit:?}, at {at}\n  \
                     they are: {found:?}",
                    found.len()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "sees 1 members of workers, not 2, after 300s, at src/testing/wait")]
    async fn a_group_that_is_too_small_is_shown() {
        let node = Node::local();
        let port = node.port();
        node.register("workers", &port);
        members(&node, "workers", 2).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "has no link to ruth after 300s, at src/testing/wait")]
    async fn a_node_that_is_not_there_is_named() {
        up(&Node::local(), "ruth").await;
    }
}
