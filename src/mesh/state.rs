//! The rules of the mesh in generations 0 and 1, and the seeds of all, as inputs and effects.
//!
//! On each connected node that speaks generation 0 or 1 we own a *bridge*: a port that we spawned there and that takes our gossip.
//! The peer has the same here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::CONNECT;
use super::groups::{Groups, Source};
use super::line::{Line, line};
use super::seeds::Seeds;
use crate::proto::{Generation, Message, NodeId, PortId, Verb};

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Up {
        node: NodeId,
        generation: Generation,
        /// The numbers of the generations that the node speaks.
        speaks: Vec<u32>,
    },
    Down(NodeId),
    Gossip(NodeId, Gossip),
    /// Our bridge on a node is dead.
    BridgeDied(NodeId, PortId),
    /// A message waits for a node that is not connected.
    Want(NodeId),
    Listeners(Vec<String>),
    Seeds(Vec<String>),
    /// A seed's address, who is there, and the generation of the link.
    SeedIs(String, NodeId, Generation),
    SeedEnded(String, bool),
    Timer(Timer),
    /// A bridge has a stand-in for this node in that generation, at these addresses.
    Vouch(NodeId, u32, Vec<String>),
    Unvouch(NodeId, u32),
    /// A stand-in is told of a node by its bridge: where it listens, and whether to connect at once.
    Learn(NodeId, Vec<String>, bool),
}

/// What a peer says to its bridge here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gossip {
    Addr(Vec<String>),
    Nodes(BTreeMap<NodeId, Vec<String>>),
    Set(BTreeMap<String, Vec<PortId>>),
    Reg(bool, [String; 2]),
    Find(NodeId),
    Setup,
    SeedMe(bool),
}

/// What was to happen later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Timer {
    /// Connect to a seed, and to the next later on. Only the newest such timer counts.
    SeedRound(u64),
    /// Connect to one seed.
    SeedTry,
    /// Connect to this seed.
    SeedAgain(String, u64),
    /// Pass on a node's addresses.
    Broadcast(NodeId),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Snd(PortId, Message),
    /// Say when this port of a node dies.
    Watch(NodeId, PortId),
    /// Connect to a node at these addresses, with the greeting version that it is likely to speak.
    Connect(NodeId, Vec<String>, Option<u32>),
    Dial(String),
    /// One of our seeds is this very node.
    OwnSeed,
    After(Duration, Timer),
    /// A line for the log, at that level.
    Log(u8, Line),
}

/// The settings that the rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) connect_interval: Duration,
    pub(crate) monitor_timeout: Duration,
    /// Seeds are tried only while no node is connected, as in generation 0.
    pub(crate) seed_only_when_alone: bool,
    /// The node is the stand-in of a bridge: it hears of others from that alone, and has no master.
    pub(crate) stands_in: bool,
    /// Each seed is tried by itself, as in generation 2, also those that were never reached.
    pub(crate) seeds_are_single: bool,
}

/// What is known of a node.
#[derive(Debug, Default)]
struct Known {
    up: Option<Link>,
    /// What it told us, or another node did: its listeners.
    addresses: Option<Vec<String>>,
    /// Whether it said so itself.
    first_hand: bool,
}

#[derive(Debug)]
struct Link {
    /// The generation whose gossip the node understands. None: it is of generation 2 alone.
    gossip: Option<Generation>,
    speaks: Vec<u32>,
    bridge: Option<PortId>,
    /// It asked us to keep it informed.
    seedme: bool,
}

impl Link {
    fn has_masters(&self) -> bool {
        self.gossip.is_some_and(Generation::has_masters)
    }

    fn is_gen0(&self) -> bool {
        self.gossip == Some(Generation::Gen0)
    }
}

/// The most nodes that are remembered on hearsay.
const MAX_HEARSAY: usize = 10_000;

pub(crate) struct State {
    own: NodeId,
    config: Config,
    nodes: BTreeMap<NodeId, Known>,
    listeners: Vec<String>,
    pub(crate) groups: Groups,
    seeds: Seeds,
    /// The number of the newest timer of the seeds' rounds; 0 before the first.
    seed_round: u64,
    master: Option<NodeId>,
    name: Box<dyn FnMut() -> String + Send>,
    random: Box<dyn FnMut() -> f64 + Send>,
    effects: Vec<Effect>,
    /// The stand-ins of our bridge, by their generation.
    vouched: BTreeMap<(NodeId, u32), Vec<String>>,
}

impl Gossip {
    /// Reads a message to the bridge. `None`: a tag that we don't know, which Perl ignores, too.
    pub(crate) fn parse(message: &Message) -> Result<Option<Self>, String> {
        let Some(tag) = message.tag() else {
            return Ok(None);
        };
        let args = message.without_tag();
        let parsed = match &*tag {
            "addr" => args.args().map(|(list,)| Gossip::Addr(capped(list))),
            "nodes" => args.args().map(|(map,): (BTreeMap<_, Vec<_>>,)| {
                Gossip::Nodes(
                    map.into_iter()
                        .map(|(id, list)| (id, capped(list)))
                        .collect(),
                )
            }),
            "set" => args.args().map(|(map,)| Gossip::Set(map)),
            "reg0" => args.args().map(|pair| Gossip::Reg(false, pair)),
            "reg1" => args.args().map(|pair| Gossip::Reg(true, pair)),
            "find" => args.args().map(|(node,)| Gossip::Find(node)),
            "setup" => Ok(Gossip::Setup),
            "seedme0" => Ok(Gossip::SeedMe(false)),
            "seedme1" => Ok(Gossip::SeedMe(true)),
            _ => return Ok(None),
        };
        let with_tag = |error: crate::proto::ArgsError| format!("{tag}: {error}");
        parsed.map(Some).map_err(with_tag)
    }
}

/// The most addresses of one node that are taken note of.
const MAX_ADDRESSES: usize = 64;

fn capped(mut addresses: Vec<String>) -> Vec<String> {
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

impl State {
    pub(crate) fn new(
        own: NodeId,
        config: Config,
        name: Box<dyn FnMut() -> String + Send>,
        random: Box<dyn FnMut() -> f64 + Send>,
    ) -> Self {
        State {
            own,
            config,
            nodes: BTreeMap::new(),
            listeners: Vec::new(),
            groups: Groups::default(),
            seeds: Seeds::default(),
            seed_round: 0,
            master: None,
            name,
            random,
            effects: Vec::new(),
            vouched: BTreeMap::new(),
        }
    }

    /// Takes an input; the effects are to be carried out in their order.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Up {
                node,
                generation,
                speaks,
            } => self.up(node, generation, speaks),
            Input::Down(node) => self.down(&node),
            Input::Gossip(from, gossip) => self.gossip(&from, gossip),
            Input::BridgeDied(node, port) => self.bridge_died(&node, &port),
            Input::Want(node) => self.want(&node),
            Input::Listeners(listeners) => self.listeners = listeners,
            Input::Seeds(seeds) => self.add_seeds(seeds),
            Input::SeedIs(seed, node, generation) => {
                self.seeds.is(&seed, node, generation == Generation::Gen2);
            }
            Input::SeedEnded(seed, own) => self.seed_ended(&seed, own),
            Input::Timer(Timer::SeedTry) => self.seed_try(),
            Input::Timer(Timer::SeedAgain(seed, wait)) => {
                if self.seeds.is_due(&seed, wait) {
                    self.seed_again(seed);
                }
            }
            Input::Timer(Timer::SeedRound(n)) if n == self.seed_round => self.seed_round(),
            Input::Timer(Timer::SeedRound(_)) => {}
            Input::Timer(Timer::Broadcast(node)) => self.broadcast(&node),
            Input::Vouch(node, number, at) => self.vouch(node, number, at),
            Input::Unvouch(node, number) => {
                self.vouched.remove(&(node, number));
            }
            Input::Learn(node, at, connect) => self.learn(node, at, connect),
        }
        std::mem::take(&mut self.effects)
    }

    fn is_up(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|known| known.up.is_some())
    }

    fn up_nodes(&self) -> impl DoubleEndedIterator<Item = (&NodeId, &Known, &Link)> {
        let up = |(id, known): (_, _)| {
            let known: &Known = known;
            known.up.as_ref().map(|link| (id, known, link))
        };
        self.nodes.iter().filter_map(up)
    }

    /// Says what happens.
    fn log(&mut self, level: u8, line: Line) {
        self.effects.push(Effect::Log(level, line));
    }

    /// Says something to a node's bridge.
    fn say(&mut self, node: &NodeId, what: impl serde::Serialize) {
        let saying = self.saying(node, &what);
        self.effects.extend(saying);
    }

    fn saying(&self, node: &NodeId, what: &impl serde::Serialize) -> Option<Effect> {
        let port = self.nodes.get(node)?.up.as_ref()?.bridge.clone()?;
        Some(Effect::Snd(port, Message::encode(what).ok()?))
    }

    /// Tells `listener` of all nodes that it can talk to, if there are any.
    fn tell_all(&mut self, listener: &NodeId) {
        let news = self.news_for(listener, None);
        if !news.is_empty() {
            let saying = self.saying(listener, &("nodes", news));
            self.effects.extend(saying);
        }
    }

    /// The first-hand addresses of nodes, or of one node, that `listener` can talk to.
    fn news_for(&self, listener: &NodeId, of: Option<&NodeId>) -> BTreeMap<&NodeId, &[String]> {
        let Some(link) = self.nodes.get(listener).and_then(|k| k.up.as_ref()) else {
            return BTreeMap::new();
        };
        let common = |other: &Link| other.speaks.iter().any(|n| link.speaks.contains(n));
        self.up_nodes()
            .filter(|(id, ..)| *id != listener && of.is_none_or(|of| of == *id))
            .filter(|(_, known, other)| known.first_hand && common(other))
            .map(|(id, known, _)| (id, known.addresses.as_deref().unwrap_or_default()))
            .collect()
    }

    fn up(&mut self, node: NodeId, generation: Generation, speaks: Vec<u32>) {
        self.seeds.reached(&node);
        let gossip = match generation {
            Generation::Gen2 => speaks.contains(&1).then_some(Generation::Gen1b),
            generation => Some(generation),
        };
        let known = self.nodes.entry(node.clone()).or_default();
        let link = known.up.insert(Link {
            gossip,
            speaks,
            bridge: None,
            seedme: false,
        });
        let Some(generation) = gossip else {
            return; // it has the database instead
        };
        let name = (self.name)();
        let bridge = node.port(&name);
        link.bridge = Some(bridge.clone());
        let spawn = (Verb::Spawn, &name, CONNECT, 0, &self.own);
        if let Ok(message) = Message::encode(&spawn) {
            self.effects.push(Effect::Snd(node.node_port(), message));
        }
        self.effects.push(Effect::Watch(node.clone(), bridge));
        let listeners = self.listeners.clone();
        self.say(&node, ("addr", listeners));
        self.tell_all(&node);
        if !self.groups.local().is_empty() {
            let local = json!(self.groups.local());
            self.say(&node, ("set", local));
        }
        if generation.has_masters() {
            self.say(&node, ("setup",));
            if self.seeds.is_seed(&node) {
                let master_is_seed = self.master.as_ref().is_some_and(|m| self.seeds.is_seed(m));
                let seeds = self.up_seeds().len();
                // A seed beats any other node; among seeds a late one has a fair chance.
                if !master_is_seed || (self.random)() * seeds as f64 > 1.0 {
                    self.set_master(Some(node.clone()));
                }
            }
        }
        self.check_master();
    }

    fn down(&mut self, node: &NodeId) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.up = None;
            known.first_hand = false;
            // Addresses may serve once more; without any there is nothing to remember.
            let useful = known
                .addresses
                .as_ref()
                .is_some_and(|list| !list.is_empty());
            if !useful || self.nodes.len() > MAX_HEARSAY {
                self.nodes.remove(node);
            }
        }
        self.check_master();
        self.groups.remove_node(node);
        self.find(node);
        for seed in self.seeds.of_node(node) {
            self.seed_again(seed);
        }
        if self.up_nodes().next().is_none() && self.seed_round > 0 {
            self.seed_round();
        }
    }

    fn bridge_died(&mut self, node: &NodeId, port: &PortId) {
        let Some(link) = self.nodes.get_mut(node).and_then(|k| k.up.as_mut()) else {
            return;
        };
        if link.bridge.as_ref() == Some(port) {
            link.bridge = None;
            self.groups.remove_node(node);
        }
    }

    fn gossip(&mut self, from: &NodeId, gossip: Gossip) {
        let Some(link) = self.nodes.get_mut(from).and_then(|k| k.up.as_mut()) else {
            return;
        };
        let generation = link.gossip.unwrap_or(Generation::Gen1b);
        match gossip {
            Gossip::Addr(list) => {
                let what = line!(from, list: "{from} told us its addresses ({}).", list.join(" "));
                self.log(9, what);
                let helps = !list.is_empty();
                if let Some(known) = self.nodes.get_mut(from) {
                    known.addresses = Some(list);
                    known.first_hand = true;
                }
                if helps {
                    self.help_listenerless(from);
                } else {
                    self.tell_vouched(from, None);
                }
                // Later, and not at once for all, so that nodes don't connect to each other at
                // the same instant.
                let delay = Duration::from_secs_f64(2.0 + (self.random)());
                let timer = Timer::Broadcast(from.clone());
                self.effects.push(Effect::After(delay, timer));
            }
            Gossip::Nodes(_) if self.config.stands_in => {}
            Gossip::Nodes(map) => self.told_of(from, map),
            Gossip::Set(map) => {
                for (group, mut ports) in map {
                    ports.retain(|port| port.node() == from.as_str());
                    self.groups.change(Source::Gossip, &group, ports, vec![]);
                }
            }
            Gossip::Reg(add, pair) => {
                let [group, port] = match generation.group_before_port() {
                    true => pair,
                    false => {
                        let [port, group] = pair;
                        [group, port]
                    }
                };
                let port = vec![PortId::new(port)];
                if port[0].node() != from.as_str() {
                    return; // a node speaks for its own ports only
                }
                match add {
                    true => self.groups.change(Source::Gossip, &group, port, vec![]),
                    false => self.groups.change(Source::Gossip, &group, vec![], port),
                }
            }
            Gossip::Find(node) => {
                self.log(9, line!(from, node: "{from} asked us to find {node}."));
                self.tell(from, &node);
                self.tell_vouched(from, Some(&node));
            }
            Gossip::Setup => {}
            Gossip::SeedMe(seedme) => {
                link.seedme = seedme;
                let not = if seedme { "" } else { "NOT " };
                self.log(9, line!(from, not: "{from} asked us to {not}seed it."));
                if seedme {
                    self.tell_all(from);
                }
            }
        }
    }

    fn told_of(&mut self, from: &NodeId, map: BTreeMap<NodeId, Vec<String>>) {
        let map = Arc::new(map);
        let what = line!(from, map: "{from} told us it knows about {}.", json!(*map));
        self.log(9, what);
        for (node, addresses) in &*map {
            let vouched = |number: &u32| self.vouched.contains_key(&(node.clone(), *number));
            let is_vouched = || !self.vouched.is_empty() && [0, 1, 2].iter().any(vouched);
            if *node == self.own || self.is_up(node) || is_vouched() {
                continue;
            }
            if self.nodes.len() < MAX_HEARSAY || self.nodes.contains_key(node) {
                let known = self.nodes.entry(node.clone()).or_default();
                known.addresses = Some(addresses.clone());
            }
            if !addresses.is_empty() {
                // Who tells us and whom it knows of speak the same version.
                let teller = self.nodes.get(from).and_then(|known| known.up.as_ref());
                let gossip = teller.and_then(|link| link.gossip);
                let version = gossip.map(Generation::greeting_version);
                let (node, addresses) = (node.clone(), addresses.clone());
                self.effects.push(Effect::Connect(node, addresses, version));
            }
        }
    }

    // Stand-ins (docs/bridge.md)

    fn vouch(&mut self, node: NodeId, number: u32, at: Vec<String>) {
        self.vouched.insert((node.clone(), number), at);
        let hidden =
            |known: &Known| known.first_hand && known.addresses.as_ref().is_some_and(Vec::is_empty);
        let others: Vec<NodeId> = self
            .up_nodes()
            .filter(|(_, known, _)| hidden(known))
            .map(|(id, ..)| id.clone())
            .collect();
        for other in others {
            self.tell_vouched(&other, Some(&node));
        }
    }

    /// Tells a node of the stand-ins, or of one, in its generation. To one with listeners they connect by
    /// themselves.
    fn tell_vouched(&mut self, listener: &NodeId, of: Option<&NodeId>) {
        let Some(link) = self.nodes.get(listener).and_then(|k| k.up.as_ref()) else {
            return;
        };
        let news: BTreeMap<&NodeId, &Vec<String>> = self
            .vouched
            .iter()
            .filter(|((node, number), at)| {
                link.speaks == [*number] && of.is_none_or(|of| of == node) && !at.is_empty()
            })
            .map(|((node, _), at)| (node, at))
            .collect();
        if !news.is_empty() {
            let news = json!(news);
            self.say(listener, ("nodes", news));
        }
    }

    fn learn(&mut self, node: NodeId, addresses: Vec<String>, connect: bool) {
        let known = self.nodes.entry(node.clone()).or_default();
        known.addresses = Some(addresses.clone());
        if connect && known.up.is_none() && !addresses.is_empty() {
            self.effects.push(Effect::Connect(node, addresses, None));
        }
    }

    pub(crate) fn said_by(&self, node: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        let known = self.nodes.get(node).filter(|known| known.first_hand);
        let addresses = known.and_then(|known| known.addresses.clone());
        let mut ports = Vec::new();
        for group in self.groups.names() {
            let members = self.groups.members(&group);
            let own = members
                .into_iter()
                .filter(|port| port.node() == node.as_str());
            ports.extend(own.map(|port| (group.clone(), port)));
        }
        (addresses.unwrap_or_default(), ports)
    }

    /// Generation 0: who has no listener is told at once of a new node that has one.
    fn help_listenerless(&mut self, node: &NodeId) {
        let lost = |known: &Known| known.addresses.as_ref().is_some_and(Vec::is_empty);
        let others: Vec<NodeId> = self
            .up_nodes()
            .filter(|(id, known, link)| link.is_gen0() && lost(known) && *id != node)
            .map(|(id, ..)| id.clone())
            .collect();
        for other in others {
            self.log(9, line!(other, node: "helping {other} to find {node}."));
            self.tell(&other, node);
        }
    }

    /// Generation 1: who asked for news is told of a node's addresses.
    fn broadcast(&mut self, node: &NodeId) {
        let slaves: Vec<NodeId> = self
            .up_nodes()
            .filter(|(id, _, link)| link.seedme && *id != node)
            .map(|(id, ..)| id.clone())
            .collect();
        for slave in slaves {
            self.tell(&slave, node);
        }
    }

    /// Tells `listener` of the addresses of `node`, if it can talk to it.
    fn tell(&mut self, listener: &NodeId, node: &NodeId) {
        if let Some(addresses) = self.news_for(listener, Some(node)).remove(node) {
            let addresses = addresses.to_vec();
            self.say(listener, ("nodes", json!({ node.as_str(): addresses })));
        }
    }

    /// Asks those who may know where a node is.
    fn find(&mut self, node: &NodeId) {
        let mut ask: Vec<NodeId> = self.master.iter().cloned().collect();
        let gen0 = self.up_nodes().filter(|(_, _, link)| link.is_gen0());
        ask.extend(gen0.map(|(id, ..)| id.clone()));
        for other in ask {
            if other != *node {
                self.say(&other, ("find", node.as_str()));
            }
        }
    }

    fn want(&mut self, node: &NodeId) {
        let addresses = self.nodes.get(node).and_then(|k| k.addresses.clone());
        match addresses {
            Some(list) if !list.is_empty() => {
                self.effects.push(Effect::Connect(node.clone(), list, None));
            }
            _ => self.find(node),
        }
    }

    // Masters (generation 1)

    fn up_seeds(&self) -> Vec<NodeId> {
        let with_masters = |node: &&NodeId| {
            let link = self.nodes.get(*node).and_then(|k| k.up.as_ref());
            link.is_some_and(Link::has_masters)
        };
        let mut seeds: Vec<NodeId> = self.seeds.nodes().filter(with_masters).cloned().collect();
        seeds.sort();
        seeds.dedup();
        seeds
    }

    fn check_master(&mut self) {
        if self.config.stands_in {
            return;
        }
        if self
            .master
            .as_ref()
            .is_some_and(|master| self.is_up(master))
        {
            return;
        }
        let seeds = self.up_seeds();
        let master = if seeds.is_empty() {
            let mut up = self.up_nodes();
            up.rfind(|(_, _, link)| link.has_masters())
                .map(|(id, ..)| id.clone())
        } else {
            let at = ((self.random)() * seeds.len() as f64) as usize;
            seeds.get(at.min(seeds.len() - 1)).cloned()
        };
        self.set_master(master);
    }

    fn set_master(&mut self, master: Option<NodeId>) {
        if self.master == master {
            return;
        }
        if let Some(old) = self.master.take() {
            self.say(&old, ("seedme0",));
        }
        self.master = master;
        if let Some(master) = self.master.clone() {
            self.say(&master, ("seedme1",));
            self.log(7, line!(master: "selected new master: {master}."));
        }
    }

    // Seeds

    fn add_seeds(&mut self, seeds: Vec<String>) {
        for seed in seeds {
            if self.seeds.add(seed) {
                // Two seeds that start together should not always meet half way.
                let delay = Duration::from_secs_f64(0.01 * (self.random)());
                self.effects.push(Effect::After(delay, Timer::SeedTry));
            }
        }
        if self.seed_round == 0 && !self.config.seeds_are_single {
            let first = match self.config.seed_only_when_alone {
                true => Duration::from_secs(5),
                false => self.seed_interval(),
            };
            self.next_seed_round(first);
        }
    }

    fn seed_try(&mut self) {
        let random = (self.random)();
        let nodes = &self.nodes;
        let is_up = |node: &NodeId| nodes.get(node).is_some_and(|k| k.up.is_some());
        if let Some(seed) = self.seeds.next(random, is_up) {
            self.effects.push(Effect::Dial(seed));
        }
    }

    fn seed_again(&mut self, seed: String) {
        let nodes = &self.nodes;
        let is_up = |node: &NodeId| nodes.get(node).is_some_and(|k| k.up.is_some());
        if self.seeds.begin(&seed, is_up) {
            self.effects.push(Effect::Dial(seed));
        }
    }

    /// The time between two tries.
    fn seed_interval(&mut self) -> Duration {
        if self.config.seed_only_when_alone {
            return self.config.monitor_timeout;
        }
        let up = self.up_nodes().count();
        let turns = if up > 0 { up + 2 } else { 1 };
        let jitter = Duration::from_secs_f64((self.random)());
        let interval = self.config.connect_interval * turns as u32;
        interval.saturating_sub(jitter).max(Duration::from_secs(1))
    }

    fn seed_round(&mut self) {
        let interval = self.seed_interval();
        self.next_seed_round(interval);
        if !self.config.seed_only_when_alone || self.up_nodes().next().is_none() {
            self.seed_try();
        }
    }

    fn next_seed_round(&mut self, after: Duration) {
        self.seed_round += 1;
        let timer = Timer::SeedRound(self.seed_round);
        self.effects.push(Effect::After(after, timer));
    }

    fn seed_ended(&mut self, seed: &str, own: bool) {
        self.seeds.ended(seed);
        if own {
            self.seeds.forget(seed);
            self.effects.push(Effect::OwnSeed);
            return;
        }
        if self
            .seeds
            .node_at(seed)
            .is_some_and(|node| self.is_up(node))
        {
            return;
        }
        let (all, longest) = (self.config.seeds_are_single, self.config.monitor_timeout);
        let random = (self.random)();
        if let Some((wait, number)) = self.seeds.patience(seed, all, random, longest) {
            let again = Timer::SeedAgain(seed.to_owned(), number);
            self.effects.push(Effect::After(wait, again));
        } else if self.config.seed_only_when_alone && self.up_nodes().next().is_none() {
            let soon = Duration::from_secs(1);
            self.effects.push(Effect::After(soon, Timer::SeedTry));
        }
    }

    /// Whether one of our seeds is this node.
    pub(crate) fn is_seed(&self, node: &NodeId) -> bool {
        self.seeds.is_seed(node)
    }

    // Groups

    /// Registers a port of ours and tells the peers. False if it was registered.
    pub(crate) fn register(&mut self, group: &str, port: &PortId) -> (bool, Vec<Effect>) {
        let added = self.groups.register(group, port);
        if added {
            self.tell_registration("reg1", group, port);
        }
        (added, std::mem::take(&mut self.effects))
    }

    /// Ends a registration and tells the peers. False if there was none.
    pub(crate) fn unregister(&mut self, group: &str, port: &PortId) -> (bool, Vec<Effect>) {
        let removed = self.groups.unregister(group, port);
        if removed {
            self.tell_registration("reg0", group, port);
        }
        (removed, std::mem::take(&mut self.effects))
    }

    fn tell_registration(&mut self, verb: &str, group: &str, port: &PortId) {
        let peers: Vec<(NodeId, Generation)> = self
            .up_nodes()
            .filter_map(|(id, _, link)| Some((id.clone(), link.gossip?)))
            .collect();
        for (peer, generation) in peers {
            match generation.group_before_port() {
                true => self.say(&peer, (verb, group, port)),
                false => self.say(&peer, (verb, port, group)),
            }
        }
    }
}
