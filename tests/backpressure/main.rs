//! Backpressure from end to end: who sends with `snd_wait` alone goes at the pace of the port that
//! it sends to, on whichever node that is (docs/backpressure.md).

mod limits;
mod links;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::proto::generation::Generations;
use aemp::{Builder, Node, Port, PortId};

/// Runs something in virtual time.
fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// A node of a network in memory.
fn builder(network: &Network, id: &str) -> Builder {
    let builder = Node::builder().no_rc().nodeid(id).secret("geheim");
    let builder = builder.generation(Generations::Only(1));
    builder
        .network(&network.host(id))
        .binds([format!("{id}:4040")])
        .seeds([""; 0])
}

/// Two nodes in memory that have a link: the second may have settings of its own.
async fn pair(network: &Network, settings: &[(&str, u64)]) -> (Node, Node) {
    let producer = builder(network, "producer").start().await.unwrap();
    let mut consumer = builder(network, "consumer").seeds(["producer:4040"]);
    for (key, value) in settings {
        consumer = consumer.set(*key, *value);
    }
    let consumer = consumer.start().await.unwrap();
    support::up(&producer, "consumer").await;
    (producer, consumer)
}

/// What a port has taken: how many messages, and whether they came in their order.
#[derive(Default)]
struct Taken {
    count: AtomicU64,
    out_of_order: AtomicU64,
}

impl Taken {
    fn count(&self) -> u64 {
        assert_eq!(self.out_of_order.load(Ordering::SeqCst), 0);
        self.count.load(Ordering::SeqCst)
    }

    fn next(&self, n: u64) {
        if self.count.fetch_add(1, Ordering::SeqCst) != n {
            self.out_of_order.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until so many have come.
    async fn wait(&self, count: u64) {
        while self.count() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A port that works on each message for some time.
fn slow(node: &Node, work: Duration) -> (Port, Arc<Taken>) {
    let taken = Arc::new(Taken::default());
    let port = node.port();
    let counted = taken.clone();
    port.rcv_async("n", move |_, (n, _): (u64, String)| {
        let counted = counted.clone();
        async move {
            tokio::time::sleep(work).await;
            counted.next(n);
        }
    });
    (port, taken)
}

/// Sends numbers from a task of its own, and counts what was sent.
fn produce(node: &Node, port: &PortId, count: u64, size: usize) -> (Arc<AtomicU64>, Producer) {
    let sent = Arc::new(AtomicU64::new(0));
    let (node, port, counted) = (node.clone(), port.clone(), sent.clone());
    let task = tokio::spawn(async move {
        let payload = "x".repeat(size);
        for n in 0..count {
            node.snd_wait(&port, &("n", n, &payload)).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (sent, task)
}

type Producer = tokio::task::JoinHandle<()>;

/// 20,000 messages of 10 kB to a port that takes a millisecond for each: 200 MB, of which the
/// consumer's port may hold 16. All arrive, and what waits there stays far below the bound.
#[test]
fn a_slow_consumer_slows_its_producer() {
    const COUNT: u64 = 20_000;
    in_virtual_time(async {
        let network = Network::new(1);
        let (producer, consumer) = pair(&network, &[("max_queue", 16 << 20)]).await;
        let (port, taken) = slow(&consumer, Duration::from_millis(1));
        let (sent, task) = produce(&producer, port.id(), COUNT, 10_000);
        let mut most = 0;
        while !task.is_finished() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            most = most.max(sent.load(Ordering::SeqCst) - taken.count());
            assert!(consumer.local_port(port.id()).is_some(), "the port died");
        }
        task.await.unwrap();
        taken.wait(COUNT).await;
        assert!(most > 50, "it was never ahead: {most}");
        // 1 MiB, and what is under way when the producer is told.
        assert!(most * 10_000 < 3 << 20, "{most} messages were ahead");
        consumer.shutdown().await;
        producer.shutdown().await;
    });
}

/// The same over TCP, where the system holds some of what is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_consumer_slows_its_producer_over_tcp() {
    const COUNT: u64 = 3_000;
    let consumer = support::listening("pressed").await;
    let builder = support::builder("pressing").binds([""; 0]);
    let producer = builder.seeds(consumer.listeners()).start().await.unwrap();
    support::up(&consumer, "pressing").await;
    support::up(&producer, "pressed").await;
    let (port, taken) = slow(&consumer, Duration::from_millis(1));
    let (sent, task) = produce(&producer, port.id(), COUNT, 10_000);
    let mut most = 0;
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        most = most.max(sent.load(Ordering::SeqCst).saturating_sub(taken.count()));
    }
    task.await.unwrap();
    support::within("all messages", taken.wait(COUNT)).await;
    assert!(most < COUNT * 2 / 3, "{most} messages were ahead");
    consumer.shutdown().await;
    producer.shutdown().await;
}
