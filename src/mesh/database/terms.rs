//! What goes in and comes out, and the names of families that mean something.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::request::{Kind, Request};
use super::val::Val;
use super::values::{Limits, cost};
use crate::mesh::Bound;
use crate::mesh::groups::Membership;
use crate::mesh::line::Line;
use crate::proto::{Message, NodeId, PortId};

/// The family of the nodes' listeners.
pub(crate) const LISTENERS: &str = "'l";
/// The family of the global nodes.
pub(crate) const GLOBALS: &str = "'g";
/// The family of the stand-ins of bridges: a node's ID, and that of its bridge.
pub(crate) const STAND_INS: &str = "aemp-bridge";

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A generation 2 node is connected. `seed`: it is at one of our seed addresses.
    Up {
        node: NodeId,
        seed: bool,
    },
    /// A node turned out to be at a seed address.
    IsSeed(NodeId),
    Down(NodeId),
    /// A peer said something.
    Request(NodeId, Request),
    /// Whether this node has seeds.
    Seeds(Seeds),
    /// Where we listen.
    Listeners(Vec<String>),
    /// We are our own seed, or the program wants it.
    BecomeGlobal,
    /// A bridge wants to hear of all changes and to have links to all nodes, or does so no more. It
    /// makes us a global node.
    Observe,
    /// It hears of nothing any more.
    StopObserving,
    /// A message waits for a node that is not connected.
    Find(NodeId),
    /// No message waits for it any more.
    ConnectFailed(NodeId),
    Set {
        family: String,
        key: String,
        value: Value,
    },
    Del {
        family: String,
        keys: Vec<String>,
    },
    /// A question of the program. `id` is its own choice, not in use by another open question.
    Query {
        id: u64,
        kind: Kind,
        family: String,
    },
    /// Nobody wants the answer any more.
    Forget(u64),
    /// A monitor of the program's begins. `id` is its own choice, not in use by another monitor.
    Monitor {
        id: u64,
        family: String,
    },
    Unmonitor {
        id: u64,
        family: String,
    },
    Timer(Timer),
}

/// What a node knows of its seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Seeds {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It has none, so nobody will be its master unless it is that itself.
    None,
    /// It has some, one of which will be its master.
    Some,
}

/// What was to happen later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Timer {
    /// Try again to connect to missing global nodes. Only the newest such timer counts.
    Keepalive(u64),
    /// The search of that number for a master lasts long.
    Search(u64),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Say this to the node port of a node that is up.
    Send(NodeId, Message),
    /// Connect to a node at these addresses: it was to be found, or is a global node that we keep a
    /// link to. There is at least one address.
    Connect(NodeId, Vec<String>),
    /// The node that was to be found has no known address: what waits for it fails.
    Unknown(NodeId),
    /// The answer to a question. Its form is that of the [`Kind`] asked for, whatever the master
    /// said.
    Reply(u64, Val),
    /// These questions are not answered, and these monitors hear of nothing until there is a
    /// master, for which there was a search in vain; that is its number.
    NoMaster {
        questions: Vec<u64>,
        monitors: Vec<u64>,
        search: u64,
    },
    /// For these monitors: what changed.
    Changed {
        ids: Vec<u64>,
        change: Change,
    },
    /// For the bridge.
    Seen(Seen),
    After(Duration, Timer),
    /// A line for the log, at that level.
    Log(u8, Line),
    /// The same at level 2: what a node said was not kept, as that would go beyond a bound.
    Full(Bound, Line),
}

/// How a family is not what it was before.
///
/// A monitor's first change lists what there is as added, and comes even if that is nothing. No
/// later one is empty. A key is added only if it is not there, changed or deleted only if it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) family: String,
    pub(crate) added: BTreeMap<String, Val>,
    /// Keys with another value than before, and that value.
    pub(crate) changed: BTreeMap<String, Val>,
    /// Keys that are gone, and the last value of each.
    pub(crate) deleted: BTreeMap<String, Val>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.deleted.is_empty()
    }

    /// How much memory it takes, about, in octets.
    pub(crate) fn octets(&self) -> usize {
        let all = [&self.added, &self.changed, &self.deleted];
        let all = all.into_iter().flatten();
        all.map(|(key, value)| cost(key, value)).sum()
    }
}

/// Something that was seen in the merged database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A node listens there.
    At(NodeId, Vec<String>),
    /// A port is a key of a family, or is so no more.
    Port {
        membership: Membership,
        family: String,
        port: PortId,
    },
}

/// The settings that the rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) monitor_timeout: Duration,
    pub(crate) limits: Limits,
}
