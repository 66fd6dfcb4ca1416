//! Named groups of ports, visible on every node.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

use crate::node::GroupChanges;
use crate::proto::{NodeId, PortId};

#[derive(Default)]
pub(crate) struct Groups {
    members: BTreeMap<String, Arc<BTreeSet<PortId>>>,
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
        self.change(group, vec![port.clone()], vec![]);
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
        self.change(group, vec![], vec![port.clone()]);
        true
    }

    /// Adds and removes members; who monitors the group hears of what really changed.
    pub(crate) fn change(&mut self, group: &str, add: Vec<PortId>, remove: Vec<PortId>) {
        let entry = self.members.entry(group.to_owned()).or_default();
        let members = Arc::make_mut(entry);
        let mut changed = false;
        for port in remove {
            changed |= members.remove(&port);
        }
        for port in add {
            changed |= members.insert(port);
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

    /// Removes all members that are on a node.
    pub(crate) fn remove_node(&mut self, node: &NodeId) {
        let mut gone = Vec::new();
        for (group, members) in &self.members {
            let of_node = members.iter().filter(|port| port.node() == node.as_str());
            let ports: Vec<PortId> = of_node.cloned().collect();
            if !ports.is_empty() {
                gone.push((group.clone(), ports));
            }
        }
        for (group, ports) in gone {
            self.change(&group, vec![], ports);
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
