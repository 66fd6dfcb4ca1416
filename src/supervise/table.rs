//! The children of a supervisor, as its task and its handles share them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::core::{Core, State};
use super::events::WAITING;
use super::terms::Key;
use super::{Backoff, Child, ChildInfo, ChildState, SuperviseError, SupervisorEvent};
use crate::node::Node;
use crate::proto::{NodeId, PortId, Reason};

pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) port: PortId,
    pub(super) node: Node,
    pub(super) table: Mutex<Table>,
    pub(super) commands: mpsc::Sender<Command>,
    /// None once it has ended.
    pub(super) events: Mutex<Option<broadcast::Sender<SupervisorEvent>>>,
    /// Moves with each change; the reason once it has ended.
    pub(super) changed: watch::Sender<Option<Reason>>,
}

/// The children.
pub(super) struct Table {
    pub(super) core: Core,
    pub(super) entries: HashMap<Key, Entry>,
    pub(super) names: HashMap<Arc<str>, Key>,
    pub(super) backoff: Backoff,
}

/// What is to be known of a child besides the decisions.
pub(super) struct Entry {
    pub(super) child: Child,
    pub(super) port: Option<PortId>,
    pub(super) last_reason: Option<Reason>,
    /// The last port that it had.
    pub(super) last_port: Option<PortId>,
    /// Which start this is; news of other ones are old.
    pub(super) round: u64,
    /// Ends the start that is going on.
    pub(super) cancel: CancellationToken,
    /// What it is killed with, if that has a cause of its own.
    pub(super) stop_reason: Option<Reason>,
    pub(super) for_up: Vec<Reply<PortId>>,
    pub(super) for_down: Vec<Reply<()>>,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, SuperviseError>>;

pub(super) enum Command {
    Add(Box<Child>, Reply<PortId>),
    Restart(Arc<str>, Reply<PortId>),
    Terminate(Arc<str>, Reply<()>),
    Remove(Arc<str>, Reply<()>),
}

impl Entry {
    pub(super) fn new(child: Child) -> Self {
        Entry {
            child,
            port: None,
            last_reason: None,
            last_port: None,
            round: 0,
            cancel: CancellationToken::new(),
            stop_reason: None,
            for_up: Vec::new(),
            for_down: Vec::new(),
        }
    }

    /// Tells those who wait for it to be up that it is not.
    pub(super) fn not_started(&mut self, reason: &Reason) {
        for reply in self.for_up.drain(..) {
            let _ = reply.send(Err(SuperviseError::NotStarted {
                child: self.child.name.clone(),
                reason: reason.clone(),
            }));
        }
    }

    /// The node that the child was lost with, if it was.
    pub(super) fn lost_with(&self) -> Option<NodeId> {
        let kind = self.last_reason.as_ref()?.kind()?;
        let lost = matches!(kind, "transport_error" | "no_such_port");
        lost.then(|| self.last_port.as_ref().map(PortId::node_id))?
    }
}

impl Table {
    pub(super) fn add(&mut self, entry: Entry) -> Result<Key, SuperviseError> {
        let name = &entry.child.name;
        if self.names.contains_key(name) {
            return Err(SuperviseError::Duplicate(name.clone()));
        }
        let key = self.core.add(entry.child.policy(self.backoff));
        self.names.insert(name.clone(), key);
        self.entries.insert(key, entry);
        Ok(key)
    }

    pub(super) fn info(&self, key: Key) -> Option<ChildInfo> {
        let (slot, entry) = (self.core.slot(key)?, self.entries.get(&key)?);
        let state = match slot.state {
            State::Starting => ChildState::Starting,
            State::Running { .. } => ChildState::Running,
            State::Stopping { .. } => ChildState::Stopping,
            State::Down { .. } if !slot.wanted => ChildState::Ended,
            State::Down { .. } if slot.starts == 0 => ChildState::Pending,
            State::Down { .. } => ChildState::Restarting,
        };
        Some(ChildInfo {
            name: entry.child.name.clone(),
            state,
            port: entry.port.clone(),
            restarts: slot.starts.saturating_sub(1),
            last_reason: entry.last_reason.clone(),
        })
    }

    /// Does what the program asks for. A child that is not taken is given back.
    pub(super) fn obey(&mut self, command: Command) -> Option<Box<Child>> {
        match command {
            Command::Add(child, reply) => {
                let refusal = match self.names.get_key_value(&child.name) {
                    _ if !self.core.is_working() => SuperviseError::Ended,
                    Some((name, _)) => SuperviseError::Duplicate(name.clone()),
                    None => {
                        let mut entry = Entry::new(*child);
                        entry.for_up.push(reply);
                        let added = self.add(entry);
                        debug_assert!(added.is_ok(), "the name is free");
                        return None;
                    }
                };
                let _ = reply.send(Err(refusal));
                return Some(child);
            }
            Command::Restart(name, reply) => {
                if let Some((key, reply)) = self.find(&name, reply) {
                    self.core.restart(key);
                    self.ask(key, "restarted", |entry| entry.for_up.push(reply));
                }
            }
            Command::Terminate(name, reply) => {
                if let Some((key, reply)) = self.find(&name, reply) {
                    self.core.terminate(key);
                    self.ask(key, "terminated", |entry| entry.for_down.push(reply));
                }
            }
            Command::Remove(name, reply) => {
                if let Some((key, reply)) = self.find(&name, reply) {
                    self.core.remove(key);
                    self.ask(key, "removed", |entry| entry.for_down.push(reply));
                }
            }
        }
        None
    }

    /// The child of that name, or an answer to who asked for it.
    fn find<T>(&self, name: &Arc<str>, reply: Reply<T>) -> Option<(Key, Reply<T>)> {
        let error = match self.names.get(name) {
            _ if !self.core.is_working() => SuperviseError::Ended,
            Some(key) if self.core.slot(*key).is_some_and(|slot| !slot.forget) => {
                return Some((*key, reply));
            }
            _ => SuperviseError::Unknown(name.clone()),
        };
        let _ = reply.send(Err(error));
        None
    }

    /// Notes who waits for a child that was told to change.
    fn ask(&mut self, key: Key, why: &str, note: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.stop_reason = Some(shutdown(why));
            note(entry);
        }
        self.settle(key);
    }

    /// Answers those who wait for a child that is down; who waits for it to be forgotten has time.
    pub(super) fn settle(&mut self, key: Key) {
        let (Some(slot), Some(entry)) = (self.core.slot(key), self.entries.get_mut(&key)) else {
            return;
        };
        if !matches!(slot.state, State::Down { .. }) || slot.forget {
            return;
        }
        for reply in entry.for_down.drain(..) {
            let _ = reply.send(Ok(()));
        }
        if !slot.wanted {
            let reason = entry.last_reason.clone().unwrap_or_default();
            entry.not_started(&reason);
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        let mut slots = self.core.slots().iter();
        slots.all(|slot| !slot.wanted || matches!(slot.state, State::Running { .. }))
    }
}

impl Shared {
    pub(super) fn new(
        name: Arc<str>,
        port: PortId,
        node: Node,
        table: Table,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Shared {
            name,
            port,
            node,
            table: Mutex::new(table),
            commands,
            events: Mutex::new(Some(broadcast::Sender::new(WAITING))),
            changed: watch::Sender::new(None),
        }
    }

    pub(super) fn tell(&self, event: SupervisorEvent) {
        if let Some(events) = &*self.events.lock() {
            let _ = events.send(event); // nobody need listen
        }
    }
}

/// What a child is killed with that is not to stay, or not as it is.
pub(super) fn shutdown(text: &str) -> Reason {
    Reason::new(["shutdown", text])
}
