//! The table of other nodes.

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::Peer;
use crate::node::held::{Account, Memory};
use crate::proto::NodeId;

/// A thread may remember a peer for the next message, beyond the end of the node: what the peer
/// holds must not live as long.
impl Drop for Peers {
    fn drop(&mut self) {
        for peer in self.all() {
            peer.abandon();
        }
    }
}

pub(crate) struct Peers {
    table: DashMap<Box<str>, Arc<Peer>, RandomState>,
    /// What they all may make us hold.
    memory: Arc<Memory>,
}

impl Peers {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        Peers {
            table: DashMap::default(),
            memory,
        }
    }

    /// How many there are: those that we have links to, and those that we try to reach.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Peer>> {
        self.table.get(id).map(|peer| peer.clone())
    }

    /// The peer of this ID, which is new if there was none: `life` gives the number of its first
    /// life, `asker` is the account of the peer that wants something sent to it.
    pub(crate) fn get_or_add(
        &self,
        id: &str,
        life: impl FnOnce() -> u64,
        asker: Option<&Arc<Account>>,
    ) -> Arc<Peer> {
        if let Some(peer) = self.get(id) {
            return peer;
        }
        let entry = self.table.entry(id.into());
        let account = self.memory.account();
        let add = || Arc::new(Peer::new(NodeId::new(id), life(), account, asker));
        entry.or_insert_with(add).clone()
    }

    /// Drops a peer that holds nothing any more.
    pub(crate) fn forget(&self, peer: &Arc<Peer>) {
        self.table.remove_if(peer.id.as_str(), |_, present| {
            Arc::ptr_eq(present, peer) && peer.retire()
        });
    }

    /// All of them, sorted by ID.
    pub(crate) fn all(&self) -> Vec<Arc<Peer>> {
        let mut all: Vec<Arc<Peer>> = self.table.iter().map(|peer| peer.clone()).collect();
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The IDs of the connected nodes, sorted.
    pub(crate) fn up(&self) -> Vec<NodeId> {
        let all = self.all();
        let up = all.iter().filter(|peer| peer.is_up());
        up.map(|peer| peer.id.clone()).collect()
    }
}
