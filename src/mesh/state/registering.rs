//! Groups that ports of ours are in.

use super::known::State;
use super::terms::Effect;
use crate::proto::{Generation, NodeId, PortId};

impl State {
    /// Registers a port of ours and tells the peers. False if it was registered.
    pub(crate) fn register(&mut self, group: &str, port: &PortId) -> (bool, Vec<Effect>) {
        let added = self.groups.register(group, port);
        if added {
            self.tell_registration("reg1", group, port);
        }
        (added, std::mem::take(&mut self.effects))
    }

    /// Ends a registration and tells the peers. False if there was none.
    pub(crate) fn unregister(&mut self, group: &str, port: &PortId) -> (bool, Vec<Effect>) {
        let removed = self.groups.unregister(group, port);
        if removed {
            self.tell_registration("reg0", group, port);
        }
        (removed, std::mem::take(&mut self.effects))
    }

    pub(super) fn tell_registration(&mut self, verb: &str, group: &str, port: &PortId) {
        let peers: Vec<(NodeId, Generation)> = self
            .up_nodes()
            .filter_map(|(id, _, link)| Some((id.clone(), link.gossip?)))
            .collect();
        for (peer, generation) in peers {
            match generation.group_before_port() {
                true => self.say(&peer, (verb, group, port)),
                false => self.say(&peer, (verb, port, group)),
            }
        }
    }
}
