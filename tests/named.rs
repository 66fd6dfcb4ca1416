//! Functions of Perl's modules that every node can be asked to call by name, and who asked.

mod support;

use aemp::{Mailbox, Node, NodeId, PortId, Reason};
use serde_json::{Value, json};
use support::{builder, capture_log, members, sync, up, within};

/// A node that is asked, one that asks, and a third that has a link to the first alone.
struct Nodes {
    asked: Node,
    asker: Node,
    third: Node,
}

impl Nodes {
    async fn start(id: &str, deny: &[&str], secure: bool) -> Self {
        capture_log();
        let of = |part: &str| builder(&format!("{id}-{part}")).binds(["127.0.0.1:0"]);
        let asked = of("asked").deny(deny.iter().copied());
        let asked = asked.set("secure", secure).start().await.unwrap();
        let join = |part: &str| of(part).seeds(asked.listeners()).start();
        let (asker, third) = (join("asker").await.unwrap(), join("third").await.unwrap());
        for other in [&asker, &third] {
            up(other, asked.id().as_str()).await;
        }
        for node in [&asked, &third] {
            node.function("::f", |cx, (reply, word): (PortId, String)| {
                cx.this().rcv_any(|_, _| ());
                cx.snd(&reply, &(word, cx.source(), cx.id()))
            });
        }
        asked.set_evaluator(|text| Ok(vec![text.into()]));
        Nodes {
            asked,
            asker,
            third,
        }
    }

    /// Asks for a call, and waits until it was worked off.
    async fn call(&self, function: &str, args: Value) {
        let mut request = vec![json!(format!("AnyEvent::MP::{function}"))];
        request.extend(args.as_array().unwrap().iter().cloned());
        self.asker.snd(self.asked.id(), &request).unwrap();
        // The answer to a question of the one that was asked comes behind the request.
        sync(&self.asked, self.asker.id().as_str()).await;
    }

    fn effects(
        &self,
        mine: &Mailbox,
        theirs: &Mailbox,
    ) -> Vec<(&'static str, Value, &'static str)> {
        effects(self.asked.id(), self.third.id(), mine.id(), theirs.id())
    }

    async fn end(self) {
        for node in [self.asker, self.third, self.asked] {
            node.shutdown().await;
        }
    }
}

async fn next(inbox: &mut Mailbox) -> Vec<Value> {
    within("a message", inbox.recv()).await.unwrap().values()
}

fn death(node: &Node, port: &PortId) -> impl Future<Output = Reason> + use<> {
    let (died, reason) = tokio::sync::oneshot::channel();
    node.mon(port.clone(), move |reason| drop(died.send(reason)));
    async move { within("a death", reason).await.unwrap() }
}

#[tokio::test]
async fn they_do_what_the_requests_do() {
    let nodes = Nodes::start("doing", &[], false).await;
    let Nodes {
        asked,
        asker,
        third,
    } = &nodes;
    let (mut mine, mut theirs) = (asker.mailbox(), asked.mailbox());
    let ids = |inbox: &Mailbox| inbox.id().clone();

    for function in ["snd", "Kernel::snd"] {
        nodes.call(function, json!([ids(&mine), "x", 1])).await;
        assert_eq!(next(&mut mine).await, [json!("x"), json!(1)]);
        nodes.call(function, json!([ids(&theirs), "y"])).await;
        assert_eq!(next(&mut theirs).await, [json!("y")]);
    }
    for via in [asked, third] {
        let args = json!([via.id(), ids(&mine), "on"]);
        nodes.call("snd_on", args).await;
        assert_eq!(next(&mut mine).await, [json!("on")]);
        // Who asked is the node that the request came from.
        nodes
            .call(
                "Kernel::snd_to_func",
                json!([via.id(), "::f", ids(&mine), "called"]),
            )
            .await;
        let from = if via.id() == asked.id() { asker } else { asked };
        let found = next(&mut mine).await;
        assert_eq!(found, [json!("called"), json!(from.id()), json!(via.id())]);
        nodes
            .call("spawn", json!([via.id(), "main::f", ids(&mine), "spawned"]))
            .await;
        let found = next(&mut mine).await;
        assert_eq!(found[..2], [json!("spawned"), json!(from.id())]);
        let port = PortId::new(found[2].as_str().unwrap());
        assert_eq!(port.node(), via.id().as_str());
        let died = death(via, &port);
        nodes.call("kil", json!([port, "enough", 7])).await;
        assert_eq!(died.await, Reason::from(vec![json!("enough"), json!(7)]));
    }
    nodes
        .call("eval_on", json!([asked.id(), "6*7", ids(&mine), "is"]))
        .await;
    assert_eq!(
        next(&mut mine).await,
        [json!("is"), json!(""), json!("6*7")]
    );

    // A monitor that tells, one that kills, and one of what is not there.
    for watched in [asked.port(), third.port()] {
        let victim = asked.port();
        let died = death(asked, victim.id());
        nodes
            .call("mon", json!([watched.id(), ids(&mine), "gone"]))
            .await;
        nodes.call("mon", json!([watched.id(), victim.id()])).await;
        sync(asked, third.id().as_str()).await;
        watched.kil(Reason::die("oops"));
        assert_eq!(
            next(&mut mine).await,
            [json!("gone"), json!("die"), json!("oops")]
        );
        assert_eq!(died.await, Reason::die("oops"));
    }
    nodes
        .call(
            "mon",
            json!([asked.id().port("nosuch"), ids(&mine), "none"]),
        )
        .await;
    assert_eq!(
        next(&mut mine).await[..2],
        [json!("none"), json!("no_such_port")]
    );

    // Groups and the database.
    let member = asked.port();
    nodes
        .call("Global::grp_reg", json!(["one", member.id()]))
        .await;
    nodes
        .call("Global::register", json!([member.id(), "two"]))
        .await;
    nodes.call("db_reg", json!(["three", member.id(), 3])).await;
    nodes
        .call("Kernel::db_set", json!(["family", "key", {"a": 1}]))
        .await;
    for group in ["one", "two", "three"] {
        // The database is that of the node alone, as it has no global node.
        let by = if group == "three" { asked } else { asker };
        assert_eq!(members(by, group, 1).await, [member.id().clone()]);
    }
    let of_family = || async { asked.db_family::<Value>("family").await.unwrap() };
    assert_eq!(of_family().await["key"], json!({"a": 1}));
    nodes.call("db_del", json!(["family", "key"])).await;
    assert!(of_family().await.is_empty());
    member.kil(Reason::normal());
    for group in ["one", "two", "three"] {
        assert!(members(asked, group, 0).await.is_empty());
    }
    nodes.end().await;
}

/// What has an effect: each function with arguments, and the action of the rule that refuses it
/// besides `call`.
fn effects(
    asked: &NodeId,
    third: &NodeId,
    own: &PortId,
    port: &PortId,
) -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("snd", json!([port, "x"]), "send @shut"),
        ("snd", json!([own, "x"]), "relay"),
        ("snd_on", json!([asked, port, "x"]), "send @shut"),
        ("snd_on", json!([third, own, "x"]), "relay"),
        (
            "snd_to_func",
            json!([asked, "::f", own, "x"]),
            "call main::f",
        ),
        ("eval_on", json!([asked, "x", own]), "eval"),
        ("spawn", json!([asked, "::f", own, "x"]), "spawn ::f"),
        ("spawn", json!([third, "::f", own, "x"]), "relay"),
        ("kil", json!([port, "x"]), "kill"),
        ("mon", json!([port, own, "x"]), "monitor"),
        (
            "mon",
            json!([asked.port("nosuch"), port, "x"]),
            "send @shut",
        ),
        ("mon", json!([asked.port("nosuch"), port]), "kill"),
        ("mon", json!([asked.port("nosuch"), own, "x"]), "relay"),
        ("Global::grp_reg", json!(["g", port]), "set"),
        ("Global::register", json!([port, "g"]), "set"),
        ("db_reg", json!(["g", port]), "set"),
        ("db_set", json!(["g", "k"]), "set"),
    ]
}

/// Nothing came of a call.
async fn nothing(nodes: &Nodes, mine: &mut Mailbox, theirs: &mut Mailbox, what: &str) {
    sync(&nodes.asked, nodes.third.id().as_str()).await;
    sync(&nodes.third, nodes.asked.id().as_str()).await;
    assert!(mine.try_recv().unwrap().is_none(), "{what}");
    assert!(theirs.try_recv().unwrap().is_none(), "{what}");
    assert!(nodes.asked.members("g").is_empty(), "{what}");
    let keys = nodes.asked.db_keys("g").await.unwrap();
    assert!(keys.is_empty(), "{what}");
    assert!(nodes.asked.local_port(theirs.id()).is_some(), "{what}");
}

#[tokio::test]
async fn a_secure_node_calls_none() {
    let nodes = Nodes::start("calling", &[], true).await;
    let (mut mine, mut theirs) = (nodes.asker.mailbox(), nodes.asked.mailbox());
    for (function, args, _) in nodes.effects(&mine, &theirs) {
        nodes.call(function, args).await;
        nothing(&nodes, &mut mine, &mut theirs, function).await;
    }
    let calls = nodes.effects(&mine, &theirs).len() as u64;
    assert_eq!(nodes.asked.stats().refused["call"], calls);
    nodes.end().await;
}

#[tokio::test]
async fn the_rights_of_the_requests_hold() {
    let (node, port) = (NodeId::new("any"), PortId::new("any#port"));
    let rules = effects(&node, &node, &port, &port);
    for (at, (function, _, action)) in rules.into_iter().enumerate() {
        let rule = format!("*-asker {action}");
        let nodes = Nodes::start(&format!("rights-{at}"), &[&rule], false).await;
        let (mut mine, mut theirs) = (nodes.asker.mailbox(), nodes.asked.mailbox());
        nodes.asked.register("shut", theirs.id());
        let (_, args, _) = nodes.effects(&mine, &theirs).swap_remove(at);
        nodes.call(function, args).await;
        let what = format!("{function} {rule}");
        nothing(&nodes, &mut mine, &mut theirs, &what).await;
        let action = action.split(' ').next().unwrap();
        assert_eq!(nodes.asked.stats().refused[action], 1, "{what}");
        nodes.end().await;
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let nodes = Nodes::start("odd", &[], false).await;
    let (mut mine, mut theirs) = (nodes.asker.mailbox(), nodes.asked.mailbox());
    for (function, args) in [
        ("snd", json!([])),
        ("snd", json!([{}])),
        ("kil", json!([])),
        ("kil", json!([nodes.asked.id()])),
        ("spawn", json!([nodes.asked.id()])),
        ("mon", json!([theirs.id()])),
        ("Global::grp_reg", json!(["g"])),
        ("Global::grp_reg", json!(["g", mine.id()])),
        ("db_reg", json!(["g", mine.id()])),
        ("db_set", json!(["'l", "k", []])),
        ("db_set", json!(["g"])),
        ("configure", json!(["nodeid", "x"])),
    ] {
        nodes.call(function, args.clone()).await;
        nothing(
            &nodes,
            &mut mine,
            &mut theirs,
            &format!("{function} {args}"),
        )
        .await;
    }
    nodes.end().await;
}

/// A function of the program comes first.
#[tokio::test]
async fn what_the_program_registers_comes_first() {
    let nodes = Nodes::start("own", &[], false).await;
    let mut mine = nodes.asker.mailbox();
    nodes
        .asked
        .function("AnyEvent::MP::snd", |cx, (reply,): (PortId,)| {
            cx.snd(&reply, &("own",))
        });
    nodes.call("snd", json!([mine.id()])).await;
    assert_eq!(next(&mut mine).await, [json!("own")]);
    nodes.end().await;
}
