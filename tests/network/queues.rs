//! What waits: its bounds, and who waits for room.

use aemp::{Node, PortId, Reason};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::monitored;
use crate::support::{LIMIT, Scripted, builder, listening, up, within};

/// However slow the reader is, who waits for room never runs over the bound.
#[tokio::test]
async fn who_waits_for_room_never_overflows() {
    let a = listening("room-a").await;
    let b = builder("room-b").binds([""; 0]).seeds(a.listeners());
    let b = b.set("max_queue", 100_000).start().await.unwrap();
    up(&b, "room-a").await;
    let (sender, mut done) = mpsc::unbounded_channel();
    let port = a.port();
    port.rcv("n", move |_, (n, _): (u64, String)| sender.send(n));
    let payload = "x".repeat(10_000);
    for n in 0..200_u64 {
        let message = ("n", n, &payload);
        let sent = b.snd_wait(port.id(), &message);
        within("room", sent).await.unwrap();
    }
    for n in 0..200 {
        assert_eq!(within("a number", done.recv()).await, Some(n));
    }
    assert_eq!(b.stats().links[0].reconnects, 0);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_mailbox_at_its_bound_dies_and_says_so() {
    let node = builder("bounded").binds([""; 0]).set("max_mailbox", 10);
    let node = node.start().await.unwrap();
    let inbox = node.mailbox();
    let reason = monitored(&node, inbox.id());
    for n in 0..11 {
        node.snd(inbox.id(), &("n", n)).unwrap();
    }
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(reason.kind(), Some("overflow"));
    node.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_overflows_loses_the_link_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = builder("verbose").binds([""; 0]).seeds([address]);
    let node = node.set("max_queue", 1 << 20).start().await.unwrap();
    let mut peer = Scripted::accept(&listener).await;
    peer.handshake("slow", 1, "provider=AE-1.30").await;
    up(&node, "slow").await;
    let port = PortId::new("slow#p.q");
    let mut reason = monitored(&node, &port);
    let payload = "x".repeat(10_000);
    let reason = within("the overflow", async {
        loop {
            node.snd(&port, &("data", &payload)).unwrap();
            tokio::task::yield_now().await;
            if let Ok(reason) = reason.try_recv() {
                return reason;
            }
        }
    })
    .await;
    assert_eq!(
        reason.to_string(),
        "transport_error slow more than 1048576 octets are waiting to be sent"
    );
    node.shutdown().await;
}

/// Who waits for room in a port of the same node goes on when there is some, and when the port
/// dies.
#[tokio::test]
async fn a_local_sender_waits_for_room() {
    let node = Node::local();
    let mut inbox = node.mailbox();
    let id = inbox.id().clone();
    let send = |count: u32| {
        let (node, port) = (node.clone(), id.clone());
        tokio::spawn(async move {
            for n in 0..count {
                node.snd_wait(&port, &("n", n)).await.unwrap();
            }
        })
    };
    let sender = send(20_000);
    for n in 0..20_000 {
        let (tag, got): (String, u32) = inbox.recv().await.unwrap().args().unwrap();
        assert_eq!((tag.as_str(), got), ("n", n));
    }
    tokio::time::timeout(LIMIT, sender).await.unwrap().unwrap();

    let sender = send(20_000);
    tokio::task::yield_now().await; // it has filled the port, and waits
    assert!(!sender.is_finished());
    node.kil(&id, Reason::normal());
    tokio::time::timeout(LIMIT, sender)
        .await
        .expect("it goes on")
        .unwrap();
}

/// What a peer's messages take in the queues of all ports together is counted against that peer:
/// when it has had its share its link is lost, and the others' messages still find room, in the
/// same ports.
#[tokio::test]
async fn who_fills_many_ports_has_one_share() {
    let node = builder("filled").binds(["127.0.0.1:0"]).seeds([""; 0]);
    let node = node.set("max_memory", 16 << 20).start().await.unwrap();
    let mut inboxes: Vec<_> = (0..20).map(|_| node.mailbox()).collect();
    let mut vandal = Scripted::connect(&node).await;
    vandal.handshake("vandal", 1, "provider=AE-1.30").await;
    up(&node, "vandal").await;
    let reason = monitored(&node, &PortId::new("vandal#p"));
    let honest = builder("honest").binds([""; 0]).seeds(node.listeners());
    let honest = honest.start().await.unwrap();
    up(&honest, "filled").await;
    let payload = "x".repeat(100_000);
    for n in 0..400 {
        let port = inboxes[n % inboxes.len()].id().name().to_owned();
        let message = format!(r#"["{port}","{payload}"]"#);
        if vandal.stream.write_all(message.as_bytes()).await.is_err() {
            break; // the node has closed the connection
        }
    }
    let reason = within("the loss of the link", reason).await.unwrap();
    // The last of them had come whole, or it had not.
    let came = [
        "what it sent and waits here would be more than its share",
        "octets of a message that is not complete are more than its share",
    ];
    let reason = reason.to_string();
    assert!(came.iter().any(|text| reason.contains(text)), "{reason}");
    let stats = node.stats();
    assert_eq!(stats.limits["max_memory"], 1);
    assert!(
        (7 << 20..=8 << 20).contains(&stats.held_octets),
        "{stats:?}"
    );
    for inbox in &inboxes {
        honest.snd(inbox.id(), &(&payload,)).unwrap();
    }
    crate::support::sync(&honest, "filled").await;
    assert_eq!(node.stats().limits["max_memory"], 1);
    let mut left = 0;
    for inbox in &mut inboxes {
        while let Some(message) = inbox.try_recv().unwrap() {
            left += message.size();
        }
    }
    assert!(left > 9 << 20, "what came before the loss is there: {left}");
    assert_eq!(node.stats().held_octets, 0);
    honest.shutdown().await;
    node.shutdown().await;
}

/// What came with the message that had no room is no second reason for the loss, whatever its size.
#[tokio::test]
async fn a_link_that_is_lost_is_not_lost_again() {
    // So much that the rest of what was read with it has no room either.
    for kib in [66, 70, 74] {
        let node = builder("filled").binds(["127.0.0.1:0"]).seeds([""; 0]);
        let node = node.set("max_memory", 16 << 20).start().await.unwrap();
        let inbox = node.mailbox();
        let mut vandal = Scripted::connect(&node).await;
        vandal.handshake("vandal", 1, "provider=AE-1.30").await;
        up(&node, "vandal").await;
        let reason = monitored(&node, &PortId::new("vandal#p"));
        let message = format!(r#"["{}","{}"]"#, inbox.id().name(), "x".repeat(kib << 10));
        let all = message.repeat((12 << 20) / message.len());
        // The node may have closed the connection before all is written.
        let _ = vandal.stream.write_all(all.as_bytes()).await;
        within("the loss of the link", reason).await.unwrap();
        let stats = node.stats();
        assert_eq!(stats.limits["max_memory"], 1, "messages of {kib} KiB");
        node.shutdown().await;
    }
}
