//! Nodes coming and going.

use serde_json::json;

use super::known::{Link, State};
use super::terms::Effect;
use crate::mesh::CONNECT;
use crate::proto::generation::Generations;
use crate::proto::{Generation, Message, NodeId, PortId, Verb};

impl State {
    pub(super) fn up(&mut self, node: NodeId, generation: Generation, speaks: Vec<u32>) {
        self.seeds.reached(&node);
        let gossip = match generation {
            Generation::Gen2 => speaks.contains(&1).then_some(Generation::Gen1b),
            generation => Some(generation),
        };
        self.hearsay.remove(&node);
        let known = self.nodes.entry(node.clone()).or_default();
        let link = known.up.insert(Link {
            gossip,
            speaks,
            gossip_port: None,
            seedme: false,
            broadcast: None,
        });
        let Some(generation) = gossip else {
            return; // it has the database instead
        };
        let name = (self.name)();
        let port = node.port(&name);
        link.gossip_port = Some(port.clone());
        let spawn = (Verb::Spawn, &name, CONNECT, 0, &self.own);
        if let Ok(message) = Message::encode(&spawn) {
            self.effects.push(Effect::Snd(node.node_port(), message));
        }
        self.effects.push(Effect::Watch(node.clone(), port));
        let listeners = self.listeners.clone();
        self.say(&node, ("addr", listeners));
        self.tell_all(&node);
        if self.groups.has_local() {
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

    pub(super) fn down(&mut self, node: &NodeId) {
        for told_of in self.hearsay.gone(node) {
            self.nodes.remove(&told_of);
        }
        if let Some(known) = self.nodes.get_mut(node) {
            known.up = None;
            known.first_hand = false;
            // Addresses may serve once more; without any there is nothing to remember.
            let useful = known
                .addresses
                .as_ref()
                .is_some_and(|list| !list.is_empty());
            if !useful || !self.hearsay.add_gone(node) {
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

    /// Whether somebody may tell, now or soon, where a node of generation 0 or 1 is: a node that is
    /// up, or one of the seeds that may be of these generations.
    pub(crate) fn may_be_told(&self, ours: Generations) -> bool {
        if !ours.allows(0) && !ours.allows(1) {
            return false;
        }
        let links = self.nodes.values().filter_map(|known| known.up.as_ref());
        self.seeds.any_may_be_older() || links.into_iter().any(|link| link.gossip.is_some())
    }

    pub(super) fn gossip_port_died(&mut self, node: &NodeId, port: &PortId) {
        let Some(link) = self.nodes.get_mut(node).and_then(|k| k.up.as_mut()) else {
            return;
        };
        if link.gossip_port.as_ref() == Some(port) {
            link.gossip_port = None;
            self.groups.remove_node(node);
        }
    }
}
