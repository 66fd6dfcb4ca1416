//! Groups and families with many in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aemp::net::memory::Network;
use aemp::{GroupChanges, Node, Port};
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::millis;
use super::nodes::two;
use crate::failure::Failure;
use crate::stats::median;

/// So many changes are timed, one by one.
const CHANGES: usize = 21;

/// Ports of a node put into a group; while somebody follows it, until that one has seen all.
pub async fn register(count: usize, followed: bool) -> Result<Value, Failure> {
    /// After so many the follower gets its turn.
    const TURN: usize = 100;
    let node = Node::local();
    let ports: Vec<Port> = (0..count).map(|_| node.port()).collect();
    let follower = followed.then(|| {
        let mut changes = node.mon_group("g");
        tokio::spawn(async move { seen(&mut changes, count).await })
    });
    let start = Instant::now();
    for (at, port) in ports.iter().enumerate() {
        node.register("g", port);
        if followed && at % TURN == TURN - 1 {
            yield_now().await;
        }
    }
    if let Some(follower) = follower {
        follower.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    match node.members("g").len() == count {
        true => Ok(json!({"seconds": seconds})),
        false => Err("not all are in the group".into()),
    }
}

/// Waits until so many members have come.
async fn seen(changes: &mut GroupChanges, count: usize) -> Result<(), Failure> {
    let mut seen = 0;
    while seen < count {
        let change = changes.next().await.ok_or("the node has stopped")?;
        seen += change.added.len();
    }
    Ok(())
}

/// One more member of a large group, until somebody on another node has seen it.
pub async fn join(count: usize, generation: u32) -> Result<Value, Failure> {
    let network = Network::new(1);
    let [a, b] = two(&network, generation).await?;
    let mut changes = b.mon_group("g");
    let _ports = fill(&a, &b, count).await?;
    seen(&mut changes, count).await?;
    let mut times = Vec::new();
    for _ in 0..CHANGES {
        let port = a.port();
        let start = Instant::now();
        a.register("g", &port);
        let change = changes.next().await.ok_or("the node has stopped")?;
        times.push(millis(start));
        if change.added != [port.id().clone()] {
            return Err("another port was seen".into());
        }
    }
    Ok(json!({"ms": median(times)}))
}

/// Registers ports of one node, as fast as the other one hears of them.
async fn fill(a: &Node, b: &Node, count: usize) -> Result<Vec<Port>, Failure> {
    const LIMIT: Duration = Duration::from_secs(30);
    let mut ports = Vec::with_capacity(count);
    for n in 0..count {
        let port = a.port();
        a.register("g", &port);
        ports.push(port);
        if n % 1000 == 999 {
            a.round_trip(b.id(), LIMIT).await?;
        }
    }
    Ok(ports)
}

/// One change of a large family, until a monitor on another node has heard of it.
pub async fn db_change(count: usize) -> Result<Value, Failure> {
    const LIMIT: Duration = Duration::from_secs(30);
    let network = Network::new(1);
    let [a, b] = two(&network, 2).await?;
    let mut changes = b.db_mon::<u64>("f");
    for n in 0..count {
        drop(a.db_set("f", &format!("key{n}"), &n)?);
        if n % 1000 == 999 {
            a.round_trip(b.id(), LIMIT).await?;
        }
    }
    let mut seen = 0;
    while seen < count {
        let change = changes.next().await.ok_or("the node has stopped")??;
        seen += change.added.len();
    }
    let mut times = Vec::new();
    for n in 0..CHANGES as u64 {
        let start = Instant::now();
        drop(a.db_set("f", "key7", &(1_000_000 + n))?);
        let change = changes.next().await.ok_or("the node has stopped")??;
        times.push(millis(start));
        if change.changed.len() != 1 {
            return Err("another change was seen".into());
        }
    }
    Ok(json!({"ms": median(times)}))
}

/// A message to each member of a group, all on another node, until the last one has got it.
pub async fn message_to_members(count: usize) -> Result<Value, Failure> {
    let network = Network::new(1);
    let [a, b] = two(&network, 1).await?;
    let taken = Arc::new(AtomicUsize::new(0));
    let mut changes = a.mon_group("g");
    let ports = fill(&b, &a, count).await?;
    for port in &ports {
        let taken = taken.clone();
        port.rcv("news", move |_, (n,): (u64,)| {
            std::hint::black_box(n);
            taken.fetch_add(1, Ordering::Relaxed);
        });
    }
    seen(&mut changes, count).await?;
    let mut times = Vec::new();
    for round in 1..=5 {
        let start = Instant::now();
        for member in a.members("g") {
            a.snd_wait(&member, &("news", 7)).await?;
        }
        while taken.load(Ordering::Relaxed) < round * count {
            yield_now().await;
        }
        times.push(millis(start));
    }
    Ok(json!({"ms": median(times)}))
}
