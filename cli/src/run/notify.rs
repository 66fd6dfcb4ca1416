//! What systemd is told, if it has started us: see sd_notify(3).

use std::time::Duration;

use aemp::Node;
use sd_notify::NotifyState;

/// The node runs, or has taken the configuration over.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It takes the configuration over, or starts again as the same process.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Says now and then that the node answers, if systemd wants to hear that (`WatchdogSec=`), and as
/// long as it does: who only kept this task going would be taken for a node that is well.
pub(super) fn beat(node: &Node) {
    let mut microseconds = 0;
    if !sd_notify::watchdog_enabled(false, &mut microseconds) || microseconds == 0 {
        return;
    }
    let every = Duration::from_micros(microseconds) / 2;
    let node = node.clone();
    tokio::spawn(async move {
        let mut beats = tokio::time::interval(every);
        loop {
            beats.tick().await;
            if node.round_trip(node.id(), every).await.is_ok() {
                tell(&[NotifyState::Watchdog]);
            }
        }
    });
}

/// It ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(what: &[NotifyState<'_>]) {
    // Without a NOTIFY_SOCKET this does nothing.
    if let Err(error) = sd_notify::notify(false, what) {
        tracing::warn!(target: "aemp", level = 2_u8, "systemd can't be told: {error}");
    }
}
