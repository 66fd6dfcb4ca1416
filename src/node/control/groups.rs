//! The program's part in groups.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use serde_json::Value;
use tokio::sync::watch;

use super::database::own_port;
use super::{Control, Rules};
use crate::mesh::groups::Groups;
use crate::mesh::{Changed, database as db};
use crate::node::Inner;
use crate::node::followed::Follower;
use crate::node::request::Place;
use crate::node::roster::Roster;
use crate::proto::PortId;
use crate::rights;

/// Who follows which group.
#[derive(Default)]
pub(super) struct Followers {
    of: HashMap<String, Followed>,
    closed: bool,
}

/// A group that somebody follows.
#[derive(Default)]
struct Followed {
    /// For those who choose one of its members, or wait for some.
    roster: Option<watch::Sender<Roster>>,
    /// For those who follow its changes.
    followers: Vec<Weak<Follower>>,
}

impl Followers {
    /// The node has stopped: nobody hears of anything any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.of.clear();
    }
}

impl Followed {
    fn add(&mut self, follower: &Arc<Follower>) {
        if self.followers.len() == self.followers.capacity() {
            self.followers.retain(|other| other.strong_count() > 0);
        }
        self.followers.push(Arc::downgrade(follower));
    }

    /// Tells all of them what has changed. False if there is nobody.
    fn tell(&mut self, changed: &Changed) -> bool {
        self.roster.take_if(|roster| roster.is_closed());
        if let Some(roster) = &self.roster {
            roster.send_if_modified(|roster| roster.apply(changed));
        }
        self.followers.retain(|follower| {
            let follower = follower.upgrade();
            follower.inspect(|one| one.tell(changed)).is_some()
        });
        self.roster.is_some() || !self.followers.is_empty()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        for follower in self.followers.iter().filter_map(Weak::upgrade) {
            follower.close();
        }
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
        self.0.lock().unregister(node, group, port);
    }

    /// Puts other rules in force: no port of this node enters or leaves a group meanwhile.
    pub(crate) fn replace_rules(&self, node: &Arc<Inner>, rules: rights::Rules) {
        let state = self.0.lock();
        node.gate.replace(rules, || {
            let mut all = Vec::new();
            for (group, ports) in state.gossip.groups.local() {
                let ports = ports.into_iter().cloned();
                all.extend(ports.map(|port| (group.to_owned(), port, Place::Gossip)));
            }
            let is_own = |key: &str| own_port(node, key).is_some();
            for (family, keys) in state.database.own_keys(is_own) {
                let ports = keys.into_iter().map(PortId::new);
                all.extend(ports.map(|port| (family.clone(), port, Place::Database)));
            }
            all
        });
    }

    /// Ends the membership of all ports of this node in whatever group.
    pub(crate) fn leave_groups(&self, node: &Arc<Inner>) {
        let mut state = self.0.lock();
        let own = |(group, ports): (&str, Vec<&PortId>)| {
            let ports: Vec<PortId> = ports.into_iter().cloned().collect();
            (group.to_owned(), ports)
        };
        let local: Vec<_> = state.gossip.groups.local().into_iter().map(own).collect();
        for (group, ports) in local {
            for port in ports {
                state.unregister(node, &group, &port);
            }
        }
        // What was registered in the database alone.
        let is_own = |key: &str| own_port(node, key).is_some();
        for (family, keys) in state.database.own_keys(is_own) {
            state.database(node, db::Input::Del { family, keys });
        }
    }

    pub(crate) fn members(&self, node: &Arc<Inner>, group: &str) -> Vec<PortId> {
        let mut state = self.0.lock();
        state.ask_database(node, group);
        state.gossip.groups.members(group)
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.0.lock().gossip.groups.names()
    }

    /// How many groups have members.
    pub(crate) fn group_count(&self) -> usize {
        self.0.lock().gossip.groups.count()
    }

    /// So many memberships of ports of this node at the most, by group.
    pub(crate) fn own_memberships(&self, most: usize) -> BTreeMap<String, Vec<PortId>> {
        self.0.lock().gossip.groups.first_local(most)
    }

    /// Follows a group: its members now, and whenever they change.
    pub(crate) fn follow(&self, node: &Arc<Inner>, group: &str) -> watch::Receiver<Roster> {
        let mut state = self.0.lock();
        let none = || watch::Sender::new(Roster::new(&node.id, std::iter::empty()));
        let Some((followed, groups)) = state.followed(node, group) else {
            return none().subscribe();
        };
        let now = || watch::Sender::new(Roster::new(&node.id, groups.all(group)));
        followed.roster.get_or_insert_with(now).subscribe()
    }

    /// Follows the changes of a group.
    pub(crate) fn follow_changes(&self, node: &Arc<Inner>, group: &str) -> Arc<Follower> {
        let mut state = self.0.lock();
        let Some((followed, groups)) = state.followed(node, group) else {
            let follower = Follower::default();
            follower.close();
            return Arc::new(follower);
        };
        let follower = Arc::new(Follower::new(groups.all(group)));
        followed.add(&follower);
        follower
    }
}

impl Rules {
    /// Begins to follow a group: who does, and what there is. `None` if the node has stopped.
    fn followed(&mut self, node: &Arc<Inner>, group: &str) -> Option<(&mut Followed, &Groups)> {
        if self.followers.closed {
            return None;
        }
        self.ask_database(node, group);
        self.gossip.groups.follow(group);
        let followed = self.followers.of.entry(group.to_owned()).or_default();
        Some((followed, &self.gossip.groups))
    }

    fn unregister(&mut self, node: &Arc<Inner>, group: &str, port: &PortId) {
        let (removed, effects) = self.gossip.unregister(group, port);
        if removed {
            node.gate.left(group, port.name(), &Place::ALL);
            let del = db::Input::Del {
                family: group.to_owned(),
                keys: vec![port.to_string()],
            };
            self.database(node, del);
        }
        self.carry_out(node, effects);
    }

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
            let followed = self.followers.of.get_mut(&group);
            if followed.is_none_or(|followed| !followed.tell(&changed)) {
                self.followers.of.remove(&group);
                self.gossip.groups.unfollow(&group);
            }
        }
    }
}
