//! Children on other nodes.

use std::time::Duration;

use aemp::supervise::{
    Backoff, Child, ChildState, Intensity, SupervisorEvent, SupervisorEvents, on_group, on_node,
};
use aemp::{Message, Node, PortId, Reason, Supervisor};

use crate::support::{builder, capture_log, joining, listening, log, members, up, within};
use crate::{port, ready, restarted};

/// A node on which workers can be spawned: they tell who they are, and die with their owner.
async fn worker(id: &str, seed: &Node) -> Node {
    let node = joining(id, seed).await;
    offers_work(&node);
    node.register("workers", node.id());
    node
}

fn offers_work(node: &Node) {
    node.function(
        "eg::work",
        |cx, (owner, inbox, text): (PortId, PortId, String)| {
            cx.link(&owner);
            cx.this()
                .rcv("die", |_, (text,): (String,)| Err::<(), _>(text));
            cx.snd(&inbox, &("hello", cx.id(), text))
        },
    );
}

fn work(inbox: &PortId, place: aemp::supervise::Place) -> Child {
    let inbox = inbox.clone();
    let args = move |cx: &aemp::Context| (cx.id().clone(), inbox.clone(), "a job");
    Child::spawn_with("worker", place, "eg::work", args)
}

fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(10), Duration::from_millis(10))
}

async fn hello(inbox: &mut aemp::Mailbox) -> PortId {
    let message: Message = within("hello", inbox.recv_tag("hello")).await.unwrap();
    let (port, text): (PortId, String) = message.args().unwrap();
    assert_eq!(text, "a job");
    port
}

async fn event(
    events: &mut SupervisorEvents,
    what: &str,
    wanted: impl Fn(&SupervisorEvent) -> bool,
) -> SupervisorEvent {
    within(what, async {
        loop {
            let event = events.next().await.expect("the supervisor lives");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_child_moves_when_its_node_is_shut_down() {
    let home = listening("sup-home").await;
    let mut nodes = vec![worker("sup-w1", &home).await, worker("sup-w2", &home).await];
    members(&home, "workers", 2).await;
    let mut inbox = home.mailbox();
    let supervisor = Supervisor::builder("remote")
        .backoff(quick())
        .child(work(inbox.id(), on_group("workers")))
        .start(&home)
        .unwrap();
    ready(&supervisor).await;
    let first = hello(&mut inbox).await;
    assert_eq!(port(&supervisor, "worker"), first);

    // It dies there: it is started again, anywhere.
    home.snd(&first, &("die", "oops")).unwrap();
    restarted(&supervisor, "worker", 1).await;
    let second = hello(&mut inbox).await;
    let last = supervisor.child("worker").unwrap().last_reason;
    assert_eq!(last, Some(Reason::die("oops")));

    // Its node goes: it moves to the other one.
    let at = nodes
        .iter()
        .position(|node| node.id() == &second.node_id())
        .unwrap();
    let gone = nodes.remove(at);
    gone.shutdown().await;
    restarted(&supervisor, "worker", 2).await;
    let third = hello(&mut inbox).await;
    assert_eq!(third.node_id(), *nodes[0].id());
    let last = supervisor.child("worker").unwrap().last_reason.unwrap();
    assert_eq!(last.kind(), Some("transport_error"), "{last}");

    // The last one goes: it waits, until there is one again.
    let mut events = supervisor.events();
    nodes.remove(0).shutdown().await;
    let waiting = |event: &SupervisorEvent| matches!(event, SupervisorEvent::Waiting { .. });
    event(&mut events, "waiting", waiting).await;
    assert_eq!(
        supervisor.child("worker").unwrap().state,
        ChildState::Starting
    );
    let back = worker("sup-w3", &home).await;
    let fourth = hello(&mut inbox).await;
    assert_eq!(fourth.node_id(), *back.id());
    ready(&supervisor).await;

    // Killing the supervisor kills the child there.
    supervisor.stop(Reason::new(["enough"])).await;
    let killed = |event: &SupervisorEvent| match event {
        SupervisorEvent::Ended { port, reason, .. } => {
            port == &fourth && reason == &Reason::new(["enough"])
        }
        _ => false,
    };
    event(&mut events, "the end", killed).await;
    back.shutdown().await;
    home.shutdown().await;
}

#[tokio::test]
async fn a_function_that_is_not_there() {
    let home = listening("nofun-home").await;
    // The one node can't, the other can: it is found.
    let bare = joining("nofun-bare", &home).await;
    bare.register("workers", bare.id());
    members(&home, "workers", 1).await;
    let mut inbox = home.mailbox();
    let supervisor = Supervisor::builder("remote")
        .backoff(quick())
        .intensity(Intensity::new(1000, Duration::from_secs(1)))
        .child(work(inbox.id(), on_group("workers")))
        .start(&home)
        .unwrap();
    let failed = |children: &[aemp::supervise::ChildInfo]| {
        let last = children[0].last_reason.as_ref();
        last.and_then(Reason::kind) == Some("no_such_port")
    };
    within("no_such_port", supervisor.wait_for(failed))
        .await
        .unwrap();
    let able = worker("nofun-able", &home).await;
    let port = hello(&mut inbox).await;
    assert_eq!(port.node_id(), *able.id());
    for node in [home, bare, able] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_fixed_node_that_comes_back() {
    let home = listening("fixed-home").await;
    let mut inbox = home.mailbox();
    let supervisor = Supervisor::builder("remote")
        .backoff(quick())
        .child(work(inbox.id(), on_node("fixed-w")))
        .start(&home)
        .unwrap();
    let mut ports = Vec::new();
    for _ in 0..2 {
        let node = joining("fixed-w", &home).await;
        offers_work(&node);
        up(&home, "fixed-w").await;
        ports.push(hello(&mut inbox).await);
        ready(&supervisor).await;
        assert_eq!(Some(&port(&supervisor, "worker")), ports.last());
        node.shutdown().await;
        let down = |children: &[aemp::supervise::ChildInfo]| children[0].port.is_none();
        within("the end", supervisor.wait_for(down)).await.unwrap();
    }
    assert_ne!(ports[0], ports[1]);
    home.shutdown().await;
}

/// A node by itself, in virtual time: there is nobody, and a warning after a while.
#[tokio::test(start_paused = true)]
async fn a_long_wait_is_told() {
    capture_log();
    let node = Node::local();
    let supervisor = Supervisor::builder("lonely")
        .child(Child::spawn("grouped", on_group("nobody"), "f", &()))
        .child(Child::spawn("fixed", on_node("nowhere"), "f", &()))
        .child(Child::local("here", |cx| cx.port_with(|_, _| {})))
        .start(&node)
        .unwrap();
    tokio::time::timeout(Duration::from_secs(3600), async {
        for who in [
            "supervisor lonely: child grouped waits for a node of group nobody: there is none after 5 tries",
            "supervisor lonely: child fixed waits for node nowhere: there is none after 5 tries",
        ] {
            while !log().iter().any(|line| line.contains(who)) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    })
    .await
    .unwrap();
    // It keeps nobody else from running, and costs no restart.
    let children = supervisor.children();
    assert_eq!(children[2].state, ChildState::Running);
    assert_eq!((children[0].restarts, children[1].restarts), (0, 0));
    // This very node will do.
    node.function("f", |cx, ()| {
        cx.this().rcv("x", |_, ()| {});
    });
    node.register("nobody", node.id());
    supervisor
        .wait_for(|c| c[0].state == ChildState::Running)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_supervisor_killed_from_afar() {
    let home = listening("afar-home").await;
    let other = builder("afar-other").seeds(home.listeners()).binds([""; 0]);
    let other = other.start().await.unwrap();
    up(&other, "afar-home").await;
    let supervisor = Supervisor::builder("main")
        .child(Child::local("a", |cx| cx.port_with(|_, _| {})))
        .start(&home)
        .unwrap();
    ready(&supervisor).await;
    let (died, reason) = tokio::sync::oneshot::channel();
    other.mon(supervisor.id(), move |reason| drop(died.send(reason)));
    other.kil(supervisor.id(), Reason::new(["from", "afar"]));
    let seen = within("the monitor", reason).await.unwrap();
    assert_eq!(seen, Reason::new(["from", "afar"]));
    assert_eq!(within("the end", supervisor.ended()).await, seen);
    for node in [home, other] {
        node.shutdown().await;
    }
}
