//! The control plane: carries out what the rules of [`mesh`](crate::mesh) decide.
//!
//! The rules are told what happens, under one lock that no message between ports ever takes, and
//! their effects are carried out in their order before it is given back. What is for the program
//! (followers of groups, answers and changes of the database) is kept here beside them.

mod database;
mod effects;
mod groups;
mod questions;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::log::log_at;
use crate::mesh::reading::Unread;
use crate::mesh::state::{self, Connect, Evidence, Input, State};
use crate::mesh::told::Told;
use crate::mesh::{Seen, database as db};
use crate::node::Inner;
use crate::node::held::{Level, STEP};
use crate::node::limits::Limit;
use crate::node::random::Random;
use crate::node::request::{Origin, may_say, may_set};
use crate::proto::generation::Generations;
use crate::proto::handshake;
use crate::proto::id::perl_counter;
use crate::proto::{Generation, Message, NodeId, PortId};
use groups::Followers;
use questions::Questions;

pub(crate) use questions::{Answer, Changes, NoGlobalNode};

pub(crate) struct Control(Mutex<Rules>);

/// What is known of the mesh, in the ways of all generations.
struct Rules {
    /// Generations 0 and 1, the groups and the seeds.
    gossip: State,
    /// Generation 2.
    database: db::State,
    questions: Questions,
    followers: Followers,
    seen: ForBridge,
    /// What is kept of what the nodes said, if it is worth counting.
    held: HashMap<NodeId, Level>,
    /// The nodes that others told us of.
    told: Told,
}

/// What a bridge is to hear of the database, in order. It is told without any lock.
#[derive(Default)]
struct ForBridge {
    queue: VecDeque<Seen>,
    /// Somebody is at it.
    telling: bool,
}

impl Rules {
    /// Tells the rules something, and carries out what follows, in order.
    fn input(&mut self, node: &Arc<Inner>, input: Input) {
        let effects = self.gossip.handle(input);
        self.carry_out(node, effects);
    }

    /// The same for the database.
    fn database(&mut self, node: &Arc<Inner>, input: db::Input) {
        let effects = self.database.handle(input);
        let connects = |effect: &db::Effect| matches!(effect, db::Effect::Connect(..));
        let connects = effects.iter().any(connects);
        for effect in effects {
            self.perform_database(node, effect);
        }
        if connects {
            self.connect_to_told(node);
        }
    }
}

/// Counts it if something was not read for a limit.
fn count(node: &Inner, unread: &Unread) {
    match unread {
        Unread::TooMuch(_) => node.limits.met(Limit::Request),
        Unread::LongName(_) => node.limits.met(Limit::Name),
        Unread::Wrong(_) => {}
    }
}

impl Control {
    pub(crate) fn new(
        own: NodeId,
        cookie: String,
        config: state::Config,
        limits: db::Limits,
        most_told: usize,
        random: &Random,
    ) -> Self {
        let mut n = 0;
        let name = move || {
            n += 1;
            format!("{cookie}.{}", perl_counter(n - 1))
        };
        let database = db::Config {
            monitor_timeout: config.monitor_timeout,
            limits,
        };
        let source = || {
            let random = random.clone();
            Box::new(move || random.fraction())
        };
        Control(Mutex::new(Rules {
            database: db::State::new(own.clone(), database, source()),
            gossip: State::new(own, config, Box::new(name), source()),
            questions: Questions::default(),
            followers: Followers::default(),
            seen: ForBridge::default(),
            held: HashMap::new(),
            told: Told::new(most_told),
        }))
    }

    /// Feeds an input in and carries out what follows, in order.
    fn input(&self, node: &Arc<Inner>, input: Input) {
        self.0.lock().input(node, input);
    }

    /// The same for the database.
    fn database(&self, node: &Arc<Inner>, input: db::Input) {
        self.0.lock().database(node, input);
    }

    /// Has a node say something that is kept, as far as there is room in its account.
    fn held(&self, node: &Arc<Inner>, from: &NodeId, say: impl FnOnce(&mut Rules)) {
        let Some(peer) = node.peers.get(from.as_str()) else {
            return; // its link is lost
        };
        let mut state = self.0.lock();
        let room = peer.account.room();
        state.gossip.room = room;
        state.database.make_room(room);
        say(&mut state);
        let now = state.gossip.groups.held_by(from) + state.database.held_by(from);
        match state.held.get_mut(from) {
            Some(level) => level.force(now),
            None if now >= STEP => {
                let mut level = peer.account.level();
                level.force(now);
                state.held.insert(from.clone(), level);
            }
            None => {}
        }
    }

    pub(crate) fn node_up(&self, node: &Arc<Inner>, id: &NodeId) {
        let Some(link) = node.peers.get(id.as_str()).and_then(|peer| peer.link()) else {
            return;
        };
        let generation = link.generation();
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
                db::Input::Up {
                    node: node_id,
                    seed,
                },
            );
        }
    }

    pub(crate) fn node_down(&self, node: &Arc<Inner>, id: &NodeId) {
        let mut state = self.0.lock();
        state.told.gone(id);
        state.input(node, Input::Down(id.clone()));
        state.database(node, db::Input::Down(id.clone()));
        state.held.remove(id);
    }

    /// A peer said something to the port that it spawned here.
    pub(crate) fn message(&self, node: &Arc<Inner>, from: &NodeId, message: &Message) {
        let link = node.peers.get(from.as_str()).and_then(|peer| peer.link());
        let rights = link.as_ref().and_then(|link| link.rights());
        let rights = rights.as_deref();
        if rights.is_some()
            && let Some(verb) = message.tag()
            && !may_say(node, from, rights, &verb)
        {
            return;
        }
        match state::Gossip::parse(message, node.settings.bounds()) {
            Ok(Some(mut gossip)) => {
                if let Some(link) = &link
                    && rights.is_some()
                {
                    let may_set = |group: &str| may_set(node, from, rights, group);
                    if !gossip.retain_groups(link.generation(), may_set) {
                        return;
                    }
                }
                let observer = node.observer.get();
                let seen = observer.map(|observer| (observer, gossip.clone()));
                self.held(node, from, |state| {
                    state.input(node, Input::Gossip(from.clone(), gossip));
                });
                if let Some((observer, gossip)) = seen {
                    observer.gossip(node, from, gossip);
                }
            }
            Ok(None) => {}
            Err((tag, unread)) => {
                count(node, &unread);
                log_at!(
                    2,
                    [from.as_str()],
                    "{from} said something about the mesh that is wrong: {tag}: {unread}"
                );
            }
        }
    }

    /// A node made a request about the database. False if it is about something else.
    pub(crate) fn request(
        &self,
        node: &Arc<Inner>,
        origin: &Origin<'_>,
        message: &Message,
    ) -> Result<bool, String> {
        use crate::proto::verb::DatabaseVerb;
        use db::Request;
        let (from, rights) = (&origin.peer.id, origin.rights);
        if rights.is_some()
            && let Some(verb) = message.tag()
            && !may_say(node, from, rights, &verb)
        {
            return Ok(true);
        }
        let is_stand_in = node.relay.is_some();
        let listens = |verb, about: &str| match is_stand_in {
            // A stand-in has no part in the database.
            true => verb == DatabaseVerb::Find,
            false => self.0.lock().database.listens(from, verb, about),
        };
        let mut request = match Request::parse(message, node.settings.bounds(), listens) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(false),
            Err((verb, unread)) => {
                count(node, &unread);
                return Err(format!("{verb}: {unread}"));
            }
        };
        if rights.is_some()
            && !request.retain_families(|family| may_set(node, from, rights, family))
        {
            return Ok(true);
        }
        match request {
            Request::Find(whom) if is_stand_in => {
                if let Some(answer) = Request::Found(whom, None).to_message() {
                    effects::send(node, &from.node_port(), &answer);
                }
            }
            _ if is_stand_in => {}
            request => self.held(node, from, |state| {
                state.database(node, db::Input::Request(from.clone(), request));
            }),
        }
        Ok(true)
    }

    /// A message waits for a node that we are not connected to.
    pub(crate) fn want(&self, node: &Arc<Inner>, id: &NodeId) {
        let mut state = self.0.lock();
        state.input(node, Input::Want(id.clone()));
        state.database(node, db::Input::Find(id.clone()));
    }

    /// An attempt to connect to a node is over: if it was one of those that we were told of, there
    /// is room for the next.
    pub(crate) fn attempt_ended(&self, node: &Arc<Inner>, id: &NodeId) {
        let mut state = self.0.lock();
        if state.told.ended(id) {
            state.connect_to_told(node);
        }
    }

    /// No message waits for it any more: it could not be reached.
    pub(crate) fn want_no_more(&self, node: &Arc<Inner>, id: &NodeId) {
        self.database(node, db::Input::ConnectFailed(id.clone()));
    }

    pub(crate) fn listen(&self, node: &Arc<Inner>, listeners: Vec<String>) {
        let mut state = self.0.lock();
        state.input(node, Input::Listeners(listeners.clone()));
        state.database(node, db::Input::Listeners(listeners));
    }

    pub(crate) fn add_seeds(&self, node: &Arc<Inner>, seeds: Vec<String>) {
        if !seeds.is_empty() {
            self.has_seeds(node, db::Seeds::Some);
        }
        for seed in &seeds {
            node.seeds.add(seed);
        }
        self.input(node, Input::Seeds(seeds));
    }

    /// A connection to a seed got the seed's greeting.
    pub(crate) fn seed_is(
        &self,
        node: &Arc<Inner>,
        seed: &str,
        peer: &handshake::Peer,
        evidence: Evidence,
    ) {
        let id = peer.greeting.node.clone();
        node.seeds.found(seed, &id);
        let mut state = self.0.lock();
        let found = Input::SeedIs(seed.to_owned(), id.clone(), peer.generation, evidence);
        state.input(node, found);
        state.database(node, db::Input::IsSeed(id));
    }

    /// An attempt to connect to a seed is over.
    pub(crate) fn seed_ended(&self, node: &Arc<Inner>, seed: &str) {
        self.input(node, Input::SeedEnded(seed.to_owned()));
    }

    /// It is over, as the seed is this very node.
    pub(crate) fn seed_is_ourselves(&self, node: &Arc<Inner>, seed: &str) {
        node.seeds.remove(seed);
        self.input(node, Input::SeedIsOurselves(seed.to_owned()));
    }

    /// The node has a stand-in in the generation of that number, at these addresses.
    pub(crate) fn vouch(&self, node: &Arc<Inner>, id: &NodeId, number: u32, at: Vec<String>) {
        let mut state = self.0.lock();
        if number == 2 {
            // In this order nobody takes it for the node itself.
            let own = Value::from(node.id.as_str());
            let listeners = Value::from(at.clone());
            for (family, value) in [(db::STAND_INS, own), (db::LISTENERS, listeners)] {
                let (family, key) = (family.to_owned(), id.to_string());
                state.database(node, db::Input::Set { family, key, value });
            }
        }
        state.input(node, Input::Vouch(id.clone(), number, at));
    }

    /// The node has a stand-in there no more.
    pub(crate) fn unvouch(&self, node: &Arc<Inner>, id: &NodeId, number: u32) {
        let mut state = self.0.lock();
        if number == 2 {
            for family in [db::LISTENERS, db::STAND_INS] {
                let (family, keys) = (family.to_owned(), vec![id.to_string()]);
                state.database(node, db::Input::Del { family, keys });
            }
        }
        state.input(node, Input::Unvouch(id.clone(), number));
    }

    /// What the database knows of a node: where it listens, and the families that its ports are in.
    pub(crate) fn in_database(&self, id: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        self.0.lock().database.known_of(id)
    }

    /// The node's observer is to hear of the database.
    pub(crate) fn observe(&self, node: &Arc<Inner>) {
        self.database(node, db::Input::Observe);
    }

    /// The node's observer is to hear of the database no more.
    pub(crate) fn stop_observing(&self, node: &Arc<Inner>) {
        self.database(node, db::Input::StopObserving);
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

    /// A node that a stand-in is to connect to: at once, except in generation 2, where links are
    /// made on demand.
    pub(crate) fn learn(&self, node: &Arc<Inner>, id: &NodeId, addresses: Vec<String>) {
        let connect = match node.handshake.generations {
            Generations::Only(2) => Connect::OnDemand,
            _ => Connect::AtOnce,
        };
        self.input(node, Input::Learn(id.clone(), addresses, connect));
    }

    /// Where a node listens, as it has told itself, or the database does.
    pub(crate) fn listeners_of(&self, id: &NodeId) -> Vec<String> {
        let state = self.0.lock();
        let mut all = state.gossip.addresses_of(id);
        let listed = state.database.listeners(id).unwrap_or_default();
        for address in listed {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// What a node said of itself: its addresses and the groups of its ports.
    pub(crate) fn said_by(&self, id: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        self.0.lock().gossip.said_by(id)
    }

    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.followers.close();
        state.questions.close();
    }
}
