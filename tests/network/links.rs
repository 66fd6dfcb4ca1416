//! Links: what goes over one, which of two stays, what its end tells.

use std::time::Duration;

use aemp::{CalError, NodeEvent, PortId, Reason};
use tokio::sync::mpsc;

use crate::support::{LIMIT, builder, capture_log, joining, listening, log, sync, up, within};
use crate::{monitored, numbers};

#[tokio::test]
async fn two_nodes_talk() {
    let a = listening("talk-a").await;
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
    for node in [a, b] {
        node.shutdown().await;
    }
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

/// A port that is killed while it is at work dies when that is done. A node that stops meanwhile
/// still tells why the port died.
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
