//! Messages through a bridge between generations, beside a direct link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aemp::proto::generation::Generations;
use aemp::{Node, PortId};
use serde_json::{Value, json};
use tokio::task::yield_now;

use crate::child::SECRET;
use crate::failure::Failure;
use crate::message::{HASH, text};
use crate::sink::Sink;

/// The usual message from a node of generation 1 to one of its own generation, and through a bridge
/// to one of generation 2. All are in this process and share one thread: the rates are those of the
/// work of all.
pub async fn measure(count: usize) -> Result<Value, Failure> {
    let old = start("old", Generations::Only(1), &[]).await?;
    let like = start("like", Generations::Only(1), &[&old]).await?;
    let direct = one_way(&old, &like, count).await?;
    like.shutdown().await;
    let middle = start("middle", Generations::Auto, &[]).await?;
    let _bridge = middle.bridge([1, 2])?;
    let old = start("old2", Generations::Only(1), &[&middle]).await?;
    let new = start("new", Generations::Only(2), &[&middle]).await?;
    let bridged = one_way(&old, &new, count).await?;
    Ok(json!({"direct": direct, "bridged": bridged, "of_direct": bridged / direct}))
}

async fn start(id: &str, generations: Generations, seeds: &[&Node]) -> Result<Node, Failure> {
    let seeds = seeds.iter().flat_map(|seed| seed.listeners());
    let node = Node::builder()
        .no_rc()
        .nodeid(id)
        .secret(SECRET)
        .generation(generations)
        .binds(["127.0.0.1:0"])
        .seeds(seeds.collect::<Vec<_>>());
    Ok(node.start().await?)
}

/// Messages a second.
async fn one_way(from: &Node, to: &Node, count: usize) -> Result<f64, Failure> {
    let (port, taken) = (to.port(), Arc::new(AtomicU64::new(0)));
    port.rcv_with("m", Sink(taken.clone()));
    port.rcv("hello", |cx, (reply,): (PortId,)| cx.snd(&reply, &(1,)));
    to.register("sinks", &port);
    // Known where it is, and linked.
    from.wait_for_member("sinks").await?;
    let (_,): (u8,) = from.cal(&port, &("hello",), None).await?;
    let text = text(0);
    let start = Instant::now();
    for n in 0..count as u64 {
        from.snd_wait(&port, &("m", n, &text, HASH)).await?;
    }
    while taken.load(Ordering::Relaxed) < count as u64 {
        yield_now().await;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
