//! How a port dies, and who is told.

use std::sync::Arc;

use super::running::Running;
use super::{Body, Extra, PortCell};
use crate::log::log_at;
use crate::node::Inner;
use crate::node::jobs::{self, Job};
use crate::node::link::Told;
use crate::node::monitor::{self, Watcher};
use crate::node::queue::{Item, Queue};
use crate::proto::Reason;

/// A death as it is found by [`PortCell::die`]: what is to be told of it.
struct Death {
    watchers: Vec<(u64, Watcher)>,
    /// Someone waits for room in the queue.
    awaited: bool,
    /// Peers that wait for it.
    told: Vec<Told>,
}

impl PortCell {
    /// Adds a monitor. `Err` gives it back if the port is dead.
    pub(crate) fn watch(&self, serial: u64, watcher: Watcher) -> Result<(), Watcher> {
        let mut state = self.state.lock();
        if !state.alive {
            return Err(watcher);
        }
        let watchers = &mut state.extra.get_or_insert_default().watchers;
        let again = matches!(&watcher, Watcher::Node(node)
            if watchers.iter().any(|(_, w)| matches!(w, Watcher::Node(n) if n == node)));
        if !again {
            if watchers.is_empty() {
                // Most ports have no more than one.
                watchers.reserve_exact(1);
            }
            watchers.push((serial, watcher));
        }
        Ok(())
    }

    /// Removes the monitors that `which` names.
    pub(crate) fn unwatch(&self, which: impl Fn(u64, &Watcher) -> bool) {
        let mut removed = Vec::new();
        let mut state = self.state.lock();
        if let Some(extra) = &mut state.extra {
            let gone = |(serial, watcher): &mut (u64, Watcher)| which(*serial, watcher);
            removed.extend(extra.watchers.extract_if(.., gone));
        }
        state.shrink();
        drop(state);
    }

    /// The node is dropped, and the port with it: nobody is told.
    pub(crate) fn abandon(&self) {
        drop(self.die());
    }

    fn die(&self) -> Option<Death> {
        let mut state = self.state.lock();
        if !state.alive {
            return None;
        }
        state.alive = false;
        self.run.change();
        let body = std::mem::replace(&mut state.body, Body::Fresh);
        // What a mailbox has got can still be received.
        let mailbox = matches!(body, Body::Mailbox(_));
        let queue = match mailbox {
            true => Queue::default(),
            false => std::mem::take(&mut state.queue),
        };
        state.holds = false;
        let Extra {
            watchers,
            tasks,
            told,
            misfits,
            ..
        } = state
            .extra
            .take()
            .map_or_else(Extra::default, |extra| *extra);
        let awaited = std::mem::take(&mut state.awaited);
        drop(state);
        if let Body::Mailbox(reader) = &body {
            reader.wake();
        }
        if let Some(tasks) = tasks {
            tasks.abort();
        }
        if let Body::Handlers(handlers) = &body {
            handlers.close();
        }
        drop((body, queue, misfits));
        Some(Death {
            watchers,
            awaited,
            told,
        })
    }

    /// Kills the port, behind the messages that were sent to it before; its own code kills it at
    /// once. Killing a dead port does nothing.
    pub(crate) fn kill(self: &Arc<Self>, node: &Arc<Inner>, reason: Reason) {
        let mut state = self.state.lock();
        let own = Running::is_here(self);
        let at_once = own || state.is_blocked() || matches!(state.body, Body::Mailbox(_));
        if state.alive && self.run.is_running() && !at_once {
            state
                .queue
                .push(Item::Kill(reason, node.lifecycle.kill_waits()));
            let idle = self.run.queued();
            drop(state);
            if idle {
                jobs::schedule(node, Job::Run(self.clone()));
            }
            return;
        }
        drop(state);
        self.die_of(node, reason);
    }

    /// The port dies: its queue is dropped and all monitors on it fire once.
    pub(crate) fn die_of(self: &Arc<Self>, node: &Arc<Inner>, reason: Reason) {
        let Some(mut death) = self.die() else { return };
        // What they send is lost now, which nobody waits for.
        node.tell_room(&mut death.awaited);
        self.tell_go(node, death.told);
        node.ports.remove(self.id.name());
        node.counters.died(&self.id, &reason);
        // What code can't send any more while the node stops is no fault of its own.
        let silent =
            reason.is_normal() || reason.kind() == Some("no_such_port") || node.is_stopping();
        if death.watchers.is_empty() && !silent {
            let name = self.id.name();
            log_at!(
                2,
                node = node.id,
                port = self.id,
                reason = reason,
                "unmonitored local port {name} died with reason: {reason}"
            );
        }
        for (_, watcher) in death.watchers {
            match watcher {
                Watcher::Node(peer) => node.tell_death(&peer, self.id.name(), &reason),
                Watcher::Local(action) => monitor::fire_soon(node, action, reason.clone()),
            }
        }
    }
}
