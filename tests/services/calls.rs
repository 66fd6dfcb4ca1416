//! What becomes of a call: members that die, that refuse, that do not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::testing::{Cluster, down, members, pass, up};
use aemp::{Balance, CalError, Node, Port, PortId};
use tokio::time::Instant;

use crate::{Asked, LIMIT, clusters, mortal, mute, who, worker};

/// With retries another member answers. Without, nothing is asked twice.
#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_a_member_dies() {
    for cluster in clusters() {
        let [a, b, c] = cluster.start(["a", "b", "c"]).await;
        let asked = Asked::default();
        let dying = mortal(&b, "workers", &asked);
        members(&a, "workers", 1).await;
        let service = a.service("workers").balance(Balance::RoundRobin);
        let died = who(&service, Some(LIMIT)).await;
        assert!(
            matches!(&died, Err(CalError::Died(why)) if why.kind() == Some("overheated")),
            "{died:?}"
        );
        assert_eq!(asked.take(), [dying.id().clone()]);

        // The first turn may be either's.
        let well = worker(&c, "workers", &asked);
        let service = service.retries(1);
        for _ in 0..2 {
            let dying = mortal(&b, "workers", &asked);
            members(&a, "workers", 2).await;
            while asked.take() != [dying.id().clone(), well.id().clone()] {
                let answer = who(&service, Some(LIMIT)).await;
                assert_eq!(&answer.unwrap(), well.id());
            }
        }
        cluster.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_a_node_is_lost() {
    let cluster = Cluster::new();
    let [a, _b, c] = cluster.start(["a", "b", "c"]).await;
    let asked = Asked::default();
    mute(&_b, "workers", &asked);
    members(&a, "workers", 1).await;
    let service = a.service("workers").retries(1);
    let begun = Instant::now();
    let call = tokio::spawn(async move { who(&service, Some(LIMIT)).await });
    pass(Duration::from_secs(1)).await;
    assert_eq!(asked.take().len(), 1);
    let other = worker(&c, "workers", &asked);
    members(&a, "workers", 2).await;
    cluster.kill("b").await;
    down(&a, "b").await;
    assert_eq!(&call.await.unwrap().unwrap(), other.id());
    assert!(begun.elapsed() < LIMIT);
}

/// What waits for a link to a node that is gone goes on as soon as that is known.
#[tokio::test(start_paused = true)]
async fn a_call_does_not_wait_for_a_node_that_is_gone() {
    let cluster = Cluster::new().configured(|builder| {
        builder
            .generation(Generations::Only(2))
            .seeds(["seed:4040"])
    });
    let seed = cluster.start_alone("seed").await;
    let [a, b] = [
        cluster.start_alone("a").await,
        cluster.start_alone("b").await,
    ];
    for node in [&a, &b] {
        up(node, "seed").await;
    }
    let asked = Asked::default();
    mute(&b, "workers", &asked);
    members(&a, "workers", 1).await;
    assert!(!a.node_is_up("b"), "links are made on demand");
    cluster.partition("a", "b");
    let begun = Instant::now();
    let service = a.service("workers").retries(1);
    let call = tokio::spawn(async move { who(&service, Some(LIMIT)).await });
    pass(Duration::from_secs(1)).await;
    let other = worker(&seed, "workers", &asked);
    members(&a, "workers", 2).await;
    cluster.kill("b").await;
    assert_eq!(&call.await.unwrap().unwrap(), other.id());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(asked.take(), [other.id().clone()]);
}

/// Who takes no new work may still finish what was begun.
#[tokio::test(start_paused = true)]
async fn who_has_left_the_group_still_answers() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    for node in [&a, &b] {
        let worker = node.port();
        worker.answer_async("late", |_, (): ()| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok::<_, String>("done")
        });
        let registration = node.register("workers", &worker);
        members(&a, "workers", 1).await;
        let service = a.service("workers");
        let call = tokio::spawn(async move {
            let late = service.cal_any::<String>(&("late",), Some(LIMIT));
            late.await
        });
        pass(Duration::from_secs(1)).await;
        registration.unregister();
        members(&a, "workers", 0).await;
        assert_eq!(call.await.unwrap().unwrap(), "done");
    }
}

/// A request that its readers die of does not end all of them.
#[tokio::test(start_paused = true)]
async fn retries_are_bounded() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let asked = Asked::default();
    let mortals: Vec<Port> = (0..8).map(|_| mortal(&b, "workers", &asked)).collect();
    for (retries, left) in [(0, 7), (2, 4), (3, 0)] {
        members(
            &a,
            "workers",
            mortals.iter().filter(|port| port.is_alive()).count(),
        )
        .await;
        let begun = Instant::now();
        let service = a.service("workers").retries(retries);
        let died = who(&service, Some(LIMIT)).await;
        assert!(matches!(died, Err(CalError::Died(why)) if why.kind() == Some("overheated")));
        let asked = asked.take();
        assert_eq!(asked.len(), 1 + retries as usize, "{asked:?}");
        assert_eq!(mortals.iter().filter(|port| port.is_alive()).count(), left);
        // The first retry is made at once, the others are not.
        assert_eq!(begun.elapsed() >= Duration::from_millis(10), retries > 1);
        assert!(begun.elapsed() < Duration::from_millis(200));
    }
}

/// Who was dead before the request came to it has done nothing: that is no retry.
#[tokio::test(start_paused = true)]
async fn who_was_dead_before_is_passed_over() {
    for generation in [1, 2] {
        let cluster = Cluster::new()
            .configured(move |builder| builder.generation(Generations::Only(generation)));
        let [a, b] = cluster.start(["a", "b"]).await;
        let asked = Asked::default();
        let dead: Vec<Port> = (0..3).map(|_| mute(&b, "workers", &asked)).collect();
        let well = worker(&b, "workers", &asked);
        members(&a, "workers", 4).await;
        // What happens at one node is news to the other a while later.
        cluster.delay("a", "b", Duration::from_millis(50));
        for port in &dead {
            port.kil(aemp::Reason::normal());
        }
        let service = a.service("workers").balance(Balance::RoundRobin);
        assert_eq!(service.members().len(), 4);
        for _ in 0..4 {
            assert_eq!(&who(&service, Some(LIMIT)).await.unwrap(), well.id());
        }
        assert!(asked.take().iter().all(|id| id == well.id()));
    }
}

/// A member that dies as it is linked to something that was not there may have done its work.
#[tokio::test(start_paused = true)]
async fn who_dies_of_another_port_that_was_not_there_is_a_retry() {
    let (node, asked) = (Node::local(), Asked::default());
    for _ in 0..2 {
        let (port, asked) = (node.port(), asked.clone());
        port.rcv("who", move |cx, (_,): (PortId,)| {
            asked.note(cx.id());
            cx.link(cx.node().id().port("nobody"));
        });
        node.register("workers", &port);
    }
    let died = who(&node.service("workers"), Some(LIMIT)).await;
    assert!(matches!(died, Err(CalError::Died(why)) if why.kind() == Some("no_such_port")));
    assert_eq!(asked.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer() {
    let node = Node::local();
    let asked = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let (port, asked) = (node.port(), asked.clone());
        port.answer("get", move |_, (): ()| {
            asked.fetch_add(1, Ordering::Relaxed);
            Err::<u32, _>("closed today")
        });
        node.register("shops", &port);
    }
    let shops = node.service("shops").retries(2);
    let refused = shops.cal_any::<u32>(&("get",), Some(LIMIT)).await;
    assert!(matches!(refused, Err(CalError::Refused(why)) if why.to_string() == "closed today"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn all_of_a_call_has_one_time_limit() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let asked = Asked::default();
    let service = a.service("workers").retries(9);
    let timed = async || {
        let begun = Instant::now();
        let error = who(&service, Some(LIMIT)).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
        error
    };
    // Nobody comes.
    assert!(matches!(timed().await, CalError::NoMember(group) if group == "workers"));
    // The only one dies, and nobody else comes.
    mortal(&b, "workers", &asked);
    members(&a, "workers", 1).await;
    assert!(matches!(timed().await, CalError::Died(why) if why.kind() == Some("overheated")));
    // One does not answer.
    mute(&b, "workers", &asked);
    members(&a, "workers", 1).await;
    assert!(matches!(timed().await, CalError::TimedOut(limit) if limit == LIMIT));
    assert_eq!(asked.take().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_first_member() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let service = a.service("workers");
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { who(&service, Some(LIMIT)).await })
        })
        .collect();
    pass(Duration::from_secs(9)).await;
    let worker = worker(&b, "workers", &Asked::default());
    for call in calls {
        assert_eq!(&call.await.unwrap().unwrap(), worker.id());
    }
}

/// A restarted worker answers what the one before died of.
#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_another_member() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let asked = Asked::default();
    mortal(&b, "workers", &asked);
    members(&a, "workers", 1).await;
    let service = a.service("workers").retries(1);
    let call = tokio::spawn(async move { who(&service, None).await });
    members(&b, "workers", 0).await;
    pass(Duration::from_secs(5)).await;
    let other = worker(&b, "workers", &asked);
    assert_eq!(&call.await.unwrap().unwrap(), other.id());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_ends_what_waits() {
    let node = Node::local();
    let waits = node.service("workers");
    let waits = tokio::spawn(async move { who(&waits, None).await });
    let asks = node.service("mute").retries(5);
    for _ in 0..3 {
        mute(&node, "mute", &Asked::default());
    }
    let asks = tokio::spawn(async move { who(&asks, None).await });
    pass(Duration::from_secs(1)).await;
    node.shutdown().await;
    assert!(matches!(waits.await.unwrap(), Err(CalError::Stopped)));
    assert!(matches!(asks.await.unwrap(), Err(CalError::Stopped)));
}
