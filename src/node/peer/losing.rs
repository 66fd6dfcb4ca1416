//! How a link, or the attempt to get one, is lost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{FIRING, Peer, PeerState, Phase, next_life};
use crate::node::monitor::{self, Action, Watcher};
use crate::node::work::{self, Job};
use crate::node::{Inner, NodeEvent};
use crate::proto::{Framing, Reason};

/// What a lost link leaves to be done.
pub(super) struct Lost {
    reason: Reason,
    was_up: bool,
    /// The local ports that the node monitored.
    watching: HashSet<Box<str>>,
    /// The monitors on the node's ports.
    monitors: HashMap<Box<str>, Vec<(u64, Action)>>,
}

impl Peer {
    /// Waits until no monitors are firing.
    pub(crate) async fn settled(&self) {
        self.wait_until(|state| !matches!(state.phase, Phase::Failing))
            .await;
    }

    /// Loses the link of that serial once everything is written, or cannot be for too long.
    pub(crate) fn fail_when_written(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        serial: u64,
        text: String,
    ) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
        let (peer, home) = (self.clone(), node.clone());
        node.spawn_link_task(async move {
            let _ = tokio::time::timeout(PATIENCE, peer.wait_until_written()).await;
            work::enter(&home.runtime, || peer.fail(&home, serial, &text));
        });
    }

    /// The link, or the attempt to get one, is lost. Nothing happens if `serial` is not the present
    /// one's.
    pub(crate) fn fail(self: &Arc<Self>, node: &Arc<Inner>, serial: u64, text: &str) {
        let state = self.state.lock();
        let present = match &state.phase {
            Phase::Up(link) => link.serial,
            Phase::Connecting(connecting) => connecting.serial,
            Phase::Idle | Phase::Failing => return,
        };
        if present == serial {
            self.give_up(node, state, text);
        }
    }

    /// Loses the link for certain, whichever it is.
    pub(crate) fn disconnect(self: &Arc<Self>, node: &Arc<Inner>, text: &str) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Up(_) | Phase::Connecting(_)) {
            self.give_up(node, state, text);
        }
    }

    /// Gives up to connect to the node, if that is being tried.
    pub(crate) fn stop_connecting(self: &Arc<Self>, node: &Arc<Inner>, text: &str) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Connecting(_)) {
            self.give_up(node, state, text);
        }
    }

    pub(super) fn give_up(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut state: parking_lot::MutexGuard<'_, PeerState>,
        text: &str,
    ) {
        let was_up = match std::mem::replace(&mut state.phase, Phase::Failing) {
            Phase::Up(link) => {
                link.ending.end();
                true
            }
            Phase::Connecting(connecting) => {
                connecting.ended.cancel();
                false
            }
            Phase::Idle => false,
            Phase::Failing => return,
        };
        self.framing.store(Framing::Json as u8, Ordering::Relaxed);
        state.pending.clear();
        state.pending_octets = 0;
        state.out = Vec::new();
        state.in_flight = 0;
        let watching = std::mem::take(&mut state.watching);
        let monitors = std::mem::take(&mut state.monitors);
        state.unfired = monitors.keys().cloned().collect();
        let ended = std::mem::replace(&mut state.life, next_life());
        drop(state);
        self.room.notify_waiters();
        if let Some(relay) = &node.relay {
            relay.ended(self, ended);
        }
        let peer = self.clone();
        let lost = Lost {
            reason: Reason::transport_error(self.id.as_str(), text),
            was_up,
            watching,
            monitors,
        };
        let job = move |node: &Arc<Inner>| peer.finish_failure(node, lost);
        work::schedule(node, Job::Call(Box::new(job)));
    }

    pub(super) fn finish_failure(self: &Arc<Self>, node: &Arc<Inner>, lost: Lost) {
        let lifecycle = self.lifecycle.lock();
        let reason = &lost.reason;
        if !lost.was_up {
            node.mesh.want_no_more(node, &self.id);
        }
        for name in lost.watching {
            if let Some(port) = node.ports.get(&name) {
                port.unwatch(|_, watcher| matches!(watcher, Watcher::Node(id) if *id == self.id));
            }
        }
        for (name, due) in lost.monitors {
            self.fire(node, due, reason);
            self.state.lock().unfired.remove(&name);
        }
        if lost.was_up {
            node.tell_event(NodeEvent::Down {
                node: self.id.clone(),
                reason: reason.clone(),
            });
        }
        let mut state = self.state.lock();
        while !state.late.is_empty() {
            let late = std::mem::take(&mut state.late);
            drop(state);
            self.fire(node, late, reason);
            state = self.state.lock();
        }
        state.phase = Phase::Idle;
        if node.is_stopping() {
            // What the actions have set and sent meanwhile is lost as well.
            state.pending.clear();
            let monitors = std::mem::take(&mut state.monitors);
            drop(state);
            for (_, action) in monitors.into_values().flatten() {
                monitor::fire_soon(node, action, reason.clone());
            }
        } else if !state.pending.is_empty() || !state.monitors.is_empty() {
            self.start_connecting(node, &mut state);
            drop(state);
        } else {
            drop(state);
            node.peers.forget(self);
        }
        drop(lifecycle);
        self.room.notify_waiters();
    }

    /// Runs actions that may send to the node again: that is for the next link.
    pub(super) fn fire(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        due: Vec<(u64, Action)>,
        reason: &Reason,
    ) {
        let outer = FIRING.replace(Arc::as_ptr(self));
        for (_, action) in due {
            monitor::fire(node, action, reason.clone()); // does not panic
        }
        FIRING.set(outer);
    }
}
