//! What waits where, and who waits for whom.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aemp::net::memory::Network;
use tokio::time::Instant;

use crate::{builder, in_virtual_time, pair, produce, slow, support};

/// Another port of the same link takes what it is sent as if nobody waited.
#[test]
fn a_fast_port_beside_it_keeps_flowing() {
    in_virtual_time(async {
        let network = Network::new(1);
        network.set_default_delay(Duration::from_millis(1));
        let (producer, consumer) = pair(&network, &[]).await;
        let (stuck, _) = slow(&consumer, Duration::from_secs(1_000_000));
        let (sent, held) = produce(&producer, stuck.id(), 20_000, 10_000);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let before = sent.load(Ordering::SeqCst);
        let (fast, taken) = slow(&consumer, Duration::ZERO);
        let begun = Instant::now();
        let (_, task) = produce(&producer, fast.id(), 1_000, 1_000);
        task.await.unwrap();
        taken.wait(1_000).await;
        // A task that sleeps for no time still sleeps for a tick of the clock.
        assert!(begun.elapsed() < Duration::from_secs(3));
        assert_eq!(sent.load(Ordering::SeqCst), before);
        assert!(!held.is_finished());
        held.abort();
        consumer.shutdown().await;
        producer.shutdown().await;
    });
}

/// Two nodes that send to one port are told each, and both go on.
#[test]
fn two_producers_share_a_port() {
    in_virtual_time(async {
        let network = Network::new(1);
        let (one, consumer) = pair(&network, &[("max_queue", 16 << 20)]).await;
        let two = builder(&network, "two").seeds(["producer:4040"]);
        let two = two.start().await.unwrap();
        support::up(&two, "consumer").await;
        let port = consumer.port();
        let (told, mut taken) = tokio::sync::mpsc::unbounded_channel();
        port.rcv_async("n", move |_, (n, _): (u64, String)| {
            let told = told.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let _ = told.send(n);
            }
        });
        let producers = [&one, &two].map(|node| produce(node, port.id(), 4_000, 10_000));
        let mut sum = 0;
        for count in 0..8_000 {
            sum += taken.recv().await.expect("the port lives");
            let ahead = |(sent, _): &(std::sync::Arc<std::sync::atomic::AtomicU64>, _)| {
                sent.load(Ordering::SeqCst)
            };
            let ahead = producers.iter().map(ahead).sum::<u64>() - count;
            assert!(ahead * 10_000 < 4 << 20, "{ahead} messages were ahead");
        }
        assert_eq!(sum, 2 * (0..4_000).sum::<u64>());
        for (_, task) in producers {
            task.await.unwrap();
        }
        for node in [two, consumer, one] {
            node.shutdown().await;
        }
    });
}

/// A mailbox whose program is slow to receive is such a port, too.
#[test]
fn a_mailbox_that_is_full_slows_its_producer() {
    in_virtual_time(async {
        let network = Network::new(1);
        let (producer, consumer) = pair(&network, &[("max_mailbox", 10_000)]).await;
        let mut inbox = consumer.mailbox();
        let (sent, task) = produce(&producer, inbox.id(), 20_000, 100);
        for n in 0..20_000 {
            if n % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let ahead = sent.load(Ordering::SeqCst) - n.min(sent.load(Ordering::SeqCst));
            assert!(ahead < 10_000, "{ahead} were ahead");
            let (_, got, _): (String, u64, String) = inbox.recv().await.unwrap().args().unwrap();
            assert_eq!(got, n);
        }
        task.await.unwrap();
        consumer.shutdown().await;
        producer.shutdown().await;
    });
}

/// Where sender and port are on one node, the port's bound in octets counts as well.
#[test]
fn a_sender_on_the_same_node_waits_for_octets() {
    in_virtual_time(async {
        let network = Network::new(1);
        let node = builder(&network, "alone").set("max_queue", 1 << 20);
        let node = node.start().await.unwrap();
        let (port, taken) = slow(&node, Duration::from_millis(1));
        let (_, task) = produce(&node, port.id(), 2_000, 10_000);
        task.await.unwrap();
        taken.wait(2_000).await;
        assert!(node.local_port(port.id()).is_some());
        node.shutdown().await;
    });
}
