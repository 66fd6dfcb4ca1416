//! What is known of the other nodes, and of what goes on.

use std::collections::BTreeMap;

use super::hearsay::Hearsay;
use super::terms::{Config, Effect};
use crate::mesh::Bound;
use crate::mesh::groups::Groups;
use crate::mesh::line::Line;
use crate::mesh::seeds::Seeds;
use crate::proto::{Generation, NodeId, PortId};

/// What is known of a node.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) up: Option<Link>,
    /// What it told us, or another node did: its listeners.
    pub(super) addresses: Option<Vec<String>>,
    /// Whether it said so itself.
    pub(super) first_hand: bool,
}

#[derive(Debug)]
pub(super) struct Link {
    /// The generation whose gossip the node understands. None: it is of generation 2 alone.
    pub(super) gossip: Option<Generation>,
    pub(super) speaks: Vec<u32>,
    /// Where it takes our gossip, until that port dies.
    pub(super) gossip_port: Option<PortId>,
    /// It asked us to keep it informed.
    pub(super) seedme: bool,
    /// Others will be told where it listens when a timer has run out; with that, whether it has
    /// said something new meanwhile.
    pub(super) broadcast: Option<bool>,
}

impl Link {
    pub(super) fn has_masters(&self) -> bool {
        self.gossip.is_some_and(Generation::has_masters)
    }

    pub(super) fn is_gen0(&self) -> bool {
        self.gossip == Some(Generation::Gen0)
    }
}

pub(crate) struct State {
    pub(super) own: NodeId,
    pub(super) config: Config,
    pub(super) nodes: BTreeMap<NodeId, Known>,
    /// Those of them that are not up, and whose word we have for them.
    pub(super) hearsay: Hearsay,
    pub(super) listeners: Vec<String>,
    pub(crate) groups: Groups,
    pub(super) seeds: Seeds,
    /// The number of the newest timer of the seeds' rounds; 0 before the first.
    pub(super) seed_round: u64,
    pub(super) master: Option<NodeId>,
    pub(super) name: Box<dyn FnMut() -> String + Send>,
    pub(super) random: Box<dyn FnMut() -> f64 + Send>,
    pub(super) effects: Vec<Effect>,
    /// By how many octets a node's part of the groups may still grow: it is set before each
    /// message, and what that adds is taken off.
    pub(crate) room: usize,
    /// The stand-ins of our bridge, by their generation.
    pub(super) vouched: BTreeMap<(NodeId, u32), Vec<String>>,
}

impl State {
    pub(crate) fn new(
        own: NodeId,
        config: Config,
        name: Box<dyn FnMut() -> String + Send>,
        random: Box<dyn FnMut() -> f64 + Send>,
    ) -> Self {
        State {
            own,
            config,
            nodes: BTreeMap::new(),
            hearsay: Hearsay::default(),
            listeners: Vec::new(),
            groups: Groups::default(),
            seeds: Seeds::default(),
            seed_round: 0,
            master: None,
            name,
            random,
            effects: Vec::new(),
            room: usize::MAX,
            vouched: BTreeMap::new(),
        }
    }

    pub(super) fn is_up(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|known| known.up.is_some())
    }

    pub(super) fn up_nodes(&self) -> impl DoubleEndedIterator<Item = (&NodeId, &Known, &Link)> {
        let up = |(id, known): (_, _)| {
            let known: &Known = known;
            known.up.as_ref().map(|link| (id, known, link))
        };
        self.nodes.iter().filter_map(up)
    }

    /// Says what happens.
    pub(super) fn log(&mut self, level: u8, line: Line) {
        self.effects.push(Effect::Log(level, line));
    }

    pub(super) fn full(&mut self, bound: Bound, line: Line) {
        self.effects.push(Effect::Full(bound, line));
    }
}
