//! What ends a wait: the end of the link, of the port, of a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::{Node, Reason};

use crate::{Producer, in_virtual_time, pair, produce, slow, support};

/// A producer that waits for a port that takes nothing.
struct Held {
    network: Network,
    producer: Node,
    consumer: Node,
    port: aemp::Port,
    sent: Arc<AtomicU64>,
    /// How many were sent when it began to wait.
    before: u64,
    task: Producer,
}

impl Held {
    /// Waits until more was sent: to a node that can't be reached, that is as slow as the attempts
    /// to reach it.
    async fn sends_more(self) {
        let more = async {
            while self.sent.load(Ordering::SeqCst) == self.before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let limit = Duration::from_secs(60);
        let sent = tokio::time::timeout(limit, more).await;
        sent.expect("the producer goes on");
        self.task.abort();
    }
}

/// Far more messages than a port has room for.
const COUNT: u64 = 20_000;

async fn held() -> Held {
    let network = Network::new(1);
    let (producer, consumer) = pair(&network, &[]).await;
    let (port, _) = slow(&consumer, Duration::from_secs(1_000_000));
    let (sent, task) = produce(&producer, port.id(), COUNT, 10_000);
    waits(&sent, &task).await;
    Held {
        network,
        producer,
        consumer,
        port,
        before: sent.load(Ordering::SeqCst),
        sent,
        task,
    }
}

/// Waits until nothing more is sent, though not all is.
async fn waits(sent: &AtomicU64, task: &Producer) {
    loop {
        let before = sent.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if before > 0 && before == sent.load(Ordering::SeqCst) {
            break;
        }
    }
    assert!(!task.is_finished());
}

/// Waits for the end of the producer.
async fn goes_on(task: Producer) {
    let limit = Duration::from_secs(60);
    let ended = tokio::time::timeout(limit, task).await;
    ended.expect("the producer goes on").unwrap();
}

#[test]
fn a_port_that_is_killed_holds_nobody() {
    in_virtual_time(async {
        let held = held().await;
        held.consumer.kil(held.port.id(), Reason::normal());
        goes_on(held.task).await;
        held.consumer.shutdown().await;
        held.producer.shutdown().await;
    });
}

/// A link that is lost holds nobody: its messages are lost, and the monitor says so.
#[test]
fn a_link_that_is_lost_holds_nobody() {
    in_virtual_time(async {
        let held = held().await;
        let (told, reason) = tokio::sync::oneshot::channel();
        let monitor = move |reason| drop(told.send(reason));
        held.producer.mon(held.port.id(), monitor);
        held.network.isolate("consumer");
        held.network.cut("producer", "consumer");
        let (producer, consumer) = (held.producer.clone(), held.consumer.clone());
        held.sends_more().await;
        let reason: Reason = reason.await.unwrap();
        assert_eq!(reason.kind(), Some("transport_error"));
        consumer.shutdown().await;
        producer.shutdown().await;
    });
}

/// What was said on a link is over with it: on the next one nobody waits for a port that is idle.
#[test]
fn the_next_link_begins_anew() {
    in_virtual_time(async {
        let network = Network::new(1);
        let (producer, consumer) = pair(&network, &[]).await;
        let (port, taken) = slow(&consumer, Duration::from_millis(1));
        let (sent, task) = produce(&producer, port.id(), COUNT, 10_000);
        while sent.load(Ordering::SeqCst) < 500 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut events = producer.mon_nodes();
        network.cut("producer", "consumer");
        support::event(&mut events, |event| !event.is_up()).await;
        support::event(&mut events, aemp::NodeEvent::is_up).await;
        task.abort();
        let _ = task.await;
        // Until nothing comes any more: the port has no room to make.
        loop {
            let before = taken.count.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if before == taken.count.load(Ordering::SeqCst) {
                break;
            }
        }
        let (again, taken) = slow(&consumer, Duration::from_millis(1));
        let (_, task) = produce(&producer, again.id(), 1_000, 10_000);
        goes_on(task).await;
        taken.wait(1_000).await;
        consumer.shutdown().await;
        producer.shutdown().await;
    });
}

#[test]
fn a_node_that_stops_holds_nobody() {
    in_virtual_time(async {
        let held = held().await;
        let consumer = held.consumer.clone();
        held.producer.shutdown().await;
        // What it sends is an error from then on, which ends its task.
        let ended = tokio::time::timeout(Duration::from_secs(60), held.task).await;
        let error = ended.expect("the producer goes on").unwrap_err();
        let text = error.into_panic().downcast::<String>().unwrap();
        assert!(text.contains("Stopped"), "{text}");
        consumer.shutdown().await;
    });
    in_virtual_time(async {
        let held = held().await;
        let producer = held.producer.clone();
        held.consumer.shutdown().await;
        held.sends_more().await;
        producer.shutdown().await;
    });
}
