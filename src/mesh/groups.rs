//! Named groups of ports, visible on every node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::sync::mpsc;

use crate::node::{GroupChange, GroupChanges};
use crate::proto::{NodeId, PortId};

#[derive(Default)]
pub(crate) struct Groups {
    members: BTreeMap<String, BTreeSet<PortId>>,
    /// The members that are ports of ours, in the order of registration.
    local: BTreeMap<String, Vec<PortId>>,
    monitors: HashMap<String, Vec<mpsc::UnboundedSender<GroupChange>>>,
}

impl Groups {
    pub(crate) fn members(&self, group: &str) -> Vec<PortId> {
        let members = self.members.get(group).into_iter().flatten();
        members.cloned().collect()
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
        let members = self.members.entry(group.to_owned()).or_default();
        let removed: Vec<PortId> = remove.into_iter().filter(|p| members.remove(p)).collect();
        let added: Vec<PortId> = add
            .into_iter()
            .filter(|p| members.insert(p.clone()))
            .collect();
        let all: Vec<PortId> = members.iter().cloned().collect();
        if all.is_empty() {
            self.members.remove(group);
        }
        if added.is_empty() && removed.is_empty() {
            return;
        }
        let Some(monitors) = self.monitors.get_mut(group) else {
            return;
        };
        let change = GroupChange {
            members: all,
            added,
            removed,
        };
        monitors.retain(|to| to.send(change.clone()).is_ok());
        if monitors.is_empty() {
            self.monitors.remove(group);
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

    /// The group's changes from now on; first, if it has members, all of them as added.
    pub(crate) fn monitor(&mut self, group: &str) -> GroupChanges {
        let (sender, receiver) = mpsc::unbounded_channel();
        let members = self.members(group);
        if !members.is_empty() {
            let _ = sender.send(GroupChange {
                added: members.clone(),
                members,
                removed: vec![],
            });
        }
        let monitors = self.monitors.entry(group.to_owned()).or_default();
        monitors.push(sender);
        GroupChanges(receiver)
    }

    pub(crate) fn close(&mut self) {
        self.monitors.clear();
    }
}
