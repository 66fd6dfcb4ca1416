//! Who is out there: seeds, addresses, groups (PROTOCOL.md, "The mesh").
//!
//! The rules are a state machine without sockets or clocks ([`state`]): inputs in, [`Effect`]s out.
//! This module carries the effects out. It is the control plane: small, in order, behind one lock
//! that no message between ports ever takes.

pub(crate) mod groups;
mod seeds;
pub(crate) mod state;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::log::log_at;
use crate::node::{GroupChanges, Inner};
use crate::proto::generation::Generations;
use crate::proto::handshake;
use crate::proto::id::perl_counter;
use crate::proto::{Message, NodeId, PortId};
use state::{Effect, Input, State, Timer};

/// The function that a peer spawns to talk about the mesh.
pub(crate) const CONNECT: &str = "AnyEvent::MP::Global::connect";

pub(crate) struct Mesh(Mutex<State>);

impl Mesh {
    pub(crate) fn new(own: NodeId, cookie: String, config: state::Config) -> Self {
        let mut n = 0;
        let name = move || {
            n += 1;
            format!("{cookie}.{}", perl_counter(n - 1))
        };
        let random = Box::new(rand::random::<f64>);
        Mesh(Mutex::new(State::new(own, config, Box::new(name), random)))
    }

    /// Feeds an input in and carries out what follows, in order.
    fn input(&self, node: &Arc<Inner>, input: Input) {
        let mut state = self.0.lock();
        for effect in state.handle(input) {
            perform(node, effect);
        }
    }

    pub(crate) fn node_up(&self, node: &Arc<Inner>, id: &NodeId) {
        let Some(link) = node.peers.get(id.as_str()).and_then(|peer| peer.link()) else {
            return;
        };
        let speaks = |number: &u32| link.info.speaks(*number);
        let speaks = Generations::KNOWN.into_iter().filter(speaks).collect();
        self.input(
            node,
            Input::Up {
                node: id.clone(),
                generation: link.info.generation,
                speaks,
            },
        );
    }

    pub(crate) fn node_down(&self, node: &Arc<Inner>, id: &NodeId) {
        self.input(node, Input::Down(id.clone()));
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

    /// A message waits for a node that we are not connected to.
    pub(crate) fn want(&self, node: &Arc<Inner>, id: &NodeId) {
        self.input(node, Input::Want(id.clone()));
    }

    pub(crate) fn listen(&self, node: &Arc<Inner>, listeners: Vec<String>) {
        self.input(node, Input::Listeners(listeners));
    }

    pub(crate) fn add_seeds(&self, node: &Arc<Inner>, seeds: Vec<String>) {
        self.input(node, Input::Seeds(seeds));
    }

    /// A connection to a seed got the seed's greeting.
    pub(crate) fn seed_greeted(&self, node: &Arc<Inner>, seed: &str, peer: &handshake::Peer) {
        let id = peer.greeting.node.clone();
        self.input(node, Input::SeedIs(seed.to_owned(), id, peer.generation));
    }

    /// An attempt to connect to a seed is over. `own`: the seed is this very node.
    pub(crate) fn seed_ended(&self, node: &Arc<Inner>, seed: &str, own: bool) {
        self.input(node, Input::SeedEnded(seed.to_owned(), own));
    }

    pub(crate) fn register(&self, node: &Arc<Inner>, group: &str, port: &PortId) -> bool {
        let mut state = self.0.lock();
        let (added, effects) = state.register(group, port);
        for effect in effects {
            perform(node, effect);
        }
        added
    }

    pub(crate) fn unregister(&self, node: &Arc<Inner>, group: &str, port: &PortId) {
        let mut state = self.0.lock();
        for effect in state.unregister(group, port) {
            perform(node, effect);
        }
    }

    /// The node has a stand-in in the generation of that number, at these addresses.
    pub(crate) fn vouch(&self, node: &Arc<Inner>, id: &NodeId, number: u32, at: Vec<String>) {
        self.input(node, Input::Vouch(id.clone(), number, at));
    }

    /// The node has a stand-in there no more.
    pub(crate) fn unvouch(&self, node: &Arc<Inner>, id: &NodeId, number: u32) {
        self.input(node, Input::Unvouch(id.clone(), number));
    }

    /// A node that a stand-in is to connect to.
    pub(crate) fn learn(&self, node: &Arc<Inner>, id: &NodeId, addresses: Vec<String>) {
        self.input(node, Input::Learn(id.clone(), addresses));
    }

    /// What a node said of itself: its addresses and the groups of its ports.
    pub(crate) fn said_by(&self, id: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        self.0.lock().said_by(id)
    }

    pub(crate) fn members(&self, group: &str) -> Vec<PortId> {
        self.0.lock().groups.members(group)
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.0.lock().groups.names()
    }

    pub(crate) fn monitor(&self, group: &str) -> GroupChanges {
        self.0.lock().groups.monitor(group)
    }

    pub(crate) fn close(&self) {
        self.0.lock().groups.close();
    }
}

fn perform(node: &Arc<Inner>, effect: Effect) {
    if node.is_stopping() {
        return;
    }
    match effect {
        Effect::Snd(port, message) => {
            if let Err(error) = node.snd(&port, &message) {
                log_at!(1, "can't send to {port}: {error}");
            }
        }
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
            if let Some(version) = version.filter(|v| *v == node.handshake.first_version()) {
                crate::net::expect_version(&addresses, version);
            }
            log_at!(9, "connecting to {id} with [{}]", addresses.join(" "));
            while !node.peers.get_or_add(id.as_str()).connect(node, &addresses) {}
        }
        Effect::Dial(seed) => {
            log_at!(9, "trying connect to seed node {seed}.");
            let home = node.clone();
            node.spawn_task(async move { crate::net::dial_seed(home, seed).await });
        }
        Effect::OwnSeed => {}
        Effect::After(delay, timer) => after(node, delay, timer),
        Effect::Log(level, text) => match level {
            7 => log_at!(7, "{text}"),
            _ => log_at!(9, "{text}"),
        },
    }
}

fn after(node: &Arc<Inner>, delay: Duration, timer: Timer) {
    let home = node.clone();
    node.spawn_task(async move {
        tokio::time::sleep(delay).await;
        home.mesh.input(&home, Input::Timer(timer));
    });
}
