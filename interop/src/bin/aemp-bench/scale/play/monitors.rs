//! Monitors of ports of another node, which is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aemp::net::memory::Network;
use aemp::{Node, PortId};
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::nodes::two;
use crate::failure::Failure;
use crate::stats::resident;

/// How much memory they take on both nodes, and how long it takes until the last one has fired.
pub async fn measure(count: usize) -> Result<Value, Failure> {
    const LIMIT: Duration = Duration::from_secs(30);
    /// So many are set at a time, so that what is on its way takes no memory of note.
    const AT_A_TIME: usize = 5_000;
    let network = Network::new(1);
    let [a, b] = two(&network, 1).await?;
    let empty = resident();
    let names: Vec<PortId> = (0..count).map(|_| b.port().id().clone()).collect();
    let fired = Arc::new(AtomicUsize::new(0));
    let before = resident();
    for some in names.chunks(AT_A_TIME) {
        for port in some {
            let fired = fired.clone();
            a.mon(port, move |_| {
                fired.fetch_add(1, Ordering::Relaxed);
            });
        }
        a.round_trip(b.id(), LIMIT).await?;
    }
    let after = resident();
    let each = |octets: u64| octets as f64 / count as f64;
    let start = Instant::now();
    network.cut("a", "b");
    while fired.load(Ordering::Relaxed) < count {
        yield_now().await;
    }
    let seconds = start.elapsed().as_secs_f64();
    drop::<[Node; 2]>([a, b]);
    Ok(json!({
        "octets": each(after.saturating_sub(before)),
        // The list of their IDs here is not theirs.
        "with_port": each(after.saturating_sub(empty)) - size_of::<PortId>() as f64,
        "seconds": seconds,
    }))
}
