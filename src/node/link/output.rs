//! What is to be written, and who waits for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Link, Peer, State, thread};
use crate::node::monitor::Action;
use crate::peering::{Peering, Taken, Wake};

/// Why somebody flushes a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A message was sent.
    Sent,
    /// Something came by the link, so the next message that is sent need not be gathered with
    /// others.
    Came,
}

impl Peer {
    /// Waits until fewer than `octets` wait for the writer, and the port `name` has room.
    pub(crate) async fn wait_for_room(&self, name: &str, octets: usize) {
        let has_room = |rules: &Peering<Action>| rules.queued() < octets && !rules.is_held(name);
        self.wait_until(has_room).await;
    }

    /// Waits until fewer than `octets` are not written yet, and every port there has room.
    pub(crate) async fn wait_until_fewer(&self, octets: usize) {
        let has_room = |rules: &Peering<Action>| rules.unwritten() < octets && !rules.holds_any();
        self.wait_until(has_room).await;
    }

    /// Waits until everything is written.
    pub(crate) async fn wait_until_written(&self) {
        self.wait_until(|rules| rules.unwritten() == 0).await;
    }

    /// Waits until there is no link.
    pub(crate) async fn wait_until_down(&self) {
        self.wait_until(|rules| rules.link().is_none()).await;
    }

    /// Waits for a change after which the peer is as wanted, unless it is already.
    pub(super) async fn wait_until(&self, wanted: impl Fn(&Peering<Action>) -> bool) {
        loop {
            let changed = self.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if wanted(&self.state.lock().rules) {
                return;
            }
            changed.await;
        }
    }

    /// Resolves at the next change of the peer: enable it before looking at that.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.change.notified()
    }

    /// Writes a keepalive on a link that may be half dead: if the other end knows nothing of it any
    /// more, it is lost soon.
    pub(super) fn poke(&self) {
        let mut state = self.state.lock();
        let wake = state.rules.poke();
        self.wake_writer(&state, wake);
    }

    /// The writer sleeps. Keeps no larger buffer than this for what is to be written next, in
    /// octets.
    pub(super) fn writer_sleeps(&self, octets: usize) {
        self.state.lock().rules.outbox().writer_sleeps(octets);
    }

    /// The state, if this is the present link.
    fn of_link(&self, link: &Link) -> Option<parking_lot::MutexGuard<'_, State>> {
        let state = self.state.lock();
        state.rules.is_link(link.facts.serial).then_some(state)
    }

    /// Gives the writer of `link` what is to be written, in exchange for its empty buffer. `None`:
    /// it is not the link any more.
    pub(super) fn take_output(&self, link: &Link, buffer: &mut Vec<u8>) -> Option<Taken> {
        let mut state = self.of_link(link)?;
        let outbox = state.rules.outbox();
        let before = outbox.in_flight();
        let taken = outbox.take(buffer);
        let unwritten = state.rules.unwritten();
        state.queue.force(unwritten);
        drop(state);
        if before > 0 || taken == Taken::Octets {
            self.change.notify_waiters();
        }
        Some(taken)
    }

    /// Runs a turn of the link's reader, which writes at its end what was sent meanwhile: the
    /// answer to a lone message needs no other task.
    pub(super) fn read_turn<T>(&self, link: &Arc<Link>, turn: impl FnOnce() -> T) -> T {
        let result = thread::reading(link, turn);
        self.flush(link, Cause::Came);
        result
    }

    /// Writes what is to be written, as much as goes at once, unless the writer is at it.
    pub(super) fn flush(&self, link: &Link, cause: Cause) {
        let Some(mut state) = self.of_link(link) else {
            return;
        };
        if cause == Cause::Came {
            state.rules.outbox().pause();
        }
        let taken = match state.rules.outbox().begin_flush() {
            Ok(taken) => taken,
            Err(wake) => {
                drop(state);
                if wake == Wake::Writer {
                    link.ready.notify_one();
                }
                return;
            }
        };
        drop(state);
        // If this fails, the writer will find out why.
        let written = link.write(&taken).unwrap_or(0).min(taken.len());
        let Some(mut state) = self.of_link(link) else {
            return;
        };
        let wake = state.rules.outbox().end_flush(taken, written);
        let unwritten = state.rules.unwritten();
        state.queue.force(unwritten);
        drop(state);
        let sent_octets = &link.traffic.sent_octets;
        sent_octets.fetch_add(written as u64, Ordering::Relaxed);
        if wake == Wake::Writer {
            link.ready.notify_one();
        }
        self.change.notify_waiters();
    }
}
