//! The decisions under random histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::{Abandon, Finished, Forget, Start, Stop, ms, policy};
use crate::supervise::Strategy;
use crate::supervise::core::*;

/// What may happen. Children are chosen by a number, among those that there are.
#[derive(Debug, Clone)]
enum Op {
    Add(Restart),
    /// Answer a start.
    Started(usize, bool),
    Parked(usize),
    /// A child ends, whether it was told to or not.
    Ends(usize, bool),
    Terminate(usize),
    Restart(usize),
    Remove(usize),
    Pass(u64),
    ShutDown,
}

fn restarts() -> impl Generator<Value = Restart> {
    prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Transient),
        Just(Restart::Temporary)
    ]
}

fn op() -> impl Generator<Value = Op> {
    let child = || 0..8usize;
    prop_oneof![
        2 => restarts().prop_map(Op::Add),
        8 => (child(), prop::bool::weighted(0.8)).prop_map(|(n, ok)| Op::Started(n, ok)),
        1 => child().prop_map(Op::Parked),
        8 => (child(), any::<bool>()).prop_map(|(n, normal)| Op::Ends(n, normal)),
        1 => child().prop_map(Op::Terminate),
        1 => child().prop_map(Op::Restart),
        1 => child().prop_map(Op::Remove),
        6 => (0..1500u64).prop_map(Op::Pass),
        1 => Just(Op::ShutDown),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Up {
    Starting,
    Running,
    Told,
}

/// The world as a supervisor's shell would see it, and what must hold in it.
struct World {
    core: Core,
    strategy: Strategy,
    most: usize,
    now: Now,
    up: BTreeMap<Key, Up>,
    kinds: BTreeMap<Key, Restart>,
    /// Stopped or restarted because the program said so.
    asked: BTreeSet<Key>,
    /// Came to an end that is not followed by a start, unless the program says so.
    done: BTreeSet<Key>,
    /// Those for whose deaths siblings are to be stopped.
    died: BTreeSet<Key>,
    restarts: Vec<Now>,
    ending: bool,
    finished: bool,
}

impl World {
    fn chosen(&self, n: usize) -> Option<Key> {
        let slots = self.core.slots();
        Some(slots.get(n % slots.len().max(1))?.key)
    }

    fn act(&mut self, action: Action) {
        assert!(!self.finished, "{action:?} after the end");
        match action {
            Start(key) => {
                assert!(!self.ending, "started while stopping");
                assert!(!self.done.contains(&key), "{key} was done");
                if self.strategy != Strategy::OneForOne {
                    for slot in self.core.slots().iter().filter(|slot| slot.key < key) {
                        let up = self.up.get(&slot.key);
                        assert!(!slot.wanted || up == Some(&Up::Running), "{key} too early");
                    }
                    assert!(
                        !self.up.values().any(|up| *up == Up::Told),
                        "before the stops"
                    );
                }
                assert_eq!(self.up.insert(key, Up::Starting), None, "twice");
            }
            Stop(key) => {
                assert!(!self.up.values().any(|up| *up == Up::Told), "one at a time");
                let before = self.up.insert(key, Up::Told);
                assert!(before.is_some(), "{key} is down");
                let first = self.died.first().copied();
                let fits = match self.strategy {
                    Strategy::OneForOne => false,
                    Strategy::OneForAll => first.is_some(),
                    Strategy::RestForOne => first.is_some_and(|first| key > first),
                };
                assert!(
                    fits || self.ending || self.asked.contains(&key),
                    "{key}: no cause"
                );
                let later = self.up.range(key + 1..).next();
                assert!(
                    !self.ending || later.is_none(),
                    "{key} stopped before {later:?}"
                );
            }
            Abandon(key) => {
                assert_eq!(self.up.remove(&key), Some(Up::Told));
            }
            Forget(key) => {
                assert_eq!(self.up.get(&key), None);
                self.kinds.remove(&key);
            }
            Finished => {
                assert!(self.ending && self.up.is_empty());
                self.finished = true;
            }
        }
    }

    fn ends(&mut self, key: Key, normal: bool) {
        let Some(before) = self.up.remove(&key) else {
            return;
        };
        let expected = before == Up::Told || self.core.slot(key).unwrap().doomed;
        let kind = self.kinds[&key];
        let again = kind.wants(normal);
        let within = |at: &&Now| self.now - **at < ms(5000);
        let recent = self.restarts.iter().filter(within).count();
        let verdict = self.core.ended(key, normal, self.now, 0.3);
        match verdict {
            Verdict::Expected => assert!(expected),
            Verdict::Done => assert!(!expected && !again),
            Verdict::Restart { after } => {
                assert!(!expected && again && recent < self.most);
                assert!(after <= ms(400));
                self.restarts.push(self.now);
                self.died.insert(key);
            }
            Verdict::GiveUp { .. } => {
                assert!(!expected && again && recent >= self.most);
                self.ending = true;
            }
        }
        let by_request = self.asked.contains(&key);
        if !again && !(expected && (by_request || kind == Restart::Temporary)) {
            self.done.insert(key);
        }
    }

    fn happen(&mut self, op: &Op) {
        match *op {
            Op::Add(kind) => {
                let key = self.core.add(policy(kind));
                self.kinds.insert(key, kind);
            }
            Op::Started(n, ok) => {
                let starting = self.up.iter().filter(|(_, up)| **up == Up::Starting);
                let starting: Vec<Key> = starting.map(|(key, _)| *key).collect();
                let Some(key) = starting.get(n % starting.len().max(1)) else {
                    return;
                };
                if ok {
                    self.up.insert(*key, Up::Running);
                    self.core.started(*key, self.now);
                } else {
                    self.ends(*key, false);
                }
            }
            Op::Pass(time) => self.now += ms(time),
            Op::ShutDown => {
                self.core.shut_down();
                self.ending = true;
            }
            Op::Parked(n) | Op::Ends(n, _) | Op::Terminate(n) | Op::Restart(n) | Op::Remove(n) => {
                let Some(key) = self.chosen(n) else { return };
                match *op {
                    Op::Parked(_) => self.core.parked(key),
                    // A start does not end normally.
                    Op::Ends(_, normal) => {
                        let normal = normal && self.up.get(&key) != Some(&Up::Starting);
                        self.ends(key, normal);
                    }
                    Op::Restart(_) => {
                        self.core.restart(key);
                        self.asked.insert(key);
                        self.done.remove(&key);
                    }
                    Op::Terminate(_) => {
                        self.core.terminate(key);
                        self.asked.insert(key);
                    }
                    _ => {
                        self.core.remove(key);
                        self.asked.insert(key);
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.core.poll(self.now) {
            self.act(action);
        }
        if let Some(at) = self.core.next_timer(self.now) {
            assert!(at > self.now);
        }
    }
}

proptest! {
    #[test]
    fn invariants(
        strategy in prop_oneof![
            Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)
        ],
        most in 0..6u32,
        kinds in prop::collection::vec(restarts(), 0..6),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut world = World {
            core: Core::new(strategy, Intensity::new(most, ms(5000))),
            strategy,
            most: most as usize,
            now: ms(0),
            up: BTreeMap::new(),
            kinds: BTreeMap::new(),
            asked: BTreeSet::new(),
            done: BTreeSet::new(),
            died: BTreeSet::new(),
            restarts: Vec::new(),
            ending: false,
            finished: false,
        };
        for kind in kinds {
            world.happen(&Op::Add(kind));
        }
        world.settle();
        for op in &ops {
            world.happen(op);
            world.settle();
        }
        // From here on everything works: all that should run comes to run.
        for _ in 0..1000 {
            let waits = world.up.iter().find(|(_, up)| **up != Up::Running);
            match waits.map(|(key, up)| (*key, *up)) {
                Some((_, Up::Starting)) => world.happen(&Op::Started(0, true)),
                Some((key, _)) => world.ends(key, false),
                None => match world.core.next_timer(world.now) {
                    Some(at) => world.now = at,
                    None => break,
                },
            }
            world.settle();
        }
        for slot in world.core.slots() {
            let up = world.up.get(&slot.key);
            prop_assert_eq!(slot.wanted, up == Some(&Up::Running), "child {}", slot.key);
        }
        prop_assert_eq!(world.finished, world.ending);
        world.happen(&Op::ShutDown);
        world.settle();
        while let Some((key, _)) = world.up.last_key_value() {
            let key = *key;
            world.ends(key, false);
            world.settle();
        }
        prop_assert!(world.finished);
    }
}
