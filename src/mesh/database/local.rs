//! What any node does with the database: its own keys, questions, monitors.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::open::{Question, Watched};
use super::request::{Kind, Request};
use super::state::State;
use super::terms::{Change, Effect};
use super::val::Val;
use super::values::Family;
use crate::mesh::line::line;
use crate::proto::NodeId;
use crate::proto::id::perl_counter;

impl State {
    /// Sets a key of ours.
    pub(super) fn set(&mut self, family: String, key: String, value: Val) {
        let map = self.local.db.entry(family.clone()).or_default();
        if map.get(&key) == Some(&value) {
            return;
        }
        map.insert(key.clone(), value.clone());
        if self.is_alone() {
            let set = Family::from([(key, value)]);
            return self.change(&self.own.clone(), family, set, Vec::new());
        }
        self.tell_master(Request::Upd {
            family,
            set: Some(Family::from([(key, value)])),
            del: None,
        });
    }

    /// Deletes keys of ours.
    pub(super) fn del(&mut self, family: String, mut keys: Vec<String>) {
        let Some(map) = self.local.db.get_mut(&family) else {
            return;
        };
        keys.retain(|key| map.remove(key).is_some());
        if map.is_empty() {
            self.local.db.remove(&family);
        }
        if self.is_alone() {
            self.change(&self.own.clone(), family, Family::new(), keys);
        } else if !keys.is_empty() {
            self.tell_master(Request::Upd {
                family,
                set: None,
                del: Some(keys),
            });
        }
    }

    /// Those of our keys that `wanted` agrees to, by family.
    pub(crate) fn own_keys(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<String>)> {
        let of_family = |(family, map): (&String, &Family)| {
            let keys = map.keys().filter(|key| wanted(key));
            let keys: Vec<String> = keys.cloned().collect();
            (!keys.is_empty()).then(|| (family.clone(), keys))
        };
        self.local.db.iter().filter_map(of_family).collect()
    }

    // Nodes to be found

    pub(super) fn find(&mut self, node: NodeId) {
        if node == self.own || self.peers.contains_key(&node) {
            return;
        }
        let counter = self.local.count();
        if self.local.finds.contains_key(&node) {
            return;
        }
        self.local.finds.insert(node.clone(), counter);
        // A global node looks for itself.
        if !self.is_global() {
            self.tell_master(Request::Find(node));
        }
    }

    pub(super) fn found(&mut self, node: &NodeId, addresses: Option<Vec<String>>) {
        if self.local.finds.remove(node).is_none() {
            return;
        }
        let effect = match addresses {
            Some(list) if !list.is_empty() => Effect::Connect(node.clone(), list),
            _ => Effect::Unknown(node.clone()),
        };
        self.effects.push(effect);
    }

    // Questions

    pub(super) fn query(&mut self, id: u64, kind: Kind, family: String) {
        self.local.forget(id);
        self.local.asked += 1;
        let question = Question {
            counter: self.local.count(),
            id: perl_counter(self.local.asked),
            kind,
            family,
        };
        let request = question.request();
        self.local.on_wire.insert(question.id.clone(), id);
        self.local.questions.insert(id, question);
        self.tell_master(request);
    }

    pub(super) fn replied(&mut self, wire: &str, result: Val) {
        let Some(id) = self.local.on_wire.get(wire).copied() else {
            return;
        };
        let Some(kind) = self.local.forget(id) else {
            return;
        };
        let is_hash = result.json().starts_with('{');
        let is_list = result.json().starts_with('[');
        let result = match kind {
            Kind::Family if is_hash => result,
            Kind::Family => Val::of(&Family::new()),
            Kind::Keys if is_list => as_texts(&result),
            Kind::Values if is_list => result,
            Kind::Keys | Kind::Values => Val::of(&[(); 0]),
        };
        self.effects.push(Effect::Reply(id, result));
    }

    // Monitors

    pub(super) fn monitor(&mut self, id: u64, family: String) {
        if let Some(watched) = self.local.watched.get_mut(&family) {
            watched.ids.push(id);
            if watched.known {
                let content = self.local.content.family(&family).cloned();
                let change = Change {
                    family,
                    added: content.unwrap_or_default(),
                    ..Change::default()
                };
                let ids = vec![id];
                self.effects.push(Effect::Changed { ids, change });
            } else if self.searches_in_vain() {
                self.refuse_all(vec![id]);
            }
            return;
        }
        let watched = Watched {
            counter: self.local.count(),
            ids: vec![id],
            known: false,
            waiting: true,
        };
        self.local.watched.insert(family.clone(), watched);
        if self.searches_in_vain() {
            self.refuse_all(vec![id]);
        }
        self.tell_master(Request::Mon1(family));
    }

    pub(super) fn unmonitor(&mut self, id: u64, family: String) {
        let Some(watched) = self.local.watched.get_mut(&family) else {
            return;
        };
        watched.ids.retain(|other| *other != id);
        if !watched.ids.is_empty() {
            return;
        }
        self.local.watched.remove(&family);
        let content = self.local.content.family(&family).cloned();
        for key in content.unwrap_or_default().into_keys() {
            self.local.content.remove(&family, &key);
        }
        self.tell_master(Request::Mon0(family));
    }

    /// The master told the whole content of a family.
    pub(super) fn content(&mut self, from: &NodeId, family: String, content: Family) {
        let Some(watched) = self.local.watched.get(&family) else {
            return;
        };
        let first = !watched.known;
        if !self.has_room(from, &family, &content) {
            return;
        }
        let old = self.local.content.family(&family);
        let gone = |key: &&String| !content.contains_key(*key);
        let del = old.map(|old| old.keys().filter(gone).cloned().collect());
        let change = self.apply(family, content, del.unwrap_or_default());
        if let Some(watched) = self.local.watched.get_mut(&change.family) {
            watched.known = true;
            watched.waiting = false;
        }
        self.tell(change, first);
    }

    /// The master told a change of a family.
    pub(super) fn change(
        &mut self,
        from: &NodeId,
        family: String,
        mut set: Family,
        del: Vec<String>,
    ) {
        let Some(watched) = self.local.watched.get(&family) else {
            return;
        };
        if watched.waiting || !self.has_room(from, &family, &set) {
            return;
        }
        for key in &del {
            set.remove(key);
        }
        let change = self.apply(family, set, del);
        self.tell(change, false);
    }

    /// Whether what a master told can be kept.
    fn has_room(&mut self, master: &NodeId, family: &str, set: &Family) -> bool {
        // What this node told itself is bounded where it came from.
        if *master == self.own {
            return true;
        }
        let fits = self.local.content.fits(&self.config.limits, family, set);
        if let Err(bound) = fits {
            let what = line!(master, family: "{master} told us more of family {family} than we want to hold.");
            self.full(bound, what);
        }
        fits.is_ok()
    }

    /// Changes the content of a monitored family; what was really changed by that.
    fn apply(&mut self, family: String, set: Family, del: Vec<String>) -> Change {
        let mut change = Change::default();
        let content = &mut self.local.content;
        for (key, value) in set {
            match content.set(&family, &key, value.clone()) {
                None => change.added.insert(key, value),
                Some(old) if old != value => change.changed.insert(key, value),
                Some(_) => None,
            };
        }
        for key in del {
            if let Some(old) = content.remove(&family, &key) {
                change.deleted.insert(key, old);
            }
        }
        change.family = family;
        change
    }

    fn tell(&mut self, change: Change, even_if_empty: bool) {
        let Some(watched) = self.local.watched.get(&change.family) else {
            return;
        };
        if even_if_empty || !change.is_empty() {
            let ids = watched.ids.clone();
            self.effects.push(Effect::Changed { ids, change });
        }
    }
}

/// A list with its items as texts: a string as it is, null as an empty one, and of anything else
/// its JSON.
fn as_texts(list: &Val) -> Val {
    let items: Vec<&RawValue> = serde_json::from_str(list.json()).unwrap_or_default();
    let texts = items.into_iter().map(|item| match item.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => {
            let text: Option<String> = serde_json::from_str(text).ok();
            text.unwrap_or_default().into()
        }
        other => Cow::Borrowed(other),
    });
    Val::of(&texts.collect::<Vec<_>>())
}
