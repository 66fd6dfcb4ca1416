//! The end that leaves nothing undone, and what it says if that is not to be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aemp::testing::{Cluster, Probe, Watch, down, members, pass};
use aemp::{CalError, Node, Port, PortId, SendError, Unfinished};
use tokio::time::Instant;

use super::ends;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A port that works a second on each message, and counts what it has done. A reply is sent if the
/// message asks for one.
fn slow(node: &Node) -> (Port, Arc<AtomicU64>) {
    let done = Arc::new(AtomicU64::new(0));
    let port = node.port();
    let counted = done.clone();
    port.rcv_async("work", move |cx, (reply,): (Option<PortId>,)| {
        let counted = counted.clone();
        async move {
            tokio::time::sleep(SECOND).await;
            counted.fetch_add(1, Ordering::SeqCst);
            match reply {
                Some(reply) => cx.snd(&reply, &("done",)),
                None => Ok(()),
            }
        }
    });
    (port, done)
}

fn work(node: &Node, port: &Port, times: usize) {
    for _ in 0..times {
        node.snd(port, &("work", None::<PortId>)).unwrap();
    }
}

fn count(done: &AtomicU64) -> u64 {
    done.load(Ordering::SeqCst)
}

/// Drains a node in a task of its own, and lets it begin.
async fn draining(node: &Node, time: Duration) -> Draining {
    let node = node.clone();
    let task = tokio::spawn(async move { node.shutdown_within(time).await });
    pass(Duration::from_millis(1)).await;
    task
}

type Draining = tokio::task::JoinHandle<Result<(), Unfinished>>;

#[tokio::test(start_paused = true)]
async fn handlers_and_what_waits_for_them_are_run_to_their_end() {
    let node = Node::local();
    let (port, done) = slow(&node);
    // A second stage, in the same node: each piece of work leads to another.
    let (last, last_done) = slow(&node);
    let first = node.port();
    let next = last.id().clone();
    first.rcv_async("work", move |cx, (_,): (Option<PortId>,)| {
        let next = next.clone();
        async move {
            tokio::time::sleep(SECOND).await;
            cx.snd(&next, &("work", None::<PortId>))
        }
    });
    work(&node, &port, 3);
    work(&node, &first, 2);
    let begun = Instant::now();
    node.shutdown_within(MINUTE).await.unwrap();
    assert_eq!((count(&done), count(&last_done)), (3, 2));
    let took = begun.elapsed();
    assert!(took >= 3 * SECOND && took < 4 * SECOND, "{took:?}");
    let late = node.snd(&port, &("work", None::<PortId>));
    assert!(matches!(late, Err(SendError::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_nothing_to_do_ends_at_once() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    let (_port, _) = slow(&node);
    let _inbox = node.mailbox();
    let begun = Instant::now();
    node.shutdown_within(MINUTE).await.unwrap();
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    down(&other, "node").await;
}

/// The calls of both sides are answered; what is begun later by the other one is not.
#[tokio::test(start_paused = true)]
async fn calls_in_progress_get_their_answers() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    node.function("spawned", |cx, (): ()| {
        cx.this().rcv("a", |_, (): ()| {});
    });
    let ((here, done), (there, _)) = (slow(&node), slow(&other));
    let call = |from: &Node, to: &Port| {
        let (from, to) = (from.clone(), to.id().clone());
        tokio::spawn(async move { from.cal::<(String,)>(&to, &("work",), None).await })
    };
    let (ours, theirs) = (call(&node, &there), call(&other, &here));
    pass(SECOND / 2).await;
    let drain = draining(&node, MINUTE).await;

    let late = call(&other, &here);
    let spawned = other.spawn("node", "spawned", &()).unwrap();
    let refused = Watch::new(&other, &spawned);
    assert_eq!(refused.fires().await.kind(), Some("no_such_port"));
    assert!(!drain.is_finished());

    assert_eq!(ours.await.unwrap().unwrap().0, "done");
    assert_eq!(theirs.await.unwrap().unwrap().0, "done");
    assert_eq!(ends("the drain", drain).await.unwrap(), Ok(()));
    let late = ends("the late call", late).await.unwrap();
    let Err(CalError::Died(reason)) = late else {
        panic!("{late:?}");
    };
    assert_eq!(reason.kind(), Some("transport_error"));
    assert_eq!(count(&done), 1);
}

/// A node that drains is in no group any more, and nobody can connect to it.
#[tokio::test(start_paused = true)]
async fn nobody_new_comes() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    let (port, done) = slow(&node);
    node.register("workers", &port);
    node.db_reg("registered", &port, &1).unwrap();
    members(&other, "workers", 1).await;
    work(&node, &port, 5);
    let drain = draining(&node, MINUTE).await;
    members(&other, "workers", 0).await;
    assert!(node.members("workers").is_empty());
    let mut registered = other.db_mon::<u8>("registered");
    assert!(registered.next().await.unwrap().unwrap().added.is_empty());
    let late = cluster.start_alone("late").await;
    pass(SECOND).await;
    assert!(!late.node_is_up("node") && other.node_is_up("node"));
    assert!(!drain.is_finished());
    drain.await.unwrap().unwrap();
    assert_eq!(count(&done), 5);
}

/// 200 kB over a line of 20 kB a second: all of it is written, and arrives.
#[tokio::test(start_paused = true)]
async fn a_slow_link_gets_what_was_sent() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    cluster.network().set_rate("node", "other", Some(20_000));
    let mut inbox = other.mailbox();
    let payload = "x".repeat(10_000);
    for n in 0..20 {
        node.snd(inbox.id(), &("n", n, &payload)).unwrap();
    }
    let begun = Instant::now();
    node.shutdown_within(MINUTE).await.unwrap();
    // But for what the connection itself holds.
    assert!(begun.elapsed() > 5 * SECOND, "{:?}", begun.elapsed());
    for n in 0..20 {
        let received = ends("the message", inbox.recv()).await.unwrap();
        assert_eq!(received.args::<(String, u32, String)>().unwrap().1, n);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_when_the_time_is_over_is_counted() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    cluster.network().set_rate("node", "other", Some(1_000));
    let ((port, done), silent) = (slow(&node), node.mailbox());
    let watch = Watch::new(&node, &port);
    work(&node, &port, 7);
    let (far, from) = (other.mailbox(), node.clone());
    let caller = tokio::spawn(async move {
        let far = far; // lives as long
        from.cal::<()>(far.id(), &("a",), None).await
    });
    pass(SECOND / 2).await;
    node.snd(silent.id(), &("nobody", "reads", "this")).unwrap();
    node.snd("other#a", &("x".repeat(500_000),)).unwrap();
    let begun = Instant::now();
    let left = node.shutdown_within(2 * SECOND).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took >= 2 * SECOND && took < 3 * SECOND, "{took:?}");
    // Two are done, one is at work.
    assert_eq!(count(&done), 2);
    assert_eq!((left.messages, left.handlers, left.calls), (4 + 1, 1, 1));
    assert!((400_000..600_000).contains(&left.octets), "{left:?}");
    assert!(left.to_string().contains("5 messages in ports, 1 handlers"));
    assert!(watch.fires().await.is_normal());
    assert!(matches!(caller.await.unwrap(), Err(CalError::Stopped)));
}

/// Who waits for room in a port of another node is told there of it while this one drains.
#[tokio::test(start_paused = true)]
async fn who_waits_for_room_there_goes_on() {
    let cluster = Cluster::new().configured(|node| node.set("max_mailbox", 100));
    let [node, other] = cluster.start(["node", "other"]).await;
    let mut inbox = other.mailbox();
    let (to, from) = (inbox.id().clone(), node.clone());
    // It fills the port there, and then waits.
    let writer = node.port();
    writer.rcv_async("go", move |_, (): ()| {
        let (to, from) = (to.clone(), from.clone());
        async move {
            for n in 0..90 {
                from.snd_wait(&to, &("n", n)).await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok::<(), SendError>(())
        }
    });
    node.snd(&writer, &("go",)).unwrap();
    pass(SECOND).await;
    let drain = draining(&node, MINUTE).await;
    pass(SECOND).await;
    assert!(!drain.is_finished(), "it does not wait for the port");
    for n in 0..90 {
        let received = ends("the message", inbox.recv()).await.unwrap();
        assert_eq!(received.args::<(String, u32)>().unwrap().1, n);
    }
    assert_eq!(ends("the drain", drain).await.unwrap(), Ok(()));
}

/// Who waits for room in a port of a node that drains does not wait longer than that.
#[tokio::test(start_paused = true)]
async fn who_waits_for_room_here_is_told() {
    let cluster = Cluster::new().configured(|node| node.set("max_mailbox", 40));
    let [node, other] = cluster.start(["node", "other"]).await;
    let (port, done) = slow(&node);
    let (to, from) = (port.id().clone(), other.clone());
    let writer = tokio::spawn(async move {
        for _ in 0..30 {
            from.snd_wait(&to, &("work", None::<PortId>)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let watch = Watch::new(&other, &port);
    pass(2 * SECOND).await;
    assert!(!writer.is_finished(), "the writer is not held");
    let drain = draining(&node, MINUTE).await;
    ends("the writer", writer).await.unwrap();
    assert_eq!(ends("the drain", drain).await.unwrap(), Ok(()));
    // What came before was done, nothing else was, and that is told.
    let done = count(&done);
    assert!((20..30).contains(&done), "{done}");
    assert_eq!(watch.fires().await.kind(), Some("transport_error"));
}

#[tokio::test(start_paused = true)]
async fn every_handle_sees_the_end() {
    for how in ["drain", "shutdown", "drop", "drop the drain"] {
        let node = Node::local();
        let (port, done) = slow(&node);
        work(&node, &port, 3);
        let waiting: Vec<_> = (0..3)
            .map(|_| tokio::spawn(node.clone().closed()))
            .collect();
        pass(SECOND / 2).await;
        assert!(waiting.iter().all(|closed| !closed.is_finished()));
        let mut wanted = 0;
        match how {
            "drain" => {
                node.shutdown_within(MINUTE).await.unwrap();
                wanted = 3;
            }
            "shutdown" => node.shutdown().await,
            "drop" => drop(node),
            _ => {
                let drain = node.shutdown_within(MINUTE);
                assert!(tokio::time::timeout(SECOND, drain).await.is_err());
                wanted = 1;
            }
        }
        for closed in waiting {
            ends(how, closed).await.unwrap();
        }
        assert_eq!(count(&done), wanted, "{how}");
        assert!(!port.is_alive());
    }
}

/// Several handles may drain a node, and one may lose patience.
#[tokio::test(start_paused = true)]
async fn whoever_drains_hears_what_became_of_it() {
    let node = Node::local();
    let (port, _) = slow(&node);
    work(&node, &port, 3);
    let (long, longer) = (draining(&node, MINUTE).await, draining(&node, MINUTE).await);
    assert_eq!(long.await.unwrap(), Ok(()));
    assert_eq!(longer.await.unwrap(), Ok(()));
    // And who comes late has nothing to complain about.
    assert_eq!(node.shutdown_within(MINUTE).await, Ok(()));

    let node = Node::local();
    let (port, _) = slow(&node);
    work(&node, &port, 3);
    let drain = draining(&node, MINUTE).await;
    node.shutdown().await;
    let left = drain.await.unwrap().unwrap_err();
    assert_eq!((left.messages, left.handlers), (2, 1));
}

/// Work that goes from port to port, on several threads, is nowhere for a moment only.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_on_its_way_from_port_to_port_is_overlooked() {
    const PORTS: usize = 20;
    for round in 0..200 {
        let node = Node::local();
        let ended = Arc::new(AtomicU64::new(0));
        let ports: Vec<Port> = (0..PORTS).map(|_| node.port()).collect();
        for (n, port) in ports.iter().enumerate() {
            let (next, ended) = (ports[(n + 7) % PORTS].id().clone(), ended.clone());
            let take = move |cx: &aemp::Context, hops: u32| match hops {
                0 => {
                    ended.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
                _ => cx.snd(&next, &("hop", hops - 1)),
            };
            if n % 2 == 0 {
                port.rcv("hop", move |cx, (hops,): (u32,)| take(cx, hops));
                continue;
            }
            port.rcv_async("hop", move |cx, (hops,): (u32,)| {
                let take = take.clone();
                async move {
                    tokio::task::yield_now().await;
                    take(&cx, hops)
                }
            });
        }
        for port in &ports[..4] {
            node.snd(port, &("hop", 50)).unwrap();
        }
        node.shutdown_within(MINUTE).await.unwrap();
        assert_eq!(count(&ended), 4, "in round {round}");
    }
}

/// Messages, kills and monitors of other nodes' ports: the rest still comes by the links.
#[tokio::test(start_paused = true)]
async fn monitors_and_answers_still_come() {
    let cluster = Cluster::new();
    let [node, other] = cluster.start(["node", "other"]).await;
    let (port, _) = slow(&node);
    let victim = other.port();
    let mut probe = Probe::new(&node);
    let watch = Watch::new(&node, &victim);
    work(&node, &port, 5);
    let drain = draining(&node, MINUTE).await;
    victim.kil(aemp::Reason::new(["overheated"]));
    assert_eq!(watch.fires().await.kind(), Some("overheated"));
    other.snd(probe.id(), &("answer", 7)).unwrap();
    assert_eq!(probe.expect::<(u32,)>("answer").await, (7,));
    // A monitor of a port here is set, and another's order to kill one is carried out.
    let watched = Watch::new(&other, &port);
    other.kil(&port, aemp::Reason::new(["enough"]));
    assert_eq!(watched.fires().await.kind(), Some("enough"));
    assert_eq!(ends("the drain", drain).await.unwrap(), Ok(()));
}
