//! Peers that send more than a port takes are told to wait (docs/backpressure.md).
//!
//! A peer is told once, and again that it may go on when the queue is half empty or the port dies.
//! Neither is said under the lock of the port. So that nobody waits for ever, a peer is noted as
//! told only when it was, and told at once that it may go on if the port has room by then: the
//! second is never said before the first.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::{PortCell, State};
use crate::node::Inner;
use crate::node::link::{Peer, Told};

impl State {
    /// Whether the peer, whose message there is hardly room for, is still to be told.
    #[cold]
    pub(super) fn has_to_tell(&self, peer: &Peer) -> bool {
        let Some(link) = peer.link_that_waits() else {
            return false;
        };
        let extra = self.extra.as_ref();
        !extra.is_some_and(|extra| extra.told.iter().any(|told| told.link == link))
    }
}

impl PortCell {
    /// Tells a peer that the port has no room. Only the reader of its link may call this.
    #[cold]
    pub(crate) fn hold(self: &Arc<Self>, node: &Arc<Inner>, peer: &Arc<Peer>) {
        let Some(told) = Told::hold(node, peer, self.id.name()) else {
            return;
        };
        let mut state = self.state.lock();
        if state.alive && !state.queue.is_low(node.settings.high_water()) {
            state.holds = true;
            state.extra.get_or_insert_default().told.push(told);
            return;
        }
        drop(state);
        told.go(node, self.id.name());
    }

    /// Tells the peers that wait for it that the port has room, if it has.
    #[inline]
    pub(super) fn let_go(&self, node: &Arc<Inner>, state: MutexGuard<'_, State>) {
        if state.holds {
            self.let_go_if_low(node, state);
        }
    }

    #[cold]
    fn let_go_if_low(&self, node: &Arc<Inner>, mut state: MutexGuard<'_, State>) {
        if !state.queue.is_low(node.settings.high_water()) {
            return;
        }
        state.holds = false;
        let told = state
            .extra
            .as_mut()
            .map(|extra| std::mem::take(&mut extra.told));
        state.shrink();
        drop(state);
        self.tell_go(node, told.unwrap_or_default());
    }

    /// Tells these peers that they need not wait for the port.
    pub(super) fn tell_go(&self, node: &Arc<Inner>, told: Vec<Told>) {
        for told in told {
            told.go(node, self.id.name());
        }
    }
}
