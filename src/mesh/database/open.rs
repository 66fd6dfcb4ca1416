//! What any node holds of the database: its own keys, and what it wants of its master.
//!
//! Questions and monitors are *open requests* while the master has to answer them or to tell of
//! changes. A new master is sent all of them again.

use std::collections::{BTreeMap, HashMap};

use super::request::{Kind, Request};
use super::terms::Seeds;
use super::values::{Db, Family};
use crate::proto::NodeId;

#[derive(Default)]
pub(super) struct Local {
    /// Our keys.
    pub(super) db: BTreeMap<String, Family>,
    pub(super) master: Option<NodeId>,
    pub(super) seeds: Seeds,
    /// Whether there is a master to be found.
    pub(super) search: Search,
    /// How often one was searched for.
    pub(super) searches: u64,
    /// Counts open requests; they are sent again in this order.
    pub(super) counter: u64,
    /// Nodes that are to be found.
    pub(super) finds: BTreeMap<NodeId, u64>,
    /// Questions by the program's number.
    pub(super) questions: HashMap<u64, Question>,
    /// The program's number by the ID on the wire.
    pub(super) on_wire: HashMap<String, u64>,
    /// How many questions there were.
    pub(super) asked: u64,
    /// The families that are monitored.
    pub(super) watched: BTreeMap<String, Watched>,
    /// What they hold.
    pub(super) content: Db,
}

/// How it stands with the search for a master.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Search {
    /// There is one, or it is not known yet whether there will be.
    #[default]
    Over,
    /// There will be none: this node answers itself.
    Alone,
    /// There is none, and not for long, in the search of that number.
    Since(u64),
    /// There is none, and has not been for long.
    InVain,
}

pub(super) struct Question {
    pub(super) counter: u64,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) family: String,
}

pub(super) struct Watched {
    pub(super) counter: u64,
    /// The program's monitors.
    pub(super) ids: Vec<u64>,
    /// The content is known.
    pub(super) known: bool,
    /// The present master has to tell it yet. Changes that it tells before are part of that.
    pub(super) waiting: bool,
}

impl Local {
    pub(super) fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The open requests, as a new master is to hear them.
    pub(super) fn open(&mut self) -> Vec<Request> {
        let mut open = BTreeMap::new();
        for (node, counter) in &self.finds {
            open.insert(*counter, Request::Find(node.clone()));
        }
        for question in self.questions.values() {
            open.insert(question.counter, question.request());
        }
        for (family, watched) in &mut self.watched {
            watched.waiting = true;
            open.insert(watched.counter, Request::Mon1(family.clone()));
        }
        open.into_values().collect()
    }

    /// The families that are monitored.
    pub(super) fn watched(&self) -> impl Iterator<Item = &String> {
        self.watched.keys()
    }

    pub(super) fn stop_find(&mut self, node: &NodeId) {
        self.finds.remove(node);
    }

    pub(super) fn forget(&mut self, id: u64) -> Option<Kind> {
        let question = self.questions.remove(&id)?;
        self.on_wire.remove(&question.id);
        Some(question.kind)
    }
}

impl Question {
    pub(super) fn request(&self) -> Request {
        Request::Query {
            kind: self.kind,
            family: self.family.clone(),
            id: self.id.clone(),
        }
    }
}
