//! The program's part in groups.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::{Control, Rules};
use crate::mesh::database as db;
use crate::node::Inner;
use crate::node::request::Place;
use crate::node::roster::Roster;
use crate::proto::PortId;

/// Who follows which group.
#[derive(Default)]
pub(super) struct Followers(HashMap<String, watch::Sender<Roster>>);

impl Followers {
    /// The node has stopped: nobody hears of anything any more.
    pub(super) fn close(&mut self) {
        self.0.clear();
    }
}

impl Control {
    pub(crate) fn register(&self, node: &Arc<Inner>, group: &str, port: &PortId) -> bool {
        let mut state = self.0.lock();
        let (added, effects) = state.gossip.register(group, port);
        if added {
            // Before anybody hears of it.
            node.gate.entered(group, port.name(), &Place::ALL);
        }
        state.carry_out(node, effects);
        if added {
            let set = db::Input::Set {
                family: group.to_owned(),
                key: port.to_string(),
                value: Value::Null,
            };
            state.database(node, set);
        }
        added
    }

    pub(crate) fn unregister(&self, node: &Arc<Inner>, group: &str, port: &PortId) {
        let mut state = self.0.lock();
        let (removed, effects) = state.gossip.unregister(group, port);
        if removed {
            node.gate.left(group, port.name(), &Place::ALL);
            let del = db::Input::Del {
                family: group.to_owned(),
                keys: vec![port.to_string()],
            };
            state.database(node, del);
        }
        state.carry_out(node, effects);
    }

    pub(crate) fn members(&self, node: &Arc<Inner>, group: &str) -> Vec<PortId> {
        let mut state = self.0.lock();
        state.ask_database(node, group);
        state.gossip.groups.members(group)
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.0.lock().gossip.groups.names()
    }

    /// Follows a group: its members now, and whenever they change.
    pub(crate) fn follow(&self, node: &Arc<Inner>, group: &str) -> watch::Receiver<Roster> {
        let mut state = self.0.lock();
        state.ask_database(node, group);
        let Rules {
            gossip, followers, ..
        } = &mut *state;
        gossip.groups.follow(group);
        let now = || watch::Sender::new(Roster::new(&node.id, gossip.groups.all(group)));
        let sender = followers.0.entry(group.to_owned()).or_insert_with(now);
        sender.subscribe()
    }
}

impl Rules {
    /// Sees to it that the database tells of a group's members, too.
    fn ask_database(&mut self, node: &Arc<Inner>, group: &str) {
        if let Some(id) = self.questions.follow(group) {
            let family = group.to_owned();
            self.database(node, db::Input::Monitor { id, family });
        }
    }

    /// Tells the followers of groups what has changed.
    pub(super) fn tell_followers(&mut self) {
        while let Some((group, changed)) = self.gossip.groups.next_changed() {
            match self.followers.0.get(&group) {
                Some(sender) if !sender.is_closed() => {
                    sender.send_if_modified(|roster| roster.apply(changed));
                }
                // Nobody listens any more.
                _ => {
                    self.followers.0.remove(&group);
                    self.gossip.groups.unfollow(&group);
                }
            }
        }
    }
}
