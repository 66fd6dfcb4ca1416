//! Whole networks in one process, over the network in memory and in virtual time: no socket, no
//! waiting, and the same history for the same seed.

#[path = "support/spans.rs"]
mod spans;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::proto::generation::Generations;
use aemp::testing::{Cluster, Probe, members, up};
use aemp::{Node, NodeEvent};
use tokio::time::Instant;
use tracing::field::{Field, Visit};

/// Who writes down what the nodes log and say, each line with the time.
struct History {
    started: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

impl tracing::Subscriber for History {
    fn enabled(&self, meta: &tracing::Metadata<'_>) -> bool {
        // What only asks is neither.
        !meta.is_span()
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        if !event.metadata().target().starts_with("aemp") {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let at = self.started.elapsed().as_micros();
        self.lines
            .lock()
            .unwrap()
            .push(format!("{at:>9} {}", line.0));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Runs something in virtual time: what it gives, and the history.
fn in_virtual_time<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let kept = lines.clone();
    let result = runtime.block_on(async move {
        let history = History {
            started: Instant::now(),
            lines: kept,
        };
        let _guard = spans::subscribe(history);
        work.await
    });
    drop(runtime);
    let lines = std::mem::take(&mut *lines.lock().unwrap());
    (result, lines)
}

struct World {
    cluster: Cluster,
    generations: Generations,
    nodes: Vec<Node>,
}

const SEEDS: [&str; 2] = ["seed0:4040", "seed1:4040"];

impl World {
    /// A network of so many nodes, the first two of which are the seeds.
    async fn new(seed: u64, generations: Generations, nodes: usize) -> Self {
        let network = Network::new(seed);
        network.set_default_delay(Duration::from_millis(1));
        let cluster = Cluster::on(network).configured(move |builder| {
            // The log of all nodes is compared: nothing of it may be held back.
            let builder = builder.set("max_log_lines", 1_000_000);
            builder.generation(generations).seeds(SEEDS)
        });
        let mut world = World {
            cluster,
            generations,
            nodes: Vec::new(),
        };
        for n in 0..nodes {
            let id = match n {
                0 | 1 => format!("seed{n}"),
                n => format!("node{n}"),
            };
            let node = world.cluster.start_alone(&id).await;
            world.nodes.push(node);
        }
        world
    }

    /// Waits until each node has a link to all that it should have one to.
    async fn meshed(&self) {
        for node in &self.nodes {
            for other in &self.nodes {
                let seed = |node: &Node| node.id().as_str().starts_with("seed");
                let linked = self.generations != Generations::Only(2) || seed(node) || seed(other);
                if linked && node.id() != other.id() {
                    up(node, other.id().as_str()).await;
                }
            }
        }
    }

    /// The first seed stops; each node sees that. Then it starts again.
    async fn lose_and_regain_a_seed(&mut self) {
        let seed = self.nodes.remove(0);
        let mut events: Vec<_> = self.nodes.iter().map(Node::mon_nodes).collect();
        seed.shutdown().await;
        for events in &mut events {
            let lost = |event: &NodeEvent| !event.is_up() && event.node().as_str() == "seed0";
            while !lost(&events.next().await.unwrap()) {}
        }
        let again = self.cluster.restart("seed0").await;
        self.nodes.insert(0, again);
    }

    /// The first seed is cut off, without an end of its connections; then its host comes back.
    async fn isolate_a_seed(&self) {
        let (seed, network) = (&self.nodes[0], self.cluster.network());
        network.isolate("seed0");
        for node in &self.nodes[1..] {
            self.cluster.cut("seed0", node.id().as_str());
        }
        let mut events = seed.mon_nodes();
        while !seed.up_nodes().is_empty() {
            events.next().await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        network.rejoin("seed0");
    }

    async fn stop(self) {
        self.cluster.shutdown().await;
        // What was written last is still read for a while.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let open = self.cluster.network().connections();
        assert_eq!(open, 0, "nothing is left open");
    }
}

/// A member of a group that one node registers is seen by all, and takes a message from each.
async fn talk(world: &World) {
    let last = world.nodes.last().unwrap();
    let mut probe = Probe::new(last);
    last.register("inboxes", probe.id());
    for node in &world.nodes {
        let found = members(node, "inboxes", 1).await;
        node.snd(&found[0], &("from", node.id())).unwrap();
    }
    let mut from = Vec::new();
    for _ in &world.nodes {
        let (id,): (String,) = probe.expect("from").await;
        from.push(id);
    }
    from.sort();
    let mut all: Vec<String> = world
        .nodes
        .iter()
        .map(|node| node.id().to_string())
        .collect();
    all.sort();
    assert_eq!(from, all);
}

/// The life of a network of 50: it meshes, loses a seed and regains it, in two ways.
fn life(seed: u64, generations: Generations) -> Vec<String> {
    let ((), history) = in_virtual_time(async {
        let mut world = World::new(seed, generations, 50).await;
        world.meshed().await;
        talk(&world).await;
        world.lose_and_regain_a_seed().await;
        world.meshed().await;
        world.isolate_a_seed().await;
        world.meshed().await;
        world.stop().await;
    });
    history
}

fn assert_same(one: &[String], other: &[String]) {
    for (n, (a, b)) in one.iter().zip(other).enumerate() {
        assert_eq!(a, b, "line {n} of the histories");
    }
    assert_eq!(one.len(), other.len());
}

#[test]
fn fifty_nodes_of_generation_1_live_the_same_life_twice() {
    let one = life(7, Generations::Only(1));
    assert!(one.len() > 10_000, "{} lines say little", one.len());
    assert_same(&one, &life(7, Generations::Only(1)));
    assert_ne!(one, life(8, Generations::Only(1)), "a seed means something");
}

#[test]
fn fifty_nodes_of_generation_2_live_the_same_life_twice() {
    let one = life(7, Generations::Only(2));
    assert!(one.len() > 1_000, "{} lines say little", one.len());
    assert_same(&one, &life(7, Generations::Only(2)));
}

#[test]
fn fifty_nodes_of_all_generations_live_the_same_life_twice() {
    assert_same(&life(7, Generations::Auto), &life(7, Generations::Auto));
}

/// One node tells of 100,000 that are not there, at hosts that take connections and say nothing;
/// another tells of one that is.
#[test]
fn false_nodes_do_not_keep_an_honest_one_waiting() {
    const TRAPS: usize = 500;
    let (most, _) = in_virtual_time(async {
        let network = Network::new(7);
        network.set_default_delay(Duration::from_millis(1));
        let mut traps = Vec::new();
        for n in 0..TRAPS {
            let trap = network.host(&format!("trap{n}"));
            traps.push(trap.bind(&format!("trap{n}:1")).unwrap());
        }
        let start = async |id: &str, seeds: &[&str]| {
            let builder = Node::builder().no_rc().nodeid(id).secret("geheim");
            let builder = builder
                .generation(Generations::Only(1))
                .seeds(seeds.iter().copied());
            let builder = builder.binds([format!("{id}:4040")]);
            builder.network(&network.host(id)).start().await.unwrap()
        };
        let target = start("target", &[]).await;
        let late = start("late", &[]).await;
        let liar = start("liar", &["target:4040"]).await;
        let friend = start("friend", &["target:4040"]).await;
        up(&liar, "target").await;
        up(&friend, "target").await;
        let before = network.connections();
        let tell = |from: &Node, nodes: BTreeMap<String, Vec<String>>| {
            let args = (0, from.id());
            let port = from.spawn("target", "AnyEvent::MP::Global::connect", &args);
            from.snd(port.unwrap(), &("nodes", nodes)).unwrap();
        };
        let lie = |n: usize| (format!("false{n}"), vec![format!("trap{}:1", n % TRAPS)]);
        // A node takes note of at most 10,000 that it is told of at once.
        for begin in (0..100_000).step_by(10_000) {
            tell(&liar, (begin..begin + 10_000).map(lie).collect());
        }
        let mut most = 0;
        let mut watch = async |millis: usize| {
            for _ in 0..millis / 10 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                most = most.max(target.stats().dials);
                // The node passes on what it was told to its two friends.
                assert!(network.connections() - before <= 3 * 64);
            }
        };
        watch(5_000).await;
        let honest = ("late".to_owned(), vec!["late:4040".to_owned()]);
        tell(&friend, BTreeMap::from([honest]));
        watch(1_000).await;
        assert!(target.node_is_up("late"), "within a second");
        watch(60_000).await;
        assert!(target.stats().limits["max_dials"] > 50_000);
        for node in [target, late, liar, friend] {
            node.shutdown().await;
        }
        most
    });
    assert!(
        (12..64).contains(&most),
        "{most} connections are made at a time"
    );
}
