//! What follows from a decision of the rules: sending, connecting, waiting, telling the program.

use std::sync::Arc;
use std::time::Duration;

use super::Rules;
use crate::log::log_at;
use crate::mesh::groups::Source;
use crate::mesh::line::Line;
use crate::mesh::state::{Effect, Input, Timer};
use crate::mesh::told::Tip;
use crate::mesh::{Bound, Change, database as db};
use crate::node::limits::Limit;
use crate::node::link::{Begun, Peer};
use crate::node::monitor::Action;
use crate::node::{Inner, SendError, link};
use crate::peering::Wish;
use crate::proto::{Message, NodeId, PortId};

impl Rules {
    /// Carries out what the rules of generations 0 and 1 have decided, and tells the followers of
    /// groups what has changed.
    pub(super) fn carry_out(&mut self, node: &Arc<Inner>, effects: Vec<Effect>) {
        let connects =
            |effect: &Effect| matches!(effect, Effect::Told { .. } | Effect::Connect(..));
        let connects = effects.iter().any(connects);
        for effect in effects {
            self.perform(node, effect);
        }
        if connects {
            self.connect_to_told(node);
        }
        self.tell_followers();
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
                        node.control
                            .input(&node, Input::GossipPortDied(id, watched));
                    }
                };
                node.monitor(&port, Action::call(died));
            }
            Effect::Connect(id, addresses) => self.connect(node, &node.id, &id, &addresses),
            Effect::Told {
                by,
                node: id,
                addresses,
                version,
            } => {
                // Only for the version that is greeted with anyway: nodes that speak several do
                // better then.
                let first = node.handshake.first_version();
                if let Some(version) = version.filter(|version| *version == first) {
                    node.versions.expect(&addresses, version);
                }
                self.connect(node, &by, &id, &addresses);
            }
            Effect::Dial(_) if node.lifecycle.is_draining() => {}
            Effect::Dial(seed) => {
                log_at!(9, "trying connect to seed node {seed}.");
                let home = node.clone();
                node.spawn_task(async move { link::dial_seed(home, seed).await });
            }
            Effect::OwnSeed => {
                if node.handshake.generations.allows(2) {
                    self.database(node, db::Input::BecomeGlobal);
                }
            }
            Effect::After(delay, timer) => after(node, delay, timer),
            Effect::Log(level, text) => log(level, &text),
            Effect::Full(bound, text) => full(node, bound, &text),
        }
    }

    /// Connects to a node at these addresses, of which `by` told us. If an attempt to reach it is
    /// under way it goes on there; else it is this one's turn when those before it have had theirs:
    /// the caller [sees to that](Self::connect_to_told), once for all that it was told of.
    fn connect(&mut self, node: &Arc<Inner>, by: &NodeId, id: &NodeId, addresses: &[String]) {
        match node.peers.get(id.as_str()) {
            Some(peer) if peer.is_up() => {}
            Some(peer) if peer.life().is_some() => {
                log_at!(9, "connecting to {id} with [{}]", addresses.join(" "));
                let connect = |peer: &Arc<Peer>| peer.connect(node, addresses, Wish::Program);
                node.with_peer(id.as_str(), connect);
            }
            _ if node.lifecycle.is_draining() => {}
            _ => {
                if !self.told.add(by, id, addresses) {
                    node.limits.met(Limit::Dials);
                }
            }
        }
    }

    /// Connects to those that we were told of and whose turn it is.
    pub(super) fn connect_to_told(&mut self, node: &Arc<Inner>) {
        while !node.is_stopping()
            && let Some(Tip {
                node: id,
                addresses,
            }) = self.told.next()
        {
            log_at!(9, "connecting to {id} with [{}]", addresses.join(" "));
            let connect = |peer: &Arc<Peer>| peer.connect(node, &addresses, Wish::Told);
            if node.with_peer(id.as_str(), connect) == Begun::No {
                self.told.ended(&id);
            }
        }
    }

    pub(super) fn perform_database(&mut self, node: &Arc<Inner>, effect: db::Effect) {
        if node.is_stopping() {
            return;
        }
        match effect {
            db::Effect::Send(id, message) => send(node, &id.node_port(), &message),
            db::Effect::Connect(id, addresses) => self.connect(node, &node.id, &id, &addresses),
            db::Effect::Unknown(id) => {
                // The gossip of other generations, if there is any, may still tell where it is.
                if !self.gossip.may_be_told(node.handshake.generations)
                    && let Some(peer) = node.peers.get(id.as_str())
                {
                    peer.stop_connecting(node, "no known address");
                }
            }
            db::Effect::NoMaster {
                questions,
                monitors,
                search,
            } => {
                if self.questions.in_vain(&questions, &monitors, search) {
                    let patience = node.settings.monitor_timeout();
                    log_at!(
                        5,
                        node = node.id,
                        "no global node to ask about the database for {patience:?} \
                         (monitor_timeout): is a seed of generation 2 configured, and running?"
                    );
                }
            }
            db::Effect::Reply(id, value) => self.questions.answer(id, value),
            db::Effect::Seen(seen) => {
                self.seen.queue.push_back(seen);
                if !std::mem::replace(&mut self.seen.telling, true) {
                    let home = node.clone();
                    node.spawn_task(async move { home.control.tell_observer(&home) });
                }
            }
            db::Effect::Changed { ids, change } => {
                let mut of_group = false;
                for id in ids {
                    of_group |= !self.questions.tell(id, &change);
                }
                if of_group {
                    self.group_changed(&change);
                }
            }
            db::Effect::After(delay, timer) => {
                let home = node.clone();
                node.spawn_task(async move {
                    tokio::time::sleep(delay).await;
                    home.control.database(&home, db::Input::Timer(timer));
                });
            }
            db::Effect::Log(level, text) => log(level, &text),
            db::Effect::Full(bound, text) => full(node, bound, &text),
        }
    }

    /// A family that is followed as a group has other keys: the IDs of its members.
    fn group_changed(&mut self, change: &Change) {
        let ports = |keys: &std::collections::BTreeMap<String, db::Val>| -> Vec<PortId> {
            let keys = keys.keys().filter(|key| !key.is_empty());
            keys.map(|key| PortId::new(key.as_str())).collect()
        };
        let (added, removed) = (ports(&change.added), ports(&change.deleted));
        let groups = &mut self.gossip.groups;
        groups.change(Source::Database, &change.family, added, removed);
        self.tell_followers();
    }
}

pub(super) fn send(node: &Arc<Inner>, port: &PortId, message: &Message) {
    if let Err(error @ SendError::Encode(_)) = node.snd_message(port, message) {
        log_at!(1, "can't send to {port}: {error}");
    }
}

fn full(node: &Inner, bound: Bound, text: &Line) {
    node.limits.met(match bound {
        Bound::Keys => Limit::Keys,
        Bound::Families => Limit::Families,
        Bound::Memory => Limit::Memory,
    });
    log(2, text);
}

fn log(level: u8, text: &Line) {
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
        home.control.input(&home, Input::Timer(timer));
    });
}
