//! The database of generation 2, shared by all nodes (PROTOCOL.md, "Generation 2: the database").
//!
//! Every node has a *local database* of families of keys. *Global* nodes, as a rule the seeds,
//! collect the local databases of the nodes that chose them as *master*, their slaves, tell each
//! other of them and answer questions about all of them merged. A global node is its own master.
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
//! | [`open`] | what it holds of them |
//! | [`search`] | what it does without a master |
//! | [`role`] | what a global node does for others |
//! | [`global`] | the databases that a global node holds, merged |
//! | [`keepalive`] | the links of a global node to all others |
//! | [`observe`] | what a bridge between generations hears |
//! | [`request`] | what is said on the wire |
//! | [`state`], [`terms`] | what a node knows; what goes in and comes out |
//! | [`val`] | a value |
//! | [`values`] | keys and values, and how much of them there may be |
//!
//! A global node's questions to itself take the way of its slaves' questions, but for the wire.

mod global;
mod keepalive;
mod local;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod model;
mod observe;
mod open;
mod request;
mod role;
mod search;
mod state;
mod terms;
mod val;
mod values;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use request::{Kind, Request};
pub(crate) use state::State;
pub(crate) use terms::{Change, Config, Effect, Input, LISTENERS, STAND_INS, Seeds, Seen, Timer};
pub(crate) use val::Val;
pub(crate) use values::Limits;

use crate::mesh::line::line;
use crate::proto::NodeId;
use crate::proto::verb::DatabaseVerb;
use state::Peer;

impl State {
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
            Input::Observe => self.observe(),
            Input::StopObserving => self.stop_observing(),
            Input::Find(node) => self.find(node),
            Input::ConnectFailed(node) => self.local.stop_find(&node),
            Input::Set { family, key, value } => self.set(family, key, value.into()),
            Input::Del { family, keys } => self.del(family, keys),
            Input::Query { id, kind, family } => self.query(id, kind, family),
            Input::Forget(id) => drop(self.local.forget(id)),
            Input::Monitor { id, family } => self.monitor(id, family),
            Input::Unmonitor { id, family } => self.unmonitor(id, family),
            Input::Seeds(seeds) => self.seeds(seeds),
            Input::Timer(Timer::Keepalive(n)) => self.keepalive_timer(n),
            Input::Timer(Timer::Search(n)) => self.search_timer(n),
        }
        self.settle_search();
        self.settle_finds();
        self.keep_alive();
        std::mem::take(&mut self.effects)
    }

    /// Whether anything is done with what a node says with this verb and this first argument. What
    /// is not listened to need not be read.
    pub(crate) fn listens(&self, from: &NodeId, verb: DatabaseVerb, about: &str) -> bool {
        if !self.peers.contains_key(from) {
            return false;
        }
        let of_master = self.local.master.as_ref() == Some(from);
        let watched = || self.local.watched.get(about);
        match verb {
            DatabaseVerb::Reply => of_master && self.local.on_wire.contains_key(about),
            DatabaseVerb::Found => of_master && self.local.finds.contains_key(&NodeId::new(about)),
            DatabaseVerb::Chg1 => of_master && watched().is_some(),
            DatabaseVerb::Chg2 => of_master && watched().is_some_and(|watched| !watched.waiting),
            DatabaseVerb::Set | DatabaseVerb::Upd => self.is_global(),
            DatabaseVerb::Global
            | DatabaseVerb::Slave
            | DatabaseVerb::Find
            | DatabaseVerb::DbFamily
            | DatabaseVerb::DbKeys
            | DatabaseVerb::DbValues
            | DatabaseVerb::Mon0
            | DatabaseVerb::Mon1 => true,
        }
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

    /// How much memory it takes what a node told us, in octets.
    pub(crate) fn held_by(&self, node: &NodeId) -> usize {
        let global = self.global.as_ref();
        global.map_or(0, |global| global.held_by(node))
    }

    /// With the next request of a node that may grow by so many octets.
    pub(crate) fn make_room(&mut self, octets: usize) {
        self.config.limits.room = octets;
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
        self.log(8, line!(master: "new master node: {master}."));
        self.local.master = Some(master);
        self.seeds(Seeds::Some);
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
            Request::Unheard => {}
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
}
