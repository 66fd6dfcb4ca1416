//! How a node ends: what is told to who still wants something of it, and what is done before.

mod drains;

use std::time::Duration;

use aemp::testing::Cluster;
use aemp::{CalError, DbError, Node, PortId, RecvError, SendError, Stopped};

/// Whatever waits for longer than this, in virtual time, waits for ever.
const LIMIT: Duration = Duration::from_secs(600);

async fn ends<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(LIMIT, wait).await;
    ended.unwrap_or_else(|_| panic!("{what} does not end"))
}

fn stopped<T>(result: Result<T, SendError>) -> bool {
    matches!(result, Err(SendError::Stopped))
}

#[tokio::test(start_paused = true)]
async fn verbs_of_a_stopped_node_are_errors() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    let (here, there) = (node.mailbox(), other.mailbox());
    node.shutdown().await;
    for port in [here.id(), there.id(), &PortId::new("nobody#a")] {
        assert!(stopped(node.snd(port, &("a",))), "{port}");
        assert!(stopped(
            ends("snd_wait", node.snd_wait(port, &("a",))).await
        ));
        assert!(stopped(node.snd_after(Duration::ZERO, port, &("a",))));
        assert!(stopped(node.snd_on(port, port, &("a",))));
        assert!(stopped(node.snd_to_func(port, "f", &("a",))));
        assert!(stopped(node.eval_on(port, "1", port)));
        assert!(stopped(node.spawn(port, "f", &("a",))));
        let called = ends("cal", node.cal::<()>(port, &("a",), None)).await;
        assert!(matches!(called, Err(CalError::Stopped)), "{called:?}");
    }
    // What is no message is one all the less.
    assert!(matches!(node.snd(here.id(), &5), Err(SendError::Encode(_))));

    let member = ends("wait_for_member", node.wait_for_member("g")).await;
    assert_eq!(member, Err(Stopped));
    assert_eq!(ends("mon_group", node.mon_group("g").next()).await, None);
    assert_eq!(ends("mon_nodes", node.mon_nodes().next()).await, None);
    let keys = ends("db_keys", node.db_keys("f")).await;
    assert!(matches!(keys, Err(DbError::Stopped)), "{keys:?}");
    assert!(
        ends("db_mon", node.db_mon::<u8>("f").next())
            .await
            .is_none()
    );
    let mut late = node.mailbox();
    assert_eq!(
        ends("recv", late.recv()).await.unwrap_err(),
        RecvError::Dead
    );
    assert!(!node.port().is_alive());
    let trip = ends("round_trip", node.round_trip("other", LIMIT)).await;
    assert!(matches!(trip, Err(CalError::Stopped)), "{trip:?}");
}

/// What waits while the node stops is told so: nothing waits for what can't come.
#[tokio::test(start_paused = true)]
async fn waits_end_with_the_node() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    let (silent, far) = (node.mailbox(), other.mailbox());
    let full = node.mailbox();
    while tokio::time::timeout(Duration::from_secs(1), node.snd_wait(full.id(), &("a",)))
        .await
        .is_ok()
    {}
    let (mut inbox, mut group) = (node.mailbox(), node.mon_group("g"));
    let (mut events, mut family) = (node.mon_nodes(), node.db_mon::<u8>("f"));
    family.next().await.unwrap().unwrap();
    let calls = async {
        for port in [silent.id(), far.id()] {
            let called = node.cal::<()>(port, &("a",), None).await;
            assert!(matches!(called, Err(CalError::Stopped)), "{called:?}");
        }
    };
    let far_call = node.cal::<()>(far.id(), &("a",), None);
    let waits = async {
        let (member, received, sent, ..) = tokio::join!(
            node.wait_for_member("g"),
            inbox.recv(),
            node.snd_wait(full.id(), &("a",)),
            calls,
            async {
                let called = far_call.await;
                assert!(matches!(called, Err(CalError::Stopped)), "{called:?}");
            },
            async { while group.next().await.is_some() {} },
            async { while events.next().await.is_some() {} },
            async { while family.next().await.is_some() {} },
        );
        assert_eq!(member, Err(Stopped));
        assert_eq!(received.unwrap_err(), RecvError::Dead);
        assert!(stopped(sent));
    };
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        node.shutdown().await;
    };
    ends("something", async { tokio::join!(waits, stop) }).await;
}

/// What a handler or a monitor's action sends while its node stops is lost, and nothing else comes
/// of it.
#[tokio::test(start_paused = true)]
async fn what_is_sent_by_the_end_itself_is_an_error() {
    let node = Node::local();
    let port = node.port();
    let (tell, told) = tokio::sync::oneshot::channel();
    let from = node.clone();
    node.mon(&port, move |reason| {
        let _ = tell.send((reason, stopped(from.snd("other#a", &("bye",)))));
    });
    node.shutdown().await;
    let (reason, stopped) = ends("the monitor", told).await.unwrap();
    assert!(reason.is_normal() && stopped);
}

/// What is made of a node does not keep it running, not even from within: only the program's own
/// handles do.
#[tokio::test(start_paused = true)]
async fn a_node_runs_as_long_as_the_program_holds_it() {
    let node = Node::local();
    let (port, mut inbox) = (node.port(), node.mailbox());
    let own = port.clone();
    port.rcv("who", move |cx, (reply,): (PortId,)| {
        let _ = cx.node().clone();
        cx.snd(&reply, &(own.id(),))
    });
    let mut of_context = None;
    port.peval(|cx| of_context = Some((cx.node().clone(), cx.clone(), cx.this())));
    let (closed, kept) = (tokio::spawn(node.closed()), node.clone());

    drop(node);
    let who = ends("a call", kept.cal::<(PortId,)>(&port, &("who",), None)).await;
    assert_eq!(who.unwrap().0, *port.id());
    assert!(!closed.is_finished());

    drop(kept);
    ends("the node", closed).await.unwrap();
    assert!(!port.is_alive());
    assert_eq!(
        ends("recv", inbox.recv()).await.unwrap_err(),
        RecvError::Dead
    );
    let (node, _, _) = of_context.unwrap();
    assert!(stopped(node.snd(&port, &("a",))));
}
