//! Nodes of different generations, and a bridge between them.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::{Bridge, Builder, Node, PortId, Reason};
use support::{LIMIT, SECRET, capture_log, event, log, members, up, within};

/// A node of one generation, or the bridge's own.
async fn start(id: &str, generations: Generations, seeds: &[&Node]) -> Node {
    builder(id, generations, seeds).start().await.unwrap()
}

fn builder(id: &str, generations: Generations, seeds: &[&Node]) -> Builder {
    let seeds: Vec<String> = seeds.iter().flat_map(|seed| seed.listeners()).collect();
    let builder = Node::builder().no_rc().nodeid(id).secret(SECRET);
    let builder = builder.generation(generations).binds(["127.0.0.1:0"]);
    builder.seeds(seeds)
}

struct Scene {
    middle: Node,
    bridge: Bridge,
    old: Node,
    new: Node,
}

/// Every two generations.
const WORLDS: [[u32; 2]; 3] = [[0, 1], [0, 2], [1, 2]];

impl Scene {
    async fn new(name: &str, worlds: [u32; 2]) -> Self {
        Self::with(name, worlds, |_, builder| builder).await
    }

    /// The same, of nodes that `adapt` has changed: the middle, the old and the new one.
    async fn with(name: &str, worlds: [u32; 2], adapt: impl Fn(&str, Builder) -> Builder) -> Self {
        capture_log();
        let [older, newer] = worlds;
        let start = async |who: &str, generations, seeds: &[&Node]| {
            let id = format!("{name}-{older}{newer}-{who}");
            let builder = adapt(who, builder(&id, generations, seeds));
            builder.start().await.unwrap()
        };
        let middle = start("middle", Generations::Auto, &[]).await;
        let bridge = middle.bridge(worlds).unwrap();
        let old = start("old", Generations::Only(older), &[&middle]).await;
        let new = start("new", Generations::Only(newer), &[&middle]).await;
        up(&old, new.id().as_str()).await;
        if newer < 2 {
            up(&new, old.id().as_str()).await; // else on demand
        }
        Scene {
            middle,
            bridge,
            old,
            new,
        }
    }

    async fn end(self) {
        self.old.shutdown().await;
        self.new.shutdown().await;
        self.middle.shutdown().await;
    }
}

/// A port that echoes, in a group.
fn echo(node: &Node, group: &str) -> PortId {
    let port = node.port();
    port.rcv("echo", |context, (text, reply): (String, PortId)| {
        context.snd(&reply, &(text, context.node().id()))
    });
    port.rcv("die", |_, (): ()| Err::<(), _>("as told"));
    node.register(group, &port);
    port.id().clone()
}

async fn reason(node: &Node, port: &PortId) -> Reason {
    let (died, reason) = tokio::sync::oneshot::channel();
    node.mon(port.clone(), move |reason| drop(died.send(reason)));
    within("a monitor to fire", reason).await.unwrap()
}

#[tokio::test]
async fn both_see_the_others_groups_and_call() {
    for worlds in WORLDS {
        let scene = Scene::new("br-groups", worlds).await;
        let (old, new) = (&scene.old, &scene.new);
        let of_old = echo(old, "br-echo");
        let of_new = echo(new, "br-echo");
        for node in [old, new] {
            let mut found = members(node, "br-echo", 2).await;
            found.sort();
            let mut wanted = [of_old.clone(), of_new.clone()];
            wanted.sort();
            assert_eq!(found, wanted);
        }
        for (from, to) in [(old, &of_new), (new, &of_old)] {
            let call = from.cal::<(String, String)>(to, &("echo", "hello"), Some(LIMIT));
            let (text, at) = within("the echo", call).await.unwrap();
            assert_eq!((text.as_str(), at.as_str()), ("hello", to.node()));
            let id = to.node_id();
            let call = from.cal::<(f64,)>(&id, &("time",), Some(LIMIT));
            within("the time", call).await.unwrap();
        }
        // A registration that ends, ends there, too.
        old.kil(&of_old, Reason::normal());
        assert_eq!(members(new, "br-echo", 1).await, [of_new]);
        scene.end().await;
    }
}

#[tokio::test]
async fn monitors_kills_and_spawns_pass() {
    for worlds in WORLDS {
        let scene = Scene::new("br-mon", worlds).await;
        let (old, new) = (&scene.old, &scene.new);
        for (here, there) in [(old, new), (new, old)] {
            let port = echo(there, "br-mon");
            let told = tokio::join!(reason(here, &port), async {
                let call = here.cal::<(String, String)>(&port, &("echo", "x"), Some(LIMIT));
                within("the echo", call).await.unwrap();
                here.snd(&port, &("die",)).unwrap();
            });
            assert_eq!(told.0.values(), ["die", "as told"]);
            let missing = reason(here, &there.id().port("missing")).await;
            assert_eq!(missing.values()[0], "no_such_port");

            there.function("my::init", |context, (reply,): (PortId,)| {
                context.this().rcv_any(|_, _| ());
                context.snd(&reply, &(context.this().id(),))
            });
            let mut inbox = here.mailbox();
            let spawned = here.spawn(there.id(), "my::init", &(inbox.id(),)).unwrap();
            let ready = within("the spawned port", inbox.recv()).await.unwrap();
            assert_eq!(ready.args::<(PortId,)>().unwrap().0, spawned);
            assert!(there.local_port(&spawned).is_some());
        }
        kills_pass_where_they_can(&scene, worlds).await;
        scene.end().await;
    }
}

async fn kills_pass_where_they_can(scene: &Scene, worlds: [u32; 2]) {
    let (old, new) = (&scene.old, &scene.new);
    if worlds == [1, 2] {
        for (here, there) in [(old, new), (new, old)] {
            let port = echo(there, "br-kill");
            let told = reason(there, &port);
            here.kil(&port, Reason::new(["enough"]));
            assert_eq!(told.await.values(), ["enough"]);
        }
        return;
    }
    // Generation 0 can't be told to kill a port, and nothing else comes of it.
    let port = echo(old, "br-mon");
    new.kil(&port, Reason::new(["enough"]));
    let call = new.cal::<(String, String)>(&port, &("echo", "x"), Some(LIMIT));
    within("the echo", call).await.unwrap();
    let lines = log();
    let (from, to) = (new.id(), old.id());
    let line = format!("DEBUG a request of {from} does not pass to {to}: ");
    let said = lines.iter().any(|found| found.starts_with(&line));
    assert!(said, "{lines:#?}");
}

#[tokio::test]
async fn a_node_that_goes_is_gone_everywhere_and_comes_again() {
    for worlds in WORLDS {
        let scene = Scene::new("br-gone", worlds).await;
        let port = echo(&scene.old, "br-gone");
        members(&scene.new, "br-gone", 1).await;
        let mut events = scene.new.mon_nodes();
        let new = scene.new.clone();
        let watched = port.clone();
        let died = tokio::spawn(async move { reason(&new, &watched).await });
        let call = scene
            .new
            .cal::<(String, String)>(&port, &("echo", "x"), Some(LIMIT));
        within("the echo", call).await.unwrap();
        let (id, listeners) = (scene.old.id().clone(), scene.middle.listeners());
        scene.old.shutdown().await;
        let told = within("the monitor", died).await.unwrap();
        assert_eq!(told.values()[..2], ["transport_error", id.as_str()]);
        let down = event(&mut events, |event| !event.is_up() && event.node() == &id);
        within("the node to go down", down).await;
        assert!(members(&scene.new, "br-gone", 0).await.is_empty());

        let again = Node::builder().no_rc().nodeid(id.as_str()).secret(SECRET);
        let again = again
            .generation(Generations::Only(worlds[0]))
            .binds(["127.0.0.1:0"]);
        let again = again.seeds(listeners).start().await.unwrap();
        let port = echo(&again, "br-gone");
        assert_eq!(members(&scene.new, "br-gone", 1).await[0], port);
        let call = scene
            .new
            .cal::<(String, String)>(&port, &("echo", "x"), Some(LIMIT));
        within("the echo", call).await.unwrap();
        again.shutdown().await;
        scene.new.shutdown().await;
        scene.middle.shutdown().await;
    }
}

#[tokio::test]
async fn losing_the_bridge_fires_what_crossed_it() {
    for worlds in WORLDS {
        let scene = Scene::new("br-lost", worlds).await;
        let (to_old, to_new) = (echo(&scene.old, "br-lost"), echo(&scene.new, "br-lost"));
        members(&scene.new, "br-lost", 2).await;
        members(&scene.old, "br-lost", 2).await;
        assert_eq!(scene.bridge.stand_ins().len(), 2);
        let watch = |node: &Node, port: &PortId| {
            let (node, port) = (node.clone(), port.clone());
            tokio::spawn(async move { reason(&node, &port).await })
        };
        let fired = [watch(&scene.old, &to_new), watch(&scene.new, &to_old)];
        for (from, to) in [(&scene.old, &to_new), (&scene.new, &to_old)] {
            let call = from.cal::<(String, String)>(to, &("echo", "x"), Some(LIMIT));
            within("the echo", call).await.unwrap();
        }
        drop(scene.bridge);
        for fired in fired {
            let told = within("the monitor", fired).await.unwrap();
            assert_eq!(told.values()[0], "transport_error");
        }
        // The bridge's own node is still in both.
        assert_eq!(scene.middle.up_nodes().len(), 2);
        scene.old.shutdown().await;
        scene.new.shutdown().await;
        scene.middle.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn order_holds_and_a_fast_sender_is_slowed_down() {
    const COUNT: u64 = 8_000;
    let scene = Scene::with("br-order", [1, 2], |_, builder| {
        builder.set("max_queue", 2_000_000)
    });
    let scene = scene.await;
    for (from, to) in [(&scene.old, &scene.new), (&scene.new, &scene.old)] {
        let port = to.port();
        let (done, all) = tokio::sync::oneshot::channel();
        let (mut next, mut done) = (0, Some(done));
        port.rcv_any(move |_, message| {
            let (n, _) = message.args::<(u64, String)>()?;
            assert_eq!(n, next);
            next += 1;
            // Far slower than the messages come: they would not all fit into the bridge.
            std::thread::sleep(Duration::from_micros(100));
            if next == COUNT
                && let Some(done) = done.take()
            {
                let _ = done.send(());
            }
            Ok::<(), aemp::proto::ArgsError>(())
        });
        let text = "x".repeat(1000);
        for n in 0..COUNT {
            let numbered = (n, &text);
            let sent = from.snd_wait(port.id(), &numbered);
            within("room", sent).await.unwrap();
        }
        within("all messages", all).await.unwrap();
    }
    scene.end().await;
}

/// A port without room holds a sender on the other side of the bridge, and no other port.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_port_beyond_the_bridge_slows_its_sender() {
    const COUNT: u64 = 3_000;
    let scene = Scene::new("br-slow", [1, 2]).await;
    for (from, to) in [(&scene.old, &scene.new), (&scene.new, &scene.old)] {
        let taken = Arc::new(AtomicU64::new(0));
        let (port, counted) = (to.port(), taken.clone());
        port.rcv_async("n", move |_, (n, _): (u64, String)| {
            let counted = counted.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert_eq!(counted.fetch_add(1, Ordering::SeqCst), n);
            }
        });
        let text = "x".repeat(20_000);
        let mut most = 0;
        for n in 0..COUNT {
            let numbered = ("n", n, &text);
            let sent = from.snd_wait(port.id(), &numbered);
            within("room", sent).await.unwrap();
            most = most.max(n - taken.load(Ordering::SeqCst).min(n));
            if n == COUNT / 2 {
                // Behind a port that is full, another answers, as soon as that port has taken what
                // is in the sockets: some seconds, or more on a busy machine.
                let call = from.cal::<(f64,)>(to.id().clone(), &("time",), Some(LIMIT * 4));
                call.await.unwrap();
            }
        }
        // Of 60 MB never more than what the sockets of two links hold.
        assert!(most < COUNT * 2 / 3, "{most} were ahead");
        let all = async {
            while taken.load(Ordering::SeqCst) < COUNT {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(LIMIT * 4, all).await;
        assert!(
            in_time.is_ok(),
            "{} were taken",
            taken.load(Ordering::SeqCst)
        );
    }
    scene.end().await;
}

#[tokio::test]
async fn what_a_node_says_last_arrives() {
    for worlds in WORLDS {
        let scene = Scene::new("br-last", worlds).await;
        let mut inbox = scene.new.mailbox();
        let id = inbox.id().clone();
        // In generation 2 there is a link once there is something to say.
        let reached = scene.new.id().clone();
        let call = scene.old.cal::<(f64,)>(&reached, &("time",), Some(LIMIT));
        within("the time", call).await.unwrap();
        for n in 0..1000 {
            scene.old.snd(&id, &(n,)).unwrap();
        }
        scene.old.shutdown().await;
        for n in 0..1000 {
            let message = within("the last messages", inbox.recv()).await.unwrap();
            assert_eq!(message.args::<(u64,)>().unwrap().0, n);
        }
        scene.new.shutdown().await;
        scene.middle.shutdown().await;
    }
}

#[tokio::test]
async fn the_two_halves_may_have_different_framings() {
    let scene = Scene::with("br-framing", [1, 2], |who, builder| match who {
        "old" => builder.set("framing_format", vec!["json"]),
        _ => builder,
    });
    let scene = scene.await;
    let (old, new) = (&scene.old, &scene.new);
    let values = serde_json::json!([null, -1, 1.5, "\u{fc}\u{263a}", u64::MAX, [{"a": {}}, []]]);
    for (from, to) in [(old, new), (new, old)] {
        let port = to.port();
        port.rcv(
            "same",
            |context, (value, reply): (serde_json::Value, PortId)| context.snd(&reply, &(value,)),
        );
        let message = ("same", &values);
        let call = from.cal::<(serde_json::Value,)>(port.id(), &message, Some(LIMIT));
        assert_eq!(within("the values", call).await.unwrap().0, values);
    }
    for (node, other, framing) in [(old, new, "json"), (new, old, "cbor")] {
        let links = node.stats().links;
        let link = links.iter().find(|link| link.node == *other.id()).unwrap();
        assert_eq!(
            (&*link.send_framing, &*link.recv_framing),
            (framing, framing)
        );
    }
    scene.end().await;
}

#[tokio::test]
async fn three_generations_meet() {
    capture_log();
    let middle = start("br-three-middle", Generations::Auto, &[]).await;
    let bridge = middle.bridge([0, 1, 2]).unwrap();
    assert!(middle.is_global());
    let mut nodes = Vec::new();
    for n in 0..3 {
        let name = format!("br-three-{n}");
        nodes.push(start(&name, Generations::Only(n), &[&middle]).await);
    }
    let ports: Vec<PortId> = nodes.iter().map(|node| echo(node, "br-three")).collect();
    for node in &nodes {
        let mut found = members(node, "br-three", 3).await;
        found.sort();
        assert_eq!(found, ports);
        for port in ports
            .iter()
            .filter(|port| port.node() != node.id().as_str())
        {
            let call = node.cal::<(String, String)>(port, &("echo", "x"), Some(LIMIT));
            assert_eq!(within("the echo", call).await.unwrap().1, port.node());
        }
    }
    assert_eq!(bridge.stand_ins().len(), 6);
    // What the bridge's own node says for a node goes with that.
    let first = nodes.remove(0);
    first.shutdown().await;
    assert_eq!(members(&nodes[1], "br-three", 2).await, ports[1..]);
    let keys = within("the keys", nodes[1].db_keys("aemp-bridge"))
        .await
        .unwrap();
    assert_eq!(keys, ["br-three-1"]);
    for node in nodes {
        node.shutdown().await;
    }
    // Without its bridge the node is one as any other.
    drop(bridge);
    let left = within("the keys", middle.db_keys("aemp-bridge"))
        .await
        .unwrap();
    assert!(left.is_empty());
    middle.shutdown().await;
}

/// The bridge's node finds those that know another global node only.
#[tokio::test]
async fn nodes_of_other_masters_are_bridged_too() {
    capture_log();
    let two = Generations::Only(2);
    let master = start("br-master", two, &[]).await;
    master.become_global();
    let leaf = start("br-leaf", two, &[&master]).await;
    let middle = start("br-master-middle", Generations::Auto, &[&master]).await;
    let bridge = middle.bridge([1, 2]).unwrap();
    let old = start("br-master-old", Generations::Only(1), &[&middle]).await;
    up(&old, leaf.id().as_str()).await;
    let ports = [echo(&leaf, "br-master"), echo(&old, "br-master")];
    for (from, to) in [(&old, &ports[0]), (&leaf, &ports[1])] {
        assert_eq!(members(from, "br-master", 2).await, ports);
        let call = from.cal::<(String, String)>(to, &("echo", "x"), Some(LIMIT));
        assert_eq!(within("the echo", call).await.unwrap().1, to.node());
    }
    drop(bridge);
    for node in [leaf, old, middle, master] {
        node.shutdown().await;
    }
}
