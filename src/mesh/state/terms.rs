//! What goes in and comes out.

use std::time::Duration;

use super::gossip::Gossip;
use crate::mesh::Bound;
use crate::mesh::line::Line;
use crate::proto::{Generation, Message, NodeId, PortId};

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Up {
        node: NodeId,
        generation: Generation,
        /// The numbers of the generations that the node speaks.
        speaks: Vec<u32>,
    },
    Down(NodeId),
    Gossip(NodeId, Gossip),
    /// Our gossip port on a node is dead.
    GossipPortDied(NodeId, PortId),
    /// A message waits for a node that is not connected.
    Want(NodeId),
    Listeners(Vec<String>),
    Seeds(Vec<String>),
    /// A seed's address, who is there, the generation of the link, and how that is known.
    SeedIs(String, NodeId, Generation, Evidence),
    /// An attempt to connect to a seed is over.
    SeedEnded(String),
    /// It is over, as the seed is this very node.
    SeedIsOurselves(String),
    Timer(Timer),
    /// A bridge has a stand-in for this node in that generation, at these addresses.
    Vouch(NodeId, u32, Vec<String>),
    Unvouch(NodeId, u32),
    /// A stand-in is told of a node by its bridge: where it listens.
    Learn(NodeId, Vec<String>, Connect),
}

/// How it is known which node is at a seed's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It has proved itself there.
    Proved,
    /// Somebody there claims to be that node, to which there is a link already.
    Claimed,
}

/// When to connect to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connect {
    AtOnce,
    /// When there is a message for it.
    OnDemand,
}

/// What was to happen later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Timer {
    /// Connect to a seed, and to the next later on. Only the newest such timer counts.
    SeedRound(u64),
    /// Connect to one seed.
    SeedTry,
    /// Connect to this seed.
    SeedAgain(String, u64),
    /// Try a seed again that was this very node.
    SeedReturns(String),
    /// Pass on a node's addresses.
    Broadcast(NodeId),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Snd(PortId, Message),
    /// Say when this port of a node dies.
    Watch(NodeId, PortId),
    /// Connect to a node at these addresses: it is wanted, or our bridge tells of it.
    Connect(NodeId, Vec<String>),
    /// A node told us where another one is: connect to it when it is its turn.
    Told {
        by: NodeId,
        node: NodeId,
        addresses: Vec<String>,
        /// The greeting version that it is likely to speak.
        version: Option<u32>,
    },
    Dial(String),
    /// One of our seeds is this very node.
    OwnSeed,
    After(Duration, Timer),
    /// A line for the log, at that level.
    Log(u8, Line),
    /// The same at level 2: what a node said was not kept, as that would go beyond a bound.
    Full(Bound, Line),
}

/// The settings that the rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) connect_interval: Duration,
    pub(crate) monitor_timeout: Duration,
    /// Seeds are tried only while no node is connected, as in generation 0.
    pub(crate) seed_only_when_alone: bool,
    /// The node is the stand-in of a bridge: it hears of others from that alone, and has no master.
    pub(crate) stands_in: bool,
    /// Each seed is tried by itself, as in generation 2, also those that were never reached.
    pub(crate) seeds_are_single: bool,
}
