//! Who greets first, and in which version.

use aemp::proto::generation::Generations;
use aemp::{Generation, NodeEvent, Reason};
use tokio::net::TcpListener;

use crate::support::{Scripted, builder, event, up, within};

#[tokio::test]
async fn one_node_serves_both_greeting_versions() {
    let node = builder("bilingual").generation(Generations::Auto);
    let node = node.binds(["127.0.0.1:0"]).start().await.unwrap();
    let mut events = node.mon_nodes();
    for (id, version, params, generation) in [
        ("old", 0, "provider=AE-1.0;timeout=12", Generation::Gen0),
        ("mid", 1, "provider=AE-1.24", Generation::Gen1a),
        ("new", 1, "provider=AE-1.30", Generation::Gen1b),
    ] {
        let mut peer = Scripted::connect(&node).await;
        peer.handshake(id, version, params).await;
        let first = within("up", event(&mut events, |e| *e.node() == id)).await;
        let NodeEvent::Up {
            generation: got, ..
        } = first
        else {
            panic!("{first:?}")
        };
        assert_eq!(got, generation);
        // The death of a port is told as the release has it.
        let verb = match generation {
            Generation::Gen1b => "kil0",
            _ => "kil",
        };
        let port = node.port();
        let name = port.id().name().to_owned();
        peer.send(format!(
            "[\"\",\"mon1\",\"{name}\"][\"\",\"time\",\"{id}#r\"]"
        ))
        .await;
        let answered = |octets: &[u8]| String::from_utf8_lossy(octets).contains("[\"r\",");
        peer.read_until("the time", answered).await;
        port.kil(Reason::new(["why"]));
        let want = format!("[\"\",\"{verb}\",\"{name}\",\"why\"]");
        let told = |octets: &[u8]| String::from_utf8_lossy(octets).contains(&want);
        peer.read_until(&want, told).await;
        // A monitor of a missing port.
        peer.send("[\"\",\"mon1\",\"none\"]").await;
        let third = if version == 0 {
            ""
        } else {
            ",\"bilingual#none\""
        };
        let want = format!(
            "[\"\",\"{verb}\",\"none\",\"no_such_port\",\"cannot monitor nonexistent port\"{third}]"
        );
        let told = |octets: &[u8]| String::from_utf8_lossy(octets).contains(&want);
        peer.read_until(&want, told).await;
        drop(peer);
        within("down", event(&mut events, |e| !e.is_up())).await;
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_connector_answers_with_the_listeners_version() {
    for version in [0, 1] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let node = builder("chameleon").generation(Generations::Auto);
        let node = node.binds([""; 0]).seeds([address]).start().await.unwrap();
        let mut peer = Scripted::accept(&listener).await;
        peer.handshake("seed", version, "provider=AE-1.0;timeout=12")
            .await;
        up(&node, "seed").await;
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_listener_that_waits_is_greeted_after_a_moment() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = builder("patient").generation(Generations::Auto);
    let node = node.binds([""; 0]).seeds([address]).start().await.unwrap();
    let mut peer = Scripted::accept(&listener).await;
    let lines = |octets: &[u8]| octets.iter().filter(|o| **o == b'\n').count() == 2;
    let greeting = peer.read_until("the greeting", lines).await;
    assert!(greeting.starts_with(b"aemp;1;patient;"));
    node.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_waited_is_greeted_at_once_the_next_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = builder("patient").generation(Generations::Auto);
    let node = node.binds([""; 0]).seeds([address]).start().await.unwrap();
    let lines = |octets: &[u8]| octets.iter().filter(|o| **o == b'\n').count() == 2;
    for _ in 0..2 {
        let mut peer = Scripted::accept(&listener).await;
        let greeting = peer.read_until("the greeting", lines).await;
        let greeting = String::from_utf8(greeting).unwrap();
        assert!(greeting.contains(";generations=2,1,0"), "{greeting}");
        peer.answer("waiter", 1, "provider=AE-1.30", &greeting)
            .await;
        up(&node, "waiter").await;
    }
    // It was replaced by an old release, which greets first. That is not waited for: one attempt
    // fails, the next one has it right.
    for greets in ["aemp;1;patient;", "aemp;0;patient;"] {
        let mut peer = Scripted::accept(&listener).await;
        let old = "aemp;0;waiter;hmac_md6_64_256;json;provider=AE-1.0;timeout=12\nnonce\n";
        peer.send(old).await;
        let greeting = peer.read_until("the greeting", lines).await;
        assert!(greeting.starts_with(greets.as_bytes()), "{greeting:?}");
    }
    node.shutdown().await;
}
