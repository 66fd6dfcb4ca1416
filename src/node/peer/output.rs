//! What is to be written, and who waits for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Link, Peer, PeerState, Phase, READING};

impl Peer {
    /// Waits until fewer than `octets` wait for the writer.
    pub(crate) async fn wait_for_room(&self, octets: usize) {
        self.wait_until(|state| state.queued() < octets).await;
    }

    /// Waits until fewer than `octets` are not written yet.
    pub(crate) async fn wait_until_fewer(&self, octets: usize) {
        self.wait_until(|state| state.waiting() < octets).await;
    }

    /// Waits until everything is written.
    pub(crate) async fn wait_until_written(&self) {
        self.wait_until(|state| state.waiting() == 0).await;
    }

    /// Waits for a change after which the state is as wanted, unless it is already.
    pub(super) async fn wait_until(&self, wanted: impl Fn(&PeerState) -> bool) {
        loop {
            let changed = self.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if wanted(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Resolves at the next change of the peer's state: enable it before looking at that.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Writes a keepalive on a link that may be half dead: if the other end knows nothing of it any
    /// more, it is lost soon.
    pub(crate) fn poke(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Up(_)) && state.out.is_empty() {
            let keepalive = state.framing().keepalive();
            state.append(keepalive);
        }
    }

    /// The writer rests. Keeps no larger buffer than this for what is to be written next, in octets.
    pub(crate) fn rest(&self, octets: usize) {
        let mut state = self.state.lock();
        state.out.shrink_to(octets);
        state.pause();
    }

    /// Gives the writer of `link` what is to be written. `None`: it is not the link any more.
    pub(crate) fn take_output(&self, link: &Link, spare: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Up(present) if present.serial == link.serial => {}
            _ => return None,
        }
        if state.flushing {
            // Who does that wakes the writer if something is left.
            return Some(spare);
        }
        let taken = std::mem::replace(&mut state.out, spare);
        let before = std::mem::replace(&mut state.in_flight, taken.len());
        drop(state);
        if before > 0 || !taken.is_empty() {
            self.room.notify_waiters();
        }
        Some(taken)
    }

    /// Runs a turn of the link's reader, which writes at its end what was sent meanwhile: the answer to a
    /// lone message needs no other task.
    pub(crate) fn read_turn<T>(&self, link: &Arc<Link>, turn: impl FnOnce() -> T) -> T {
        struct Turn(*const Link);
        impl Drop for Turn {
            fn drop(&mut self) {
                READING.set(self.0);
            }
        }
        let outer = Turn(READING.replace(Arc::as_ptr(link)));
        let result = turn();
        drop(outer);
        self.flush(link, true);
        result
    }

    /// Writes what is to be written, as much as goes at once, unless the writer is at it. `came`: something
    /// came by the link, so the next message need not be gathered with others.
    pub(crate) fn flush(&self, link: &Link, came: bool) {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Up(present) if present.serial == link.serial => {}
            _ => return,
        }
        if came {
            state.pause();
        }
        if state.out.is_empty() {
            return;
        }
        if state.in_flight > 0 {
            drop(state);
            link.ready.notify_one();
            return;
        }
        let mut taken = std::mem::take(&mut state.out);
        state.in_flight = taken.len();
        state.flushing = true;
        drop(state);
        // If this fails, the writer will find out why.
        let written = link.write(&taken).unwrap_or(0).min(taken.len());
        let mut state = self.state.lock();
        state.flushing = false;
        match &state.phase {
            Phase::Up(present) if present.serial == link.serial => {}
            _ => return,
        }
        state.in_flight = 0;
        link.traffic
            .sent_octets
            .fetch_add(written as u64, Ordering::Relaxed);
        taken.drain(..written);
        taken.append(&mut state.out);
        state.out = taken;
        let rest = !state.out.is_empty();
        drop(state);
        if rest {
            link.ready.notify_one();
        }
        self.room.notify_waiters();
    }
}
