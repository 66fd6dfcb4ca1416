//! The attempts to connect to one node: its addresses in turn, until one works or time is up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::Purpose;
use crate::log::log_at;
use crate::node::Inner;
use crate::node::peer::{Connecting, Peer};

/// The shortest time between two attempts.
const LEAST_INTERVAL: Duration = Duration::from_millis(400);

/// Two nodes that hear of each other at the same time would both connect, in vain for one of them: the
/// one with the larger ID begins so much later.
const SECOND: Duration = Duration::from_millis(20);

/// The first attempts of a node that hears of many others are spread over this time.
const SPREAD: Duration = Duration::from_millis(5);

/// The time between two attempts: all addresses are tried at least once before the time is up.
pub(crate) fn interval(connect: Duration, monitor: Duration, addresses: usize) -> Duration {
    let spread = monitor.saturating_sub(connect) / addresses.max(1) as u32;
    connect.min(spread).max(LEAST_INTERVAL)
}

/// Runs until there is a link or the time is up.
pub(crate) async fn run(node: Arc<Inner>, peer: Arc<Peer>, connecting: Arc<Connecting>) {
    let monitor = node.settings.monitor_timeout();
    let deadline = Instant::now() + monitor;
    let trying: Arc<Mutex<HashSet<String>>> = Arc::default();
    let (mut tried, mut asked) = (0, false);
    let mut next = Instant::now() + SPREAD.mul_f64(rand::random());
    if node.id > peer.id {
        next += SECOND;
    }
    loop {
        let addresses = connecting.addresses.lock().clone();
        // Nobody is asked for what is known, as long as it may serve.
        if addresses.is_empty() && !std::mem::replace(&mut asked, true) {
            node.mesh.want(&node, &peer.id);
        }
        let due = match addresses.is_empty() {
            true => deadline,
            false => next.min(deadline),
        };
        tokio::select! {
            () = connecting.ended.cancelled() => return,
            () = connecting.news.notified() => continue,
            () = sleep_until(due) => {}
        }
        if Instant::now() >= deadline {
            peer.fail(&node, connecting.serial, "unable to connect");
            return;
        }
        if tried >= addresses.len() && !std::mem::replace(&mut asked, true) {
            node.mesh.want(&node, &peer.id);
        }
        let address = addresses[tried % addresses.len()].clone();
        tried += 1;
        let interval = interval(node.settings.connect_interval, monitor, addresses.len());
        next = Instant::now() + interval.mul_f64(0.9 + 0.1 * rand::random::<f64>());
        if !trying.lock().insert(address.clone()) {
            continue;
        }
        log_at!(9, "connecting to {} at {address}", peer.id);
        let (home, trying) = (node.clone(), trying.clone());
        node.spawn_task(async move {
            let _ = super::dial(home, &address, Purpose::Node).await;
            trying.lock().remove(&address);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_spread_over_the_time() {
        let secs = Duration::from_secs;
        assert_eq!(interval(secs(2), secs(30), 1), secs(2));
        assert_eq!(interval(secs(2), secs(30), 14), secs(2));
        assert_eq!(interval(secs(2), secs(30), 28), secs(1));
        assert_eq!(interval(secs(2), secs(30), 1000), LEAST_INTERVAL);
        assert_eq!(interval(secs(2), secs(1), 1), LEAST_INTERVAL);
    }
}
