//! Connecting to the seeds, in all generations.

use std::time::Duration;

use super::known::State;
use super::terms::{Effect, Evidence, Timer};
use crate::proto::{Generation, NodeId};

impl State {
    pub(super) fn add_seeds(&mut self, seeds: Vec<String>) {
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

    pub(super) fn seed_try(&mut self) {
        let random = (self.random)();
        let nodes = &self.nodes;
        let is_up = |node: &NodeId| nodes.get(node).is_some_and(|k| k.up.is_some());
        if let Some(seed) = self.seeds.next(random, is_up) {
            self.effects.push(Effect::Dial(seed));
        }
    }

    pub(super) fn seed_again(&mut self, seed: String) {
        let nodes = &self.nodes;
        let is_up = |node: &NodeId| nodes.get(node).is_some_and(|k| k.up.is_some());
        if self.seeds.begin(&seed, is_up) {
            self.effects.push(Effect::Dial(seed));
        }
    }

    /// The time between two tries.
    pub(super) fn seed_interval(&mut self) -> Duration {
        if self.config.seed_only_when_alone {
            return self.config.monitor_timeout;
        }
        let up = self.up_nodes().count();
        let turns = if up > 0 { up + 2 } else { 1 };
        let jitter = Duration::from_secs_f64((self.random)());
        let interval = self.config.connect_interval * turns as u32;
        interval.saturating_sub(jitter).max(Duration::from_secs(1))
    }

    pub(super) fn seed_round(&mut self) {
        let interval = self.seed_interval();
        self.next_seed_round(interval);
        if !self.config.seed_only_when_alone || self.up_nodes().next().is_none() {
            self.seed_try();
        }
    }

    pub(super) fn next_seed_round(&mut self, after: Duration) {
        self.seed_round += 1;
        let timer = Timer::SeedRound(self.seed_round);
        self.effects.push(Effect::After(after, timer));
    }

    /// Somebody was found at a seed's address. Who only claims to be a node is believed for as long
    /// as it takes to look again, unless that node itself has said that it listens there.
    pub(super) fn seed_is(
        &mut self,
        seed: &str,
        node: NodeId,
        generation: Generation,
        evidence: Evidence,
    ) {
        let said = self.nodes.get(&node).filter(|known| known.first_hand);
        let said = said.and_then(|known| known.addresses.as_ref());
        let listens = said.is_some_and(|addresses| addresses.iter().any(|at| at == seed));
        let evidence = match listens {
            true => Evidence::Proved,
            false => evidence,
        };
        self.seeds
            .is(seed, node, generation == Generation::Gen2, evidence);
    }

    /// The seed is this very node. That was not proved, as nobody proves anything to itself, so it
    /// is forgotten for some time only.
    pub(super) fn seed_is_ourselves(&mut self, seed: &str) {
        const SOME_TIME: Duration = Duration::from_secs(300);
        self.seeds.ended(seed);
        if self.seeds.forget(seed) {
            self.effects.push(Effect::OwnSeed);
            let again = Timer::SeedReturns(seed.to_owned());
            self.effects.push(Effect::After(SOME_TIME, again));
        }
    }

    pub(super) fn seed_ended(&mut self, seed: &str) {
        self.seeds.ended(seed);
        let found = self.seeds.node_proved_at(seed);
        if found.is_some_and(|node| self.is_up(node)) {
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
}
