//! Groups as services: who is chosen, what becomes of a call when a member dies, and what waiting
//! for members ends with. Over the network in memory, in virtual time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::testing::{Cluster, Probe, down, members, pass};
use aemp::{Address, Balance, CalError, Node, Port, PortId, Reply, Service};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);

/// Who was asked, in this order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<PortId>>>);

impl Asked {
    fn note(&self, id: &PortId) {
        self.0.lock().unwrap().push(id.clone());
    }

    fn take(&self) -> Vec<PortId> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn counts(&self) -> BTreeMap<PortId, usize> {
        let mut counts = BTreeMap::new();
        for id in self.take() {
            *counts.entry(id).or_default() += 1;
        }
        counts
    }
}

/// A member of the group that tells who it is.
fn worker(node: &Node, group: &str, asked: &Asked) -> Port {
    let port = node.port();
    let asked = asked.clone();
    port.rcv("who", move |cx, (reply,): (PortId,)| {
        asked.note(cx.id());
        cx.snd(&reply, &(cx.id(),))
    });
    node.register(group, &port);
    port
}

/// A member that never answers.
fn mute(node: &Node, group: &str, asked: &Asked) -> Port {
    let port = node.port();
    let asked = asked.clone();
    port.rcv("who", move |cx, (_,): (PortId,)| asked.note(cx.id()));
    node.register(group, &port);
    port
}

/// A member that dies of what it is asked.
fn mortal(node: &Node, group: &str, asked: &Asked) -> Port {
    let port = node.port();
    let asked = asked.clone();
    port.rcv("who", move |cx, (_,): (PortId,)| {
        asked.note(cx.id());
        cx.fail("overheated");
    });
    node.register(group, &port);
    port
}

async fn who(service: &Service, limit: Option<Duration>) -> Result<PortId, CalError> {
    service.cal_any(&("who",), limit).await
}

/// A cluster in which all is done by nodes of one generation, each way of finding groups.
fn clusters() -> impl Iterator<Item = Cluster> {
    let generations = [
        Generations::Only(0),
        Generations::Only(1),
        Generations::Only(2),
        Generations::Auto,
    ];
    generations
        .into_iter()
        .map(|which| Cluster::new().configured(move |builder| builder.generation(which)))
}

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

#[tokio::test(start_paused = true)]
async fn members_are_waited_for_one_and_all() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let asked = Asked::default();
    assert!(a.wait_for_members("workers", 0).await.unwrap().is_empty());
    // Who gives up in between takes nothing along.
    for n in 1..=3 {
        let early = a.wait_for_members("workers", n);
        assert!(tokio::time::timeout(LIMIT, early).await.is_err());
        worker(&b, "workers", &asked);
        members(&a, "workers", n).await;
    }
    let waiting = a.clone();
    let waiting = tokio::spawn(async move { waiting.wait_for_members("workers", 5).await });
    for _ in 0..2 {
        pass(LIMIT).await;
        assert!(!waiting.is_finished());
        worker(&a, "workers", &asked);
    }
    let found = waiting.await.unwrap().unwrap();
    assert_eq!(found, members(&a, "workers", 5).await);
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Work {
    Double(u32, Reply<u32>),
    Clear,
}

#[tokio::test(start_paused = true)]
async fn a_service_of_one_type() {
    let cluster = Cluster::new();
    let [a, b] = cluster.start(["a", "b"]).await;
    let mut probe = Probe::new(&b);
    let told = probe.id().clone();
    for _ in 0..3 {
        let told = told.clone();
        let worker = b.serve(move |cx, work| match work {
            Work::Double(n, reply) => cx.answer(&reply, n.checked_mul(2).ok_or("too much")),
            Work::Clear => cx.snd(&told, &("cleared",)),
        });
        b.register("workers", &worker);
    }
    a.wait_for_members("workers", 3).await.unwrap();
    let workers: Service<Address<Work>> = a.service("workers").assume();
    let double = |n| workers.ask_any(move |reply| Work::Double(n, reply), Some(LIMIT));
    assert_eq!(double(21).await.unwrap(), 42);
    assert!(matches!(double(u32::MAX).await, Err(CalError::Refused(_))));
    assert_eq!(workers.snd_all(&Work::Clear).unwrap(), 3);
    assert!(workers.snd_any(&Work::Clear).unwrap().is_some());
    for _ in 0..4 {
        probe.expect::<()>("cleared").await;
    }
    probe.expect_nothing().await;
}

/// What a change and a choice cost does not grow with the members: were the members copied at each,
/// this would take minutes.
#[tokio::test]
async fn a_hundred_thousand_members() {
    const MEMBERS: usize = 100_000;
    let begun = std::time::Instant::now();
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
    assert_eq!(&who(&service, Some(LIMIT)).await.unwrap(), worker.id());
    eprintln!("the last one answered: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(300), "{begun:?}");
}
