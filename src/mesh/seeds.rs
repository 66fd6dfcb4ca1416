//! Which seeds there are, who they turned out to be, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::state::Evidence;
use crate::proto::NodeId;

#[derive(Default)]
pub(crate) struct Seeds {
    /// Seed addresses, and what was found there.
    known: BTreeMap<String, Seed>,
    /// Seeds that we are connecting to.
    dialing: BTreeSet<String>,
    /// What is left of the present round.
    round: Vec<String>,
}

#[derive(Debug, Default)]
struct Seed {
    node: Option<NodeId>,
    /// The node has proved itself there, or has said that it listens there.
    proved: bool,
    /// It is of generation 2, where each seed is tried by itself.
    single: bool,
    /// The time to the next try, in units of the first.
    patience: u32,
    /// The number of the newest wait for a try; older ones count no more.
    wait: u64,
}

impl Seeds {
    pub(crate) fn add(&mut self, seed: String) -> bool {
        if self.known.contains_key(&seed) {
            return false;
        }
        self.known.insert(seed, Seed::default());
        true
    }

    /// False if it was not known.
    pub(crate) fn forget(&mut self, seed: &str) -> bool {
        self.round.retain(|s| s != seed);
        self.known.remove(seed).is_some()
    }

    /// What was found at a seed's address. `single`: it is of generation 2.
    pub(crate) fn is(&mut self, seed: &str, node: NodeId, single: bool, evidence: Evidence) {
        if let Some(known) = self.known.get_mut(seed) {
            known.proved = match evidence {
                Evidence::Proved => true,
                Evidence::Claimed => known.proved && known.node.as_ref() == Some(&node),
            };
            known.node = Some(node);
            known.single = single;
        }
    }

    pub(crate) fn is_seed(&self, node: &NodeId) -> bool {
        self.nodes().any(|seed| seed == node)
    }

    /// The nodes that are seeds.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.known.values().filter_map(|seed| seed.node.as_ref())
    }

    /// Whether a seed may be of generation 0 or 1, as it is, or was not reached yet.
    pub(crate) fn any_may_be_older(&self) -> bool {
        self.known.values().any(|seed| !seed.single)
    }

    /// The addresses of generation 2 at which a node was found.
    pub(crate) fn of_node(&self, node: &NodeId) -> Vec<String> {
        let found = |seed: &&Seed| seed.single && seed.node.as_ref() == Some(node);
        let seeds = self.known.iter().filter(|(_, seed)| found(seed));
        seeds.map(|(address, _)| address.clone()).collect()
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
        self.begin(&seed, is_up).then_some(seed)
    }

    /// Begins to connect to a seed; false if it needs no connection.
    pub(crate) fn begin(&mut self, seed: &str, is_up: impl Fn(&NodeId) -> bool) -> bool {
        let Some(known) = self.known.get(seed) else {
            return false;
        };
        let reached = known.proved && known.node.as_ref().is_some_and(is_up);
        !reached && self.dialing.insert(seed.to_owned())
    }

    pub(crate) fn ended(&mut self, seed: &str) {
        self.dialing.remove(seed);
    }

    /// How long to wait before the next try of a seed that could not be reached: at first 1.2 to
    /// 2.4 seconds, twice as long each time, and at most `longest`; and the number of this wait.
    /// `None` if it is not tried by itself: `all` are, or it is of generation 2.
    pub(crate) fn patience(
        &mut self,
        seed: &str,
        all: bool,
        random: f64,
        longest: Duration,
    ) -> Option<(Duration, u64)> {
        const FIRST: Duration = Duration::from_millis(1200);
        let known = self.known.get_mut(seed).filter(|seed| all || seed.single)?;
        let units = known.patience.max(1);
        known.patience = units.saturating_mul(2);
        known.wait += 1;
        let wait = FIRST.saturating_mul(units).mul_f64(1.0 + random);
        Some((wait.min(longest), known.wait))
    }

    /// Whether this is the newest wait for a try of the seed.
    pub(crate) fn is_due(&self, seed: &str, wait: u64) -> bool {
        self.known.get(seed).is_some_and(|seed| seed.wait == wait)
    }

    /// The node that is at a seed's address for certain.
    pub(crate) fn node_proved_at(&self, seed: &str) -> Option<&NodeId> {
        let known = self.known.get(seed).filter(|seed| seed.proved)?;
        known.node.as_ref()
    }

    /// A seed was reached: the next time it is waited for anew.
    pub(crate) fn reached(&mut self, node: &NodeId) {
        for seed in self.known.values_mut() {
            if seed.node.as_ref() == Some(node) {
                seed.patience = 0;
            }
        }
    }
}
