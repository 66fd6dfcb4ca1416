//! Nodes on a network in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;

use super::{clock, wait};
use crate::builder::Builder;
use crate::net::memory::Network;
use crate::node::Node;

/// Where every node listens, on a host that has its name.
const PORT: u16 = 4040;

type Configure = Arc<dyn Fn(Builder) -> Builder + Send + Sync>;

/// Nodes on a network in memory. Clones are the same cluster. See [the module](super).
///
/// A node is called as its host is. The first one is the seed of all, and all have the same secret.
/// Nodes read no file and open no socket.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use aemp::testing::Cluster;
/// let cluster = Cluster::new();
/// let [a, b, c] = cluster.start(["a", "b", "c"]).await;
/// assert!(a.node_is_up("b") && b.node_is_up("c") && c.node_is_up("a"));
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    network: Network,
    configure: Configure,
    nodes: Arc<Mutex<Nodes>>,
}

#[derive(Default)]
struct Nodes {
    /// The first node that was started.
    seed: Option<String>,
    all: BTreeMap<String, Node>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// A cluster without nodes, whose network has no delays.
    ///
    /// See [`Cluster`] for an example.
    pub fn new() -> Self {
        Self::on(Network::new(1))
    }

    /// A cluster on this network, whose seed all randomness of its nodes comes from: with the clock
    /// paused, one seed is one course of things.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use aemp::{net::memory::Network, testing::Cluster};
    /// let network = Network::new(7);
    /// network.set_default_delay(std::time::Duration::from_millis(20));
    /// let [a, _b] = Cluster::on(network.clone()).start(["a", "b"]).await;
    /// assert!(a.node_is_up("b") && network.connections() >= 1);
    /// # }
    /// ```
    pub fn on(network: Network) -> Self {
        Cluster {
            network,
            configure: Arc::new(|builder| builder),
            nodes: Arc::default(),
        }
    }

    /// Configures the nodes that are started from now on as well: what the closure says counts for
    /// more than what is set here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use aemp::{proto::generation::Generations, testing::Cluster};
    /// let old = Cluster::new().configured(|node| node.generation(Generations::Only(1)));
    /// let [a, _b] = old.start(["a", "b"]).await;
    /// assert_eq!(a.stats().links[0].generation, "1b");
    /// # }
    /// ```
    pub fn configured(
        mut self,
        configure: impl Fn(Builder) -> Builder + Send + Sync + 'static,
    ) -> Self {
        self.configure = Arc::new(configure);
        self
    }

    /// The network, for what only it can do: [rates](Network::set_rate), [what stands
    /// between](Network::interpose), [counts](Network::traffic).
    ///
    /// ```
    /// let cluster = aemp::testing::Cluster::new();
    /// cluster.network().set_rate("a", "b", Some(1000));
    /// ```
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Starts nodes of these IDs and waits until all nodes of the cluster are linked with each
    /// other.
    ///
    /// # Panics
    ///
    /// If a node of that ID runs, can't be started, or not be linked.
    ///
    /// See [`Cluster`] for an example.
    #[track_caller]
    pub fn start<const N: usize>(&self, ids: [&str; N]) -> impl Future<Output = [Node; N]> {
        let at = Location::caller();
        async move {
            let mut nodes = Vec::with_capacity(N);
            for id in ids {
                nodes.push(self.launch(id, at).await);
            }
            self.link(at).await;
            match nodes.try_into() {
                Ok(nodes) => nodes,
                Err(_) => unreachable!("one node was started for each ID"),
            }
        }
    }

    /// Starts a node, and waits for nothing.
    ///
    /// # Panics
    ///
    /// If a node of that ID runs, or can't be started.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let node = cluster.start_alone("a").await;
    /// assert!(node.up_nodes().is_empty());
    /// # }
    /// ```
    #[track_caller]
    pub fn start_alone(&self, id: &str) -> impl Future<Output = Node> {
        self.launch(id, Location::caller())
    }

    /// A node that runs.
    ///
    /// # Panics
    ///
    /// If there is none of that ID.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let [a] = cluster.start(["a"]).await;
    /// assert_eq!(cluster.node("a").id(), a.id());
    /// # }
    /// ```
    #[track_caller]
    pub fn node(&self, id: &str) -> Node {
        let nodes = self.nodes.lock();
        match nodes.all.get(id) {
            Some(node) => node.clone(),
            None => panic!(
                "no node {id} runs in the cluster, only {:?}",
                nodes.all.keys()
            ),
        }
    }

    /// Waits until all nodes are linked with each other. Nodes of generation 2 that have nothing to
    /// do with each other have no link: this makes one.
    ///
    /// # Panics
    ///
    /// If that takes too long: 300 seconds in virtual time, else 20. The text says which links
    /// there are.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let [a, b] = cluster.start(["a", "b"]).await;
    /// cluster.cut("a", "b");
    /// aemp::testing::down(&a, "b").await;
    /// cluster.linked().await;
    /// assert!(a.node_is_up("b") && b.node_is_up("a"));
    /// # }
    /// ```
    #[track_caller]
    pub fn linked(&self) -> impl Future<Output = ()> {
        self.link(Location::caller())
    }

    /// Lets nothing pass between two nodes, either way, until [`heal`](Self::heal). Nobody notices
    /// before a time limit is over; [`cut`](Self::cut) besides has both notice at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::testing::{Cluster, Probe, down};
    /// let cluster = Cluster::new();
    /// let [a, b] = cluster.start(["a", "b"]).await;
    /// let mut probe = Probe::new(&b);
    /// cluster.partition("a", "b");
    /// a.snd(probe.id(), &("hello",))?;
    /// probe.expect_nothing().await;
    /// cluster.heal("a", "b");
    /// probe.expect::<()>("hello").await;
    /// # Ok(()) }
    /// ```
    pub fn partition(&self, a: &str, b: &str) {
        self.network.partition(a, b);
        self.network.partition(b, a);
    }

    /// Lets nothing pass that one node sends to the other, until [`heal`](Self::heal).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use aemp::testing::{Cluster, Probe};
    /// let cluster = Cluster::new();
    /// let [a, b] = cluster.start(["a", "b"]).await;
    /// let (mut on_a, mut on_b) = (Probe::new(&a), Probe::new(&b));
    /// cluster.partition_one_way("a", "b");
    /// a.snd(on_b.id(), &("there",))?;
    /// b.snd(on_a.id(), &("back",))?;
    /// on_a.expect::<()>("back").await;
    /// on_b.expect_nothing().await;
    /// # Ok(()) }
    /// ```
    pub fn partition_one_way(&self, from: &str, to: &str) {
        self.network.partition(from, to);
    }

    /// Ends the partitions between two nodes: what was held arrives.
    ///
    /// See [`partition`](Self::partition) for an example.
    pub fn heal(&self, a: &str, b: &str) {
        self.network.heal(a, b);
        self.network.heal(b, a);
    }

    /// Ends all partitions.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let [_a, b] = cluster.start(["a", "b"]).await;
    /// cluster.partition("a", "b");
    /// cluster.heal_all();
    /// b.round_trip("a", std::time::Duration::from_secs(1)).await.unwrap();
    /// # }
    /// ```
    pub fn heal_all(&self) {
        self.network.heal_all();
    }

    /// How long everything takes between two nodes from now on, each way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// # use std::time::Duration;
    /// let cluster = aemp::testing::Cluster::new();
    /// let [a, b] = cluster.start(["a", "b"]).await;
    /// cluster.delay("a", "b", Duration::from_millis(150));
    /// let trip = a.round_trip("b", Duration::from_secs(9)).await.unwrap();
    /// assert_eq!(trip, Duration::from_millis(300));
    /// # }
    /// ```
    pub fn delay(&self, a: &str, b: &str, delay: Duration) {
        self.network.set_delay(a, b, delay);
        self.network.set_delay(b, a, delay);
    }

    /// Resets the connections between two nodes, as a router does that has lost its state. They may
    /// make another one at once.
    ///
    /// See [`linked`](Self::linked) for an example.
    pub fn cut(&self, a: &str, b: &str) {
        self.network.cut(a, b);
    }

    /// Ends a node without a good-bye, as if its machine had lost power: what it has not sent yet
    /// is lost, the others get a reset, and when this is done they know. To end it in good order
    /// use [`Node::shutdown`](crate::Node::shutdown).
    ///
    /// # Panics
    ///
    /// If there is none of that ID.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let [a, _b] = cluster.start(["a", "b"]).await;
    /// cluster.kill("b").await;
    /// aemp::testing::down(&a, "b").await;
    /// # }
    /// ```
    #[track_caller]
    pub fn kill(&self, id: &str) -> impl Future<Output = ()> {
        let node = self.node(id);
        async move {
            let others: Vec<Node> = {
                let mut nodes = self.nodes.lock();
                nodes.all.remove(id);
                nodes.all.values().cloned().collect()
            };
            // Nothing that its end sends may reach the others, nor they it meanwhile.
            self.network.isolate(id);
            for other in &others {
                self.network.cut(id, other.id().as_str());
            }
            node.shutdown().await;
            for other in &others {
                wait::down(other, id).await;
            }
            self.network.rejoin(id);
        }
    }

    /// Starts a node again under its ID, after [`kill`](Self::kill) if it runs: what it knew is
    /// forgotten, and its ports are gone. Waits for nothing; see [`linked`](Self::linked).
    ///
    /// # Panics
    ///
    /// If it can't be started.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let [a, b] = cluster.start(["a", "b"]).await;
    /// let before = b.port();
    /// let b = cluster.restart("b").await;
    /// aemp::testing::up(&a, "b").await;
    /// assert!(b.local_port(before.id()).is_none());
    /// # }
    /// ```
    #[track_caller]
    pub fn restart(&self, id: &str) -> impl Future<Output = Node> {
        let at = Location::caller();
        async move {
            if self.runs(id) {
                self.kill(id).await;
            }
            self.launch(id, at).await
        }
    }

    /// Ends all nodes in good order.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let cluster = aemp::testing::Cluster::new();
    /// let [a, b] = cluster.start(["a", "b"]).await;
    /// cluster.shutdown().await;
    /// assert!(a.up_nodes().is_empty() && b.up_nodes().is_empty());
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        let nodes = std::mem::take(&mut self.nodes.lock().all);
        for node in nodes.into_values() {
            node.shutdown().await;
        }
    }

    /// Whether a node of that ID runs. One that was shut down does not.
    fn runs(&self, id: &str) -> bool {
        let nodes = self.nodes.lock();
        let node = nodes.all.get(id);
        node.is_some_and(|node| !node.inner().is_stopping())
    }

    async fn launch(&self, id: &str, at: &Location<'_>) -> Node {
        let seed = {
            assert!(!self.runs(id), "a node {id} runs already, at {at}");
            let mut nodes = self.nodes.lock();
            nodes.seed.get_or_insert_with(|| id.to_owned()).clone()
        };
        let builder = Builder::default()
            .no_rc()
            .nodeid(id)
            .secret("a secret for tests")
            .binds([format!("{id}:{PORT}")])
            .seeds([format!("{seed}:{PORT}")]);
        let builder = (self.configure)(builder);
        let node = match builder.network(&self.network.host(id)).start().await {
            Ok(node) => node,
            Err(error) => panic!("the node {id} can't be started, at {at}: {error}"),
        };
        let mut nodes = self.nodes.lock();
        nodes.all.insert(id.to_owned(), node.clone());
        node
    }

    async fn link(&self, at: &Location<'_>) {
        let limit = clock::patience();
        let nodes: Vec<Node> = self.nodes.lock().all.values().cloned().collect();
        let pairs = || {
            let others = |node| nodes.iter().map(move |other| (node, other));
            let pairs = nodes.iter().flat_map(others);
            pairs.filter(|(node, other)| node.id() != other.id())
        };
        let all = async {
            // One side may not have noticed yet that a link is lost: all have to be up at a time.
            while !pairs().all(|(node, other)| node.node_is_up(other.id())) {
                for (node, other) in pairs() {
                    reach(node, other, limit).await;
                }
            }
        };
        if timeout(limit, all).await.is_err() {
            let mut links = String::new();
            for node in &nodes {
                links += &format!("\n  {} is linked to {:?}", node.id(), node.up_nodes());
            }
            panic!("the nodes are not linked with each other after {limit:?}, at {at}{links}");
        }
    }
}

/// Makes two nodes be linked, and both know that.
async fn reach(node: &Node, other: &Node, limit: Duration) {
    let mut events = node.mon_nodes();
    while !node.node_is_up(other.id()) {
        // Whoever has something to say to a node makes a link.
        if node.round_trip(other.id(), limit).await.is_ok() {
            continue;
        }
        // It was lost: there will be news, or the time is over.
        events.next().await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("network", &self.network)
            .field("nodes", &self.nodes.lock().all.values())
            .finish_non_exhaustive()
    }
}
