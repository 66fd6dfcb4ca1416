//! Our own gossip: who is told of whom, and who is asked.

use std::collections::BTreeMap;

use serde_json::json;

use super::known::{Known, Link, State};
use super::terms::Effect;
use crate::mesh::line::line;
use crate::proto::{Message, NodeId};

impl State {
    /// Says something to our gossip port on a node.
    pub(super) fn say(&mut self, node: &NodeId, what: impl serde::Serialize) {
        let saying = self.saying(node, &what);
        self.effects.extend(saying);
    }

    pub(super) fn saying(&self, node: &NodeId, what: &impl serde::Serialize) -> Option<Effect> {
        let port = self.nodes.get(node)?.up.as_ref()?.gossip_port.clone()?;
        Some(Effect::Snd(port, Message::encode(what).ok()?))
    }

    /// Tells `listener` of the addresses of `node`, if it can talk to it.
    pub(super) fn tell(&mut self, listener: &NodeId, node: &NodeId) {
        if let Some(addresses) = self.news_of(listener, node) {
            let addresses = addresses.to_vec();
            self.say(listener, ("nodes", json!({ node.as_str(): addresses })));
        }
    }

    /// Tells `listener` of all nodes that it can talk to, if there are any.
    pub(super) fn tell_all(&mut self, listener: &NodeId) {
        let news = self.news_for(listener);
        if !news.is_empty() {
            let saying = self.saying(listener, &("nodes", news));
            self.effects.extend(saying);
        }
    }

    /// The first-hand addresses of the nodes that `listener` can talk to.
    fn news_for(&self, listener: &NodeId) -> BTreeMap<&NodeId, &[String]> {
        let Some(link) = self.nodes.get(listener).and_then(|known| known.up.as_ref()) else {
            return BTreeMap::new();
        };
        let others = self.nodes.iter().filter(|(id, _)| *id != listener);
        let news = others.filter_map(|(id, known)| Some((id, news(link, known)?)));
        news.collect()
    }

    /// The first-hand addresses of a node, if `listener` can talk to it.
    fn news_of(&self, listener: &NodeId, node: &NodeId) -> Option<&[String]> {
        let link = self.nodes.get(listener)?.up.as_ref()?;
        let known = self.nodes.get(node).filter(|_| listener != node)?;
        news(link, known)
    }

    /// Generation 0: who has no listener is told at once of a new node that has one.
    pub(super) fn help_listenerless(&mut self, node: &NodeId) {
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
    pub(super) fn broadcast(&mut self, node: &NodeId) {
        let slaves: Vec<NodeId> = self
            .up_nodes()
            .filter(|(id, _, link)| link.seedme && *id != node)
            .map(|(id, ..)| id.clone())
            .collect();
        for slave in slaves {
            self.tell(&slave, node);
        }
    }

    /// Asks those who may know where a node is.
    pub(super) fn find(&mut self, node: &NodeId) {
        let mut ask: Vec<NodeId> = self.master.iter().cloned().collect();
        let gen0 = self.up_nodes().filter(|(_, _, link)| link.is_gen0());
        ask.extend(gen0.map(|(id, ..)| id.clone()));
        for other in ask {
            if other != *node {
                self.say(&other, ("find", node.as_str()));
            }
        }
    }

    pub(super) fn want(&mut self, node: &NodeId) {
        let addresses = self.nodes.get(node).and_then(|k| k.addresses.clone());
        match addresses {
            Some(list) if !list.is_empty() => {
                self.effects.push(Effect::Connect(node.clone(), list));
            }
            _ => self.find(node),
        }
    }
}

/// The first-hand addresses of a node that is up, if who is at the end of that link can talk to it.
fn news<'a>(link: &Link, known: &'a Known) -> Option<&'a [String]> {
    let other = known.up.as_ref().filter(|_| known.first_hand)?;
    let common = other.speaks.iter().any(|n| link.speaks.contains(n));
    common.then(|| known.addresses.as_deref().unwrap_or_default())
}
