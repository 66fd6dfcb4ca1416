//! Networks of nodes of this crate, over real sockets on 127.0.0.1.

mod greetings;
mod links;
mod meshes;
mod ports;
mod queues;
#[path = "../support/mod.rs"]
mod support;

use aemp::{Node, PortId, Reason};
use tokio::sync::{mpsc, oneshot};

/// A port that passes its messages' numbers on.
fn numbers(node: &Node) -> (PortId, mpsc::UnboundedReceiver<u64>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let port = node.port();
    port.rcv("n", move |_, (n,): (u64,)| sender.send(n));
    (port.id().clone(), receiver)
}

/// Monitors a port: gives the reason when it fires.
fn monitored(node: &Node, port: &PortId) -> oneshot::Receiver<Reason> {
    let (sender, receiver) = oneshot::channel();
    node.mon(port, move |reason| drop(sender.send(reason)));
    receiver
}
