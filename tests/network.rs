//! Networks of nodes of this crate, over real sockets on 127.0.0.1.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::{CalError, Generation, Node, NodeEvent, PortId, Reason};
use support::{
    LIMIT, Scripted, builder, capture_log, event, joining, listening, log, members, sync, up,
    within,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// A port that passes its messages' numbers on.
fn numbers(node: &Node) -> (PortId, mpsc::UnboundedReceiver<u64>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let port = node.port();
    port.rcv("n", move |_, (n,): (u64,)| sender.send(n));
    (port.id().clone(), receiver)
}

fn monitored(node: &Node, port: &PortId) -> oneshot::Receiver<Reason> {
    let (sender, receiver) = oneshot::channel();
    node.mon(port, move |reason| drop(sender.send(reason)));
    receiver
}

#[tokio::test]
async fn two_nodes_talk() {
    let (a, b) = (listening("talk-a").await, Arc::new(()));
    drop(b);
    let b = joining("talk-b", &a).await;
    up(&b, "talk-a").await;
    let (port, mut received) = numbers(&a);
    for n in 0..1000 {
        b.snd(&port, &("n", n)).unwrap();
    }
    for n in 0..1000 {
        let got = within("a number", received.recv()).await;
        assert_eq!(got, Some(n));
    }
    // A call, its time limit, and one to a port that is not there.
    let (id,): (String,) = b.cal("talk-a", &("info",), Some(LIMIT)).await.unwrap();
    assert_eq!(id, "talk-a");
    let mute = a.port_with(|_, _| {});
    let limit = Duration::from_millis(20);
    let late = b.cal::<()>(&mute, &("x",), Some(limit)).await;
    assert!(matches!(late, Err(CalError::TimedOut(_))));
    let missing = b.cal::<()>("talk-a#none", &("x",), Some(LIMIT)).await;
    let Err(CalError::Died(reason)) = missing else {
        panic!("{missing:?}")
    };
    assert_eq!(
        reason.to_string(),
        "no_such_port cannot monitor nonexistent port talk-a#none"
    );
    for node in [a, b] {
        node.shutdown().await;
    }
}

/// A link's reader remembers the ports that it met; that must not keep alive what their code holds.
#[tokio::test]
async fn code_ends_with_its_port_or_its_replacement() {
    let a = listening("end-a").await;
    let b = joining("end-b", &a).await;
    up(&b, "end-a").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    // Code that holds something whose end is seen, and says that it was called.
    let code = |name: &'static str| {
        let (kept, ended) = oneshot::channel::<()>();
        let tell = tell.clone();
        let code = move |cx: &aemp::Context, (what,): (String,)| {
            let _ = &kept;
            let _ = tell.send(name);
            match what.as_str() {
                "end" => cx.end(),
                "replace" => drop(cx.this().rcv("n", |_, (): ()| {})),
                _ => {}
            }
        };
        (code, ended)
    };
    let mut ends = Vec::new();
    for (n, last) in ["kil", "end", "replace", "unrcv"].into_iter().enumerate() {
        let (code, ended) = code(last);
        let port = a.port();
        port.rcv("n", code);
        for word in ["go", "go"] {
            b.snd(&port, &("n", word)).unwrap();
            assert_eq!(within("a call", told.recv()).await, Some(last));
        }
        match n {
            0 => port.kil(Reason::normal()),
            3 => drop(port.unrcv("n")),
            _ => {
                b.snd(&port, &("n", last)).unwrap();
                assert_eq!(within("the last call", told.recv()).await, Some(last));
            }
        }
        ends.push((port, ended));
    }
    for (port, ended) in ends {
        assert!(within("the end of the code", ended).await.is_err());
        drop(port);
    }
    for node in [a, b] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn statistics_count_what_passes() {
    let a = listening("stats-a").await;
    let b = joining("stats-b", &a).await;
    up(&b, "stats-a").await;
    up(&a, "stats-b").await;
    let trip = b.round_trip("stats-a", LIMIT).await.unwrap();
    assert!(trip > Duration::ZERO && trip < LIMIT);
    let before = b.stats();
    let port = a.port_with(|_, _| {});
    for n in 0..100 {
        b.snd_wait(&port, &("n", n)).await.unwrap();
    }
    sync(&b, "stats-a").await;
    let after = b.stats();
    let (before, after) = (&before.links[0], &after.links[0]);
    assert_eq!((after.node.as_str(), after.reconnects), ("stats-a", 0));
    // The messages, and the call that synchronised.
    assert!((101..105).contains(&(after.sent - before.sent)));
    assert!(after.sent_octets - before.sent_octets > 100 * 10);
    assert!(after.received > before.received);
    assert_eq!(after.provider.as_deref().map(|p| &p[..8]), Some("aemp-rs-"));
    // A slow reader: who waits for room never runs over the bound.
    for node in [a, b] {
        node.shutdown().await;
    }
}

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
async fn mailboxes_and_their_owners() {
    let node = Node::local();
    let owner = node.port();
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    owner.rcv("make", move |cx, ()| {
        sender.take().map(|sender| sender.send(cx.mailbox()));
    });
    node.snd(&owner, &("make",)).unwrap();
    let mut inbox = within("the mailbox", receiver).await.unwrap();
    for n in 0..3 {
        node.snd(inbox.id(), &("n", n)).unwrap();
    }
    let wanted = inbox.recv_where(|message| message.args::<(String, u8)>().is_ok_and(|a| a.1 == 2));
    assert_eq!(within("two", wanted).await.unwrap().to_json(), r#"["n",2]"#);
    let none = inbox.recv_timeout(Duration::from_millis(1)).await;
    assert!(none.is_ok());
    let reason = monitored(&node, inbox.id());
    owner.kil(Reason::new(["owner", "gone"]));
    assert_eq!(
        within("the death", reason).await.unwrap().to_string(),
        "owner gone"
    );
    // What had arrived can still be received.
    let rest = within("the rest", inbox.recv()).await.unwrap();
    assert_eq!(rest.to_json(), r#"["n",1]"#);
    assert_eq!(
        within("the end", inbox.recv()).await.unwrap_err(),
        aemp::RecvError::Dead
    );
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
async fn order_of_kills_and_local_spawns() {
    let node = Node::local();
    // A kill comes behind the messages that were sent before it.
    let (port, mut received) = numbers(&node);
    let reason = monitored(&node, &port);
    for n in 0..1000 {
        node.snd(&port, &("n", n)).unwrap();
    }
    node.kil(&port, Reason::new(["enough"]));
    for n in 0..1000 {
        assert_eq!(within("a number", received.recv()).await, Some(n));
    }
    assert_eq!(
        within("the end", reason).await.unwrap().to_string(),
        "enough"
    );
    // A port spawned here can be talked to at once.
    node.function("echo", |cx, (reply,): (PortId,)| {
        cx.this()
            .rcv("n", move |cx, (n,): (u64,)| cx.snd(&reply, &("n", n)));
    });
    let (port, mut received) = numbers(&node);
    for n in 0..1000 {
        let spawned = node.spawn(node.id(), "echo", &(&port,)).unwrap();
        node.snd(&spawned, &("n", n)).unwrap();
        node.kil(&spawned, Reason::normal());
    }
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 1000 {
        seen.push(within("a number", received.recv()).await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn monitors_kills_and_spawns() {
    let a = listening("mks-a").await;
    a.function("eg::init", |cx, (reply, text): (PortId, String)| {
        cx.this().rcv("die", |_, ()| Err::<(), _>("oops\n"));
        cx.snd(&reply, &("ready", cx.id(), text))
    });
    a.function("eg::boom", |_, ()| Err::<(), _>("no"));
    let b = joining("mks-b", &a).await;
    up(&b, "mks-a").await;

    // A spawned port that fails.
    let mut inbox = b.mailbox();
    let spawned = b
        .spawn("mks-a", "eg::init", &(inbox.id(), "hello"))
        .unwrap();
    let reason = monitored(&b, &spawned);
    let ready = within("ready", inbox.recv_tag("ready")).await.unwrap();
    let (id, text): (PortId, String) = ready.args().unwrap();
    assert_eq!((id, text.as_str()), (spawned.clone(), "hello"));
    b.snd(&spawned, &("die",)).unwrap();
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(reason, Reason::new(["die", "oops"]));

    // One that fails at once, and one that can't be.
    for (function, kind) in [("eg::boom", "die"), ("eg::none", "no_such_port")] {
        let port = b.spawn("mks-a", function, &()).unwrap();
        let reason = within("the death", monitored(&b, &port)).await.unwrap();
        assert_eq!(reason.kind(), Some(kind), "{function}: {reason}");
    }

    // Killing there: with a reason, and normally; the forms of monitors.
    let victim = a.port();
    let linked = b.port();
    let survivor = b.port();
    b.mon_kil(&victim, &linked);
    b.mon_snd(&victim, inbox.id(), &("gone", 7)).unwrap();
    let stopped = b.mon(&victim, |_| panic!("this monitor was stopped"));
    stopped.stop();
    let guarded = b.mon(&victim, |_| panic!("this one, too")).guard();
    drop(guarded);
    sync(&b, "mks-a").await;
    let linked_reason = monitored(&b, linked.id());
    b.kil(&victim, Reason::new(["remote", "kil"]));
    let gone = within("the message", inbox.recv_tag("gone")).await.unwrap();
    let gone: (u8, String, String) = gone.args().unwrap();
    assert_eq!(gone, (7, "remote".into(), "kil".into()));
    let reason = within("the link", linked_reason).await.unwrap();
    assert_eq!(reason, Reason::new(["remote", "kil"]));

    let victim = a.port();
    b.mon_kil(&victim, &survivor);
    let reason = monitored(&b, victim.id());
    b.kil(&victim, Reason::normal());
    assert!(within("the end", reason).await.unwrap().is_normal());
    assert!(survivor.is_alive(), "a normal end kills no linked port");

    // Losing the node fires everything, with the node's ID.
    let port = a.port();
    let reasons = [monitored(&b, port.id()), monitored(&b, &"mks-a".into())];
    sync(&b, "mks-a").await;
    a.shutdown().await;
    for reason in reasons {
        let reason = within("the loss", reason).await.unwrap();
        assert_eq!(reason.kind(), Some("transport_error"));
        assert_eq!(reason.values()[1], "mks-a");
    }
    b.shutdown().await;
}

#[tokio::test]
async fn nobody_there() {
    let node = builder("lonely").binds([""; 0]);
    let node = node.set("monitor_timeout", 1).start().await.unwrap();
    let port = PortId::new("nowhere#x.y");
    node.snd(&port, &("lost",)).unwrap();
    let reason = within("the monitor", monitored(&node, &port))
        .await
        .unwrap();
    assert_eq!(
        reason.to_string(),
        "transport_error nowhere unable to connect"
    );
    assert_eq!(node.known_nodes(), [node.id().clone()], "it is forgotten");
    node.shutdown().await;
}

#[tokio::test]
async fn a_mesh_that_heals() {
    let seed = listening("mesh-seed").await;
    let address = seed.listeners();
    let mut nodes = Vec::new();
    for n in 1..=3 {
        let node = joining(&format!("mesh-{n}"), &seed).await;
        node.register("mesh", node.port());
        nodes.push(node);
    }
    let hidden = builder("mesh-hidden")
        .binds([""; 0])
        .seeds(seed.listeners());
    let hidden = hidden.start().await.unwrap();
    hidden.register("mesh", hidden.port());
    nodes.push(hidden);
    for node in &nodes {
        for other in nodes.iter().chain([&seed]) {
            if other.id() != node.id() {
                up(node, other.id().as_str()).await;
            }
        }
        members(node, "mesh", 4).await;
    }
    // One goes: all others notice.
    let gone = nodes.remove(0);
    gone.shutdown().await;
    for node in nodes.iter().chain([&seed]) {
        members(node, "mesh", 3).await;
        assert!(!node.node_is_up("mesh-1"));
    }
    // The seed goes and comes back at its address.
    seed.shutdown().await;
    for node in &nodes {
        let mut events = node.mon_nodes();
        if node.node_is_up("mesh-seed") {
            within("the loss", event(&mut events, |e| !e.is_up())).await;
        }
    }
    let seed = builder("mesh-seed").binds(address).start().await.unwrap();
    for node in &nodes {
        up(node, "mesh-seed").await;
    }
    members(&seed, "mesh", 3).await;
    for node in nodes.into_iter().chain([seed]) {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn groups_follow_ports() {
    let a = listening("groups-a").await;
    let b = joining("groups-b", &a).await;
    up(&b, "groups-a").await;
    let mut changes = b.mon_group("g");
    let (one, two) = (a.port(), a.port());
    let registration = a.register("g", &one);
    a.register("g", &two);
    a.register("g", &two); // has no effect
    members(&b, "g", 2).await;
    // One change or two: what happens between two calls comes as one.
    let mut added = Vec::new();
    while added.len() < 2 {
        added.extend(within("a change", changes.next()).await.unwrap().added);
    }
    assert_eq!(added, [one.id().clone(), two.id().clone()]);
    registration.unregister();
    assert_eq!(members(&b, "g", 1).await, [two.id().clone()]);
    two.kil(Reason::normal());
    members(&b, "g", 0).await;
    a.register("g", a.id());
    assert_eq!(members(&b, "g", 1).await, [a.id().node_port()]);
    a.shutdown().await;
    members(&b, "g", 0).await;
    b.shutdown().await;
}

#[tokio::test]
async fn no_change_of_a_group_is_overlooked() {
    let node = Node::local();
    let port = node.port();
    node.register("g", &port);
    let mut changes = node.mon_group("g");
    assert_eq!(node.members("g").len(), 1);
    // It goes before anybody has asked for a change.
    port.kil(Reason::normal());
    within("the change", async {
        while !node.members("g").is_empty() {
            changes.next().await.unwrap();
        }
    })
    .await;
    let mut late = node.mon_group("g");
    let again = node.port();
    node.register("g", &again);
    let change = within("the change", late.next()).await.unwrap();
    assert_eq!(change.added, [again.id().clone()]);
    assert_eq!((change.members.len(), change.removed.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_connect_to_each_other_keep_one_link() {
    capture_log();
    for round in 0..100 {
        let (a, b) = (listening("both-a").await, listening("both-b").await);
        let (port_a, mut at_a) = numbers(&a);
        let (port_b, mut at_b) = numbers(&b);
        let (mut events_a, mut events_b) = (a.mon_nodes(), b.mon_nodes());
        // Both have something to say before there is any link.
        a.snd(&port_b, &("n", 0)).unwrap();
        b.snd(&port_a, &("n", 0)).unwrap();
        a.add_seeds(b.listeners());
        b.add_seeds(a.listeners());
        for n in 1..50 {
            a.snd(&port_b, &("n", n)).unwrap();
            b.snd(&port_a, &("n", n)).unwrap();
            tokio::task::yield_now().await;
        }
        for n in 0..50 {
            let what = format!("round {round}, number {n}");
            assert_eq!(within(&what, at_a.recv()).await, Some(n));
            assert_eq!(within(&what, at_b.recv()).await, Some(n));
        }
        sync(&a, "both-b").await;
        sync(&b, "both-a").await;
        for events in [&mut events_a, &mut events_b] {
            let first = within("an event", events.next()).await.unwrap();
            assert!(first.is_up(), "round {round}: {first:?}");
        }
        a.shutdown().await;
        b.shutdown().await;
        for events in [&mut events_a, &mut events_b] {
            let mut rest = Vec::new();
            while let Some(event) = within("the end", events.next()).await {
                rest.push(event);
            }
            let one_down = matches!(&rest[..], [NodeEvent::Down { .. }]);
            let log = log();
            let log = log[log.len().saturating_sub(60)..].join("\n");
            assert!(
                one_down,
                "round {round}: the link was changed: {rest:?}\n{log}"
            );
        }
    }
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

#[tokio::test]
async fn a_seed_that_is_ourselves_is_forgotten() {
    capture_log();
    // Bound and not listening, it keeps the address for who asks for it by its number, as the node does.
    let reserved = tokio::net::TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = reserved.local_addr().unwrap().to_string();
    let node = builder("narcissus").binds([&address]).seeds([&address]);
    let node = node.set("connect_interval", 0.01).start().await.unwrap();
    let tried = format!("trying connect to seed node {address}.");
    let refused = format!("{address} I refuse to talk to myself");
    let count = |text: &str| log().iter().filter(|l| l.contains(text)).count();
    within("the refusal", async {
        while count(&refused) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The next rounds would come after a second each.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(count(&tried), 1);
    assert!(node.up_nodes().is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn panics_and_errors_kill_only_their_port() {
    let node = Node::local();
    let port = node.port();
    port.rcv("panic", |_, ()| -> () { panic!("no way") })
        .rcv("typed", |_, (_, _): (u8, String)| {});
    let reason = monitored(&node, port.id());
    node.snd(&port, &("panic",)).unwrap();
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(reason.to_string(), "die no way");

    let port = node.port();
    port.rcv("typed", |_, (_, _): (u8, String)| {});
    let reason = monitored(&node, port.id());
    node.snd(&port, &("typed", 1, 2)).unwrap();
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(
        reason.to_string(),
        "die argument 2: invalid type: integer `2`, expected a string"
    );

    let port = node.port();
    port.rcv_async("wait", |_, fail: Option<bool>| async move {
        assert!(fail.is_some(), "later");
    });
    let reason = monitored(&node, port.id());
    node.snd(&port, &("wait",)).unwrap();
    assert_eq!(within("it", reason).await.unwrap().to_string(), "die later");
}

#[tokio::test]
async fn asynchronous_handlers_keep_the_order() {
    let node = Node::local();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let port = node.port();
    port.rcv_async("n", move |_, (n,): (u64,)| {
        let sender = sender.clone();
        async move {
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
            let _ = sender.send(n);
        }
    });
    for n in 0..1000 {
        node.snd(&port, &("n", n)).unwrap();
    }
    for n in 0..1000 {
        assert_eq!(within("a number", receiver.recv()).await, Some(n));
    }
    // Killed while it waits: the code is dropped.
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (started, begun) = oneshot::channel();
    let (dropped, ended) = oneshot::channel();
    let (mut started, mut guard) = (Some(started), Some(Dropped(Some(dropped))));
    port.rcv_async("forever", move |_, ()| {
        let _ = started.take().unwrap().send(());
        let guard = guard.take();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
        }
    });
    node.snd(&port, &("forever",)).unwrap();
    within("the start", begun).await.unwrap();
    port.kil(Reason::normal());
    within("the drop", ended).await.unwrap();
}

/// Who waits for room in a port of the same node goes on when there is some, and when the port dies.
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

/// A port that is killed while it is at work dies when that is done. A node that stops meanwhile still
/// tells why the port died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_the_end_is_told_before_the_end() {
    let a = listening("last-kill-a").await;
    let b = joining("last-kill-b", &a).await;
    up(&b, "last-kill-a").await;
    let (begun, mut at_work) = mpsc::unbounded_channel();
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let port = b.port();
    port.rcv("work", move |_, (): ()| {
        begun.send(()).unwrap();
        gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
    });
    let fired = monitored(&a, port.id());
    a.snd(&port, &("work",)).unwrap();
    within("the port to be at work", at_work.recv()).await;
    port.kil(Reason::new(["bye"]));
    let mut stopping = Box::pin(b.shutdown());
    tokio::select! {
        biased;
        () = &mut stopping => panic!("the port is at work"),
        () = std::future::ready(()) => {} // it has begun to stop
    }
    go_on.send(()).unwrap();
    within("the end", stopping).await;
    let reason = within("the monitor", fired).await.unwrap();
    assert_eq!(reason.to_string(), "bye");
    a.shutdown().await;
}
