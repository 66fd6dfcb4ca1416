//! A network of nodes that say what they say in any order: in the end they agree.
//!
//! What holds once all has been said, and is tested:
//!
//! - A global node sees the keys of its slaves (it is one of its own) and of the slaves of every
//!   global node that it is connected to, and no others. The value of a key is that of one of these
//!   holders, so with one holder it is certain; which one of several it is may differ between
//!   global nodes, as it does between those of Perl: what arrives last is seen.
//! - An ordinary node sees exactly what its master sees.
//! - Questions are answered with that, and the changes that a monitor was told add up to it.
//!
//! And at all times: a monitor is never told of a key as new that it has, or as changed or deleted
//! that it has not; nor of a change that is none; nothing is said to who is not connected.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::Timer;
use super::*;

pub(crate) const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Nodes that are at a seed address of all others.
const SEEDS: usize = 2;

#[derive(Debug, Clone)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub(crate) enum Step {
    Set(usize, u8, u8, u8),
    Del(usize, u8, Vec<u8>),
    Link(usize, usize),
    Cut(usize, usize),
    Global(usize),
    Find(usize, usize),
    Monitor(usize, u8),
    Unmonitor(usize, u8),
    /// Says what waits first on one of the ways between nodes.
    Deliver(usize),
}

impl Step {
    /// The step, with numbers that stand for something.
    #[cfg(feature = "fuzz")]
    pub(crate) fn fitted(self) -> Self {
        let node = |n: usize| n % NODES.len();
        match self {
            Step::Set(n, f, k, v) => Step::Set(node(n), f % 2, k % 3, v % 3),
            Step::Del(n, f, keys) => {
                let keys = keys.into_iter().take(2).map(|key| key % 3);
                Step::Del(node(n), f % 2, keys.collect())
            }
            Step::Link(a, b) => Step::Link(node(a), node(b)),
            Step::Cut(a, b) => Step::Cut(node(a), node(b)),
            Step::Global(n) => Step::Global(node(n)),
            Step::Find(a, b) => Step::Find(node(a), node(b)),
            Step::Monitor(n, f) => Step::Monitor(node(n), f % 2),
            Step::Unmonitor(n, f) => Step::Unmonitor(node(n), f % 2),
            Step::Deliver(random) => Step::Deliver(random),
        }
    }
}

/// What a node is to learn next about a peer.
enum Event {
    Up(u64),
    Down,
    Said(Message),
}

/// One direction between two nodes: how things stand as the receiver sees them.
#[derive(Default)]
struct Way {
    queue: VecDeque<Event>,
    /// The number of the connection that the receiver knows of, if it is up.
    seen: Option<u64>,
}

/// A monitor and what it was told, all changes applied.
struct Watch {
    node: usize,
    family: String,
    told: Option<BTreeMap<String, Val>>,
}

struct Network {
    nodes: Vec<State>,
    /// What the nodes set themselves, and delete.
    local: Vec<BTreeMap<(String, String), Value>>,
    /// By sender and receiver.
    ways: BTreeMap<(usize, usize), Way>,
    /// The numbers of the connections that are up, by both nodes, the smaller first.
    links: BTreeMap<(usize, usize), u64>,
    connections: u64,
    watches: BTreeMap<u64, Watch>,
    ids: u64,
    answers: BTreeMap<u64, Value>,
    /// The newest timer of each node.
    timers: BTreeMap<usize, Timer>,
}

fn index(node: &NodeId) -> usize {
    NODES.iter().position(|name| *node == *name).unwrap()
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn family_name(family: u8) -> String {
    format!("f{family}")
}

impl Network {
    fn new() -> Self {
        let mut network = Network {
            nodes: NODES.iter().map(|name| state(name)).collect(),
            local: vec![BTreeMap::new(); NODES.len()],
            ways: BTreeMap::new(),
            links: BTreeMap::new(),
            connections: 0,
            watches: BTreeMap::new(),
            ids: 0,
            answers: BTreeMap::new(),
            timers: BTreeMap::new(),
        };
        for (at, name) in NODES.iter().enumerate() {
            network.input(at, Input::Listeners(vec![format!("{name}:1")]));
        }
        network
    }

    fn input(&mut self, at: usize, input: Input) {
        for effect in self.nodes[at].handle(input) {
            match effect {
                Effect::Send(to, message) => {
                    let to = index(&to);
                    let link = self.links.get(&pair(at, to)).copied();
                    let seen = self.ways.get(&(to, at)).and_then(|way| way.seen);
                    assert!(seen.is_some(), "said to a node that is down: {message:?}");
                    // It is lost if the connection is not there any more.
                    if seen == link {
                        let way = self.ways.entry((at, to)).or_default();
                        way.queue.push_back(Event::Said(message));
                    }
                }
                Effect::Connect(node, list) => {
                    assert_eq!(list, [format!("{node}:1")]);
                    self.link(at, index(&node));
                }
                Effect::Changed { ids, change } => {
                    assert!(!ids.is_empty());
                    for id in ids {
                        self.changed(at, id, &change);
                    }
                }
                Effect::Reply(id, answer) => {
                    assert!(self.answers.insert(id, answer.read().unwrap()).is_none());
                }
                Effect::Unknown(node) => assert_ne!(index(&node), at),
                Effect::After(_, timer) => drop(self.timers.insert(at, timer)),
                Effect::Log(..) | Effect::Full(..) | Effect::Seen(_) | Effect::NoMaster { .. } => {}
            }
        }
    }

    fn changed(&mut self, at: usize, id: u64, change: &Change) {
        let watch = self.watches.get_mut(&id).unwrap();
        assert_eq!((watch.node, &watch.family), (at, &change.family));
        let first = watch.told.is_none();
        assert!(first || !change.is_empty(), "nothing has changed");
        let told = watch.told.get_or_insert_default();
        for (key, value) in &change.added {
            assert!(
                told.insert(key.clone(), value.clone()).is_none(),
                "{key} was there"
            );
        }
        for (key, value) in &change.changed {
            let old = told.insert(key.clone(), value.clone());
            assert!(!change.added.contains_key(key));
            assert!(
                old.is_some_and(|old| old != *value),
                "{key} has not changed"
            );
        }
        for (key, value) in &change.deleted {
            assert_eq!(told.remove(key).as_ref(), Some(value), "{key}");
        }
    }

    fn link(&mut self, a: usize, b: usize) {
        if a == b || self.links.contains_key(&pair(a, b)) {
            return;
        }
        self.connections += 1;
        self.links.insert(pair(a, b), self.connections);
        for way in [(a, b), (b, a)] {
            let way = self.ways.entry(way).or_default();
            way.queue.push_back(Event::Up(self.connections));
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&pair(a, b)).is_none() {
            return;
        }
        for way in [(a, b), (b, a)] {
            let way = self.ways.entry(way).or_default();
            way.queue.retain(|event| !matches!(event, Event::Said(_)));
            way.queue.push_back(Event::Down);
        }
    }

    /// The receiver learns what is first in a queue.
    fn deliver(&mut self, (from, to): (usize, usize)) {
        let way = self.ways.get_mut(&(from, to)).unwrap();
        let node = NodeId::new(NODES[from]);
        let input = match way.queue.pop_front().unwrap() {
            Event::Up(number) => {
                way.seen = Some(number);
                let seed = from < SEEDS;
                Input::Up { node, seed }
            }
            Event::Down => {
                way.seen = None;
                Input::Down(node)
            }
            Event::Said(message) => {
                let request = heard(&self.nodes[to], &node, &message);
                Input::Request(node, request)
            }
        };
        self.input(to, input);
    }

    fn waiting(&self) -> Vec<(usize, usize)> {
        let waiting = self.ways.iter().filter(|(_, way)| !way.queue.is_empty());
        waiting.map(|(way, _)| *way).collect()
    }

    fn drain(&mut self, mut random: usize) {
        for _ in 0..100_000 {
            let mut waiting = self.waiting();
            if waiting.is_empty() {
                for (at, timer) in std::mem::take(&mut self.timers) {
                    self.input(at, Input::Timer(timer));
                }
                waiting = self.waiting();
            }
            if waiting.is_empty() {
                return;
            }
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            self.deliver(waiting[(random >> 33) % waiting.len()]);
        }
        panic!("the nodes do not come to an end");
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Set(at, family, key, value) => {
                let (family, key) = (family_name(family), format!("k{key}"));
                let value = json!([value]);
                self.local[at].insert((family.clone(), key.clone()), value.clone());
                self.input(at, Input::Set { family, key, value });
            }
            Step::Del(at, family, keys) => {
                let family = family_name(family);
                let keys: Vec<String> = keys.iter().map(|key| format!("k{key}")).collect();
                for key in &keys {
                    self.local[at].remove(&(family.clone(), key.clone()));
                }
                self.input(at, Input::Del { family, keys });
            }
            Step::Link(a, b) => self.link(a, b),
            Step::Cut(a, b) => self.cut(a, b),
            Step::Global(at) => self.input(at, Input::BecomeGlobal),
            Step::Find(a, b) => self.input(a, Input::Find(NodeId::new(NODES[b]))),
            Step::Monitor(at, family) => {
                self.ids += 1;
                let (id, family) = (self.ids, family_name(family));
                let watch = Watch {
                    node: at,
                    family: family.clone(),
                    told: None,
                };
                self.watches.insert(id, watch);
                self.input(at, Input::Monitor { id, family });
            }
            Step::Unmonitor(at, family) => {
                let family = family_name(family);
                let mut ids = self.watches.iter();
                let id = ids.find(|(_, watch)| watch.node == at && watch.family == family);
                if let Some(id) = id.map(|(id, _)| *id) {
                    self.watches.remove(&id);
                    self.input(at, Input::Unmonitor { id, family });
                }
            }
            Step::Deliver(random) => {
                let waiting = self.waiting();
                if !waiting.is_empty() {
                    self.deliver(waiting[random % waiting.len()]);
                }
            }
        }
    }

    /// What a node is answered.
    fn ask(&mut self, at: usize, kind: Kind, family: &str) -> Value {
        self.ids += 1;
        let (id, family) = (self.ids, family.to_owned());
        self.input(at, Input::Query { id, kind, family });
        self.drain(7);
        self.answers.remove(&id).expect("an answer")
    }

    /// The nodes whose keys a global node sees.
    fn seen_by(&self, global: usize) -> BTreeSet<usize> {
        let connected = |other: &usize| {
            *other == global
                || self.nodes[*other].is_global() && self.links.contains_key(&pair(global, *other))
        };
        let globals: Vec<usize> = (0..NODES.len()).filter(connected).collect();
        let master = |node: usize| self.nodes[node].master().map(index);
        (0..NODES.len())
            .filter(|node| master(*node).is_some_and(|master| globals.contains(&master)))
            .collect()
    }

    /// Checks that all agree. All has been said.
    fn check(&mut self) {
        for (at, name) in NODES.iter().enumerate() {
            let Some(master) = self.nodes[at].master().map(index) else {
                continue;
            };
            assert!(self.nodes[master].is_global());
            let seen = self.seen_by(master);
            for family in [family_name(0), family_name(1)] {
                let mut holders: BTreeMap<String, Vec<Value>> = BTreeMap::new();
                for node in &seen {
                    for ((name, key), value) in &self.local[*node] {
                        if *name == family {
                            holders.entry(key.clone()).or_default().push(value.clone());
                        }
                    }
                }
                let answer = self.ask(at, Kind::Family, &family);
                let content = answer.as_object().unwrap().clone();
                let keys: Vec<&String> = content.keys().collect();
                assert_eq!(
                    keys,
                    holders.keys().collect::<Vec<_>>(),
                    "{family} at {}",
                    name
                );
                for (key, value) in &content {
                    assert!(
                        holders[key].contains(value),
                        "{family} {key} at {}: {value}",
                        name
                    );
                }
                assert_eq!(json!(keys), self.ask(at, Kind::Keys, &family));
                let values: Vec<&Value> = content.values().collect();
                assert_eq!(json!(values), self.ask(at, Kind::Values, &family));
                assert_eq!(answer, self.ask(master, Kind::Family, &family));
                for watch in self.watches.values() {
                    if watch.node == at && watch.family == family {
                        assert_eq!(json!(watch.told), answer, "told at {}", name);
                    }
                }
            }
            // Who is where, and which nodes are global.
            let is_global = self.nodes[at].is_global();
            let listeners = self.ask(at, Kind::Family, "'l");
            for node in &seen {
                assert_eq!(
                    listeners[NODES[*node]],
                    json!([format!("{}:1", NODES[*node])])
                );
            }
            if is_global {
                let globals = self.ask(at, Kind::Family, "'g");
                let globals: Vec<usize> = globals
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|name| index(&name.as_str().into()))
                    .collect();
                for node in globals {
                    // One that is known is one, and is connected: its links are kept.
                    assert!(self.nodes[node].is_global());
                    let linked = node == at || self.links.contains_key(&pair(at, node));
                    assert!(linked, "{} and {}", name, NODES[node]);
                }
            }
        }
    }
}

/// Panics if nodes do not agree after the steps of either part, once all has been said, or a rule
/// is broken on the way. `random` decides who says first what waits.
pub(crate) fn check(parts: [Vec<Step>; 2], random: usize) {
    let mut network = Network::new();
    for part in parts {
        for step in part {
            network.step(step);
        }
        network.drain(random);
        network.check();
    }
}
