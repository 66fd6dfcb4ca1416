//! What passes through TLS: much, in order, both ways at once, and to who reads slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::{Node, PortId};
use tokio::sync::Notify;

use crate::certs::PERL;
use crate::support::{LIMIT, within};
use crate::trust::node;

/// A port that counts its messages, which are to come in order, and says when all are there.
fn counting(node: &Node, wanted: u64) -> (PortId, Arc<Notify>) {
    let (done, count) = (Arc::new(Notify::new()), AtomicU64::new(0));
    let told = done.clone();
    let port = node.port_with(move |_, message| {
        let (number, _): (u64, String) = message.args().unwrap();
        assert_eq!(number, count.fetch_add(1, Ordering::Relaxed), "in order");
        if number + 1 == wanted {
            told.notify_one();
        }
    });
    (port.id().clone(), done)
}

/// Sends messages of so many octets each from each to the other.
async fn exchange(nodes: [&Node; 2], messages: u64, octets: usize) {
    let ports = nodes.map(|node| counting(node, messages));
    let text = "x".repeat(octets);
    let send = async |from: &Node, to: &PortId| {
        for number in 0..messages {
            from.snd_wait(to, &(number, &text)).await.unwrap();
        }
    };
    let all = async {
        tokio::join!(
            send(nodes[0], &ports[1].0),
            send(nodes[1], &ports[0].0),
            ports[0].1.notified(),
            ports[1].1.notified(),
        );
    };
    within("all messages", all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_passes_both_ways() {
    let a = node("a").cert(PERL).start().await.unwrap();
    let b = node("b")
        .cert(PERL)
        .seeds(a.listeners())
        .start()
        .await
        .unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    exchange([&a, &b], 20_000, 10).await;
    exchange([&a, &b], 40, 300_000).await;
    exchange([&a, &b], 3, 3_000_000).await;
    assert_eq!(a.stats().links[0].reconnects, 0);
    a.shutdown().await;
    b.shutdown().await;
}

/// Little room and long ways: what is encrypted waits for room again and again.
#[tokio::test(start_paused = true)]
async fn through_a_narrow_way() {
    let network = Network::new(5);
    network.set_capacity(1000);
    network.set_default_delay(Duration::from_millis(3));
    let host = |id: &str| {
        Node::builder()
            .no_rc()
            .nodeid(id)
            .cert(PERL)
            .network(&network.host(id))
    };
    let a = host("a").binds(["a:4040"]).start().await.unwrap();
    let b = host("b")
        .binds(["b:4040"])
        .seeds(["a:4040"])
        .start()
        .await
        .unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    for (messages, octets) in [(300, 10), (30, 5000)] {
        let ports = [&a, &b].map(|node| counting(node, messages));
        let text = "x".repeat(octets);
        for number in 0..messages {
            a.snd(&ports[1].0, &(number, &text)).unwrap();
            b.snd(&ports[0].0, &(number, &text)).unwrap();
        }
        ports[0].1.notified().await;
        ports[1].1.notified().await;
    }
    assert_eq!(a.stats().links[0].reconnects, 0);
    a.shutdown().await;
    b.shutdown().await;
}

/// What was sent last still arrives when the node stops.
#[tokio::test]
async fn the_last_message_arrives() {
    let a = node("a").cert(PERL).start().await.unwrap();
    let b = node("b")
        .cert(PERL)
        .seeds(a.listeners())
        .start()
        .await
        .unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    let (port, done) = counting(&a, 50);
    let text = "x".repeat(20_000);
    for number in 0..50 {
        b.snd(&port, &(number, &text)).unwrap();
    }
    b.shutdown().await;
    within("the last one", done.notified()).await;
    a.shutdown().await;
}
