//! What waits: its bounds, and who waits for room.

use aemp::{Node, PortId, Reason};
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
