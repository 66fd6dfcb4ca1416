//! A monitor that a test waits for.

use std::panic::Location;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::clock;
use crate::node::Node;
use crate::proto::{PortId, Reason};

/// A monitor that a test has set and waits for. See [the module](super).
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use aemp::testing::Watch;
/// let node = aemp::Node::local();
/// let port = node.port();
/// let watch = Watch::new(&node, &port);
/// node.kil(&port, aemp::Reason::new(["overheated"]));
/// assert_eq!(watch.fires().await.to_string(), "overheated");
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    node: Node,
    port: PortId,
    fired: oneshot::Receiver<Reason>,
    limit: Duration,
}

impl Watch {
    /// Monitors a port, or a node by the ID of its node port, from this node.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with a clock.
    ///
    /// See [`Watch`] for an example.
    pub fn new(node: &Node, port: impl Into<PortId>) -> Self {
        let port = port.into();
        let (tell, fired) = oneshot::channel();
        node.mon(&port, move |reason| drop(tell.send(reason)));
        Watch {
            node: node.clone(),
            port,
            fired,
            limit: clock::patience(),
        }
    }

    /// Waits so long for it to fire.
    ///
    /// ```should_panic
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use aemp::testing::Watch;
    /// let node = aemp::Node::local();
    /// let limit = std::time::Duration::from_millis(10);
    /// Watch::new(&node, node.port()).within(limit).fires().await; // nobody kills it
    /// # }
    /// ```
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Waits until it fires, and says with which reason.
    ///
    /// # Panics
    ///
    /// If it does not fire in time. The text says what is known of the port.
    ///
    /// See [`Watch`] for an example.
    #[track_caller]
    pub fn fires(self) -> impl Future<Output = Reason> {
        let at = Location::caller();
        async move {
            let Watch {
                node,
                port,
                fired,
                limit,
            } = self;
            match timeout(limit, fired).await {
                Ok(Ok(reason)) => reason,
                Ok(Err(_)) => panic!(
                    "the monitor of {port} by {} was stopped with its node, at {at}",
                    node.id()
                ),
                Err(_) => panic!(
                    "the monitor of {port} by {} has not fired within {limit:?}, at {at}\n  {}",
                    node.id(),
                    known(&node, &port)
                ),
            }
        }
    }

    /// Lets whatever is on its way happen, and sees to it that it has not fired: in virtual time
    /// waits until nothing else is to be done at this moment, else 100 ms.
    ///
    /// # Panics
    ///
    /// If it has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use aemp::testing::Watch;
    /// let node = aemp::Node::local();
    /// Watch::new(&node, node.port()).has_not_fired().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn has_not_fired(&mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let settled = match clock::clock_is_paused() {
                true => Duration::from_millis(1),
                false => Duration::from_millis(100),
            };
            tokio::time::sleep(settled).await;
            if let Ok(reason) = self.fired.try_recv() {
                let port = &self.port;
                panic!("the monitor of {port} has fired with {reason:?}, at {at}");
            }
        }
    }
}

/// What a node knows of a port, for who wonders.
fn known(node: &Node, port: &PortId) -> String {
    if node.port_is_local(port) {
        return "the port is alive".to_owned();
    }
    match node.node_is_up(port.node()) {
        true => format!("there is a link to {}", port.node()),
        false => format!(
            "there is no link to {}, but to {:?}",
            port.node(),
            node.up_nodes()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "within 300s, at src/testing/watch.rs")]
    async fn a_port_that_lives_is_a_failure() {
        let node = Node::local();
        Watch::new(&node, node.port()).fires().await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "has fired with")]
    async fn a_port_that_died_is_noticed() {
        let node = Node::local();
        let port = node.port();
        let mut watch = Watch::new(&node, &port);
        node.kil(&port, Reason::normal());
        watch.has_not_fired().await;
    }
}
