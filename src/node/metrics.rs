//! A node seen from outside: counters for monitoring.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Node;
use super::counters::Sums;
use crate::proto::NodeId;

/// What a node has done since its start, links that are gone included, and how it stands: see
/// [`Node::metrics`].
///
/// What is called a count only grows. All names in the maps are of a bounded number, whatever
/// programs and other nodes do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metrics {
    /// The node.
    pub node: NodeId,
    /// How many ports live on it.
    pub ports: usize,
    /// How many links there are.
    pub links: usize,
    /// Count of links that were made.
    pub links_made: u64,
    /// Count of messages handed to links.
    pub sent: u64,
    /// Count of octets written to links.
    pub sent_octets: u64,
    /// Count of messages received by links, keepalives included.
    pub received: u64,
    /// Count of octets received by links.
    pub received_octets: u64,
    /// Octets that wait to be written to links.
    pub unwritten_octets: usize,
    /// Counts of links that were lost, and of attempts that were given up, by why: `closed` by the
    /// other side, `io`, `silent`, `framing`, `memory`, `queue`, `unreachable`, `shutdown`,
    /// `bridge`, `other`.
    pub losses: BTreeMap<String, u64>,
    /// Counts of connections that did not become a link, by [why](crate::net::LinkError::kind).
    pub refused_handshakes: BTreeMap<String, u64>,
    /// Counts of ports that died, by the [kind](crate::Reason::kind) of the reason: `normal` if
    /// there was none, and `other` beyond 64 kinds.
    pub deaths: BTreeMap<String, u64>,
    /// Messages that wait in ports.
    pub queued: usize,
    /// Octets of these.
    pub queued_octets: usize,
    /// The most messages that wait in one port.
    pub longest_queue: usize,
    /// The most that ever waited in one, as far as a port saw them when it took some.
    pub longest_queue_ever: usize,
    /// Counts of limits that were met, by the name of the setting.
    pub limits: BTreeMap<String, u64>,
    /// Counts of actions that were refused to other nodes.
    pub refused: BTreeMap<String, u64>,
    /// Count of messages whose handlers were [timed](Node::time_handlers).
    pub handled: u64,
    /// How long these took together. Of an asynchronous handler it is the time until it first
    /// waits.
    pub handler_time: Duration,
    /// How long the longest of them took.
    pub longest_handler: Duration,
}

impl Node {
    /// A snapshot of the node's counters, for monitoring. Unlike those of [`stats`](Self::stats)
    /// they outlive the links. It looks at every port, so it is made for every few seconds.
    ///
    /// The example `openmetrics` serves it to Prometheus and others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::local();
    /// let mut inbox = node.mailbox();
    /// node.snd(inbox.id(), &("hello",))?;
    /// let port = node.port();
    /// node.kil(&port, aemp::Reason::new(["overheated", "CPU 0"]));
    /// let metrics = node.metrics();
    /// assert_eq!((metrics.queued, metrics.longest_queue), (1, 1));
    /// assert_eq!(metrics.deaths["overheated"], 1);
    /// assert_eq!((metrics.links, metrics.received_octets), (0, 0));
    /// # Ok(()) }
    /// ```
    pub fn metrics(&self) -> Metrics {
        let inner = self.inner();
        let counters = &inner.counters;
        let (mut links, mut unwritten_octets) = (0, 0);
        let sums = counters.sums(|| {
            let mut sums = Sums::default();
            for stats in inner.peers.all().iter().filter_map(|peer| peer.stats()) {
                links += 1;
                unwritten_octets += stats.queued_octets;
                sums.sent += stats.sent;
                sums.sent_octets += stats.sent_octets;
                sums.received += stats.received;
                sums.received_octets += stats.received_octets;
            }
            sums
        });
        let (mut queued, mut queued_octets, mut longest_queue) = (0, 0, 0);
        let ports = inner.ports.all();
        for port in &ports {
            let (messages, octets) = port.waiting();
            queued += messages;
            queued_octets += octets;
            longest_queue = longest_queue.max(messages);
        }
        counters.waiting(longest_queue);
        let timed = counters.timed();
        Metrics {
            node: self.id().clone(),
            ports: ports.len(),
            links,
            links_made: counters.links(),
            sent: sums.sent,
            sent_octets: sums.sent_octets,
            received: sums.received,
            received_octets: sums.received_octets,
            unwritten_octets,
            losses: counters.losses(),
            refused_handshakes: counters.handshakes(),
            deaths: counters.deaths(),
            queued,
            queued_octets,
            longest_queue,
            longest_queue_ever: counters.longest_queue(),
            limits: inner.limits.all(),
            refused: inner.gate.all_refused(),
            handled: timed.messages,
            handler_time: timed.total,
            longest_handler: timed.longest,
        }
    }

    /// Times the handlers of all ports from now on, or no more. While it is on, each message costs
    /// two readings of the clock, and goes through its port's queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let node = aemp::Node::local();
    /// node.time_handlers(true);
    /// let mut done = node.mailbox();
    /// let id = done.id().clone();
    /// let port = node.port_with(move |cx, _| {
    ///     std::thread::sleep(Duration::from_millis(20));
    ///     cx.snd(&id, &("done",))
    /// });
    /// node.snd(&port, &("work",))?;
    /// done.recv().await?;
    /// node.cal::<(f64,)>(node.id(), &("time",), None).await?; // behind it
    /// let metrics = node.metrics();
    /// assert!(metrics.handled >= 1 && metrics.longest_handler >= Duration::from_millis(20));
    /// # Ok(()) }
    /// ```
    pub fn time_handlers(&self, on: bool) {
        self.inner().counters.time_handlers(on);
    }
}
