//! How a link comes to be.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Connecting, Link, Peer, PeerState, Phase, Verdict, elect};
use crate::log::log_at;
use crate::node::{Inner, NodeEvent};
use crate::proto::handshake::Role;

impl Peer {
    /// Connects to the node at these addresses, unless it is connected. False: look it up again.
    pub(crate) fn connect(self: &Arc<Self>, node: &Arc<Inner>, addresses: &[String]) -> bool {
        let mut state = self.state.lock();
        if state.gone {
            return false;
        }
        if matches!(state.phase, Phase::Idle) && !node.is_stopping() {
            self.start_connecting(node, &mut state);
        }
        if let Phase::Connecting(connecting) = &state.phase
            && !addresses.is_empty()
        {
            let mut known = connecting.addresses.lock();
            for address in addresses.iter().rev() {
                if !known.contains(address) {
                    known.insert(0, address.clone());
                }
            }
            connecting.news.notify_one();
        }
        true
    }

    pub(super) fn start_connecting(self: &Arc<Self>, node: &Arc<Inner>, state: &mut PeerState) {
        let connecting = Arc::new(Connecting {
            serial: node.next_serial(),
            addresses: Mutex::default(),
            news: Notify::new(),
            ended: CancellationToken::new(),
        });
        state.phase = Phase::Connecting(connecting.clone());
        let (peer, home) = (self.clone(), node.clone());
        node.spawn_task(async move { crate::net::schedule::run(home, peer, connecting).await });
    }

    /// Reserves the right to prove ourselves on the connection `serial` to the node. False if there is
    /// a link, or another connection of ours is at that point.
    pub(crate) fn start_dialing(&self, serial: u64) -> bool {
        /// A connection whose other end does not answer in this time blocks no other.
        const STALE: std::time::Duration = std::time::Duration::from_secs(2);
        let mut state = self.state.lock();
        let busy = state
            .dialing
            .is_some_and(|(_, since)| since.elapsed() < STALE);
        if busy || state.gone || matches!(state.phase, Phase::Up(_)) {
            return false;
        }
        state.dialing = Some((serial, Instant::now()));
        true
    }

    /// The connection for which [`start_dialing`](Self::start_dialing) agreed is decided on.
    pub(crate) fn stop_dialing(&self, serial: u64) {
        let mut state = self.state.lock();
        if state.dialing.is_some_and(|(owner, _)| owner == serial) {
            state.dialing = None;
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// Takes an authenticated connection as the link, unless the election says otherwise. `first` is
    /// what is to be written before any message: a token that was withheld. `overdue`: the other
    /// connection has been waited for long enough.
    pub(crate) fn establish(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        role: Role,
        link: &Arc<Link>,
        first: &[u8],
        overdue: bool,
    ) -> Verdict {
        // Held while monitors fire: that may take as long as the program likes.
        let Some(lifecycle) = self.lifecycle.try_lock() else {
            return Verdict::Wait;
        };
        let mut state = self.state.lock();
        if node.is_stopping() {
            return Verdict::Refuse;
        }
        if state.gone {
            return Verdict::Retry;
        }
        if matches!(state.phase, Phase::Failing) {
            return Verdict::Wait;
        }
        let up = matches!(state.phase, Phase::Up(_));
        let dialing = state.dialing.is_some() && !overdue;
        let verdict = elect(up, dialing, role, &node.id, &self.id);
        if verdict != Verdict::Accept {
            return verdict;
        }
        let mut out = first.to_vec();
        for pending in std::mem::take(&mut state.pending) {
            if let Err(error) = pending.write(&mut out, link.send_framing, link.info.generation) {
                // No message is dropped in silence: all that wait are lost, and their monitors fire.
                self.give_up(node, state, &error.to_string());
                return Verdict::Refuse;
            }
        }
        if let Phase::Connecting(connecting) = &state.phase {
            connecting.ended.cancel();
        }
        state.phase = Phase::Up(link.clone());
        self.framing
            .store(link.send_framing as u8, Ordering::Relaxed);
        state.links += 1;
        state.out = out;
        state.in_flight = 0;
        state.flushing = false;
        state.pending_octets = 0;
        drop(state);
        self.room.notify_waiters();
        if let Some(relay) = &node.relay {
            relay.up(self, link);
        }
        log_at!(9, "{} connected as {}", link.remote, self.id);
        node.tell_event(NodeEvent::Up {
            node: self.id.clone(),
            generation: link.info.generation,
        });
        link.ready.notify_one();
        drop(lifecycle);
        Verdict::Accept
    }

    /// The peer goes with its node, which tells nobody.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        let held = PeerState {
            gone: true,
            ..PeerState::new()
        };
        let held = std::mem::replace(&mut *state, held);
        drop(state);
        drop(held);
    }

    /// Marks the peer as taken out of the table, if it holds nothing.
    pub(crate) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        let idle = matches!(state.phase, Phase::Idle)
            && state.pending.is_empty()
            && state.monitors.is_empty()
            && state.dialing.is_none();
        state.gone |= idle;
        idle
    }
}
