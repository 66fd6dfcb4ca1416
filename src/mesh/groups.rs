//! Named groups of ports, visible on every node.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::proto::{NodeId, PortId};

/// Who says that a port is a member: each is asked for itself, and the members are the union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// We ourselves, and the gossip of generations 0 and 1.
    Gossip,
    /// The database of generation 2.
    Database,
}

/// What becomes of a port's membership in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Begins,
    Ends,
}

impl Source {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[derive(Default)]
pub(crate) struct Groups {
    /// The members of each group, each with the bits of who says so.
    members: BTreeMap<String, BTreeMap<PortId, u8>>,
    /// How much memory each node's part of the gossip takes, in octets.
    held: BTreeMap<NodeId, usize>,
    /// The members that are ports of ours.
    local: BTreeMap<String, Registered>,
    /// The groups that somebody follows, and what has changed of those.
    followed: BTreeSet<String>,
    changed: BTreeMap<String, Changed>,
}

/// The ports whose membership in a group has changed, and how it is now.
pub(crate) type Changed = BTreeMap<PortId, Membership>;

/// The ports of ours in a group, in the order of registration.
#[derive(Default)]
struct Registered {
    by_number: BTreeMap<u64, PortId>,
    numbers: HashMap<PortId, u64, RandomState>,
}

impl Registered {
    /// False if it is there already.
    fn add(&mut self, port: &PortId) -> bool {
        if self.numbers.contains_key(port) {
            return false;
        }
        let last = self.by_number.last_key_value();
        let number = last.map_or(0, |(number, _)| number + 1);
        self.by_number.insert(number, port.clone());
        self.numbers.insert(port.clone(), number);
        true
    }

    /// False if it is not there.
    fn remove(&mut self, port: &PortId) -> bool {
        let number = self.numbers.remove(port);
        number.is_some_and(|number| self.by_number.remove(&number).is_some())
    }
}

/// What a member costs, about: all that is kept for a group with a single one.
pub(crate) fn cost(group: &str, port: &PortId) -> usize {
    3 * group.len() + 2 * port.as_str().len() + 700
}

impl Groups {
    /// How much memory the members take that are on a node, as far as gossip knows them, in octets.
    pub(crate) fn held_by(&self, node: &NodeId) -> usize {
        self.held.get(node).copied().unwrap_or_default()
    }

    pub(crate) fn members(&self, group: &str) -> Vec<PortId> {
        self.all(group).cloned().collect()
    }

    /// The members of a group, sorted.
    pub(crate) fn all(&self, group: &str) -> impl Iterator<Item = &PortId> {
        self.members.get(group).into_iter().flat_map(BTreeMap::keys)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// How many groups there are.
    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// Whether a port of ours is in a group.
    pub(crate) fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// The members that are ports of ours, in the order of registration.
    pub(crate) fn local(&self) -> BTreeMap<&str, Vec<&PortId>> {
        let groups = self.local.iter();
        groups
            .map(|(group, ports)| (group.as_str(), ports.by_number.values().collect()))
            .collect()
    }

    /// So many of these memberships at the most, by group.
    pub(crate) fn first_local(&self, most: usize) -> BTreeMap<String, Vec<PortId>> {
        let mut first = BTreeMap::new();
        let mut left = most;
        for (group, ports) in &self.local {
            if left == 0 {
                break;
            }
            let ports: Vec<PortId> = ports.by_number.values().take(left).cloned().collect();
            left -= ports.len();
            if !ports.is_empty() {
                first.insert(group.clone(), ports);
            }
        }
        first
    }

    /// Registers a port of ours. False if it is in the group already.
    pub(crate) fn register(&mut self, group: &str, port: &PortId) -> bool {
        if !self.local.entry(group.to_owned()).or_default().add(port) {
            return false;
        }
        self.change(Source::Gossip, group, vec![port.clone()], vec![]);
        true
    }

    /// Ends the registration of a port of ours. False if there is none.
    pub(crate) fn unregister(&mut self, group: &str, port: &PortId) -> bool {
        let Some(local) = self.local.get_mut(group) else {
            return false;
        };
        if !local.remove(port) {
            return false;
        }
        if local.numbers.is_empty() {
            self.local.remove(group);
        }
        self.change(Source::Gossip, group, vec![], vec![port.clone()]);
        true
    }

    /// Adds and removes members; who follows the group is to hear of what really changed.
    pub(crate) fn change(
        &mut self,
        source: Source,
        group: &str,
        add: Vec<PortId>,
        remove: Vec<PortId>,
    ) {
        if !self.members.contains_key(group) {
            self.members.insert(group.to_owned(), BTreeMap::new());
        }
        let Some(members) = self.members.get_mut(group) else {
            return;
        };
        let followed = self.followed.contains(group);
        let mut changed = Vec::new();
        for port in remove {
            let Some(said) = members.get_mut(&port) else {
                continue;
            };
            if *said & source.bit() == 0 {
                continue;
            }
            *said &= !source.bit();
            let is_gone = *said == 0;
            if source == Source::Gossip
                && let Some(held) = self.held.get_mut(port.node())
            {
                *held -= cost(group, &port);
                if *held == 0 {
                    self.held.remove(port.node());
                }
            }
            if is_gone {
                members.remove(&port);
                changed.extend(followed.then_some((port, Membership::Ends)));
            }
        }
        for port in add {
            let said = members.entry(port.clone()).or_default();
            let before = *said;
            *said |= source.bit();
            if source == Source::Gossip && before & source.bit() == 0 {
                let cost = cost(group, &port);
                match self.held.get_mut(port.node()) {
                    Some(held) => *held += cost,
                    None => drop(self.held.insert(port.node_id(), cost)),
                }
            }
            if before == 0 {
                changed.extend(followed.then_some((port, Membership::Begins)));
            }
        }
        if members.is_empty() {
            self.members.remove(group);
        }
        if !changed.is_empty() {
            let before = self.changed.entry(group.to_owned()).or_default();
            before.extend(changed);
        }
    }

    /// Removes all members that are on a node, as far as the gossip knows.
    pub(crate) fn remove_node(&mut self, node: &NodeId) {
        let mut gone = Vec::new();
        for (group, members) in &self.members {
            let of_node = |(port, said): &(&PortId, &u8)| {
                port.node() == node.as_str() && **said & Source::Gossip.bit() != 0
            };
            let ports = members.iter().filter(of_node);
            let ports: Vec<PortId> = ports.map(|(port, _)| port.clone()).collect();
            if !ports.is_empty() {
                gone.push((group.clone(), ports));
            }
        }
        for (group, ports) in gone {
            self.change(Source::Gossip, &group, vec![], ports);
        }
    }

    /// Somebody follows a group from now on.
    pub(crate) fn follow(&mut self, group: &str) {
        self.followed.insert(group.to_owned());
    }

    /// Nobody follows the group any more.
    pub(crate) fn unfollow(&mut self, group: &str) {
        self.followed.remove(group);
        self.changed.remove(group);
    }

    /// A group that is followed and has changed since this was asked before, and how.
    pub(crate) fn next_changed(&mut self) -> Option<(String, Changed)> {
        self.changed.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A port is a member as long as one of the two says so, and who follows the group sees
        /// that.
        #[test]
        fn members_are_the_union(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0..4_u8), 0..40),
        ) {
            let mut groups = Groups::default();
            let mut said = [BTreeSet::new(), BTreeSet::new()];
            groups.follow("g");
            for (database, add, n) in steps {
                let source = if database { Source::Database } else { Source::Gossip };
                let port = PortId::new(format!("n#{n}"));
                let before: BTreeSet<PortId> = said.iter().flatten().cloned().collect();
                let (mut added, mut removed) = (vec![], vec![]);
                match add {
                    true => {
                        said[source as usize].insert(port.clone());
                        added.push(port);
                    }
                    false => {
                        said[source as usize].remove(&port);
                        removed.push(port);
                    }
                }
                groups.change(source, "g", added, removed);
                let all: usize = said[0].iter().map(|port| cost("g", port)).sum();
                prop_assert_eq!(groups.held_by(&NodeId::new("n")), all);
                let after: BTreeSet<PortId> = said.iter().flatten().cloned().collect();
                prop_assert_eq!(groups.members("g"), after.iter().cloned().collect::<Vec<_>>());
                let begun = after.difference(&before).map(|port| (port.clone(), Membership::Begins));
                let ended = before.difference(&after).map(|port| (port.clone(), Membership::Ends));
                let changed: Changed = begun.chain(ended).collect();
                let change = (!changed.is_empty()).then(|| ("g".to_owned(), changed));
                prop_assert_eq!(groups.next_changed(), change);
                prop_assert_eq!(groups.next_changed(), None);
            }
        }
    }

    #[test]
    fn the_first_memberships_are_by_group() {
        let mut groups = Groups::default();
        for (group, port) in [("b", "n#1"), ("a", "n#2"), ("c", "n#1"), ("b", "n#3")] {
            assert!(groups.register(group, &PortId::new(port)));
        }
        assert_eq!(groups.count(), 3);
        let first = |most| {
            let first = groups.first_local(most).into_iter();
            first
                .map(|(group, ports)| (group, ports.len()))
                .collect::<Vec<_>>()
        };
        let named = |all: &[(&str, usize)]| -> Vec<(String, usize)> {
            all.iter().map(|(g, n)| ((*g).to_owned(), *n)).collect()
        };
        assert!(first(0).is_empty());
        assert_eq!(first(2), named(&[("a", 1), ("b", 1)]));
        assert_eq!(first(9), named(&[("a", 1), ("b", 2), ("c", 1)]));
    }
}
