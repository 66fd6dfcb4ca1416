//! What a node does with peers that break the rules: it closes that one connection, says in its log
//! who did what, and carries on with its other links.

mod support;

use std::time::{Duration, Instant};

use aemp::proto::Framing;
use aemp::proto::generation::Generations;
use aemp::{Node, Reason};
use support::{LIMIT, Scripted, builder, capture_log, joining, listening, log, sync, up, within};
use tokio::net::TcpListener;

const PERL: &str = "provider=AE-1.30";

/// A node with a friend whose link must survive.
struct Scene {
    node: Node,
    friend: Node,
}

impl Scene {
    async fn new(id: &str) -> Self {
        capture_log();
        Self::around(listening(id).await).await
    }

    async fn around(node: Node) -> Self {
        let friend = joining(&format!("{}-friend", node.id()), &node).await;
        up(&node, friend.id().as_str()).await;
        Scene { node, friend }
    }

    /// The link to the friend is as it was, and the log has a line with all these words.
    async fn unharmed(&self, words: &[&str]) {
        sync(&self.node, self.friend.id().as_str()).await;
        sync(&self.friend, self.node.id().as_str()).await;
        let lines = log();
        let found = lines
            .iter()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line with {words:?} in:\n{}", lines.join("\n"));
        self.friend.shutdown().await;
        self.node.shutdown().await;
    }
}

#[tokio::test]
async fn wrong_secret() {
    let scene = Scene::new("wrong-secret").await;
    let stranger = builder("stranger").secret("something else");
    let stranger = stranger.binds([""; 0]).seeds(scene.node.listeners());
    let stranger = stranger.start().await.unwrap();
    let refused = async {
        while !log().iter().any(|line| line.contains("shared secret")) {
            tokio::task::yield_now().await;
        }
    };
    within("the refusal", refused).await;
    assert!(scene.node.up_nodes() == [scene.friend.id().clone()]);
    assert!(stranger.up_nodes().is_empty());
    scene
        .unharmed(&["WARN 127.0.0.1:", "authentication failed", "shared secret"])
        .await;
}

#[tokio::test]
async fn cleartext_is_accepted_and_a_wrong_one_is_not() {
    let scene = Scene::new("cleartext").await;
    for (secret, good) in [("67656865696d", true), ("67656865696e", false)] {
        let mut peer = Scripted::connect(&scene.node).await;
        let greeting = format!("aemp;1;clear;hmac_md6_64_256;json;{PERL}\nnonce\n");
        peer.send(greeting).await;
        peer.send(format!("cleartext;{secret};json\n")).await;
        match good {
            true => {
                peer.read_until("the gossip", |octets| {
                    octets.ends_with(b"[\"\"]")
                        || String::from_utf8_lossy(octets).contains("Global::connect")
                })
                .await;
                drop(peer);
                let mut events = scene.node.mon_nodes();
                if scene.node.node_is_up("clear") {
                    within("clear is down", support::event(&mut events, |e| !e.is_up())).await;
                }
            }
            false => drop(peer.closed().await),
        }
    }
    scene
        .unharmed(&["authentication failed", "cleartext"])
        .await;
}

#[tokio::test]
async fn echoed_greeting() {
    let scene = Scene::new("echo-attack").await;
    let mut peer = Scripted::connect(&scene.node).await;
    let two_lines = |octets: &[u8]| octets.iter().filter(|o| **o == b'\n').count() == 2;
    let greeting = peer.read_until("the greeting", two_lines).await;
    peer.send(&greeting).await;
    peer.closed().await;
    scene
        .unharmed(&[&peer.local_address(), "echo attack"])
        .await;
}

#[tokio::test]
async fn our_own_node_id() {
    let scene = Scene::new("own-id").await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.send(format!("aemp;1;own-id;hmac_md6_64_256;json;{PERL}\n"))
        .await;
    peer.closed().await;
    scene
        .unharmed(&[&peer.local_address(), "refuse to talk to myself"])
        .await;
}

#[tokio::test]
async fn an_id_that_is_connected() {
    let scene = Scene::new("connected").await;
    let mut peer = Scripted::connect(&scene.node).await;
    let id = scene.friend.id();
    peer.send(format!("aemp;1;{id};hmac_md6_64_256;json;{PERL}\n"))
        .await;
    peer.closed().await;
    scene
        .unharmed(&[&peer.local_address(), "already connected"])
        .await;
}

#[tokio::test]
async fn a_version_that_nobody_speaks() {
    let scene = Scene::new("version").await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.send(format!("aemp;7;future;hmac_md6_64_256;json;{PERL}\n"))
        .await;
    peer.closed().await;
    scene
        .unharmed(&[&peer.local_address(), "version mismatch (we: 1, they: 7)"])
        .await;
}

#[tokio::test]
async fn nothing_in_common() {
    let scene = Scene::new("nothing-in-common").await;
    for (auths, framings, words) in [
        ("tls_anon", "json", "no common authentication method"),
        ("hmac_md6_64_256", "morse", "no common framing"),
    ] {
        let mut peer = Scripted::connect(&scene.node).await;
        peer.send(format!("aemp;1;other;{auths};{framings};{PERL}\nnonce\n"))
            .await;
        peer.closed().await;
        let lines = log();
        let address = peer.local_address();
        assert!(
            lines
                .iter()
                .any(|l| l.contains(words) && l.contains(&address))
        );
    }
    scene.unharmed(&["no common framing"]).await;
}

#[tokio::test]
async fn something_else_than_aemp() {
    let scene = Scene::new("not-aemp").await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    peer.closed().await;
    scene
        .unharmed(&[
            &peer.local_address(),
            "not an AEMP greeting",
            "GET / HTTP/1.1",
        ])
        .await;
}

#[tokio::test]
async fn a_line_that_never_ends() {
    let scene = Scene::new("long-line").await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.send([b'a'; 4097]).await;
    peer.closed().await;
    scene
        .unharmed(&[&peer.local_address(), "longer than 4096 octets"])
        .await;
}

#[tokio::test]
async fn a_silent_peer() {
    capture_log();
    let node = builder("patient").binds(["127.0.0.1:0"]);
    let node = node.set("monitor_timeout", 1).start().await.unwrap();
    let started = Instant::now();
    let mut peer = Scripted::connect(&node).await;
    peer.closed().await;
    assert!(started.elapsed() >= Duration::from_millis(900));
    let address = peer.local_address();
    assert!(
        log()
            .iter()
            .any(|l| l.contains(&address) && l.contains("timed out"))
    );
    node.shutdown().await;
}

/// Sends something bad on an established link; the link must be closed, monitors fire, the log say
/// why.
async fn bad_message(id: &str, octets: &[u8], words: &str) {
    bad_message_in("json", id, octets, words).await;
}

async fn bad_message_in(framing: &'static str, id: &str, octets: &[u8], words: &str) {
    capture_log();
    let node = builder(id).binds(["127.0.0.1:0"]);
    let node = node.framings(Framing::ALL).start().await.unwrap();
    let scene = Scene::around(node).await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.framing = framing;
    peer.handshake("vandal", 1, PERL).await;
    up(&scene.node, "vandal").await;
    let mut events = scene.node.mon_nodes();
    let (fired, reason) = tokio::sync::oneshot::channel::<Reason>();
    scene
        .node
        .mon("vandal#some.port", move |reason| drop(fired.send(reason)));
    peer.send(octets).await;
    peer.closed().await;
    let reason = within("the monitor", reason).await.unwrap();
    assert_eq!(reason.kind(), Some("transport_error"));
    assert_eq!(reason.values()[1], "vandal");
    let event = support::event(&mut events, |event| *event.node() == "vandal");
    assert!(!within("vandal is down", event).await.is_up());
    let address = peer.local_address();
    scene.unharmed(&["WARN vandal", &address, words]).await;
}

#[tokio::test]
async fn broken_json() {
    bad_message("broken-json", b"[\"\",\"time\"}", "malformed message").await;
}

#[tokio::test]
async fn broken_cbor() {
    let octets = b"\x82\x41p\x1c";
    bad_message_in("cbor", "broken-cbor", octets, "malformed message").await;
    // Behind messages that are in order, and for a port that takes them.
    let octets = b"\x80\x83\x40\x44time\x43x#y\x82\x41p\x61\xff";
    bad_message_in("cbor", "cbor-text", octets, "not UTF-8").await;
    bad_message_in("cbor", "json-as-cbor", b"[\"p\",\"abc\"]", "not an array").await;
    let octets = b"\x82\x41p\x5b\x7f\xff\xff\xff\xff\xff\xff\xff";
    bad_message_in("cbor", "long-cbor", octets, "longer than").await;
    let octets = [&b"\x82\x41p"[..], &[0x81; 512]].concat();
    bad_message_in("cbor", "deep-cbor", &octets, "nested deeper than 512").await;
}

#[tokio::test]
async fn broken_storable() {
    let octets = b"\x08\x05\x0b\x02\0\0\0\x01\x06";
    bad_message_in("storable", "broken-storable", octets, "malformed Storable").await;
    let object = b"\x12\x05\x0b\x02\0\0\0\x01\x04\x11\x03Foo\x03\0\0\0\0";
    bad_message_in("storable", "storable-object", object, "class 'Foo'").await;
    bad_message_in("storable", "json-as-storable", b"[\"p\"]", "malformed").await;
}

#[tokio::test]
async fn json_that_is_not_utf8() {
    bad_message("not-utf8", b"[\"\",\"\xff\"]", "not UTF-8").await;
}

#[tokio::test]
async fn a_scalar_where_an_array_belongs() {
    bad_message("scalar", b"[]\"time\"", "not an array").await;
}

#[tokio::test]
async fn an_object_where_an_array_belongs() {
    bad_message("object", b"{\"a\":1}", "not an array").await;
}

#[tokio::test]
async fn nesting_over_the_limit() {
    let mut octets = b"[\"some.port\",".to_vec();
    octets.extend([b'['; 512]);
    bad_message("nesting", &octets, "nested deeper than 512").await;
}

#[tokio::test]
async fn a_message_over_the_limit() {
    capture_log();
    let node = builder("small").binds(["127.0.0.1:0"]);
    let node = node.set("max_message", 1000).start().await.unwrap();
    let mut peer = Scripted::connect(&node).await;
    peer.handshake("big", 1, PERL).await;
    peer.send(format!("[\"p\",\"{}", "x".repeat(2000))).await;
    peer.closed().await;
    assert!(log().iter().any(|l| l.contains("longer than 1000 octets")));
    node.shutdown().await;
}

#[tokio::test]
async fn bad_requests_harm_nobody() {
    let scene = Scene::new("bad-requests").await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.handshake("clumsy", 1, PERL).await;
    for request in [
        r#"["","no::such::function",1]"#,
        r#"["","mon1"]"#,
        r#"["","mon1",[]]"#,
        r#"["","mon0",null]"#,
        r#"["","kil"]"#,
        r#"["","kil0","x",{"a":1}]"#,
        r#"["","AnyEvent::MP::_spawn"]"#,
        r#"["","AnyEvent::MP::_spawn","x.y"]"#,
        r#"["","AnyEvent::MP::_spawn","x.y","AnyEvent::MP::Global::connect"]"#,
        r#"["","AnyEvent::MP::_spawn","x.y","AnyEvent::MP::Global::connect","z",{}]"#,
        r#"["","AnyEvent::MP::_spawn","x.y","AnyEvent::MP::Global::connect",1e400,"n"]"#,
        r#"["","snd"]"#,
        r#"["","snd",1]"#,
        r#"["","snd_multiple",1,"a",[]]"#,
        r#"["","eval"]"#,
        r#"["","time",{}]"#,
        r#"["",[[]]]"#,
        r#"["",null]"#,
        r#"[""]"#,
        r#"[12,"x"]"#,
        "[]",
    ] {
        peer.send(request).await;
    }
    // The port that takes the gossip takes nonsense, too.
    peer.send(r#"["","AnyEvent::MP::_spawn","cl.a","AnyEvent::MP::Global::connect",0,"clumsy"]"#)
        .await;
    for gossip in [
        r#"["cl.a"]"#,
        r#"["cl.a","addr"]"#,
        r#"["cl.a","addr",{"a":1}]"#,
        r#"["cl.a","addr",["nonsense",1]]"#,
        r#"["cl.a","nodes",[]]"#,
        r#"["cl.a","nodes",{"x":"y"}]"#,
        r#"["cl.a","nodes",{"bad-requests":["127.0.0.1:1"],"":[],"gone":["nonsense"]}]"#,
        r#"["cl.a","set",{"g":[1]}]"#,
        r#"["cl.a","set",7]"#,
        r#"["cl.a","reg1"]"#,
        r#"["cl.a","reg0",{},[]]"#,
        r#"["cl.a","find",{}]"#,
        r#"["cl.a","find","nobody"]"#,
        r#"["cl.a","seedme1",1]"#,
        r#"["cl.a","what"]"#,
    ] {
        peer.send(gossip).await;
    }
    peer.send(r#"["","time","clumsy#reply","t"]"#).await;
    let answered = |octets: &[u8]| String::from_utf8_lossy(octets).contains("[\"reply\",\"t\",");
    peer.read_until("the time", answered).await;
    scene
        .unharmed(&["WARN", "from clumsy", "no::such::function"])
        .await;
}

#[tokio::test]
async fn names_that_are_too_long_are_refused() {
    let scene = Scene::new("long-names").await;
    let mut peer = Scripted::connect(&scene.node).await;
    peer.handshake("wordy", 1, PERL).await;
    let spawn = "AnyEvent::MP::_spawn";
    let connect = "AnyEvent::MP::Global::connect";
    peer.send(format!(r#"["","{spawn}","wo.a","{connect}",0,"wordy"]"#))
        .await;
    let long = "x".repeat((64 << 10) + 1);
    let requests = [
        format!(r#"["","mon1","{long}"]"#),
        format!(r#"["","mon0","{long}"]"#),
        format!(r#"["","kil","{long}"]"#),
        format!(r#"["","{long}"]"#),
        format!(r#"["","{spawn}","{long}","f"]"#),
        format!(r#"["","{spawn}","p","{long}"]"#),
        format!(r#"["","snd","{long}{long}"]"#),
        format!(r#"["wo.a","reg1","wordy#a","{long}"]"#),
        format!(r#"["wo.a","find","{long}"]"#),
    ];
    for request in &requests {
        peer.send(request).await;
    }
    peer.send(r#"["","time","wordy#reply","t"]"#).await;
    let answered = |octets: &[u8]| String::from_utf8_lossy(octets).contains("[\"reply\",\"t\",");
    peer.read_until("the time", answered).await;
    let refused = scene.node.stats().limits["max_name"];
    assert_eq!(refused, requests.len() as u64);
    scene
        .unharmed(&["WARN", "from wordy", "a name of 65537 octets"])
        .await;
}

/// A Perl node is deaf after such an order.
#[tokio::test]
async fn an_order_to_kill_the_node_port_is_ignored() {
    capture_log();
    let node = builder("node-port").generation(Generations::Auto);
    let scene = Scene::around(node.binds(["127.0.0.1:0"]).start().await.unwrap()).await;
    for (id, params, verb) in [
        ("killer-1", PERL, "kil"),
        ("killer-2", "provider=AE-2.02;mproto=1;gproto=1", "kil1"),
    ] {
        let mut peer = Scripted::connect(&scene.node).await;
        peer.handshake(id, 1, params).await;
        peer.send(format!(r#"["","{verb}","","why"]"#)).await;
        peer.send(format!(r#"["","time","{id}#reply","t"]"#)).await;
        let answered =
            |octets: &[u8]| String::from_utf8_lossy(octets).contains("[\"reply\",\"t\",");
        peer.read_until("the time", answered).await;
    }
    scene.unharmed(&[]).await;
}

#[tokio::test]
async fn generation_0_keeps_idle_links_busy_and_drops_the_silent() {
    capture_log();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = builder("old")
        .generation(Generations::Only(0))
        .binds([""; 0])
        .seeds([address])
        .set("monitor_timeout", 2)
        .set("network_latency", 0.5)
        .start()
        .await
        .unwrap();
    let mut peer = Scripted::accept(&listener).await;
    peer.handshake("older", 0, "timeout=2;provider=AE-1.0")
        .await;
    up(&node, "older").await;
    let started = Instant::now();
    // Its own time-out is 2 - 0.5 s, so it says something after 1 s without output.
    let keepalive = |octets: &[u8]| octets.ends_with(b"[]");
    peer.read_until("a keepalive", keepalive).await;
    // We stay silent for longer than the two seconds that we announced.
    peer.closed().await;
    let silence = started.elapsed();
    assert!(
        silence >= Duration::from_millis(1900) && silence < LIMIT,
        "{silence:?}"
    );
    assert!(
        log()
            .iter()
            .any(|l| l.contains("time-out that the peer announced"))
    );
    node.shutdown().await;
}

#[tokio::test]
async fn a_node_without_listeners_keeps_generation_1_links_busy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = builder("hidden").binds([""; 0]).seeds([address]);
    let node = node.set("monitor_timeout", 1).start().await.unwrap();
    let mut peer = Scripted::accept(&listener).await;
    peer.handshake("seed", 1, PERL).await;
    let keepalives = |octets: &[u8]| octets.ends_with(b"[][]");
    peer.read_until("two keepalives", keepalives).await;
    node.shutdown().await;
}
