//! The database of generation 2, shared by all nodes (PROTOCOL.md, "Generation 2: the database").
//!
//! Every node has a *local database* of families of keys. *Global* nodes, as a rule the seeds, collect
//! the local databases of the nodes that chose them as *master*, their slaves, tell each other of them
//! and answer questions about all of them merged. A global node is its own master.
//!
//! ```text
//! ordinary node ── g_slave, g_upd, g_mon1, g_db_* ──► its master ◄── g_global, g_set, g_upd ──► other
//!               ◄── g_chg1, g_chg2, g_reply ───────── (global)                                  global nodes
//! ```
//!
//! This is a state machine without sockets or clocks: [`Input`]s in, [`Effect`]s out. Its parts:
//!
//! | module | does |
//! |---|---|
//! | [`local`] | what any node does: its own keys, questions, monitors |
//! | [`role`] | what a global node does for others |
//! | [`global`] | the databases that a global node holds, merged |
//! | [`keepalive`] | the links of a global node to all others |
//! | [`observe`] | what a bridge between generations hears |
//! | [`request`] | what is said on the wire |
//! | [`values`] | keys and values, and how much of them there may be |
//!
//! A global node's questions to itself take the way of its slaves' questions, but for the wire.

mod global;
mod keepalive;
mod local;
mod observe;
mod request;
mod role;
mod values;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::proto::verb::DatabaseVerb;
use crate::proto::{Message, NodeId};
use global::Global;
use keepalive::Keepalive;
use local::Local;
pub(crate) use observe::Seen;
pub(crate) use request::Request;
pub(crate) use values::Limits;
use values::{Family, Val};

/// The family of the nodes' listeners.
pub(crate) const LISTENERS: &str = "'l";
/// The family of the global nodes.
pub(crate) const GLOBALS: &str = "'g";
/// The family of the stand-ins of bridges: a node's ID, and that of its bridge.
pub(crate) const STAND_INS: &str = "aemp-bridge";

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A generation 2 node is connected. `seed`: it is at one of our seed addresses.
    Up {
        node: NodeId,
        seed: bool,
    },
    /// A node turned out to be at a seed address.
    IsSeed(NodeId),
    Down(NodeId),
    /// A peer said something.
    Request(NodeId, Request),
    /// Where we listen.
    Listeners(Vec<String>),
    /// We are our own seed, or the program wants it.
    BecomeGlobal,
    /// A bridge wants to hear of all changes and to have links to all nodes, or does so no more. It
    /// makes us a global node.
    Observe(bool),
    /// A message waits for a node that is not connected.
    Find(NodeId),
    /// No message waits for it any more.
    ConnectFailed(NodeId),
    Set {
        family: String,
        key: String,
        value: Value,
    },
    Del {
        family: String,
        keys: Vec<String>,
    },
    /// A question of the program. `id` is its own choice, not in use by another open question.
    Query {
        id: u64,
        kind: Kind,
        family: String,
    },
    /// Nobody wants the answer any more.
    Forget(u64),
    /// A monitor of the program's begins. `id` is its own choice, not in use by another monitor.
    Monitor {
        id: u64,
        family: String,
    },
    Unmonitor {
        id: u64,
        family: String,
    },
    Timer(Timer),
}

/// What is asked about a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its keys and values: an object.
    Family,
    /// Its keys: a list of strings.
    Keys,
    /// Its values: a list.
    Values,
}

impl Kind {
    fn verb(self) -> DatabaseVerb {
        match self {
            Kind::Family => DatabaseVerb::DbFamily,
            Kind::Keys => DatabaseVerb::DbKeys,
            Kind::Values => DatabaseVerb::DbValues,
        }
    }
}

/// What was to happen later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Timer {
    /// Try again to connect to missing global nodes. Only the newest such timer counts.
    Keepalive(u64),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Say this to the node port of a node that is up.
    Send(NodeId, Message),
    /// Connect to a node at these addresses: it was to be found, or is a global node that we keep a
    /// link to. There is at least one address.
    Connect(NodeId, Vec<String>),
    /// The node that was to be found has no known address: what waits for it fails.
    Unknown(NodeId),
    /// The answer to a question. Its form is that of the [`Kind`] asked for, whatever the master said.
    Reply(u64, Value),
    /// For these monitors: what changed.
    Changed {
        ids: Vec<u64>,
        change: Change,
    },
    /// For the bridge.
    Seen(Seen),
    After(Duration, Timer),
    Log(u8, String),
}

/// How a family is not what it was before.
///
/// A monitor's first change lists what there is as added, and comes even if that is nothing. No later
/// one is empty. A key is added only if it is not there, changed or deleted only if it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) family: String,
    pub(crate) added: BTreeMap<String, Value>,
    /// Keys with another value than before, and that value.
    pub(crate) changed: BTreeMap<String, Value>,
    /// Keys that are gone, and the last value of each.
    pub(crate) deleted: BTreeMap<String, Value>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.deleted.is_empty()
    }
}

/// The settings that the rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) monitor_timeout: Duration,
    pub(crate) limits: Limits,
}

/// A connected node.
#[derive(Debug, Default)]
struct Peer {
    seed: bool,
    /// It is global and has told us the databases of its slaves.
    merged: bool,
}

pub(crate) struct State {
    own: NodeId,
    config: Config,
    random: Box<dyn FnMut() -> f64 + Send>,
    peers: BTreeMap<NodeId, Peer>,
    /// Those peers that are global nodes.
    globals: BTreeSet<NodeId>,
    local: Local,
    /// There once we are a global node.
    global: Option<Global>,
    keepalive: Keepalive,
    effects: Vec<Effect>,
}

impl State {
    /// `random` gives numbers from 0 to below 1.
    pub(crate) fn new(own: NodeId, config: Config, random: Box<dyn FnMut() -> f64 + Send>) -> Self {
        State {
            own,
            config,
            random,
            peers: BTreeMap::new(),
            globals: BTreeSet::new(),
            local: Local::default(),
            global: None,
            keepalive: Keepalive::default(),
            effects: Vec::new(),
        }
    }

    /// Whether this is a global node. It stays one.
    pub(crate) fn is_global(&self) -> bool {
        self.global.is_some()
    }

    /// The node that answers our questions: this one if it is global.
    pub(crate) fn master(&self) -> Option<&NodeId> {
        self.local.master.as_ref()
    }

    /// The connected nodes that are global.
    #[cfg(test)]
    pub(crate) fn global_nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.globals.iter()
    }

    /// Takes an input; the effects are to be carried out in their order.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Up { node, seed } => self.up(node, seed),
            Input::IsSeed(node) => self.is_seed(&node),
            Input::Down(node) => self.down(&node),
            Input::Request(from, request) if self.peers.contains_key(&from) => {
                self.request(&from, request);
            }
            Input::Request(..) => {}
            Input::Listeners(listeners) => {
                let own = self.own.to_string();
                self.set(LISTENERS.to_owned(), own, Value::from(listeners).into());
            }
            Input::BecomeGlobal => self.become_global(),
            Input::Observe(begins) => self.observe(begins),
            Input::Find(node) => self.find(node),
            Input::ConnectFailed(node) => self.local.stop_find(&node),
            Input::Set { family, key, value } => self.set(family, key, value.into()),
            Input::Del { family, keys } => self.del(family, keys),
            Input::Query { id, kind, family } => self.query(id, kind, family),
            Input::Forget(id) => drop(self.local.forget(id)),
            Input::Monitor { id, family } => self.monitor(id, family),
            Input::Unmonitor { id, family } => self.unmonitor(id, family),
            Input::Timer(Timer::Keepalive(n)) => self.keepalive_timer(n),
        }
        self.settle_finds();
        self.keep_alive();
        std::mem::take(&mut self.effects)
    }

    fn up(&mut self, node: NodeId, seed: bool) {
        if node == self.own {
            return;
        }
        if self.peers.contains_key(&node) {
            self.down(&node);
        }
        let peer = Peer {
            seed,
            ..Peer::default()
        };
        self.peers.insert(node.clone(), peer);
        self.local.stop_find(&node);
        if seed {
            self.send(&node, Request::Slave(None));
        }
        if self.is_global() {
            self.send(&node, Request::Global);
        } else if seed && self.local.master.is_none() {
            self.set_master(node);
        }
    }

    fn is_seed(&mut self, node: &NodeId) {
        let Some(peer) = self.peers.get_mut(node) else {
            return;
        };
        if std::mem::replace(&mut peer.seed, true) {
            return;
        }
        self.send(node, Request::Slave(None));
        if self.local.master.is_none() {
            self.set_master(node.clone());
        }
    }

    fn down(&mut self, node: &NodeId) {
        if self.peers.remove(node).is_none() {
            return;
        }
        self.globals.remove(node);
        if self.is_global() {
            self.disconnected(node);
        }
        if self.local.master.as_ref() == Some(node) {
            self.local.master = None;
            let seed = self.peers.iter().find(|(_, peer)| peer.seed);
            if let Some(seed) = seed.map(|(id, _)| id.clone()) {
                self.set_master(seed);
            }
        }
    }

    fn set_master(&mut self, master: NodeId) {
        self.log(8, || format!("new master node: {master}."));
        self.local.master = Some(master);
        let db = self.local.db.clone();
        self.tell_master(Request::Slave(Some(db)));
        for request in self.local.open() {
            self.tell_master(request);
        }
    }

    /// A peer, or this node itself, said this.
    fn request(&mut self, from: &NodeId, request: Request) {
        let of_master = self.local.master.as_ref() == Some(from);
        match request {
            Request::Reply(id, result) if of_master => self.replied(&id, result),
            Request::Found(node, addresses) if of_master => self.found(&node, addresses),
            Request::Chg1(family, content) if of_master => self.content(from, family, content),
            Request::Chg2 { family, set, del } if of_master => {
                self.change(from, family, set, del);
            }
            Request::Reply(..) | Request::Found(..) | Request::Chg1(..) | Request::Chg2 { .. } => {}
            Request::Global => self.peer_is_global(from),
            Request::Slave(db) => {
                self.become_global();
                if let Some(db) = db {
                    self.slave(from, db);
                }
            }
            Request::Set(_)
            | Request::Upd { .. }
            | Request::Find(_)
            | Request::Query { .. }
            | Request::Mon0(_)
            | Request::Mon1(_) => self.serve(from, request),
        }
    }

    /// Says something to a node. What this node says to itself is done at once.
    fn send(&mut self, to: &NodeId, request: Request) {
        if *to == self.own {
            self.request(&to.clone(), request);
        } else if let Some(message) = request.to_message() {
            self.effects.push(Effect::Send(to.clone(), message));
        }
    }

    fn tell_master(&mut self, request: Request) {
        if let Some(master) = self.local.master.clone() {
            self.send(&master, request);
        }
    }

    /// Says what happens, if anybody listens.
    fn log(&mut self, level: u8, text: impl FnOnce() -> String) {
        if crate::log::is_enabled(level) {
            self.effects.push(Effect::Log(level, text()));
        }
    }
}
