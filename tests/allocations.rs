//! How often the way of a message allocates memory: not at all, once both ends have warmed up.
//!
//! A test program of its own, as it counts what the whole process does.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aemp::proto::Framing;
use aemp::{Context, Node, PortId, Receive};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Serialize, Deserialize)]
struct Hash {
    k: [u32; 3],
}

/// Borrows the text of its messages.
struct Borrows(Arc<AtomicU64>);

impl Receive for Borrows {
    type Args<'a> = (u64, &'a str, Hash);
    type Outcome = ();

    fn receive(&mut self, _: &Context, (_, text, hash): Self::Args<'_>) {
        assert_eq!((text.len(), hash.k), (11, [1, 2, 3]));
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn started(id: &str, framing: Framing, seeds: Vec<String>) -> Node {
    let node = Node::builder().no_rc().nodeid(id).secret("geheim");
    let node = node.framings([framing]).binds(["127.0.0.1:0"]);
    node.seeds(seeds).start().await.unwrap()
}

/// Sends so many messages and waits until they are handled.
async fn send(node: &Node, port: &PortId, count: u64, handled: &AtomicU64) {
    let before = handled.load(Ordering::Relaxed);
    for n in 0..count {
        let message = ("m", n, "hello world", Hash { k: [1, 2, 3] });
        node.snd_wait(port, &message).await.unwrap();
    }
    while handled.load(Ordering::Relaxed) < before + count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_allocates_nothing() {
    // One after the other, as everything that happens meanwhile is counted.
    for framing in [Framing::Json, Framing::Cbor] {
        allocates_nothing(framing).await;
    }
}

async fn allocates_nothing(framing: Framing) {
    const COUNT: u64 = 100_000;
    let receiver = started("receiver", framing, vec![]).await;
    let sender = started("sender", framing, receiver.listeners()).await;
    let handled = Arc::new(AtomicU64::new(0));
    let port = receiver.port();
    port.rcv_with("m", Borrows(handled.clone()));
    let owned = receiver.port();
    let counted = handled.clone();
    owned.rcv(
        "m",
        move |_, (_, _, _): (u64, serde::de::IgnoredAny, Hash)| {
            counted.fetch_add(1, Ordering::Relaxed);
        },
    );

    for port in [port.id(), owned.id()] {
        send(&sender, port, COUNT, &handled).await;
        let region = Region::new(GLOBAL);
        send(&sender, port, COUNT, &handled).await;
        let change = region.change();
        println!("{COUNT} messages in {framing}: {change:?}");
        // A few per read or timer are allowed, none per message: sending, reading and handling
        // together.
        let times = change.allocations + change.reallocations;
        assert!(times < 200, "{framing}: {change:?}");
    }
    sender.shutdown().await;
    receiver.shutdown().await;
}
