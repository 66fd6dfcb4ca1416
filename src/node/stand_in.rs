//! What a bridge hooks into the nodes that it runs (docs/bridge.md). Other nodes have none of it.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use super::link::{Link, Peer};
use super::{Inner, NodeEvent};
use crate::mesh::Seen;
use crate::mesh::state::Gossip;
use crate::proto::{Message, NodeId};

/// What makes a stand-in of a node: it passes messages on. Nothing of this is called under a lock
/// of a peer's state.
pub(crate) trait Relay: Send + Sync {
    /// Takes a message that came by a link, unless it is for the stand-in itself: then false.
    fn pass(
        &self,
        node: &Arc<Inner>,
        peer: &Arc<Peer>,
        link: &Arc<Link>,
        name: &str,
        message: &Message,
    ) -> bool;

    /// A link to the peer is there, and nobody was told yet.
    fn up(&self, peer: &Arc<Peer>, link: &Link);

    /// A life of the peer has ended; the next cannot begin before this returns.
    fn ended(&self, peer: &Arc<Peer>, life: u64);

    /// Whether a node of this ID is to have no link to the stand-in.
    fn refuses(&self, id: &NodeId) -> bool;

    /// Where the messages of this node go, and how many octets may wait there.
    fn target(&self, from: &NodeId) -> Option<(Arc<Peer>, usize)>;
}

/// What a bridge wants to hear from its own node.
pub(crate) trait Observer: Send + Sync {
    /// A node came up or went down.
    fn event(&self, node: &Arc<Inner>, event: &NodeEvent);

    /// A node said something about the mesh.
    fn gossip(&self, node: &Arc<Inner>, from: &NodeId, gossip: Gossip);

    /// Something was seen in the database of generation 2.
    fn seen(&self, node: &Arc<Inner>, seen: Seen);

    /// The numbers of the generations that it joins, sorted; none if it has ended.
    fn generations(&self) -> Vec<u32>;
}

/// A link's part in a pair of links.
#[derive(Default)]
pub(crate) struct Pair {
    /// The life of the other link's peer with which this link ends.
    pub(crate) bound: OnceLock<u64>,
    /// The link is being closed.
    pub(crate) leaving: AtomicBool,
}

/// What became of a message that was to be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// It is on its way.
    Done,
    /// The life that it belongs to is over.
    Lost,
    /// It was encoded in another framing than the link's.
    OtherFraming,
}
