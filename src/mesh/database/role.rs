//! What a global node does for others: for its slaves, for other global nodes, and for itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::global::Global;
use super::request::{Kind, Request, addresses};
use super::state::State;
use super::terms::{Effect, GLOBALS, LISTENERS, STAND_INS};
use super::val::Val;
use super::values::{Families, Family};
use crate::mesh::line::line;
use crate::proto::verb::DatabaseVerb;
use crate::proto::{Message, NodeId};

/// What a question is answered with.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer<'a> {
    Family(BTreeMap<&'a String, &'a Val>),
    Keys(Vec<&'a String>),
    Values(Vec<&'a Val>),
}

impl<'a> Answer<'a> {
    pub(super) fn of(kind: Kind, content: impl Iterator<Item = (&'a String, &'a Val)>) -> Self {
        match kind {
            Kind::Family => Answer::Family(content.collect()),
            Kind::Keys => Answer::Keys(content.map(|(key, _)| key).collect()),
            Kind::Values => Answer::Values(content.map(|(_, value)| value).collect()),
        }
    }
}

impl State {
    /// Becomes a global node. The local database, monitors and open requests stay.
    pub(super) fn become_global(&mut self) {
        if self.global.is_some() {
            return;
        }
        self.log(7, line!(: "starting global service."));
        self.global = Some(Global::default());
        self.keepalive.dirty = true;
        if let Some(old) = self.local.master.take() {
            for family in self.local.watched().cloned().collect::<Vec<_>>() {
                self.send(&old, Request::Mon0(family));
            }
        }
        self.set_master(self.own.clone());
        self.set(GLOBALS.to_owned(), self.own.to_string(), Value::Null.into());
        for node in self.peers.keys().cloned().collect::<Vec<_>>() {
            self.send(&node, Request::Global);
            if self.globals.contains(&node) {
                self.introduce(&node);
            }
        }
    }

    /// A peer says that it is a global node.
    pub(super) fn peer_is_global(&mut self, node: &NodeId) {
        let known = !self.peers.contains_key(node) || !self.globals.insert(node.clone());
        if known || !self.is_global() {
            return;
        }
        // It may have been a slave of ours.
        self.clear(node);
        if let Some(global) = &mut self.global {
            global.no_slave(node);
        }
        self.introduce(node);
    }

    /// Tells a global node of the databases of our slaves, and all global nodes of it.
    fn introduce(&mut self, node: &NodeId) {
        self.set(GLOBALS.to_owned(), node.to_string(), Value::Null.into());
        if let Some(global) = &self.global {
            let all = global.of_slaves();
            self.send(node, Request::Set(all));
        }
    }

    /// A node is down: its keys are gone.
    pub(super) fn disconnected(&mut self, node: &NodeId) {
        if let Some(global) = &mut self.global {
            global.unmonitor_all(node);
        }
        self.clear(node);
        if let Some(global) = &mut self.global {
            global.remove(node);
        }
    }

    /// Deletes all that a node told us and that we tell of it.
    fn clear(&mut self, node: &NodeId) {
        for family in [GLOBALS, LISTENERS] {
            self.del(family.to_owned(), vec![node.to_string()]);
        }
        self.replace(node, Families::new());
    }

    /// What a node holds is to be this.
    fn replace(&mut self, node: &NodeId, mut db: Families) {
        let Some(global) = &self.global else {
            return;
        };
        let mut updates = Vec::new();
        for (name, held) in global.all_held(node).into_iter().flatten() {
            let mut set = db.remove(name).unwrap_or_default();
            let gone = |key: &&String| !set.contains_key(*key);
            let del: Vec<String> = held.keys().filter(gone).cloned().collect();
            set.retain(|key, value| held.get(key) != Some(value));
            updates.push((name.clone(), set, del));
        }
        let new = db.into_iter().map(|(name, set)| (name, set, Vec::new()));
        updates.extend(new);
        for (name, set, del) in updates {
            self.update(node, name, set, del);
        }
    }

    /// A node sets keys and deletes others: who is to hear of it does.
    fn update(&mut self, node: &NodeId, family: String, set: Family, del: Vec<String>) {
        let Some(global) = &mut self.global else {
            return;
        };
        let limits = (*node != self.own).then_some(&self.config.limits);
        let before = global.held_by(node);
        let told = global.update(node, &family, set, del, limits);
        let grown = global.held_by(node).saturating_sub(before);
        let room = &mut self.config.limits.room;
        *room = room.saturating_sub(grown);
        self.keepalive.dirty |= matches!(&*family, GLOBALS | LISTENERS | STAND_INS);
        if let Some(bound) = told.refused {
            let what =
                line!(node, family: "{node} set more of family {family} than we want to hold.");
            self.full(bound, what);
        }
        if let Some((set, del)) = told.globals {
            let others = self.globals.iter().filter(|other| *other != node);
            let others: Vec<NodeId> = others.cloned().collect();
            let family = family.clone();
            let (set, del) = (Some(set), Some(del));
            let request = Request::Upd { family, set, del };
            self.send_all(&others, request);
        }
        if let Some((set, del)) = told.monitors
            && let Some(global) = &self.global
        {
            let monitors: Vec<NodeId> = global.monitors(&family).cloned().collect();
            self.tell_observer(&family, &set, &del);
            self.send_all(&monitors, Request::Chg2 { family, set, del });
        }
    }

    /// Says the same to several nodes.
    fn send_all(&mut self, nodes: &[NodeId], request: Request) {
        let mut message = None;
        for node in nodes {
            if *node == self.own {
                self.send(node, request.clone());
                continue;
            }
            if message.is_none() {
                message = request.to_message();
            }
            if let Some(message) = message.clone() {
                self.effects.push(Effect::Send(node.clone(), message));
            }
        }
    }

    /// A node makes us its master.
    pub(super) fn slave(&mut self, node: &NodeId, db: Families) {
        let Some(global) = &mut self.global else {
            return;
        };
        global.make_slave(node);
        if self.globals.contains(node) {
            // Its slaves' databases, which it told us before, stay.
            self.add(node, db);
        } else {
            self.replace(node, db);
        }
    }

    fn add(&mut self, node: &NodeId, db: Families) {
        for (family, set) in db {
            self.update(node, family, set, Vec::new());
        }
    }

    /// A global node tells us the databases of its slaves.
    fn merged(&mut self, node: &NodeId, db: Families) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.merged = true;
        }
        let listeners = db.get(LISTENERS).and_then(|all| all.get(node.as_str()));
        let listeners = listeners.cloned();
        self.add(node, db);
        // We tell of its listeners as well, so that all global nodes find each other.
        if let Some(listeners) = listeners {
            self.set(LISTENERS.to_owned(), node.to_string(), listeners);
        }
    }

    /// A node, a slave as a rule, wants something of a global node.
    pub(super) fn serve(&mut self, from: &NodeId, request: Request) {
        let Some(global) = &mut self.global else {
            self.log(7, line!(from: "{from} takes us for a global node."));
            return;
        };
        match request {
            Request::Set(db) => self.merged(from, db),
            Request::Upd { family, set, del } => {
                self.update(
                    from,
                    family,
                    set.unwrap_or_default(),
                    del.unwrap_or_default(),
                );
            }
            Request::Find(_) if *from == self.own => {} // see settle_finds
            Request::Find(node) => {
                let listeners = global.value(LISTENERS, node.as_str());
                let listeners = listeners.and_then(addresses);
                self.send(from, Request::Found(node, listeners));
            }
            Request::Query { kind, family, id } => self.answer(from, kind, &family, id),
            Request::Mon1(family) => {
                let limits = (*from != self.own).then_some(&self.config.limits);
                if let Err(bound) = global.monitor(from, &family, limits) {
                    self.full(
                        bound,
                        line!(from: "{from} wants to monitor too many families."),
                    );
                    return;
                }
                let content = global.family(&family);
                let content = content.map(|(key, value)| (key.clone(), value.clone()));
                let content = content.collect();
                self.send(from, Request::Chg1(family, content));
            }
            Request::Mon0(family) => global.unmonitor(from, &family),
            _ => {}
        }
    }

    fn answer(&mut self, from: &NodeId, kind: Kind, family: &str, id: String) {
        let Some(global) = &self.global else {
            return;
        };
        let answer = Answer::of(kind, global.family(family));
        if *from == self.own {
            let answer = Val::of(&answer);
            self.replied(&id, answer);
        } else if let Ok(message) = Message::encode(&(DatabaseVerb::Reply, id, answer)) {
            self.effects.push(Effect::Send(from.clone(), message));
        }
    }

    /// On a global node: finds nodes that are to be found, or gives up. While another global node
    /// has to tell us the databases of its slaves yet, there is hope.
    pub(super) fn settle_finds(&mut self) {
        if !self.is_global() || self.local.finds.is_empty() {
            return;
        }
        let merged = |node| self.peers.get(node).is_some_and(|peer| peer.merged);
        let hope = !self.globals.iter().all(merged);
        let finds: Vec<NodeId> = self.local.finds.keys().cloned().collect();
        for node in finds {
            let listeners = self.listeners(&node);
            if listeners.is_some() || !hope {
                self.found(&node, listeners);
            }
        }
    }
}
