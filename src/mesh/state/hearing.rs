//! What is made of the gossip of others.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gossip::{Gossip, group_and_port};
use super::known::State;
use super::terms::{Effect, Timer};
use crate::mesh::Bound;
use crate::mesh::groups::{self, Membership, Source};
use crate::mesh::line::line;
use crate::proto::{Generation, NodeId, PortId, clip};

/// So many nodes that a peer knows of are named in the log.
const MAX_NAMED: usize = 10;

impl State {
    pub(super) fn gossip(&mut self, from: &NodeId, gossip: Gossip) {
        let Some(link) = self.nodes.get_mut(from).and_then(|k| k.up.as_mut()) else {
            return;
        };
        let generation = link.gossip.unwrap_or(Generation::Gen1b);
        match gossip {
            Gossip::Addr(list) => {
                let what = line!(from, list: "{from} told us its addresses ({}).", clip(&list.join(" "), 500));
                self.log(9, what);
                let Some(known) = self.nodes.get_mut(from) else {
                    return;
                };
                let is_news = !known.first_hand || known.addresses.as_ref() != Some(&list);
                known.addresses = Some(list);
                known.first_hand = true;
                // Who repeats itself must not have us repeat it to everybody: there is one timer,
                // and what comes before it has run out is told then.
                let Some(link) = known.up.as_mut() else {
                    return;
                };
                if let Some(later) = &mut link.broadcast {
                    *later |= is_news;
                    return;
                }
                link.broadcast = Some(false);
                if is_news {
                    self.help(from);
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
                    self.join(from, &group, ports);
                }
            }
            Gossip::Reg(membership, pair) => {
                let [group, port] = group_and_port(generation, &pair);
                let port = vec![PortId::new(port)];
                if port[0].node() != from.as_str() {
                    return; // a node speaks for its own ports only
                }
                match membership {
                    Membership::Begins => self.join(from, group, port),
                    Membership::Ends => self.groups.change(Source::Gossip, group, vec![], port),
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

    /// A node has said where it listens, and that is news.
    fn help(&mut self, node: &NodeId) {
        let known = self
            .nodes
            .get(node)
            .and_then(|known| known.addresses.as_ref());
        match known.is_some_and(|list| !list.is_empty()) {
            true => self.help_listenerless(node),
            false => self.tell_vouched(node, None),
        }
    }

    /// The time has come to tell others where a node listens.
    pub(super) fn broadcast_due(&mut self, node: &NodeId) {
        let link = self.nodes.get_mut(node).and_then(|known| known.up.as_mut());
        if link.and_then(|link| link.broadcast.take()) == Some(true) {
            self.help(node);
        }
        self.broadcast(node);
    }

    /// A node's ports are members of a group, as far as there is room.
    fn join(&mut self, from: &NodeId, group: &str, mut ports: Vec<PortId>) {
        let (before, mut room) = (ports.len(), self.room);
        ports.retain(|port| {
            let left = room.checked_sub(groups::cost(group, port));
            room = left.unwrap_or(room);
            left.is_some()
        });
        if ports.len() < before {
            let group = clip(group, 99);
            let what = line!(from, group: "{from} has more ports in the group {group} than we want to hold.");
            self.full(Bound::Memory, what);
        }
        let held = self.groups.held_by(from);
        self.groups.change(Source::Gossip, group, ports, vec![]);
        let grown = self.groups.held_by(from).saturating_sub(held);
        self.room = self.room.saturating_sub(grown);
    }

    pub(super) fn told_of(&mut self, from: &NodeId, map: BTreeMap<NodeId, Vec<String>>) {
        let first = map.keys().take(MAX_NAMED);
        let first: Vec<&str> = first.map(|node| clip(node.as_str(), 99)).collect();
        let (first, all) = (first.join(" "), map.len().to_string());
        let what = line!(from, first, all: "{from} told us it knows about {all}: {first}.");
        self.log(9, what);
        for (node, addresses) in &map {
            let vouched = |number: &u32| self.vouched.contains_key(&(node.clone(), *number));
            let is_vouched = || !self.vouched.is_empty() && [0, 1, 2].iter().any(vouched);
            if *node == self.own || self.is_up(node) || is_vouched() {
                continue;
            }
            if self.nodes.contains_key(node) || self.hearsay.add(from, node) {
                let known = self.nodes.entry(node.clone()).or_default();
                known.addresses = Some(addresses.clone());
            }
            if !addresses.is_empty() {
                // Who tells us and whom it knows of speak the same version.
                let teller = self.nodes.get(from).and_then(|known| known.up.as_ref());
                let gossip = teller.and_then(|link| link.gossip);
                let version = gossip.map(Generation::greeting_version);
                self.effects.push(Effect::Told {
                    by: from.clone(),
                    node: node.clone(),
                    addresses: addresses.clone(),
                    version,
                });
            }
        }
    }

    /// Where a node listens, as it told us itself.
    pub(crate) fn addresses_of(&self, node: &NodeId) -> Vec<String> {
        let known = self.nodes.get(node).filter(|known| known.first_hand);
        let addresses = known.and_then(|known| known.addresses.clone());
        addresses.unwrap_or_default()
    }

    pub(crate) fn said_by(&self, node: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        let mut ports = Vec::new();
        for group in self.groups.names() {
            let members = self.groups.members(&group);
            let own = members
                .into_iter()
                .filter(|port| port.node() == node.as_str());
            ports.extend(own.map(|port| (group.clone(), port)));
        }
        (self.addresses_of(node), ports)
    }
}
