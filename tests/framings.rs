//! Nodes that talk in each framing, in different ones each way, and over nodes of other framings.

mod support;

use std::time::Duration;

use aemp::proto::Framing::{self, Cbor, Json, Storable};
use aemp::{Message, Node, Num, PortId, Reason, Text};
use serde_json::{Value, json};
use support::{LIMIT, Scripted, builder, members, sync, up, within};
use tokio::sync::{mpsc, oneshot};

async fn node(id: &str, framings: &[Framing], seeds: Vec<String>) -> Node {
    let builder = builder(id).framings(framings.iter().copied());
    let builder = builder.binds(["127.0.0.1:0"]).seeds(seeds);
    builder.start().await.unwrap()
}

/// A port that passes its messages on.
fn messages(node: &Node) -> (PortId, mpsc::UnboundedReceiver<Message>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let port = node.port_with(move |_, message| drop(sender.send(message)));
    (port.id().clone(), receiver)
}

/// Storable would make strings of longer numbers.
fn values() -> Value {
    let long = "x".repeat(70_000);
    json!(["t", 1, -1, 100_000, "é", "☺ and more", "", "a\"b\\c\n", [], [[1], "x"], {"k": {"ü": [null]}}, long, null])
}

/// Everything that one node says to the other, and the other way round.
async fn all_verbs(a: &Node, b: &Node) {
    // Messages with types, in their order: by the quick way, and of a handler without types.
    let (sender, mut numbers) = mpsc::unbounded_channel();
    let port = a.port();
    port.rcv("n", move |_, (Num(n), Text(text)): (Num<u64>, Text)| {
        sender.send((n, text))
    });
    for n in 0..2000_u64 {
        b.snd(&port, &("n", n, "é")).unwrap();
    }
    for n in 0..2000 {
        let got = within("a number", numbers.recv()).await;
        assert_eq!(got, Some((n, "é".to_owned())));
    }
    let (port, mut got) = messages(a);
    b.snd(&port, &values()).unwrap();
    let message = within("values", got.recv()).await.unwrap();
    assert_eq!(Value::from(message.values()), values());
    b.snd(&port, &()).unwrap();
    let message = within("nothing", got.recv()).await.unwrap();
    assert_eq!(message.to_json(), "[]");

    // From there back to here, by way of the node port.
    let (back, mut came) = messages(b);
    b.snd_on(a.id(), &back, &values()).unwrap();
    let message = within("the values again", came.recv()).await.unwrap();
    assert_eq!(Value::from(message.values()), values());
    let (id,): (String,) = b.cal(a.id(), &("info",), Some(LIMIT)).await.unwrap();
    assert_eq!(id, a.id().as_str());

    // A port that is spawned, monitored, killed with a reason; one that is not there.
    let spawned = b
        .spawn(a.id(), "framings::init", &("ü", back.clone()))
        .unwrap();
    let (fired, reason) = oneshot::channel();
    b.mon(&spawned, move |reason| drop(fired.send(reason)));
    let ready = within("ready", came.recv()).await.unwrap();
    let ready: (String, PortId, String) = ready.args().unwrap();
    assert_eq!(ready, ("ready".into(), spawned.clone(), "ü".into()));
    b.kil(
        &spawned,
        Reason::new([json!("why"), json!("é☺"), json!([1, null])]),
    );
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(
        reason.values(),
        [json!("why"), json!("é☺"), json!([1, null])]
    );
    let (fired, reason) = oneshot::channel();
    b.mon(a.id().port("none"), move |reason| drop(fired.send(reason)));
    let reason = within("the answer", reason).await.unwrap();
    assert_eq!(reason.kind(), Some("no_such_port"));
}

fn link(node: &Node, other: &Node) -> (String, String) {
    let stats = node.stats();
    let link = stats.links.iter().find(|link| link.node == *other.id());
    let link = link.expect("a link");
    (link.send_framing.clone(), link.recv_framing.clone())
}

#[tokio::test]
async fn each_and_each_way() {
    for (n, (of_a, of_b, a_sends, b_sends)) in [
        (&[Cbor][..], &[Cbor][..], "cbor", "cbor"),
        (&[Json], &[Cbor, Json], "json", "json"),
        (&[Storable], &[Cbor, Json, Storable], "storable", "storable"),
        // Each sends in the first of the other's list.
        (&[Cbor, Json], &[Json, Cbor], "json", "cbor"),
        (&[Storable, Json], &[Json, Storable], "json", "storable"),
        (&[Cbor, Storable], &[Storable, Cbor], "storable", "cbor"),
    ]
    .into_iter()
    .enumerate()
    {
        let a = node(&format!("each-a{n}"), of_a, vec![]).await;
        let b = node(&format!("each-b{n}"), of_b, a.listeners()).await;
        for one in [&a, &b] {
            one.function("framings::init", |cx, (text, reply): (String, PortId)| {
                cx.this().rcv("x", |_, ()| {});
                cx.snd(&reply, &("ready", cx.id(), text))
            });
        }
        // What is sent before there is a link waits for it, in no framing yet.
        let (port, mut got) = messages(&a);
        let before = (1..4).map(|n| json!(["early", n, "é", {"k": [n]}]));
        let before: Vec<Value> = before.collect();
        for message in &before {
            b.snd(&port, message).unwrap();
        }
        for message in before {
            let early = within("an early message", got.recv()).await.unwrap();
            assert_eq!(Value::from(early.values()), message);
        }
        up(&a, b.id().as_str()).await;
        assert_eq!(link(&a, &b), (a_sends.into(), b_sends.into()));
        assert_eq!(link(&b, &a), (b_sends.into(), a_sends.into()));
        all_verbs(&a, &b).await;
        all_verbs(&b, &a).await;
        // The mesh talks in it as well.
        b.register("framings", b.port());
        members(&a, "framings", 1).await;
        a.shutdown().await;
        b.shutdown().await;
    }
}

#[tokio::test]
async fn cbor_is_preferred_and_nothing_in_common_is_said() {
    let a = support::listening("default-a").await;
    let b = support::joining("default-b", &a).await;
    up(&b, "default-a").await;
    assert_eq!(link(&b, &a), ("cbor".into(), "cbor".into()));
    support::capture_log();
    let c = node("json-only", &[Json], vec![]).await;
    let d = node("cbor-only", &[Cbor], c.listeners()).await;
    let refused = async {
        let is_said = |line: &String| line.contains("no common framing");
        while !support::log().iter().any(is_said) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the refusal", refused).await;
    assert!(d.up_nodes().is_empty());
    for node in [a, b, c, d] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn over_a_node_in_between() {
    // The one in the middle has links of two framings, and sends on what it gets.
    let middle = node("middle", &[Cbor, Json], vec![]).await;
    let json = node("on-json", &[Json], middle.listeners()).await;
    let cbor = node("on-cbor", &[Cbor], middle.listeners()).await;
    up(&middle, "on-json").await;
    up(&middle, "on-cbor").await;
    for (from, to) in [
        (&json, &cbor),
        (&cbor, &json),
        (&cbor, &cbor),
        (&json, &json),
    ] {
        let (port, mut got) = messages(to);
        let forward = {
            let port = port.clone();
            middle.port_with(move |cx, message| cx.snd(&port, &message))
        };
        let rest = {
            let port = port.clone();
            middle.port_with(move |cx, message| cx.snd(&port, &message.without_tag()))
        };
        from.snd(&forward, &values()).unwrap();
        from.snd_on(middle.id(), &port, &values()).unwrap();
        from.snd(&rest, &values()).unwrap();
        for _ in 0..2 {
            let message = within("the values", got.recv()).await.unwrap();
            assert_eq!(Value::from(message.values()), values());
        }
        let message = within("the rest", got.recv()).await.unwrap();
        assert_eq!(message.values(), values().as_array().unwrap()[1..]);
        // A monitor's message, with elements of another link's.
        let victim = to.port();
        let (port, mut got) = messages(from);
        middle.mon_snd(&victim, &port, &("gone", "é")).unwrap();
        sync(&middle, to.id().as_str()).await;
        victim.kil(Reason::new(["ü"]));
        let message = within("the end", got.recv()).await.unwrap();
        assert_eq!(message.to_json(), r#"["gone","é","ü"]"#);
    }
    for node in [json, cbor, middle] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_node_that_comes_back_with_another_framing() {
    let watcher = node("watcher", &Framing::ALL, vec![]).await;
    let address = watcher.listeners();
    let mut seen = Vec::new();
    for framing in [Json, Cbor, Storable, Json] {
        let other = node("changing", &[framing], address.clone()).await;
        up(&watcher, "changing").await;
        let (port, mut got) = messages(&other);
        for n in 0..100 {
            watcher.snd(&port, &("n", n)).unwrap();
        }
        for n in 0..100 {
            let message = within("a message", got.recv()).await.unwrap();
            assert_eq!(message.args::<(String, u64)>().unwrap(), ("n".into(), n));
        }
        seen.push(link(&watcher, &other).0);
        let mut events = watcher.mon_nodes();
        other.shutdown().await;
        if watcher.node_is_up("changing") {
            within(
                "the loss",
                support::event(&mut events, |event| !event.is_up()),
            )
            .await;
        }
    }
    assert_eq!(seen, ["json", "cbor", "storable", "json"]);
    watcher.shutdown().await;
}

#[tokio::test]
async fn octets_on_the_wire() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for (framing, keepalive, message) in [
        ("json", &b"[]"[..], &b"[\"p\",\"n\",1]"[..]),
        ("cbor", b"\x80", b"\x83\x41p\x41n\x01"),
        (
            "storable",
            b"\x07\x05\x0b\x02\0\0\0\0",
            b"\x0f\x05\x0b\x02\0\0\0\x03\x0a\x01p\x0a\x01n\x08\x81",
        ),
    ] {
        let node = builder(&format!("wire-{framing}")).framings(Framing::ALL);
        let node = node
            .binds([""; 0])
            .seeds([address.clone()])
            .set("monitor_timeout", 1);
        let node = node.start().await.unwrap();
        let mut peer = Scripted::accept(&listener).await;
        peer.framing = framing;
        peer.handshake("scripted", 1, "provider=AE-1.30").await;
        up(&node, "scripted").await;
        let two = |octets: &[u8]| octets.ends_with(&[keepalive, keepalive].concat());
        peer.read_until("two keepalives", two).await;
        node.snd("scripted#p", &("n", 1)).unwrap();
        let ends = |octets: &[u8]| octets.ends_with(message);
        peer.read_until("the message", ends).await;
        // The other way, octet by octet, with a keepalive in front.
        let (port, mut got) = messages(&node);
        let mut octets = keepalive.to_vec();
        let name = port.as_str().split_once('#').unwrap().1;
        let kind: Framing = Framing::from_name(framing).unwrap();
        aemp::proto::message::encode_in(&mut octets, kind, name, &("n", 1)).unwrap();
        for octet in octets {
            peer.send([octet]).await;
            tokio::task::yield_now().await;
        }
        let message = within("the message", got.recv()).await.unwrap();
        assert_eq!(message.to_json(), r#"["n",1]"#);
        node.shutdown().await;
    }
}
