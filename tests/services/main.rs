//! Groups as services: who is chosen, what becomes of a call when a member dies, and what waiting
//! for members ends with. Over the network in memory, in virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::testing::{Cluster, Probe, members, pass};
use aemp::{Address, CalError, Node, Port, PortId, Reply, Service};
use serde::{Deserialize, Serialize};

mod calls;
mod chosen;

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
