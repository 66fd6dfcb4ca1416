//! The program's part in the database of generation 2.

use std::sync::Arc;

use serde_json::Value;

use super::{Answer, Changes, Control};
use crate::mesh::{Kind, database as db};
use crate::node::Inner;
use crate::node::request::Place;
use crate::proto::{NodeId, PortId};

/// The port of this node that a key is the ID of, as in generation 2 the members of groups are.
pub(super) fn own_port(node: &Inner, key: &str) -> Option<PortId> {
    let port = key.contains('#').then(|| PortId::new(key))?;
    node.is_local(&port).then_some(port)
}

impl Control {
    pub(crate) fn db_set(&self, node: &Arc<Inner>, family: &str, key: &str, value: Value) {
        let mut state = self.0.lock();
        if let Some(port) = own_port(node, key) {
            node.gate.entered(family, port.name(), &[Place::Database]);
        }
        let (family, key) = (family.to_owned(), key.to_owned());
        state.database(node, db::Input::Set { family, key, value });
    }

    pub(crate) fn db_del(&self, node: &Arc<Inner>, family: &str, keys: Vec<String>) {
        let mut state = self.0.lock();
        for port in keys.iter().filter_map(|key| own_port(node, key)) {
            node.gate.left(family, port.name(), &[Place::Database]);
        }
        let family = family.to_owned();
        state.database(node, db::Input::Del { family, keys });
    }

    /// Asks a question: its ID, and where the answer will come.
    pub(crate) fn db_query(&self, node: &Arc<Inner>, kind: Kind, family: &str) -> (u64, Answer) {
        let mut state = self.0.lock();
        let (id, answer) = state.questions.query();
        let family = family.to_owned();
        state.database(node, db::Input::Query { id, kind, family });
        (id, answer)
    }

    /// Nobody wants the answer any more.
    pub(crate) fn db_forget(&self, node: &Arc<Inner>, id: u64) {
        let mut state = self.0.lock();
        if state.questions.forget(id) {
            state.database(node, db::Input::Forget(id));
        }
    }

    pub(crate) fn db_monitor(&self, node: &Arc<Inner>, family: &str) -> (u64, Arc<Changes>) {
        let mut state = self.0.lock();
        let (id, changes) = state.questions.monitor();
        let family = family.to_owned();
        state.database(node, db::Input::Monitor { id, family });
        (id, changes)
    }

    pub(crate) fn db_unmonitor(&self, node: &Arc<Inner>, id: u64, family: &str) {
        let mut state = self.0.lock();
        if state.questions.unmonitor(id) {
            let family = family.to_owned();
            state.database(node, db::Input::Unmonitor { id, family });
        }
    }

    /// This node has seeds, or has none. One that does not speak generation 2 has no use for them
    /// here.
    pub(crate) fn has_seeds(&self, node: &Arc<Inner>, seeds: db::Seeds) {
        let seeds = match node.handshake.generations.allows(2) {
            true => seeds,
            false => db::Seeds::None,
        };
        self.database(node, db::Input::Seeds(seeds));
    }

    pub(crate) fn become_global(&self, node: &Arc<Inner>) {
        self.database(node, db::Input::BecomeGlobal);
    }

    pub(crate) fn is_global(&self) -> bool {
        self.0.lock().database.is_global()
    }

    pub(crate) fn master(&self) -> Option<NodeId> {
        self.0.lock().database.master().cloned()
    }
}
