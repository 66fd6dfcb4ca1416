//! Which seeds there are, who they turned out to be, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::NodeId;

#[derive(Default)]
pub(crate) struct Seeds {
    /// Seed addresses, and the node that was found there.
    known: BTreeMap<String, Option<NodeId>>,
    /// Seeds that we are connecting to.
    dialing: BTreeSet<String>,
    /// What is left of the present round.
    round: Vec<String>,
}

impl Seeds {
    pub(crate) fn add(&mut self, seed: String) -> bool {
        if self.known.contains_key(&seed) {
            return false;
        }
        self.known.insert(seed, None);
        true
    }

    pub(crate) fn forget(&mut self, seed: &str) {
        self.known.remove(seed);
        self.round.retain(|s| s != seed);
    }

    pub(crate) fn is(&mut self, seed: &str, node: NodeId) {
        if let Some(known) = self.known.get_mut(seed) {
            *known = Some(node);
        }
    }

    pub(crate) fn is_seed(&self, node: &NodeId) -> bool {
        self.known.values().flatten().any(|seed| seed == node)
    }

    /// The nodes that are seeds.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.known.values().flatten()
    }

    /// The next seed to connect to: one picked by `random` (0 to 1) out of those not tried in this
    /// round. `None` if there is none, or it needs no connection.
    pub(crate) fn next(&mut self, random: f64, is_up: impl Fn(&NodeId) -> bool) -> Option<String> {
        if self.round.is_empty() {
            self.round = self.known.keys().cloned().collect();
        }
        if self.round.is_empty() {
            return None;
        }
        let at = (random * self.round.len() as f64) as usize;
        let seed = self.round.swap_remove(at.min(self.round.len() - 1));
        let up = self.known.get(&seed).and_then(Option::as_ref);
        if up.is_some_and(is_up) || !self.dialing.insert(seed.clone()) {
            return None;
        }
        Some(seed)
    }

    pub(crate) fn ended(&mut self, seed: &str) {
        self.dialing.remove(seed);
    }
}
