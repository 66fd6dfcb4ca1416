//! Many nodes in one process.

use std::time::Instant;

use aemp::Node;
use aemp::net::memory::Network;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::nodes::{builder, up};
use crate::failure::Failure;
use crate::stats::resident;

/// Nodes of generation 1 that find each other through one of them.
pub async fn mesh(count: usize) -> Result<Value, Failure> {
    let network = Network::new(1);
    let seed = builder(&network, "node0", 1, &["node0"]).start().await?;
    let start = Instant::now();
    let mut all = JoinSet::new();
    for n in 0..count {
        let (network, seed) = (network.clone(), seed.clone());
        all.spawn(async move {
            let node = match n {
                0 => seed,
                _ => {
                    let id = format!("node{n}");
                    builder(&network, &id, 1, &["node0"]).start().await?
                }
            };
            up(&node, count - 1).await?;
            Ok::<Node, Failure>(node)
        });
    }
    let mut nodes = Vec::new();
    while let Some(node) = all.join_next().await {
        nodes.push(node??);
    }
    let seconds = start.elapsed().as_secs_f64();
    // Nobody tells so many that others are lost.
    std::mem::forget(nodes);
    Ok(json!({"seconds": seconds}))
}

/// Nodes of generation 2 with two global ones as seeds, each with a port in one group, until one of
/// them sees all of these.
pub async fn globals(count: usize) -> Result<Value, Failure> {
    let network = Network::new(1);
    let seeds = ["global0", "global1"];
    let mut nodes = Vec::new();
    for seed in seeds {
        nodes.push(builder(&network, seed, 2, &seeds).start().await?);
    }
    for node in &nodes {
        up(node, 1).await?;
    }
    let (before, start) = (resident(), Instant::now());
    for n in 0..count {
        let node = builder(&network, &format!("node{n}"), 2, &seeds);
        let node = node.start().await?;
        node.register("g", node.port());
        nodes.push(node);
    }
    let last = nodes.last().ok_or("no nodes")?;
    let members = last.wait_for_members("g", count).await?;
    let seconds = start.elapsed().as_secs_f64();
    let octets = resident().saturating_sub(before) as f64 / count as f64;
    if members.len() != count {
        return Err(format!("{} members of {count}", members.len()).into());
    }
    std::mem::forget(nodes);
    Ok(json!({"seconds": seconds, "octets": octets}))
}
