//! A pool of workers on several nodes: each call goes to one that has little to do, and on to
//! another one when that is lost.
//!
//!     cargo run --example work_pool

use std::time::Duration;

use aemp::Node;
use tokio::task::JoinSet;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const JOBS: u64 = 1_000;

/// Starts a node with a worker on it. A Perl node with a port in this group works just as well.
async fn start_worker(id: &str, seeds: Vec<String>) -> Result<Node, aemp::StartError> {
    let node = Node::builder().no_rc().nodeid(id).secret("pool");
    let node = node.binds(["127.0.0.1:0"]).seeds(seeds).start().await?;
    let worker = node.port();
    worker.answer_async("square", |_, (n,): (u64,)| async move {
        tokio::time::sleep(Duration::from_millis(1)).await; // hard work
        n.checked_mul(n).ok_or("too large")
    });
    node.register("squares", &worker);
    Ok(node)
}

// A test runs it, too.
#[tokio::main]
pub(crate) async fn main() -> Outcome {
    let client = Node::builder().no_rc().nodeid("client").secret("pool");
    let client = client.binds(["127.0.0.1:0"]).start().await?;
    let mut nodes = Vec::new();
    for id in ["one", "two", "three"] {
        nodes.push(start_worker(id, client.listeners()).await?);
    }
    client.wait_for_members("squares", 3).await;

    // It does no harm to square a number twice, so a call may be tried again.
    let pool = client.service("squares").retries(2);
    let mut calls = JoinSet::new();
    for n in 0..JOBS {
        let pool = pool.clone();
        let limit = Some(Duration::from_secs(30));
        calls.spawn(async move { pool.cal_any::<u64>(&("square", n), limit).await });
    }
    // In the midst of it one of the nodes goes, and another one comes.
    nodes.remove(0).shutdown().await;
    nodes.push(start_worker("four", client.listeners()).await?);

    let mut sum = 0;
    while let Some(square) = calls.join_next().await {
        sum += square??;
    }
    assert_eq!(sum, (0..JOBS).map(|n| n * n).sum::<u64>());
    println!("{JOBS} squares, whose sum is {sum}, from {}", pool.group());
    for node in nodes.into_iter().chain([client]) {
        node.shutdown().await;
    }
    Ok(())
}
