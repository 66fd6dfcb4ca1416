//! What there is to be judged when a schedule was run.

use std::collections::{BTreeMap, BTreeSet};

use aemp::PortId;
use serde_json::Value;

use crate::follow::Followed;
use crate::record::{Entry, Event, Life, copied_id};

/// What a node shows, once everything was healed and time has passed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// The nodes that it has links to, by their numbers.
    pub up: BTreeSet<usize>,
    /// Those that it keeps anything for.
    pub known: BTreeSet<String>,
    pub groups: BTreeMap<u64, BTreeSet<PortId>>,
    /// The families of the database, as it sees them; none if it got no answer.
    pub families: BTreeMap<u64, Option<BTreeMap<String, Value>>>,
    /// What readers of changes were told.
    pub followed: Followed,
    pub load: Load,
    /// Children of supervisors that do not run.
    pub missing_children: usize,
}

/// What a node is about to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Octets that wait to be written.
    pub queued: usize,
    /// Octets that others make it hold.
    pub held: usize,
    /// Connections that are being made, or have proved nothing.
    pub unfinished: usize,
}

/// What a node should show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    pub up: BTreeSet<usize>,
    /// Those that it may have links to.
    pub may_be_up: BTreeSet<usize>,
    pub groups: BTreeMap<u64, BTreeSet<PortId>>,
    /// For each key the values of those who have set it: one of them is seen.
    pub families: BTreeMap<u64, BTreeMap<String, BTreeSet<u64>>>,
}

/// What is left of a node when all that programs had was ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bare {
    pub ports: usize,
    /// The nodes that have a port here for their gossip.
    pub gossip: usize,
}

/// A run, as far as it matters.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub entries: Vec<Entry>,
    /// When all was healed, and when the network had come to rest, in microseconds.
    pub healed: u64,
    pub settled: u64,
    /// What nodes showed before each had asked the others for something.
    pub alone: Vec<View>,
    pub views: Vec<View>,
    pub wanted: Vec<Wanted>,
    /// Nodes that asked another one who it is and got no answer.
    pub deaf: Vec<(usize, usize, String)>,
    /// Ports that lived when the network had come to rest.
    pub living: BTreeSet<PortId>,
    /// When those ports were killed, and when the nodes began to stop.
    pub killed: u64,
    pub stopped: u64,
    pub bare: Vec<Bare>,
    /// Tasks and connections when all nodes had stopped.
    pub tasks_left: usize,
    pub connections_left: usize,
    pub panics: usize,
    /// Octets of memory that were not given back when everything was gone.
    pub heap_left: i64,
}

impl Evidence {
    /// A copy that shares no memory with this one.
    pub fn copied(&self) -> Evidence {
        let mut copy = self.clone();
        for entry in &mut copy.entries {
            entry.event.share_nothing();
        }
        for view in copy.alone.iter_mut().chain(&mut copy.views) {
            view.groups.values_mut().for_each(share_nothing);
            view.followed.groups.values_mut().for_each(share_nothing);
        }
        for wanted in &mut copy.wanted {
            wanted.groups.values_mut().for_each(share_nothing);
        }
        share_nothing(&mut copy.living);
        copy
    }

    /// The events with their times, without what nodes logged.
    pub fn events(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.entries.iter().map(|entry| (entry.at, &entry.event))
    }

    /// When each life was over.
    pub fn over(&self) -> BTreeMap<Life, u64> {
        let over = self.events().filter_map(|(at, event)| match event {
            Event::Over(life, _) => Some((*life, at)),
            _ => None,
        });
        over.collect()
    }

    /// The trace, line by line.
    pub fn trace(&self) -> String {
        let lines = self.entries.iter().map(|entry| format!("{entry}\n"));
        lines.collect()
    }
}

fn share_nothing(ports: &mut BTreeSet<PortId>) {
    *ports = ports.iter().map(copied_id).collect();
}
