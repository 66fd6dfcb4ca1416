//! Nodes coming and going.

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::proto::{Generation, NodeId, Reason};

/// A node came up or went down. Of one node the two alternate, beginning with `Up`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A link to the node is there.
    Up {
        /// The node.
        node: NodeId,
        /// Its generation.
        generation: Generation,
    },
    /// The link is lost; monitors of the node's ports have fired.
    Down {
        /// The node.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
}

impl NodeEvent {
    /// The node in question.
    pub fn node(&self) -> &NodeId {
        match self {
            NodeEvent::Up { node, .. } | NodeEvent::Down { node, .. } => node,
        }
    }

    /// Whether it came up.
    pub fn is_up(&self) -> bool {
        matches!(self, NodeEvent::Up { .. })
    }
}

/// The events of nodes, from the call of [`mon_nodes`](super::Node::mon_nodes) on.
#[derive(Debug)]
pub struct NodeEvents(mpsc::UnboundedReceiver<NodeEvent>);

impl NodeEvents {
    /// The next event. `None` when the node has stopped.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        self.0.recv().await
    }
}

#[derive(Default)]
pub(crate) struct Subscribers(Mutex<Vec<mpsc::UnboundedSender<NodeEvent>>>);

impl Subscribers {
    pub(crate) fn subscribe(&self) -> NodeEvents {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().push(sender);
        NodeEvents(receiver)
    }

    pub(crate) fn tell(&self, event: NodeEvent) {
        self.0.lock().retain(|to| to.send(event.clone()).is_ok());
    }

    pub(crate) fn close(&self) {
        self.0.lock().clear();
    }
}
