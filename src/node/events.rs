//! Nodes coming and going.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::log::log_at;
use crate::proto::{Generation, NodeId, Reason};

/// A node came up or went down. Of one node the two alternate, beginning with `Up`.
///
/// ```
/// use aemp::{NodeEvent, Reason};
/// let event = NodeEvent::Down { node: "ruth".into(), reason: Reason::normal() };
/// match &event {
///     NodeEvent::Up { node, generation } => println!("{node} is up, generation {generation}"),
///     NodeEvent::Down { node, reason } => println!("{node} is down: {reason}"),
///     _ => {}
/// }
/// assert!(!event.is_up());
/// assert_eq!(event.node(), "ruth");
/// ```
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
    ///
    /// See [`NodeEvent`] for an example.
    pub fn node(&self) -> &NodeId {
        match self {
            NodeEvent::Up { node, .. } | NodeEvent::Down { node, .. } => node,
        }
    }

    /// Whether it came up.
    ///
    /// See [`NodeEvent`] for an example.
    pub fn is_up(&self) -> bool {
        matches!(self, NodeEvent::Up { .. })
    }
}

/// How many events may wait for a reader.
const MOST_WAITING: usize = 16_384;

/// The events of nodes, from the call of [`mon_nodes`](super::Node::mon_nodes) on. A [`Stream`] of
/// them, too.
///
/// See [`next`](Self::next) for an example.
#[derive(Debug)]
pub struct NodeEvents(mpsc::Receiver<NodeEvent>);

impl NodeEvents {
    /// The next event. `None` when the node has stopped, or behind 16,384 events that nobody read:
    /// a reader that is so far behind is cut off, with a line in the log, rather than given holes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// let b = node("b").start().await?;
    /// let mut events = b.mon_nodes();
    /// b.add_seeds(a.listeners());
    /// assert!(events.next().await.unwrap().is_up());
    /// a.shutdown().await;
    /// assert!(!events.next().await.unwrap().is_up());
    /// b.shutdown().await;
    /// assert!(events.next().await.is_none());
    /// # Ok(()) }
    /// ```
    pub async fn next(&mut self) -> Option<NodeEvent> {
        self.0.recv().await
    }
}

impl Stream for NodeEvents {
    type Item = NodeEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeEvent>> {
        self.0.poll_recv(cx)
    }
}

/// Who follows nodes; nobody can any more once it is closed.
pub(crate) struct Subscribers(Mutex<Option<Vec<mpsc::Sender<NodeEvent>>>>);

impl Default for Subscribers {
    fn default() -> Self {
        Subscribers(Mutex::new(Some(Vec::new())))
    }
}

impl Subscribers {
    pub(crate) fn subscribe(&self) -> NodeEvents {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        if let Some(all) = &mut *self.0.lock() {
            all.push(sender);
        }
        NodeEvents(receiver)
    }

    pub(crate) fn tell(&self, event: NodeEvent) {
        let mut subscribers = self.0.lock();
        let Some(all) = &mut *subscribers else { return };
        all.retain(|to| match to.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                log_at!(
                    1,
                    "a reader of node events is {MOST_WAITING} events behind: it gets no more"
                );
                false
            }
        });
    }

    pub(crate) fn close(&self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_cut_off_without_a_hole() {
        let subscribers = Subscribers::default();
        let mut events = subscribers.subscribe();
        for n in 0..MOST_WAITING + 2 {
            subscribers.tell(NodeEvent::Down {
                node: NodeId::new(n.to_string()),
                reason: Reason::normal(),
            });
        }
        assert!(subscribers.0.lock().as_ref().unwrap().is_empty());
        for n in 0..MOST_WAITING {
            assert_eq!(
                events.next().await.unwrap().node(),
                &NodeId::new(n.to_string())
            );
        }
        assert_eq!(events.next().await, None);
    }
}
