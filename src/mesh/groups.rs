//! Named groups of ports, visible on every node.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

use crate::node::GroupChanges;
use crate::proto::{NodeId, PortId};

/// Who says that a port is a member: each is asked for itself, and the members are the union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// We ourselves, and the gossip of generations 0 and 1.
    Gossip,
    /// The database of generation 2.
    Database,
}

#[derive(Default)]
pub(crate) struct Groups {
    members: BTreeMap<String, Arc<BTreeSet<PortId>>>,
    /// What each [`Source`] says.
    said: [BTreeMap<String, BTreeSet<PortId>>; 2],
    /// The members that are ports of ours, in the order of registration.
    local: BTreeMap<String, Vec<PortId>>,
    monitors: HashMap<String, watch::Sender<Arc<BTreeSet<PortId>>>>,
}

impl Groups {
    pub(crate) fn members(&self, group: &str) -> Vec<PortId> {
        let members = self.members.get(group);
        members
            .into_iter()
            .flat_map(|ports| ports.iter().cloned())
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    pub(crate) fn local(&self) -> &BTreeMap<String, Vec<PortId>> {
        &self.local
    }

    /// Registers a port of ours. False if it is in the group already.
    pub(crate) fn register(&mut self, group: &str, port: &PortId) -> bool {
        let local = self.local.entry(group.to_owned()).or_default();
        if local.contains(port) {
            return false;
        }
        local.push(port.clone());
        self.change(Source::Gossip, group, vec![port.clone()], vec![]);
        true
    }

    /// Ends the registration of a port of ours. False if there is none.
    pub(crate) fn unregister(&mut self, group: &str, port: &PortId) -> bool {
        let Some(local) = self.local.get_mut(group) else {
            return false;
        };
        let Some(at) = local.iter().position(|member| member == port) else {
            return false;
        };
        local.remove(at);
        if local.is_empty() {
            self.local.remove(group);
        }
        self.change(Source::Gossip, group, vec![], vec![port.clone()]);
        true
    }

    /// Adds and removes members; who monitors the group hears of what really changed.
    pub(crate) fn change(
        &mut self,
        source: Source,
        group: &str,
        add: Vec<PortId>,
        remove: Vec<PortId>,
    ) {
        let said = self.said[source as usize]
            .entry(group.to_owned())
            .or_default();
        for port in &remove {
            said.remove(port);
        }
        said.extend(add.iter().cloned());
        if said.is_empty() {
            self.said[source as usize].remove(group);
        }
        let is_said = |port: &PortId| {
            let mut all = self.said.iter().filter_map(|said| said.get(group));
            all.any(|said| said.contains(port))
        };
        let entry = self.members.entry(group.to_owned()).or_default();
        let members = Arc::make_mut(entry);
        let mut changed = false;
        for port in remove.into_iter().chain(add) {
            changed |= match is_said(&port) {
                true => members.insert(port),
                false => members.remove(&port),
            };
        }
        let now = entry.clone();
        if now.is_empty() {
            self.members.remove(group);
        }
        if changed
            && let Some(monitors) = self.monitors.get(group)
            && monitors.send(now).is_err()
        {
            self.monitors.remove(group); // nobody listens any more
        }
    }

    /// Removes all members that are on a node, as far as the gossip knows.
    pub(crate) fn remove_node(&mut self, node: &NodeId) {
        let mut gone = Vec::new();
        for (group, members) in &self.said[Source::Gossip as usize] {
            let of_node = members.iter().filter(|port| port.node() == node.as_str());
            let ports: Vec<PortId> = of_node.cloned().collect();
            if !ports.is_empty() {
                gone.push((group.clone(), ports));
            }
        }
        for (group, ports) in gone {
            self.change(Source::Gossip, &group, vec![], ports);
        }
    }

    /// Follows a group.
    pub(crate) fn monitor(&mut self, group: &str) -> GroupChanges {
        let now = self.members.get(group).cloned().unwrap_or_default();
        let monitors = self.monitors.entry(group.to_owned());
        let sender = monitors.or_insert_with(|| watch::Sender::new(now));
        GroupChanges::new(sender.subscribe())
    }

    pub(crate) fn close(&mut self) {
        self.monitors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A port is a member as long as one of the two says so, and who follows the group sees that.
        #[test]
        fn members_are_the_union(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0..4_u8), 0..40),
        ) {
            let mut groups = Groups::default();
            let mut said = [BTreeSet::new(), BTreeSet::new()];
            let mut changes = groups.monitor("g");
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
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
                let after: BTreeSet<PortId> = said.iter().flatten().cloned().collect();
                prop_assert_eq!(groups.members("g"), after.iter().cloned().collect::<Vec<_>>());
                if before != after {
                    let change = runtime.block_on(changes.next()).unwrap();
                    let gone: Vec<PortId> = before.difference(&after).cloned().collect();
                    let new: Vec<PortId> = after.difference(&before).cloned().collect();
                    prop_assert_eq!((change.added, change.removed), (new, gone));
                }
            }
        }
    }
}
