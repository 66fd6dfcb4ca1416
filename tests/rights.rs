//! Rules about what other nodes may do: the settings `allow` and `deny`.

mod support;

use std::collections::BTreeMap;

use aemp::proto::generation::Generations;
use aemp::{Builder, Mailbox, Node, PortId, Reason};
use serde_json::Value;
use support::{LIMIT, Scripted, builder, capture_log, log, members, sync, up, within};

/// A node of that generation with these rules.
async fn strict(id: &str, generation: u32, allow: &[&str], deny: &[&str]) -> Node {
    capture_log();
    let builder = of_generation(id, generation).binds(["127.0.0.1:0"]);
    let builder = match allow {
        [] => builder,
        rules => builder.allow(rules.iter().copied()),
    };
    let node = builder.deny(deny.iter().copied()).start().await.unwrap();
    node.function("job::echo", |context, (): ()| {
        context.this().rcv_any(|context, message| {
            let (reply, rest): (PortId, u32) = message.args().unwrap();
            context.snd(&reply, &(rest,)).unwrap();
        });
    });
    node.function("job::other", |context, (): ()| {
        context.this().rcv_any(|_, _| ());
    });
    node
}

fn of_generation(id: &str, generation: u32) -> Builder {
    builder(id).generation(Generations::Only(generation))
}

/// A node that has a link to that one.
async fn friend(id: &str, generation: u32, of: &Node) -> Node {
    let builder = of_generation(id, generation).binds(["127.0.0.1:0"]);
    let node = builder.seeds(of.listeners()).start().await.unwrap();
    up(&node, of.id().as_str()).await;
    node
}

/// Why a port died, as a monitor of that node learns.
fn death(node: &Node, port: &PortId) -> impl Future<Output = Vec<Value>> + use<> {
    let (died, reason) = tokio::sync::oneshot::channel();
    node.mon(port.clone(), move |reason| drop(died.send(reason)));
    let what = format!("{} hears of {port}", node.id());
    async move { within(&what, reason).await.unwrap().values().to_vec() }
}

fn refused(action: &str, name: &str) -> Vec<Value> {
    vec![
        "refused".into(),
        format!("not allowed: {action} {name}").into(),
    ]
}

fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let count = |(action, count): &(&str, u64)| ((*action).to_owned(), *count);
    counts.iter().map(count).collect()
}

async fn number(inbox: &mut Mailbox) -> u32 {
    let message = within("a number", inbox.recv()).await.unwrap();
    message.args::<(u32,)>().unwrap().0
}

const GENERATIONS: [u32; 3] = [0, 1, 2];

/// A port is meant by its groups. Who is refused loses its monitor, as with every message that is
/// lost.
#[tokio::test]
async fn sending() {
    for generation in GENERATIONS {
        let id = format!("sending-{generation}");
        let node = strict(&id, generation, &["* send @open*"], &["* send @shut"]).await;
        let [mut open, mut shut, mut other] = [node.mailbox(), node.mailbox(), node.mailbox()];
        node.register("open-1", open.id());
        node.register("shut", shut.id());
        let both = node.register("open-2", shut.id());
        let friend = friend(&format!("{id}-friend"), generation, &node).await;
        for port in [&open, &shut, &other] {
            friend.snd(port.id(), &(1,)).unwrap();
            // Sent round about by the node itself.
            friend.snd(&*id, &("snd", port.id(), 2)).unwrap();
        }
        sync(&friend, &id).await;
        assert_eq!(number(&mut open).await, 1);
        assert_eq!(number(&mut open).await, 2);
        for port in [&mut shut, &mut other] {
            assert!(port.try_recv().unwrap().is_none(), "{generation}");
            let monitored = death(&friend, port.id());
            friend.snd(port.id(), &(3,)).unwrap();
            assert_eq!(monitored.await, refused("send", port.id().name()));
        }
        assert_eq!(node.stats().refused, counts(&[("send", 6)]));

        // Groups are asked for at each message.
        both.unregister();
        let entry = node.db_reg("open-3", other.id(), &()).unwrap();
        friend.snd(other.id(), &(4,)).unwrap();
        assert_eq!(number(&mut other).await, 4);
        entry.delete();
        friend.snd(other.id(), &(5,)).unwrap();
        sync(&friend, &id).await;
        assert!(other.try_recv().unwrap().is_none());
        friend.shutdown().await;
        node.shutdown().await;
    }
}

/// A port is in a group as long as it is registered there or a key of the family, whatever else
/// ends.
#[tokio::test]
async fn registered_and_a_key() {
    let node = strict("twice", 1, &[], &["* send @shut"]).await;
    let friend = friend("twice-friend", 1, &node).await;
    let mut inbox = node.mailbox();
    let [key, id] = [inbox.id().as_str(), node.id().as_str()].map(str::to_owned);
    let mut arrives = async |n: u32| {
        friend.snd(inbox.id(), &(n,)).unwrap();
        sync(&friend, &id).await;
        inbox.try_recv().unwrap().is_some()
    };
    let registration = node.register("shut", &*key);
    node.db_set("shut", &key, &1).unwrap();
    assert!(!arrives(1).await);
    node.db_del("shut", [&*key]);
    assert!(!arrives(2).await, "it is still registered");
    registration.unregister();
    assert!(arrives(3).await);
    // A registration takes the key with it.
    node.db_set("shut", &key, &1).unwrap();
    assert!(!arrives(4).await);
    node.register("shut", &*key).unregister();
    assert!(arrives(5).await);
    friend.shutdown().await;
    node.shutdown().await;
}

/// Who may spawn may use what it has spawned.
#[tokio::test]
async fn spawning() {
    for generation in GENERATIONS {
        let id = format!("spawning-{generation}");
        let friend_id = format!("{id}-friend");
        let allow = format!("{friend_id} spawn job::e*");
        let deny = ["* send", "* monitor", "* kill", "* call", "* eval"];
        let node = strict(&id, generation, &[&allow], &deny).await;
        let friend = friend(&friend_id, generation, &node).await;
        let mut inbox = friend.mailbox();
        let echo = friend.spawn(&*id, "job::echo", &()).unwrap();
        friend.snd(&echo, &(inbox.id(), 7)).unwrap();
        assert_eq!(number(&mut inbox).await, 7);
        let killed = death(&friend, &echo);
        match generation {
            // Nobody can kill the ports of others there.
            0 => friend.snd(&echo, &("unreadable",)).unwrap(),
            _ => friend.kil(&echo, Reason::new(["enough"])),
        }
        let reason = killed.await;
        let wanted = if generation == 0 { "die" } else { "enough" };
        assert_eq!(reason[0], wanted, "{generation}: {reason:?}");

        let spawned = friend.spawn(&*id, "job::other", &()).unwrap();
        let text = "remote execution not allowed: spawn job::other";
        assert_eq!(death(&friend, &spawned).await, ["refused", text]);

        friend.snd(&*id, &("job::echo",)).unwrap();
        friend.snd(&*id, &("eval", "1")).unwrap();
        sync(&friend, &id).await;
        let refused = counts(&[("call", 1), ("eval", 1), ("spawn", 1)]);
        assert_eq!(node.stats().refused, refused);
        // What the program does itself is its own affair.
        let own = node.spawn(&*id, "job::other", &()).unwrap();
        assert!(node.local_port(&own).is_some());
        friend.shutdown().await;
        node.shutdown().await;
    }
}

#[tokio::test]
async fn monitors_and_kills() {
    for generation in GENERATIONS {
        let id = format!("kills-{generation}");
        let node = strict(&id, generation, &[], &["* kill @safe", "* monitor @quiet"]).await;
        let [safe, quiet] = [node.mailbox(), node.mailbox()];
        node.register("safe", safe.id());
        node.register("quiet", quiet.id());
        let friend = friend(&format!("{id}-friend"), generation, &node).await;
        let name = quiet.id().name();
        assert_eq!(death(&friend, quiet.id()).await, refused("monitor", name));
        friend.kil(safe.id(), Reason::new(["enough"]));
        sync(&friend, &id).await;
        assert!(node.local_port(safe.id()).is_some());
        // In generation 0 nobody can kill the ports of others.
        let mut wanted = vec![("monitor", 1)];
        if generation != 0 {
            wanted.push(("kill", 1));
            friend.kil(quiet.id(), Reason::new(["enough"]));
            sync(&friend, &id).await;
            assert!(node.local_port(quiet.id()).is_none());
        }
        assert_eq!(node.stats().refused, counts(&wanted));
        friend.shutdown().await;
        node.shutdown().await;
    }
}

/// A node sends on, and replies, only to whom it may for the one who asks.
#[tokio::test]
async fn relaying() {
    let node = strict(
        "hub",
        1,
        &["* relay *-home", "* relay hub-*"],
        &["bad* relay"],
    )
    .await;
    let friend = friend("hub-friend", 1, &node).await;
    let target = support::joining("hub-target", &node).await;
    let foreign = support::joining("foreign", &node).await;
    for other in ["hub-target", "foreign"] {
        up(&friend, other).await;
        up(&node, other).await;
    }
    let [mut allowed, mut denied] = [target.mailbox(), foreign.mailbox()];
    for port in [&allowed, &denied] {
        friend.snd("hub", &("snd", port.id(), 1)).unwrap();
        friend.snd("hub", &("info", port.id())).unwrap();
        friend
            .snd("hub", &("snd_multiple", (port.id(), 2), (port.id(), 3)))
            .unwrap();
    }
    sync(&friend, "hub").await;
    sync(&node, "hub-target").await;
    sync(&node, "foreign").await;
    assert_eq!(number(&mut allowed).await, 1);
    let info = within("the reply", allowed.recv()).await.unwrap();
    assert_eq!(info.tag().as_deref(), Some("hub"));
    assert_eq!(number(&mut allowed).await, 2);
    assert_eq!(number(&mut allowed).await, 3);
    assert!(denied.try_recv().unwrap().is_none());
    assert!(node.stats().refused["relay"] >= 3);
    for node in [friend, target, foreign, node] {
        node.shutdown().await;
    }
}

/// What others say of groups and families is not even known to this node.
#[tokio::test]
async fn registering() {
    for generation in GENERATIONS {
        let id = format!("registering-{generation}");
        let node = strict(&id, generation, &["* set open*"], &["* set open-no"]).await;
        if generation == 2 {
            node.become_global();
        }
        let friend = friend(&format!("{id}-friend"), generation, &node).await;
        let port = friend.mailbox();
        for group in ["open-yes", "open-no", "other"] {
            friend.register(group, port.id());
        }
        friend.register("open-last", port.id());
        for group in ["open-yes", "open-last"] {
            assert_eq!(members(&node, group, 1).await, [port.id().clone()]);
        }
        for group in ["open-no", "other"] {
            assert!(node.members(group).is_empty(), "{group} in {generation}");
            if generation == 2 {
                let keys = within("the keys", node.db_keys(group)).await;
                assert!(keys.unwrap().is_empty(), "{group}");
            }
        }
        assert!(
            node.stats().refused["set"] >= 2,
            "{:?}",
            node.stats().refused
        );
        friend.shutdown().await;
        node.shutdown().await;
    }
}

/// The same for what was registered before the link came up.
#[tokio::test]
async fn registered_before() {
    for generation in GENERATIONS {
        let id = format!("before-{generation}");
        let node = strict(&id, generation, &[], &["* set no"]).await;
        if generation == 2 {
            node.become_global();
        }
        let builder = of_generation(&format!("{id}-friend"), generation);
        let friend = builder.seeds([""; 0]).binds([""; 0]).start().await.unwrap();
        let port = friend.mailbox();
        friend.register("no", port.id());
        friend.register("yes", port.id());
        friend.add_seeds(node.listeners());
        assert_eq!(members(&node, "yes", 1).await, [port.id().clone()]);
        assert!(node.members("no").is_empty());
        friend.shutdown().await;
        node.shutdown().await;
    }
}

/// A node whose gossip is not listened to can still send and be sent to.
#[tokio::test]
async fn gossip() {
    let node = strict(
        "deaf",
        1,
        &[],
        &["deaf-liar mesh nodes", "deaf-liar mesh reg*"],
    )
    .await;
    let mut peer = Scripted::connect(&node).await;
    peer.handshake("deaf-liar", 1, "provider=AE-1.30").await;
    peer.send(
        r#"["","AnyEvent::MP::_spawn","l.g","AnyEvent::MP::Global::connect",0,"deaf-liar"]
           ["l.g","nodes",{"nobody":["127.0.0.1:9"]}]
           ["l.g","reg1","g","deaf-liar#p"]
           ["l.g","set",{"h":["deaf-liar#p"]}]
           ["","info","deaf-liar#r","end"]"#,
    )
    .await;
    let answered = |octets: &[u8]| String::from_utf8_lossy(octets).contains(r#"["r","end""#);
    peer.read_until("the answer", answered).await;
    assert!(node.members("g").is_empty());
    assert_eq!(members(&node, "h", 1).await.len(), 1);
    assert!(!node.known_nodes().contains(&"nobody".into()));
    assert_eq!(node.stats().refused, counts(&[("mesh", 2)]));
    let line = "WARN deaf-liar said something about the mesh: not allowed: mesh nodes";
    assert!(log().iter().any(|found| found == line), "{:#?}", log());
    node.shutdown().await;
}

/// Nobody speaks of the mesh in the name of another node, whatever the rules are.
#[tokio::test]
async fn in_the_name_of_another() {
    let node = strict("named", 1, &[], &[]).await;
    let friend = friend("named-friend", 1, &node).await;
    let mut peer = Scripted::connect(&node).await;
    peer.handshake("named-liar", 1, "provider=AE-1.30").await;
    peer.send(
        r#"["","AnyEvent::MP::_spawn","l.g","AnyEvent::MP::Global::connect",0,"named-friend"]
           ["l.g","reg1","g","named-friend#p"]
           ["","mon1","l.g"]"#,
    )
    .await;
    let told = |octets: &[u8]| String::from_utf8_lossy(octets).contains(r#""l.g","no_such_port""#);
    peer.read_until("the death of the port", told).await;
    assert!(node.members("g").is_empty());
    let text = "a port of the mesh is spawned in the name of named-friend";
    assert!(log().iter().any(|line| line.ends_with(text)));
    friend.shutdown().await;
    node.shutdown().await;
}

/// What the program has its own node port do is as if anybody had asked for it.
#[tokio::test]
async fn the_program_itself() {
    let node = strict("itself", 1, &[], &["* call job::other", "guest call"]).await;
    let port = node.mailbox();
    let own = node.id().node_port();
    node.snd(&own, &("job::other",)).unwrap();
    node.snd(&own, &("snd", port.id(), 1)).unwrap();
    let mut port = port;
    assert_eq!(number(&mut port).await, 1);
    assert_eq!(node.stats().refused, counts(&[("call", 1)]));
    node.shutdown().await;
}

/// A stand-in of a bridge is for relaying only.
#[tokio::test]
async fn bridges() {
    capture_log();
    let bridge = Node::builder()
        .no_rc()
        .nodeid("gate")
        .secret(support::SECRET);
    let bridge = bridge.set("bridge", ["1", "2"]).binds(["127.0.0.1:0"]);
    let bridge = bridge.deny(["guest relay host"]).start().await.unwrap();
    let host = of_generation("host", 2).binds(["127.0.0.1:0"]);
    let host = host.seeds(bridge.listeners()).start().await.unwrap();
    let inbox = host.mailbox();
    host.register("open", inbox.id());
    for (id, allowed) in [("member", true), ("guest", false)] {
        let node = of_generation(id, 1).binds(["127.0.0.1:0"]);
        let node = node.seeds(bridge.listeners()).start().await.unwrap();
        up(&node, "gate").await;
        let call = node.cal::<(f64,)>("host", &("time",), Some(LIMIT / 4));
        assert_eq!(
            within("an answer or none", call).await.is_ok(),
            allowed,
            "{id}"
        );
        node.shutdown().await;
    }
    assert!(
        log()
            .iter()
            .any(|line| line.contains("guest may not relay to host"))
    );
    host.shutdown().await;
    bridge.shutdown().await;
}

/// Rules that come while the node runs hold for the links that are up, know the groups that ports
/// were in before, and leave what the mesh is made of alone.
#[tokio::test]
async fn replaced_while_it_runs() {
    for generation in GENERATIONS {
        let a = strict("a", generation, &[], &[]).await;
        let b = friend("b", generation, &a).await;
        let (mut public, mut private) = (a.mailbox(), a.mailbox());
        a.register("public", public.id());
        b.snd(private.id(), &(1,)).unwrap();
        assert_eq!(number(&mut private).await, 1);

        let rules = ["* send @public".parse().unwrap()];
        a.reload_rules(&rules, &[], false).unwrap();
        b.snd(private.id(), &(2,)).unwrap();
        b.snd(public.id(), &(3,)).unwrap();
        assert_eq!(number(&mut public).await, 3);
        assert!(private.try_recv().unwrap().is_none());
        let late = b.mailbox();
        b.register("late", late.id());
        members(&a, "late", 1).await;
        a.reload_rules(&[], &["b spawn".parse().unwrap()], false)
            .unwrap();
        b.snd(private.id(), &(4,)).unwrap();
        assert_eq!(number(&mut private).await, 4);
        let port = b.spawn("a", "job::other", &()).unwrap();
        let reason = death(&b, &port).await;
        // Which of the two depends on whether the refusal or the monitor came first.
        let kind = reason[0].as_str().unwrap_or_default();
        assert!(matches!(kind, "refused" | "no_such_port"), "{reason:?}");
        b.shutdown().await;
        a.shutdown().await;
    }
}
