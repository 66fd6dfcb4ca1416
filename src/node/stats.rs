//! What a node has done so far.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CalError, Node};
use crate::net::tls::TlsInfo;
use crate::proto::NodeId;

/// The function by which other nodes can read the statistics of a node of this crate.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Node, NodeStats, node::STATS_FUNCTION};
/// let node = Node::local();
/// let (stats,): (NodeStats,) = node.cal(node.id(), &(STATS_FUNCTION,), None).await?;
/// assert_eq!(&stats.node, node.id());
/// # Ok(()) }
/// ```
pub const STATS_FUNCTION: &str = "aemp::stats";

/// The function by which other nodes can read the names of the functions that they can call on a
/// node of this crate: those of [`Node::functions`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::{Node, node::FUNCTIONS_FUNCTION};
/// let node = Node::local();
/// let names: Vec<String> = node.cal(node.id(), &(FUNCTIONS_FUNCTION,), None).await?;
/// assert_eq!(names, node.functions());
/// # Ok(()) }
/// ```
pub const FUNCTIONS_FUNCTION: &str = "aemp::functions";

/// A node's statistics: see [`Node::stats`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let port = node.port();
/// let stats = node.stats();
/// assert!(stats.ports >= 1 && stats.links.is_empty());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStats {
    /// The node.
    pub node: NodeId,
    /// How many ports live on it, those that peers use for the mesh included.
    pub ports: usize,
    /// How many groups have members.
    pub groups: usize,
    /// The links, sorted by node.
    pub links: Vec<LinkStats>,
    /// Octets that other nodes make this one hold, of the setting `max_memory`.
    #[serde(default)]
    pub held_octets: usize,
    /// How many connections are being made, of the setting `max_dials`.
    #[serde(default)]
    pub dials: usize,
    /// How many connections were accepted and have proved nothing yet.
    #[serde(default)]
    pub unproved: usize,
    /// How often each limit was met, by the name of its setting; those that never were are left
    /// out.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// How often each action was refused to other nodes by the settings `allow`, `deny` and
    /// `secure`, by its name in their rules; those that never were are left out.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// The nodes that it knows, itself and those that it has no link to included, sorted: see
    /// [`Node::known_nodes`].
    #[serde(default)]
    pub known: Vec<NodeId>,
    /// The nodes that its seeds turned out to be, as far as it has a link to them, sorted.
    #[serde(default)]
    pub seeds: Vec<NodeId>,
    /// Whether it is a global node: see [`Node::is_global`].
    #[serde(default)]
    pub global: bool,
    /// The numbers of the generations between which it is a [bridge](crate::Bridge), sorted; none
    /// if it is no bridge.
    #[serde(default)]
    pub bridge: Vec<u32>,
}

/// A link's statistics. Counts begin with the link.
///
/// See [`Node::stats`] for an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkStats {
    /// The node at the other end.
    pub node: NodeId,
    /// Its socket address.
    pub remote: String,
    /// Its generation, such as `1b` or `2`.
    pub generation: String,
    /// What it says it is, such as `AE-1.30`.
    pub provider: Option<String>,
    /// The framing in which we send to it, such as `cbor`.
    #[serde(default)]
    pub send_framing: String,
    /// The framing in which it sends.
    #[serde(default)]
    pub recv_framing: String,
    /// The TLS that the link goes through, if it does.
    #[serde(default)]
    pub tls: Option<TlsInfo>,
    /// Messages handed to the link since it came up; those that waited for it are not counted.
    pub sent: u64,
    /// Octets written.
    pub sent_octets: u64,
    /// Messages received, keepalives included.
    pub received: u64,
    /// Octets received.
    pub received_octets: u64,
    /// Octets that wait to be written.
    pub queued_octets: usize,
    /// Octets that the node makes this one hold, those that wait to be written included; in steps
    /// of 64 KiB.
    #[serde(default)]
    pub held_octets: usize,
    /// How often a link to the node had to be made again.
    pub reconnects: u64,
}

impl Node {
    /// The node's statistics.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// let b = node("b").seeds(a.listeners()).start().await?;
    /// b.round_trip(a.id(), Duration::from_secs(9)).await?;
    /// let stats = b.stats();
    /// let link = &stats.links[0];
    /// assert_eq!((&link.node, &*link.generation, link.reconnects), (a.id(), "2", 0));
    /// assert!(link.received >= 1);
    /// assert_eq!((stats.known, stats.seeds), (vec!["a".into(), "b".into()], vec!["a".into()]));
    /// # Ok(()) }
    /// ```
    pub fn stats(&self) -> NodeStats {
        let peers = self.inner().peers.all();
        let mut links: Vec<LinkStats> = peers.iter().filter_map(|peer| peer.stats()).collect();
        links.sort_by(|a, b| a.node.cmp(&b.node));
        let found = self.seeds().into_iter().filter_map(|seed| seed.node);
        let mut seeds: Vec<NodeId> = found.filter(|id| self.node_is_up(id)).collect();
        seeds.sort();
        // A seed may have several addresses.
        seeds.dedup();
        let observer = self.inner().observer.get();
        NodeStats {
            node: self.id().clone(),
            ports: self.port_count(),
            groups: self.inner().control.group_count(),
            links,
            held_octets: self.inner().memory.used(),
            dials: self.inner().dials_under_way(),
            unproved: self.inner().admission.unproved(),
            limits: self.inner().limits.all(),
            refused: self.inner().gate.all_refused(),
            known: self.known_nodes(),
            seeds,
            global: self.is_global(),
            bridge: observer.map_or_else(Vec::new, |observer| observer.generations()),
        }
    }

    /// What there is to say of the link to a node; `None` if there is none. Among many links this
    /// costs less than [`stats`](Self::stats).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::local();
    /// assert_eq!(node.link_stats(&"nobody".into()), None);
    /// # }
    /// ```
    pub fn link_stats(&self, node: &NodeId) -> Option<LinkStats> {
        self.inner().peers.get(node.as_str())?.stats()
    }

    /// Measures the time of a round trip to a node, behind everything that waits to be sent to it.
    /// Works with every release.
    ///
    /// # Errors
    ///
    /// [`CalError`] if no answer comes within `limit`, or the node is lost.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// let b = node("b").seeds(a.listeners()).start().await?;
    /// let limit = Duration::from_secs(9);
    /// assert!(b.round_trip(a.id(), limit).await? < limit);
    /// # Ok(()) }
    /// ```
    pub async fn round_trip(
        &self,
        node: impl Into<NodeId>,
        limit: Duration,
    ) -> Result<Duration, CalError> {
        let node = node.into();
        let started = tokio::time::Instant::now();
        let _: serde::de::IgnoredAny = self.cal(&node, &("time",), Some(limit)).await?;
        Ok(started.elapsed())
    }
}
