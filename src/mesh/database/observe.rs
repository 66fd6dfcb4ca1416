//! What a bridge between generations hears of the database: where nodes listen, and whose ports are
//! registered (docs/bridge.md).

use std::collections::BTreeMap;

use super::request::addresses;
use super::state::State;
use super::terms::{Effect, LISTENERS, STAND_INS, Seen};
use super::values::Family;
use crate::mesh::groups::Membership;
use crate::proto::{NodeId, PortId};

/// The port that a key names, if it can be a registration.
fn registered(family: &str, key: &str) -> Option<PortId> {
    let (node, name) = key.split_once('#')?;
    let is_port = !family.starts_with('\'') && !node.is_empty() && !name.is_empty();
    is_port.then(|| PortId::new(key))
}

impl State {
    pub(super) fn observe(&mut self) {
        self.become_global();
        self.keepalive.dirty = true;
        if let Some(global) = &mut self.global {
            global.observed = true;
        }
    }

    pub(super) fn stop_observing(&mut self) {
        self.keepalive.dirty = true;
        if let Some(global) = &mut self.global {
            global.observed = false;
        }
    }

    pub(super) fn is_observed(&self) -> bool {
        self.global.as_ref().is_some_and(|global| global.observed)
    }

    /// Tells the bridge what has changed, if there is one.
    pub(super) fn tell_observer(&mut self, family: &str, set: &Family, del: &[String]) {
        if !self.is_observed() {
            return;
        }
        let mut see = |seen| self.effects.push(Effect::Seen(seen));
        if family == LISTENERS {
            for (node, value) in set {
                let at = addresses(value).unwrap_or_default();
                see(Seen::At(NodeId::new(node.as_str()), at));
            }
            return;
        }
        let added = set.keys().map(|key| (Membership::Begins, key));
        let gone = del.iter().map(|key| (Membership::Ends, key));
        for (membership, key) in added.chain(gone) {
            if let Some(port) = registered(family, key) {
                let family = family.to_owned();
                see(Seen::Port {
                    membership,
                    family,
                    port,
                });
            }
        }
    }

    /// What is known of a node: where it listens, and the families that its ports are in.
    pub(crate) fn known_of(&self, node: &NodeId) -> (Vec<String>, Vec<(String, PortId)>) {
        let Some(global) = &self.global else {
            return Default::default();
        };
        let mut ports = Vec::new();
        for family in global.families() {
            let keys = global.family(family).map(|(key, _)| key);
            let of_node = keys.filter_map(|key| registered(family, key));
            let of_node = of_node.filter(|port| port.node() == node.as_str());
            ports.extend(of_node.map(|port| (family.clone(), port)));
        }
        (self.listeners(node).unwrap_or_default(), ports)
    }

    /// All nodes that can be connected to, with none of the stand-ins among them.
    pub(super) fn reachable(&self) -> BTreeMap<NodeId, Vec<String>> {
        let Some(global) = &self.global else {
            return BTreeMap::new();
        };
        let real = |id: &&String| global.value(STAND_INS, id).is_none();
        let ids = global.family(LISTENERS).map(|(id, _)| id).filter(real);
        let ids = ids.filter(|id| !id.is_empty() && self.own != id.as_str());
        let at = |id: &String| {
            let node = NodeId::new(id.as_str());
            let at = self.listeners(&node)?;
            Some((node, at))
        };
        ids.filter_map(at).collect()
    }
}
