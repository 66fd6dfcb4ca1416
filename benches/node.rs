//! A node's verbs, until what they ask for is done. Everything runs on one thread.
//!
//! - `local`: within one node. `snd` sends the usual message in batches of 1000 and waits until the
//!   last one of each was handled, by a handler that owns its arguments or borrows them. `create`
//!   makes a port with a handler, `kil` kills it, and `mon_kil` monitors it as well and waits until
//!   the monitor has fired; 1000 ports at a time, too. `cal` calls a port and waits for its answer,
//!   one call after the other.
//! - `link`: between two nodes of this process, over TCP on 127.0.0.1. `snd` sends all messages
//!   with `snd_wait` and waits until the last one was handled: the time is that of both nodes and
//!   the kernel together. `cal` as above, so a round trip.
//! - `watched`: the same `snd` while somebody looks: `timed` with `Node::time_handlers`, `spans`
//!   with a subscriber that keeps spans, `traced` as a part of a trace, between two nodes that
//!   carry it; `plain` for comparison.
//!
//! All times are those of one message, port or call.

#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aemp::proto::generation::Generations;
use aemp::{Builder, Context, Node, Port, PortId, Reason, Receive};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::{Args, EXTRA, Extra, HELLO};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::yield_now;

/// So many at a time.
const BATCH: u64 = 1000;

/// A port that takes the usual message, and the notice that it took the one with the number 0.
struct Sink {
    port: PortId,
    done: Arc<Notify>,
}

impl Sink {
    /// Its handler owns the arguments.
    fn owning(node: &Node) -> Self {
        Self::new(node, |port, done| {
            port.rcv("m", move |_, (n, _, _): (u64, String, Extra)| {
                if n == 0 {
                    done.notify_one();
                }
            });
        })
    }

    /// Its handler borrows the arguments.
    fn borrowing(node: &Node) -> Self {
        Self::new(node, |port, done| {
            port.rcv_with("m", Borrowing(done));
        })
    }

    fn new(node: &Node, set: impl FnOnce(&Port, Arc<Notify>)) -> Self {
        let (port, done) = (node.port(), Arc::new(Notify::new()));
        set(&port, done.clone());
        let port = port.id().clone();
        Sink { port, done }
    }
}

struct Borrowing(Arc<Notify>);

impl Receive for Borrowing {
    type Args<'a> = Args<'a>;
    type Outcome = ();

    fn receive(&mut self, _: &Context, (n, _, _): Args<'_>) {
        if n == 0 {
            self.0.notify_one();
        }
    }
}

/// A port that adds.
fn adder(node: &Node) -> Port {
    let port = node.port();
    port.rcv("add", |cx, (a, b, reply): (u32, u32, PortId)| {
        cx.snd(&reply, &(a + b,))
    });
    port
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Does so many in batches. `batch` does one of them, and says how long it took.
async fn in_batches(total: u64, mut batch: impl AsyncFnMut(u64) -> Duration) -> Duration {
    let (mut left, mut took) = (total, Duration::ZERO);
    while left > 0 {
        let now = left.min(BATCH);
        took += batch(now).await;
        left -= now;
    }
    took
}

async fn snd(node: &Node, sink: &Sink, count: u64) -> Duration {
    let start = Instant::now();
    for n in (0..count).rev() {
        let sent = node.snd(&sink.port, &("m", n, HELLO, EXTRA));
        sent.expect("it serialises");
    }
    sink.done.notified().await;
    start.elapsed()
}

async fn snd_wait(node: &Node, sink: &Sink, count: u64) -> Duration {
    let start = Instant::now();
    for n in (0..count).rev() {
        let sent = node.snd_wait(&sink.port, &("m", n, HELLO, EXTRA)).await;
        sent.expect("it serialises");
    }
    sink.done.notified().await;
    start.elapsed()
}

async fn cal(node: &Node, port: &Port, count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        let sum: u32 = node
            .cal(port, &("add", 1, 2), None)
            .await
            .expect("an answer");
        assert_eq!(sum, 3);
    }
    start.elapsed()
}

fn create(node: &Node, count: u64) -> Vec<Port> {
    let create = |_| {
        let port = node.port();
        port.rcv("m", |_, _: (u64,)| ());
        port
    };
    (0..count).map(create).collect()
}

fn kill(ports: &[Port]) {
    ports.iter().for_each(|port| port.kil(Reason::normal()));
}

/// Monitors ports and kills them, until all monitors have fired.
async fn mon_kil(node: &Node, ports: &[Port]) -> Duration {
    let start = Instant::now();
    let left = Arc::new((AtomicU64::new(ports.len() as u64), Notify::new()));
    for port in ports {
        let left = left.clone();
        node.mon(port, move |_| {
            if left.0.fetch_sub(1, Ordering::Relaxed) == 1 {
                left.1.notify_one();
            }
        });
    }
    kill(ports);
    left.1.notified().await;
    start.elapsed()
}

fn local(c: &mut Criterion) {
    let runtime = runtime();
    let node = runtime.block_on(async { Node::local() });
    let mut group = c.benchmark_group("local");
    group.throughput(Throughput::Elements(1));
    for (name, sink) in [
        ("snd", Sink::owning(&node)),
        ("snd_borrowing", Sink::borrowing(&node)),
    ] {
        group.bench_function(name, |b| {
            b.iter_custom(|messages| {
                runtime.block_on(in_batches(messages, async |now| {
                    snd(&node, &sink, now).await
                }))
            });
        });
    }
    let before = node.port_count();
    group.bench_function("create", |b| {
        b.iter_custom(|ports| {
            runtime.block_on(in_batches(ports, async |now| {
                let start = Instant::now();
                let ports = create(&node, now);
                let took = start.elapsed();
                kill(&ports);
                yield_now().await;
                took
            }))
        });
    });
    group.bench_function("kil", |b| {
        b.iter_custom(|ports| {
            runtime.block_on(in_batches(ports, async |now| {
                let ports = create(&node, now);
                let start = Instant::now();
                kill(&ports);
                yield_now().await;
                start.elapsed()
            }))
        });
    });
    group.bench_function("mon_kil", |b| {
        b.iter_custom(|ports| {
            runtime.block_on(in_batches(ports, async |now| {
                let ports = create(&node, now);
                mon_kil(&node, &ports).await
            }))
        });
    });
    assert_eq!(node.port_count(), before);
    let adder = adder(&node);
    group.bench_function("cal", |b| {
        b.iter_custom(|calls| runtime.block_on(cal(&node, &adder, calls)));
    });
    runtime.block_on(node.shutdown());
}

/// Two nodes and the link between them.
async fn linked() -> [Node; 2] {
    linked_as(|builder| builder).await
}

/// The same, configured in that way.
async fn linked_as(configure: impl Fn(Builder) -> Builder) -> [Node; 2] {
    let node = |id: &str| {
        let builder = Node::builder().no_rc().nodeid(id).secret("geheim");
        let builder = builder.generation(Generations::Only(1));
        configure(builder.binds(["127.0.0.1:0"]))
    };
    let receiver = node("receiver").start().await.expect("it listens");
    let sender = node("sender").seeds(receiver.listeners()).start().await;
    let sender = sender.expect("it listens");
    let mut events = sender.mon_nodes();
    while !sender.node_is_up(receiver.id()) {
        events.next().await;
    }
    [receiver, sender]
}

fn link(c: &mut Criterion) {
    let runtime = runtime();
    let [receiver, sender] = runtime.block_on(linked());
    let mut group = c.benchmark_group("link");
    group.throughput(Throughput::Elements(1));
    for (name, sink) in [
        ("snd", Sink::owning(&receiver)),
        ("snd_borrowing", Sink::borrowing(&receiver)),
    ] {
        group.bench_function(name, |b| {
            b.iter_custom(|messages| runtime.block_on(snd_wait(&sender, &sink, messages)));
        });
    }
    let adder = adder(&receiver);
    group.bench_function("cal", |b| {
        b.iter_custom(|calls| runtime.block_on(cal(&sender, &adder, calls)));
    });
    for node in [sender, receiver] {
        runtime.block_on(node.shutdown());
    }
}

fn watched(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("watched");
    group.throughput(Throughput::Elements(1));
    for how in ["plain", "timed", "spans", "traced"] {
        let carry = |builder: Builder| match how {
            "traced" => builder.trace_context(),
            _ => builder,
        };
        let [receiver, sender] = runtime.block_on(linked_as(carry));
        receiver.time_handlers(how == "timed");
        // Everything runs on this thread.
        let _spans = (how == "spans")
            .then(|| tracing::subscriber::set_default(tracing_subscriber::registry()));
        let sink = Sink::owning(&receiver);
        group.bench_function(how, |b| {
            b.iter_custom(|messages| match how {
                "traced" => {
                    let trace = sender.new_trace();
                    let send = snd_wait(&sender, &sink, messages);
                    runtime.block_on(sender.with_trace(trace, send))
                }
                _ => runtime.block_on(snd_wait(&sender, &sink, messages)),
            });
        });
        for node in [sender, receiver] {
            runtime.block_on(node.shutdown());
        }
    }
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = local, link, watched
}
criterion_main!(benches);
