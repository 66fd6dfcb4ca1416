//! Who monitors what: ports there from here, and ports here from there.

use std::sync::Arc;

use super::{Peer, Phase, STOPPING, WithPort, missing_port};
use crate::node::Inner;
use crate::node::monitor::{self, Action};
use crate::proto::{Generation, Reason};

impl Peer {
    /// Whether somebody here monitors the port there.
    pub(crate) fn monitors_port(&self, name: &str) -> bool {
        self.state.lock().monitors.contains_key(name)
    }

    /// Tells the node that a local port that it monitors died, if it still does.
    pub(crate) fn send_death(self: &Arc<Self>, node: &Arc<Inner>, name: &str, reason: &Reason) {
        self.with_state(node, "", |state| {
            if state.watching.remove(name)
                && let Phase::Up(link) = &state.phase
            {
                let verb = link.info.generation.death_verb();
                state.request(&WithPort(verb, name, reason));
            }
        });
    }

    /// Answers a monitor of a port that does not exist.
    pub(crate) fn send_missing(self: &Arc<Self>, node: &Arc<Inner>, name: &str) {
        self.state.lock().watching.insert(name.into());
        let named = self
            .generation()
            .is_some_and(Generation::names_missing_port);
        let reason = missing_port(named.then(|| node.id.port(name).to_string()));
        self.send_death(node, name, &reason);
    }

    /// Monitors a port there, or with an empty name the node. `Err` gives the action back: look the
    /// peer up again.
    pub(crate) fn monitor(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        serial: u64,
        action: Action,
    ) -> Result<(), Action> {
        let mut state = self.state.lock();
        if state.gone {
            return Err(action);
        }
        if node.is_stopping() {
            drop(state);
            let reason = Reason::transport_error(self.id.as_str(), STOPPING);
            monitor::fire_soon(node, action, reason);
            return Ok(());
        }
        if self.is_losing(&state, name) {
            state.late.push((serial, action));
            return Ok(());
        }
        let first = !state.monitors.contains_key(name);
        let list = state.monitors.entry(name.into()).or_default();
        list.push((serial, action));
        if first && !name.is_empty() {
            state.request(&("mon1", name));
        }
        self.after_sending(node, state);
        Ok(())
    }

    /// Ends a monitor.
    pub(crate) fn unmonitor(self: &Arc<Self>, name: &str, serial: u64) {
        let mut state = self.state.lock();
        if let Some(at) = state.late.iter().position(|(n, _)| *n == serial) {
            let removed = state.late.swap_remove(at);
            drop(state);
            drop(removed);
            return;
        }
        let Some(list) = state.monitors.get_mut(name) else {
            return;
        };
        let Some(at) = list.iter().position(|(n, _)| *n == serial) else {
            return;
        };
        let removed = list.swap_remove(at);
        if list.is_empty() {
            state.monitors.remove(name);
            if !name.is_empty() && !matches!(state.phase, Phase::Idle) {
                state.request(&("mon0", name));
            }
        }
        drop(state);
        drop(removed);
    }

    /// A port there died, as the node tells us: its monitors fire, in the order of its messages. The
    /// caller is the link's reader.
    pub(crate) fn port_died(&self, node: &Arc<Inner>, name: &str, reason: &Reason) {
        let due = self.state.lock().monitors.remove(name);
        for (_, action) in due.into_iter().flatten() {
            monitor::fire(node, action, reason.clone());
        }
    }

    /// Notes that the node monitors a local port.
    pub(crate) fn watches(&self, name: &str) {
        self.state.lock().watching.insert(name.into());
    }

    /// The node monitors the port no more.
    pub(crate) fn watches_no_more(&self, name: &str) {
        self.state.lock().watching.remove(name);
    }
}
