//! Nodes of this process, on a network in memory.

use aemp::net::memory::Network;
use aemp::proto::generation::Generations;
use aemp::{Builder, Node};

use crate::child::SECRET;
use crate::failure::Failure;

/// Where all listen, each on a host that has its name.
const PORT: u16 = 4040;

/// A node to be started, with these as its seeds.
pub fn builder(network: &Network, id: &str, generation: u32, seeds: &[&str]) -> Builder {
    let seeds = seeds.iter().map(|seed| format!("{seed}:{PORT}"));
    Node::builder()
        .no_rc()
        .nodeid(id)
        .secret(SECRET)
        .generation(Generations::Only(generation))
        .binds([format!("{id}:{PORT}")])
        .seeds(seeds)
        .network(&network.host(id))
}

/// Two nodes with a link; the first is the other one's seed.
pub async fn two(network: &Network, generation: u32) -> Result<[Node; 2], Failure> {
    let a = builder(network, "a", generation, &["a"]).start().await?;
    let b = builder(network, "b", generation, &["a"]).start().await?;
    up(&b, 1).await?;
    up(&a, 1).await?;
    Ok([a, b])
}

/// Waits until a node has links to so many others.
pub async fn up(node: &Node, count: usize) -> Result<(), Failure> {
    let mut events = node.mon_nodes();
    let mut up = node.up_nodes().len();
    while up < count {
        let event = events.next().await.ok_or("the node has stopped")?;
        // One that was up before may be told as well.
        up = match event.is_up() {
            true if up + 1 < count => up + 1,
            _ => node.up_nodes().len(),
        };
    }
    Ok(())
}
