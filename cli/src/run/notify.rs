//! What systemd is told, if it has started us: see sd_notify(3).

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
