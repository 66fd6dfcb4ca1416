//! Who is chosen.

use std::time::{Duration, Instant};

use aemp::testing::{Cluster, members, pass};
use aemp::{Balance, CalError, Node, Port, Service};
use proptest::prelude::*;

use crate::{Asked, LIMIT, clusters, mute, who, worker};

#[tokio::test(start_paused = true)]
async fn turns_go_around_the_nodes() {
    for cluster in clusters() {
        let nodes = cluster.start(["a", "b", "c"]).await;
        let asked = Asked::default();
        for node in &nodes {
            worker(node, "workers", &asked);
        }
        let found = nodes[0].wait_for_members("workers", 3).await.unwrap();
        let service = nodes[0].service("workers").balance(Balance::RoundRobin);
        for _ in 0..10 {
            who(&service, Some(LIMIT)).await.unwrap();
        }
        // Clones take turns together.
        for _ in 0..10 {
            who(&service.clone(), Some(LIMIT)).await.unwrap();
        }
        let counts = asked.counts();
        assert!(counts.keys().eq(&found), "{counts:?}");
        assert!(counts.values().all(|n| (6..=7).contains(n)), "{counts:?}");
        cluster.shutdown().await;
    }
}

/// What is done with a group.
#[derive(Debug, Clone)]
enum Step {
    Come,
    Go(prop::sample::Index),
    Call(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Come),
        1 => any::<prop::sample::Index>().prop_map(Step::Go),
        3 => (0..20_u8).prop_map(Step::Call),
    ];
    prop::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whoever comes and goes: between two changes turns are even, and nobody is asked who is not
    /// in the group.
    #[test]
    fn turns_are_even_between_changes(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (node, asked) = (Node::local(), Asked::default());
            let service = node.service("workers").balance(Balance::RoundRobin);
            let mut there: Vec<Port> = Vec::new();
            for step in steps {
                members(&node, "workers", there.len()).await;
                match step {
                    Step::Come => there.push(worker(&node, "workers", &asked)),
                    Step::Go(which) if !there.is_empty() => {
                        let port = there.swap_remove(which.index(there.len()));
                        port.kil(aemp::Reason::normal());
                    }
                    Step::Go(_) => {}
                    Step::Call(n) if there.is_empty() => {
                        prop_assert!(service.snd_any(&("who", n)).unwrap().is_none());
                    }
                    Step::Call(n) => {
                        for _ in 0..n {
                            who(&service, Some(LIMIT)).await.unwrap();
                        }
                        let (counts, n) = (asked.counts(), usize::from(n));
                        let even = n / there.len()..=n.div_ceil(there.len());
                        let got = |port: &Port| counts.get(port.id()).copied().unwrap_or(0);
                        prop_assert!(there.iter().all(|port| even.contains(&got(port))));
                        prop_assert_eq!(there.iter().map(got).sum::<usize>(), n);
                    }
                }
            }
            Ok(())
        })?;
    }
}

/// Many calls at a time do not pile up at a member that does not get on.
#[tokio::test(start_paused = true)]
async fn who_is_slow_gets_less() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let asked = Asked::default();
    let slow = mute(&b, "workers", &asked);
    for _ in 0..4 {
        worker(&b, "workers", &asked);
    }
    members(&a, "workers", 5).await;
    for (balance, fair) in [
        (Balance::LeastBusy, 0..20),
        (Balance::Random, 60..140_usize),
    ] {
        let service = a.service("workers").balance(balance);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let service = service.clone();
            calls.spawn(async move { drop(who(&service, Some(LIMIT)).await) });
            pass(Duration::from_millis(1)).await;
        }
        while calls.join_next().await.is_some() {}
        let counts = asked.counts();
        let slow = counts.get(slow.id()).copied().unwrap_or(0);
        assert!(fair.contains(&slow), "{balance:?}: {slow}");
        assert_eq!(counts.values().sum::<usize>(), 500);
    }
}

/// A call that is over its time is no longer open.
#[tokio::test(start_paused = true)]
async fn what_was_given_up_does_not_count() {
    let (node, asked) = (Node::local(), Asked::default());
    let service = node.service("workers");
    let one = mute(&node, "workers", &asked);
    let over = async |service: &Service, times: usize| {
        for _ in 0..times {
            let over = who(service, Some(Duration::from_millis(1))).await;
            assert!(matches!(over, Err(CalError::TimedOut(_))));
        }
        asked.counts()
    };
    assert_eq!(over(&service, 100).await[one.id()], 100);
    let other = mute(&node, "workers", &asked);
    let counts = over(&service, 100).await;
    // Were they still open, all of these would have gone to the other one.
    assert!(counts[one.id()] > 0 && counts[other.id()] > 0, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_near_is_asked_first() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let asked = Asked::default();
    let far = worker(&b, "workers", &asked);
    let near = [worker(&a, "workers", &asked), worker(&a, "workers", &asked)];
    members(&a, "workers", 3).await;
    let service = a.service("workers").balance(Balance::LocalFirst);
    for _ in 0..40 {
        who(&service, Some(LIMIT)).await.unwrap();
    }
    let counts = asked.counts();
    assert!(near.iter().all(|port| counts.contains_key(port.id())));
    assert!(!counts.contains_key(far.id()));
    for port in near {
        port.kil(aemp::Reason::normal());
    }
    members(&a, "workers", 1).await;
    assert_eq!(&who(&service, Some(LIMIT)).await.unwrap(), far.id());
}

#[tokio::test(start_paused = true)]
async fn all_nodes_find_the_same_member_for_a_key() {
    let cluster = Cluster::new();
    let nodes = cluster.start(["a", "b", "c"]).await;
    let asked = Asked::default();
    // Not in the order in which they are known.
    for node in [&nodes[2], &nodes[0], &nodes[1], &nodes[0]] {
        worker(node, "carts", &asked);
    }
    let mut owners = Vec::new();
    for node in &nodes {
        members(node, "carts", 4).await;
        let carts = node.service("carts");
        let mut found = Vec::new();
        for n in 0..100 {
            let cart = carts.keyed(&format!("customer {n}"));
            found.push(who(&cart, Some(LIMIT)).await.unwrap());
        }
        owners.push(found);
    }
    assert!(owners[0] == owners[1] && owners[1] == owners[2]);
    assert_eq!(asked.counts().len(), 4, "each has some keys");
}

/// What a change and a choice cost does not grow with the members: were the members copied at each,
/// this would take minutes.
#[tokio::test]
async fn a_hundred_thousand_members() {
    const MEMBERS: usize = 100_000;
    let begun = Instant::now();
    let (node, asked) = (Node::local(), Asked::default());
    let (service, mut changes) = (node.service("workers"), node.mon_group("workers"));
    let mut last = None;
    for _ in 0..MEMBERS {
        let port = node.port();
        node.register("workers", &port);
        last = Some(port);
    }
    eprintln!("they came: {:?}", begun.elapsed());
    assert_eq!(changes.next().await.unwrap().added.len(), MEMBERS);
    for balance in [
        Balance::LeastBusy,
        Balance::RoundRobin,
        Balance::Random,
        Balance::LocalFirst,
    ] {
        let service = service.clone().balance(balance);
        let mut picked = std::collections::HashSet::new();
        for _ in 0..MEMBERS {
            picked.insert(service.pick().unwrap());
        }
        // By chance 1 - 1/e of them.
        let turns = balance == Balance::RoundRobin;
        assert_eq!(picked.len() == MEMBERS, turns, "{balance:?}");
        assert!(picked.len() > MEMBERS / 2);
    }
    eprintln!("some were chosen: {:?}", begun.elapsed());
    for n in 0..100 {
        assert!(service.keyed(&n.to_string()).pick().is_some());
    }
    // One that works, among all that are dead.
    let worker = worker(&node, "workers", &asked);
    for id in node.members("workers") {
        if id != *worker.id() {
            node.kil(&id, aemp::Reason::normal());
        }
    }
    eprintln!("they went: {:?}", begun.elapsed());
    assert!(last.is_some_and(|port| !port.is_alive()));
    // As long as they are still being taken out of the group, a call may find too many dead.
    let found = loop {
        if let Ok(found) = who(&service, Some(LIMIT)).await {
            break found;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "{begun:?}");
    };
    assert_eq!(&found, worker.id());
    eprintln!("the last one answered: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(300), "{begun:?}");
}
