//! Who is out there: seeds, addresses, groups (PROTOCOL.md, "The mesh").
//!
//! The rules are two state machines without sockets or clocks, [`state`] for generations 0 and 1 and
//! [`database`] for generation 2: inputs in, [`Effect`]s out. This module carries the effects out. It is the control plane: small, in order, behind one lock
//! that no message between ports ever takes.

mod database;
mod desk;
pub(crate) mod groups;
mod seeds;
pub(crate) mod state;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

pub(crate) use database::{Change, Kind, Seen};
pub(crate) use desk::Changes;

use crate::log::log_at;
use crate::node::{GroupChanges, Inner};
use crate::proto::generation::Generations;
use crate::proto::handshake;
use crate::proto::id::perl_counter;
use crate::proto::{Generation, Message, NodeId, PortId};
use desk::Desk;
use groups::Source;
use state::{Effect, Input, State, Timer};

/// The function that a peer spawns to talk about the mesh.
pub(crate) const CONNECT: &str = "AnyEvent::MP::Global::connect";

/// The service that makes a node of generation 2 a global one.
pub(crate) const GLOBAL_SERVICE: &str = "AnyEvent::MP::Global::";

pub(crate) struct Mesh(Mutex<Both>);

/// What is known of the mesh, in the ways of all generations.
struct Both {
    /// Generations 0 and 1, the groups and the seeds.
    gossip: State,
    /// Generation 2.
    database: database::State,
    desk: Desk,
    seen: ForBridge,
}

/// What a bridge is to hear of the database, in order. It is told without any lock.
#[derive(Default)]
struct ForBridge {
    queue: VecDeque<Seen>,
    /// Somebody is at it.
    telling: bool,
}

impl Both {
    fn input(&mut self, node: &Arc<Inner>, input: Input) {
        for effect in self.gossip.handle(input) {
            self.perform(node, effect);
        }
    }

    fn database(&mut self, node: &Arc<Inner>, input: database::Input) {
        for effect in self.database.handle(input) {
            self.perform_database(node, effect);
        }
    }
}

impl Mesh {
    pub(crate) fn new(own: NodeId, cookie: String, config: state::Config) -> Self {
        let mut n = 0;
        let name = move || {
            n += 1;
            format!("{cookie}.{}", perl_counter(n - 1))
        };
        let database = database::Config {
            monitor_timeout: config.monitor_timeout,
            limits: database::Limits::default(),
        };
        let random = || Box::new(rand::random::<f64>);
        Mesh(Mutex::new(Both {
            database: database::State::new(own.clone(), database, random()),
            gossip: State::new(own, config, Box::new(name), random()),
            desk: Desk::default(),
            seen: ForBridge::default(),
        }))
    }

    /// Feeds an input in and carries out what follows, in order.
    fn input(&self, node: &Arc<Inner>, input: Input) {
        self.0.lock().input(node, input);
    }

    /// The same for the database.
    fn database(&self, node: &Arc<Inner>, input: database::Input) {
        self.0.lock().database(node, input);
    }

    pub(crate) fn node_up(&self, node: &Arc<Inner>, id: &NodeId) {
        let Some(link) = node.peers.get(id.as_str()).and_then(|peer| peer.link()) else {
            return;
        };
        let generation = link.info.generation;
        let ours = node.handshake.generations;
        let both = |number: &u32| ours.allows(*number) && link.info.speaks(*number);
        let speaks = Generations::KNOWN.into_iter().filter(both).collect();
        let mut state = self.0.lock();
        state.input(
            node,
            Input::Up {
                node: id.clone(),
                generation,
                speaks,
            },
        );
        if generation == Generation::Gen2 {
            let seed = state.gossip.is_seed(id);
            let node_id = id.clone();
            state.database(
                node,
                database::Input::Up {
                    node: node_id,
                    seed,
                },
            );
        }
    }

    pub(crate) fn node_down(&self, node: &Arc<Inner>, id: &NodeId) {
        let mut state = self.0.lock();
        state.input(node, Input::Down(id.clone()));
        state.database(node, database::Input::Down(id.clone()));
    }

    /// A peer said something to the port that it spawned here.
    pub(crate) fn message(&self, node: &Arc<Inner>, from: &NodeId, message: &Message) {
        let parsed = state::Gossip::parse(message);
        match parsed {
            Ok(Some(gossip)) => {
                self.input(node, Input::Gossip(from.clone(), gossip.clone()));
                if let Some(observer) = node.observer.get() {
                    observer.gossip(node, from, gossip);
                }
            }
            Ok(None) => {}
            Err(problem) => log_at!(
                2,
                "{from} said something about the mesh that is wrong: {problem}"
            ),
        }
    }

    /// A node made a request about the database. False if it is about something else.
    pub(crate) fn request(
        &self,
        node: &Arc<Inner>,
        from: &NodeId,
        message: &Message,
    ) -> Result<bool, String> {
        use database::Request;
        let request = Request::parse(message)?;
        let is_one = request.is_some();
        match request {
            // A stand-in has no part in the database.
            Some(Request::Find(whom)) if node.relay.is_some() => {
                if let Some(answer) = Request::Found(whom, None).to_message() {
                    send(node, &from.node_port(), &answer);
                }
            }
            Some(_) if node.relay.is_some() => {}
            Some(request) => {
                self.database(node, database::Input::Request(from.clone(), request));
            }
            None => {}
        }
        Ok(is_one)
    }

    /// A message waits for a node that we are not connected to.
    pub(crate) fn want(&self, node: &Arc<Inner>, id: &NodeId) {
        let mut state = self.0.lock();
        state.input(node, Input::Want(id.clone()));
        state.database(node, database::Input::Find(id.clone()));
    }

    /// No message waits for it any more: it could not be reached.
    pub(crate) fn want_no_more(&self, node: &Arc<Inner>, id: &NodeId) {
        self.database(node, database::Input::ConnectFailed(id.clone()));
    }

    pub(crate) fn listen(&self, node: &Arc<Inner>, listeners: Vec<String>) {
        let mut state = self.0.lock();
        state.input(node, Input::Listeners(listeners.clone()));
        state.database(node, database::Input::Listeners(listeners));
    }

    pub(crate) fn add_seeds(&self, node: &Arc<Inner>, seeds: Vec<String>) {
        self.input(node, Input::Seeds(seeds));
    }

    /// A connection to a seed got the seed's greeting.
    pub(crate) fn seed_greeted(&self, node: &Arc<Inner>, seed: &str, peer: &handshake::Peer) {
        let id = peer.greeting.node.clone();
        let mut state = self.0.lock();
        let found = Input::SeedIs(seed.to_owned(), id.clone(), peer.generation);
        state.input(node, found);
        state.database(node, database::Input::IsSeed(id));
    }

    /// An attempt to connect to a seed is over. `own`: the seed is this very node.
    pub(crate) fn seed_ended(&self, node: &Arc<Inner>, seed: &str, own: bool) {
        self.input(node, Input::SeedEnded(seed.to_owned(), own));
    }

    // Groups

    pub(crate) fn register(&self, node: &Arc<Inner>, group: &str, port: &PortId) -> bool {
        let mut state = self.0.lock();
        let (added, effects) = state.gossip.register(group, port);
        for effect in effects {
            state.perform(node, effect);
        }
        if added {
            let set = database::Input::Set {
                family: group.to_owned(),
                key: port.to_string(),
                value: Value::Null,
            };
            state.database(node, set);
        }
        added
    }

    pub(crate) fn unregister(&self, node: &Arc<Inner>, group: &str, port: &PortId) {
        let mut state = self.0.lock();
        let (removed, effects) = state.gossip.unregister(group, port);
        if removed {
            let del = database::Input::Del {
                family: group.to_owned(),
                keys: vec![port.to_string()],
            };
            state.database(node, del);
        }
        for effect in effects {
            state.perform(node, effect);
        }
    }

    /// The node has a stand-in in the generation of that number, at these addresses.
    pub(crate) fn vouch(&self, node: &Arc<Inner>, id: &NodeId, number: u32, at: Vec<String>) {
        let mut state = self.0.lock();
        if number == 2 {
            // In this order nobody takes it for the node itself.
            let own = Value::from(node.id.as_str());
            let listeners = Value::from(at.clone());
            for (family, value) in [(database::STAND_INS, own), (database::LISTENERS, listeners)] {
                let (family, key) = (family.to_owned(), id.to_string());
                state.database(node, database::Input::Set { family, key, value });
            }
        }
        state.input(node, Input::Vouch(id.clone(), number, at));
    }

    /// The node has a stand-in there no more.
    pub(crate) fn unvouch(&self, node: &Arc<Inner>, id: &NodeId, number: u32) {
        let mut state = self.0.lock();
        if number == 2 {
            for family in [database::LISTENERS, database::STAND_INS] {
                let (family, keys) = (family.to_owned(), vec![id.to_string()]);
                state.database(node, database::Input::Del { family, keys });
            }
        }
        state.input(node, Input::Unvouch(id.clone(), number));
    }

    /// What the database knows of a node: where it listens, and the families that its ports are in.
    pub(crate) fn in_database(&self, id: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        self.0.lock().database.known_of(id)
    }

    /// The node's observer begins to hear of the database, or stops.
    pub(crate) fn observe(&self, node: &Arc<Inner>, begins: bool) {
        self.database(node, database::Input::Observe(begins));
    }

    /// Tells the observer what was seen in the database.
    fn tell_observer(&self, node: &Arc<Inner>) {
        loop {
            let seen = {
                let mut state = self.0.lock();
                let seen = state.seen.queue.pop_front();
                state.seen.telling = seen.is_some();
                seen
            };
            let Some(seen) = seen else { return };
            if let Some(observer) = node.observer.get() {
                observer.seen(node, seen);
            }
        }
    }

    /// A node that a stand-in is to connect to: at once, but in generation 2, where links are made on
    /// demand.
    pub(crate) fn learn(&self, node: &Arc<Inner>, id: &NodeId, addresses: Vec<String>) {
        let now = node.handshake.generations != Generations::Only(2);
        self.input(node, Input::Learn(id.clone(), addresses, now));
    }

    /// What a node said of itself: its addresses and the groups of its ports.
    pub(crate) fn said_by(&self, id: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        self.0.lock().gossip.said_by(id)
    }

    pub(crate) fn members(&self, node: &Arc<Inner>, group: &str) -> Vec<PortId> {
        let mut state = self.0.lock();
        state.follow(node, group);
        state.gossip.groups.members(group)
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.0.lock().gossip.groups.names()
    }

    pub(crate) fn monitor(&self, node: &Arc<Inner>, group: &str) -> GroupChanges {
        let mut state = self.0.lock();
        state.follow(node, group);
        state.gossip.groups.monitor(group)
    }

    // The database

    pub(crate) fn db_set(&self, node: &Arc<Inner>, family: &str, key: &str, value: Value) {
        let (family, key) = (family.to_owned(), key.to_owned());
        self.database(node, database::Input::Set { family, key, value });
    }

    pub(crate) fn db_del(&self, node: &Arc<Inner>, family: &str, keys: Vec<String>) {
        let family = family.to_owned();
        self.database(node, database::Input::Del { family, keys });
    }

    /// Asks a question: its ID, and where the answer will come.
    pub(crate) fn db_query(
        &self,
        node: &Arc<Inner>,
        kind: Kind,
        family: &str,
    ) -> (u64, oneshot::Receiver<Value>) {
        let mut state = self.0.lock();
        let (id, answer) = state.desk.query();
        let family = family.to_owned();
        state.database(node, database::Input::Query { id, kind, family });
        (id, answer)
    }

    /// Nobody wants the answer any more.
    pub(crate) fn db_forget(&self, node: &Arc<Inner>, id: u64) {
        let mut state = self.0.lock();
        if state.desk.forget(id) {
            state.database(node, database::Input::Forget(id));
        }
    }

    pub(crate) fn db_monitor(&self, node: &Arc<Inner>, family: &str) -> (u64, Arc<Changes>) {
        let mut state = self.0.lock();
        let (id, changes) = state.desk.monitor();
        let family = family.to_owned();
        state.database(node, database::Input::Monitor { id, family });
        (id, changes)
    }

    pub(crate) fn db_unmonitor(&self, node: &Arc<Inner>, id: u64, family: &str) {
        let mut state = self.0.lock();
        if state.desk.unmonitor(id) {
            let family = family.to_owned();
            state.database(node, database::Input::Unmonitor { id, family });
        }
    }

    pub(crate) fn become_global(&self, node: &Arc<Inner>) {
        self.database(node, database::Input::BecomeGlobal);
    }

    pub(crate) fn is_global(&self) -> bool {
        self.0.lock().database.is_global()
    }

    pub(crate) fn master(&self) -> Option<NodeId> {
        self.0.lock().database.master().cloned()
    }

    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.gossip.groups.close();
        state.desk.close();
    }
}

impl Both {
    /// Sees to it that the database tells of a group's members, too.
    fn follow(&mut self, node: &Arc<Inner>, group: &str) {
        if let Some(id) = self.desk.follow(group) {
            let family = group.to_owned();
            self.database(node, database::Input::Monitor { id, family });
        }
    }

    fn perform(&mut self, node: &Arc<Inner>, effect: Effect) {
        if node.is_stopping() {
            return;
        }
        match effect {
            Effect::Snd(port, message) => send(node, &port, &message),
            Effect::Watch(id, port) => {
                let home = Arc::downgrade(node);
                let watched = port.clone();
                let died = move |_| {
                    if let Some(node) = home.upgrade() {
                        node.mesh.input(&node, Input::BridgeDied(id, watched));
                    }
                };
                node.monitor(&port, crate::node::action(died));
            }
            Effect::Connect(id, addresses, version) => {
                // Only for the version that is greeted with anyway: nodes that speak several do better then.
                let first = node.handshake.first_version();
                if let Some(version) = version.filter(|version| *version == first) {
                    crate::net::expect_version(&addresses, version);
                }
                connect(node, &id, &addresses);
            }
            Effect::Dial(seed) => {
                log_at!(9, "trying connect to seed node {seed}.");
                let home = node.clone();
                node.spawn_task(async move { crate::net::dial_seed(home, seed).await });
            }
            Effect::OwnSeed => {
                if node.handshake.generations.allows(2) {
                    self.database(node, database::Input::BecomeGlobal);
                }
            }
            Effect::After(delay, timer) => after(node, delay, timer),
            Effect::Log(level, text) => log(level, &text),
        }
    }

    fn perform_database(&mut self, node: &Arc<Inner>, effect: database::Effect) {
        use database::Effect;
        if node.is_stopping() {
            return;
        }
        match effect {
            Effect::Send(id, message) => send(node, &id.node_port(), &message),
            Effect::Connect(id, addresses) => connect(node, &id, &addresses),
            Effect::Unknown(id) => {
                // Where there may be gossip, it may still tell.
                if node.handshake.generations == Generations::Only(2)
                    && let Some(peer) = node.peers.get(id.as_str())
                {
                    peer.stop_connecting(node, "no known address");
                }
            }
            Effect::Reply(id, value) => self.desk.answer(id, value),
            Effect::Seen(seen) => {
                self.seen.queue.push_back(seen);
                if !std::mem::replace(&mut self.seen.telling, true) {
                    let home = node.clone();
                    node.spawn_task(async move { home.mesh.tell_observer(&home) });
                }
            }
            Effect::Changed { ids, change } => {
                let mut of_group = false;
                for id in ids {
                    of_group |= !self.desk.tell(id, &change);
                }
                if of_group {
                    self.group_changed(&change);
                }
            }
            Effect::After(delay, timer) => {
                let home = node.clone();
                node.spawn_task(async move {
                    tokio::time::sleep(delay).await;
                    home.mesh.database(&home, database::Input::Timer(timer));
                });
            }
            Effect::Log(level, text) => log(level, &text),
        }
    }

    /// A family that is followed as a group has other keys: the IDs of its members.
    fn group_changed(&mut self, change: &Change) {
        let ports = |keys: &std::collections::BTreeMap<String, Value>| -> Vec<PortId> {
            let keys = keys.keys().filter(|key| !key.is_empty());
            keys.map(|key| PortId::new(key.as_str())).collect()
        };
        let (added, removed) = (ports(&change.added), ports(&change.deleted));
        let groups = &mut self.gossip.groups;
        groups.change(Source::Database, &change.family, added, removed);
    }
}

fn send(node: &Arc<Inner>, port: &PortId, message: &Message) {
    if let Err(error) = node.snd_message(port, message) {
        log_at!(1, "can't send to {port}: {error}");
    }
}

fn connect(node: &Arc<Inner>, id: &NodeId, addresses: &[String]) {
    log_at!(9, "connecting to {id} with [{}]", addresses.join(" "));
    while !node.peers.get_or_add(id.as_str()).connect(node, addresses) {}
}

fn log(level: u8, text: &str) {
    match level {
        1 => log_at!(1, "{text}"),
        2 => log_at!(2, "{text}"),
        7 => log_at!(7, "{text}"),
        8 => log_at!(8, "{text}"),
        _ => log_at!(9, "{text}"),
    }
}

fn after(node: &Arc<Inner>, delay: Duration, timer: Timer) {
    let home = node.clone();
    node.spawn_task(async move {
        tokio::time::sleep(delay).await;
        home.mesh.input(&home, Input::Timer(timer));
    });
}
