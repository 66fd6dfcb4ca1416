//! One node of many that find each other through one seed.

use aemp::Node;
use serde_json::json;

use crate::child::SECRET;
use crate::failure::Failure;
use crate::node::{commands, say};

/// The node.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Its ID
    #[arg(long)]
    nodeid: String,
    /// Where it listens, on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// The seed's address
    #[arg(long)]
    seed: Option<String>,
    /// How many nodes there are in all
    #[arg(long)]
    nodes: usize,
}

/// Waits for the word, joins, and tells when all other nodes are up.
pub async fn join(options: Options) -> Result<(), Failure> {
    let mut input = commands();
    say(&json!({"loaded": true}));
    input.recv().await.ok_or("nobody says when to begin")?;
    let node = Node::builder()
        .no_rc()
        .nodeid(options.nodeid)
        .secret(SECRET)
        .binds([format!("127.0.0.1:{}", options.port)])
        .seeds(options.seed)
        .start()
        .await?;
    let mut events = node.mon_nodes();
    while node.up_nodes().len() + 1 < options.nodes {
        events.next().await;
    }
    say(&json!({"up": true}));
    while input.recv().await.is_some() {}
    Ok(())
}
