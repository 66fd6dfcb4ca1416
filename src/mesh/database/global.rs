//! The databases that a global node holds: one of each node that told it its keys, and all merged.
//!
//! If several nodes hold a key, the merged database has the value that was set last. When that one
//! is deleted, another's is *uncovered*: that of a slave of ours if there is one, else that of
//! another global node.

use std::collections::{BTreeMap, BTreeSet};

use super::val::Val;
use super::values::{Db, Families, Family, Limits};
use crate::mesh::Bound;
use crate::proto::NodeId;

#[derive(Default)]
pub(super) struct Global {
    shards: BTreeMap<NodeId, Shard>,
    merged: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Who monitors a family.
    monitors: BTreeMap<String, BTreeSet<NodeId>>,
    /// What changes is told of whether or not it is monitored.
    pub(super) observed: bool,
}

/// What a node told us.
#[derive(Default)]
struct Shard {
    db: Db,
    /// We are its master: other global nodes hear of its keys from us.
    slave: bool,
    /// The families that it monitors.
    monitors: BTreeSet<String>,
    /// How much memory these take, in octets.
    monitors_held: usize,
}

/// What it takes to monitor a family: its name exists twice, and there is room for more nodes.
fn cost_of_monitor(family: &str) -> usize {
    2 * family.len() + 700
}

struct Entry {
    value: Val,
    /// How many nodes hold the key.
    holders: usize,
}

/// What is to be told of an update.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// To other global nodes: keys set, and deleted.
    pub(super) globals: Option<(Family, Vec<String>)>,
    /// To who monitors the family, or observes all of them.
    pub(super) monitors: Option<(Family, Vec<String>)>,
    /// What was set was too much and is ignored.
    pub(super) refused: Option<Bound>,
}

impl Global {
    pub(super) fn make_slave(&mut self, node: &NodeId) {
        self.shards.entry(node.clone()).or_default().slave = true;
    }

    /// Everything that a node holds.
    pub(super) fn all_held(&self, node: &NodeId) -> Option<&Families> {
        Some(self.shards.get(node)?.db.families())
    }

    /// How much memory it takes what a node told us, and what it monitors, in octets.
    pub(super) fn held_by(&self, node: &NodeId) -> usize {
        let held = |shard: &Shard| shard.db.held() + shard.monitors_held;
        self.shards.get(node).map_or(0, held)
    }

    pub(super) fn value(&self, family: &str, key: &str) -> Option<&Val> {
        let entry = self.merged.get(family)?.get(key)?;
        Some(&entry.value)
    }

    /// A family of the merged database.
    pub(super) fn family(&self, family: &str) -> impl Iterator<Item = (&String, &Val)> {
        let entries = self.merged.get(family).into_iter().flatten();
        entries.map(|(key, entry)| (key, &entry.value))
    }

    /// The names of the families of the merged database.
    pub(super) fn families(&self) -> impl Iterator<Item = &String> {
        self.merged.keys()
    }

    /// The databases of our slaves, merged.
    pub(super) fn of_slaves(&self) -> Families {
        let mut all = Families::new();
        for shard in self.shards.values().filter(|shard| shard.slave) {
            for (name, family) in shard.db.families() {
                let merged = all.entry(name.clone()).or_default();
                for (key, value) in family {
                    // The value that is seen here, if a slave holds that.
                    if !merged.contains_key(key) || self.value(name, key) == Some(value) {
                        merged.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        all
    }

    /// A node sets keys of a family and deletes others.
    pub(super) fn update(
        &mut self,
        node: &NodeId,
        family: &str,
        mut set: Family,
        del: Vec<String>,
        limits: Option<&Limits>,
    ) -> Told {
        for key in &del {
            set.remove(key);
        }
        let shard = self.shards.entry(node.clone()).or_default();
        let slave = shard.slave;
        let fits = |limits: &Limits| shard.db.fits(limits, family, &set).err();
        let refused = limits.and_then(fits);
        if refused.is_some() {
            set.clear();
        }
        let merged = self.merged.entry(family.to_owned()).or_default();
        for (key, value) in &set {
            let old = shard.db.set(family, key, value.clone());
            match merged.get_mut(key) {
                Some(entry) => {
                    entry.holders += usize::from(old.is_none());
                    entry.value = value.clone();
                }
                None => {
                    let value = value.clone();
                    merged.insert(key.clone(), Entry { value, holders: 1 });
                }
            }
        }
        let mut uncovered = Family::new();
        // What other global nodes are to see instead of what is deleted.
        let mut instead = Family::new();
        let (mut gone, mut gone_for_globals) = (Vec::new(), Vec::new());
        for key in del {
            let shard = self.shards.get_mut(node);
            let Some(old) = shard.and_then(|shard| shard.db.remove(family, &key)) else {
                continue;
            };
            let Some(entry) = merged.get_mut(&key) else {
                continue;
            };
            entry.holders -= 1;
            if entry.holders == 0 {
                merged.remove(&key);
                if slave {
                    gone_for_globals.push(key.clone());
                }
                gone.push(key);
                continue;
            }
            let holder = |slave: bool| {
                let of_kind = move |shard: &&Shard| shard.slave == slave;
                let mut held = self.shards.values().filter(of_kind);
                held.find_map(|shard| shard.db.get(family, &key))
            };
            let of_slave = holder(true);
            let Some(value) = of_slave.or_else(|| holder(false)) else {
                continue;
            };
            let seen = entry.value == *value;
            if !seen {
                entry.value = value.clone();
                uncovered.insert(key.clone(), value.clone());
            }
            if of_slave.is_none() {
                gone_for_globals.push(key);
            } else if slave && !(seen && old == *value) {
                // Other global nodes may have seen the old value, even if it was covered here.
                instead.insert(key, value.clone());
            }
        }
        if merged.is_empty() {
            self.merged.remove(family);
        }
        let monitored = self.observed || self.monitors.contains_key(family);
        let mut told = Told {
            refused,
            ..Told::default()
        };
        if monitored && !(set.is_empty() && uncovered.is_empty() && gone.is_empty()) {
            let mut seen = set.clone();
            seen.append(&mut uncovered);
            told.monitors = Some((seen, gone));
        }
        set.append(&mut instead);
        if slave && !(set.is_empty() && gone_for_globals.is_empty()) {
            told.globals = Some((set, gone_for_globals));
        }
        told
    }

    /// We are not a node's master any more: it has become a global node. What it monitors it goes
    /// on to monitor, as global nodes of Perl may have another master.
    pub(super) fn no_slave(&mut self, node: &NodeId) {
        if let Some(shard) = self.shards.get_mut(node) {
            shard.slave = false;
        }
    }

    /// Forgets a node whose keys have all been deleted.
    pub(super) fn remove(&mut self, node: &NodeId) {
        self.shards.remove(node);
    }

    // Monitors

    /// An error if the node monitors too much.
    pub(super) fn monitor(
        &mut self,
        node: &NodeId,
        family: &str,
        limits: Option<&Limits>,
    ) -> Result<(), Bound> {
        let shard = self.shards.entry(node.clone()).or_default();
        if !shard.monitors.contains(family) {
            let cost = cost_of_monitor(family);
            if limits.is_some_and(|limits| shard.monitors.len() >= limits.monitors) {
                return Err(Bound::Families);
            }
            if limits.is_some_and(|limits| cost > limits.room) {
                return Err(Bound::Memory);
            }
            shard.monitors.insert(family.to_owned());
            shard.monitors_held += cost;
        }
        let monitors = self.monitors.entry(family.to_owned()).or_default();
        monitors.insert(node.clone());
        Ok(())
    }

    pub(super) fn unmonitor(&mut self, node: &NodeId, family: &str) {
        if let Some(shard) = self.shards.get_mut(node)
            && shard.monitors.remove(family)
        {
            shard.monitors_held -= cost_of_monitor(family);
        }
        self.remove_monitor(node, family);
    }

    pub(super) fn unmonitor_all(&mut self, node: &NodeId) {
        let shard = self.shards.get_mut(node);
        let monitors = shard.map(|shard| {
            shard.monitors_held = 0;
            std::mem::take(&mut shard.monitors)
        });
        for family in monitors.unwrap_or_default() {
            self.remove_monitor(node, &family);
        }
    }

    fn remove_monitor(&mut self, node: &NodeId, family: &str) {
        if let Some(monitors) = self.monitors.get_mut(family) {
            monitors.remove(node);
            if monitors.is_empty() {
                self.monitors.remove(family);
            }
        }
    }

    pub(super) fn monitors(&self, family: &str) -> impl Iterator<Item = &NodeId> {
        self.monitors.get(family).into_iter().flatten()
    }
}
