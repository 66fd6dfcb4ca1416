//! What a node knows and remembers. What it does with that is said above, in a file for each of its
//! roles.

use std::collections::{BTreeMap, BTreeSet};

use super::global::Global;
use super::open::Local;
use super::terms::{Config, Effect};
use crate::mesh::Bound;
use crate::mesh::line::Line;
use crate::proto::NodeId;

/// A connected node.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) seed: bool,
    /// It is global and has told us the databases of its slaves.
    pub(super) merged: bool,
}

/// Who is to have a link to us, as a global node: see [`keepalive`](super::keepalive).
#[derive(Default)]
pub(super) struct Keepalive {
    /// Who is to have a link may have changed.
    pub(super) dirty: bool,
    /// All that are to have one.
    pub(super) wanted: BTreeSet<NodeId>,
    /// Those that are not connected.
    pub(super) missing: BTreeSet<NodeId>,
    /// How long to wait before the next try.
    pub(super) retry: f64,
    /// The number of the timer that counts.
    pub(super) timer: u64,
}

pub(crate) struct State {
    pub(super) own: NodeId,
    pub(super) config: Config,
    pub(super) random: Box<dyn FnMut() -> f64 + Send>,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// Those peers that are global nodes.
    pub(super) globals: BTreeSet<NodeId>,
    pub(super) local: Local,
    /// There once we are a global node.
    pub(super) global: Option<Global>,
    pub(super) keepalive: Keepalive,
    pub(super) effects: Vec<Effect>,
}

impl State {
    /// `random` gives numbers from 0 to below 1.
    pub(crate) fn new(own: NodeId, config: Config, random: Box<dyn FnMut() -> f64 + Send>) -> Self {
        State {
            own,
            config,
            random,
            peers: BTreeMap::new(),
            globals: BTreeSet::new(),
            local: Local::default(),
            global: None,
            keepalive: Keepalive::default(),
            effects: Vec::new(),
        }
    }

    /// Whether this is a global node. It stays one.
    pub(crate) fn is_global(&self) -> bool {
        self.global.is_some()
    }

    /// The node that answers our questions: this one if it is global.
    pub(crate) fn master(&self) -> Option<&NodeId> {
        self.local.master.as_ref()
    }

    /// The connected nodes that are global.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn global_nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.globals.iter()
    }

    /// Says what happens.
    pub(super) fn log(&mut self, level: u8, line: Line) {
        self.effects.push(Effect::Log(level, line));
    }

    pub(super) fn full(&mut self, bound: Bound, line: Line) {
        self.effects.push(Effect::Full(bound, line));
    }
}
