//! Readers of changes: what they were told so far, put together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aemp::{DbChanges, GroupChanges, NodeEvents, PortId};
use serde_json::Value;

use crate::record::{Event, Record};

/// What a reader would think there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Followed {
    pub up: BTreeSet<String>,
    pub groups: BTreeMap<u64, BTreeSet<PortId>>,
    pub families: BTreeMap<u64, BTreeMap<String, Value>>,
}

type Shared = Arc<Mutex<Followed>>;

/// Writes down that a change does not fit.
fn misled(record: &Record, how: String) {
    record.push(Event::Misled(how));
}

pub async fn nodes(mut events: NodeEvents, followed: Shared, record: Record) {
    while let Some(event) = events.next().await {
        let (id, up) = (event.node().to_string(), &mut followed.lock().unwrap().up);
        let is_new = match event.is_up() {
            true => up.insert(id.clone()),
            false => up.remove(&id),
        };
        if !is_new {
            let way = if event.is_up() { "up" } else { "down" };
            misled(&record, format!("{id} is told to be {way} twice"));
        }
    }
}

pub async fn group(group: u64, mut changes: GroupChanges, followed: Shared, record: Record) {
    while let Some(change) = changes.next().await {
        let mut followed = followed.lock().unwrap();
        let members = followed.groups.entry(group).or_default();
        let added = change.added.iter().all(|id| members.insert(id.clone()));
        let removed = change.removed.iter().all(|id| members.remove(id));
        let all: BTreeSet<PortId> = change.members.iter().cloned().collect();
        if !(added && removed && all == *members) {
            misled(
                &record,
                format!("after {members:?} in group g{group} came {change:?}"),
            );
        }
        *members = all;
    }
}

pub async fn family(family: u64, mut changes: DbChanges, followed: Shared, record: Record) {
    while let Some(change) = changes.next().await {
        let Ok(change) = change else {
            continue; // there is no global node yet
        };
        assert!(change.unfit.is_empty() && change.unfit_deleted.is_empty());
        let mut followed = followed.lock().unwrap();
        let keys = followed.families.entry(family).or_default();
        let before = keys.clone();
        let mut fits = true;
        for (key, value) in &change.added {
            fits &= keys.insert(key.clone(), value.clone()).is_none();
        }
        for (key, value) in &change.changed {
            fits &= keys
                .insert(key.clone(), value.clone())
                .is_some_and(|old| old != *value);
        }
        for (key, value) in &change.deleted {
            fits &= keys.remove(key).is_some_and(|old| old == *value);
        }
        if !fits {
            misled(
                &record,
                format!("after {before:?} in family f{family} came {change:?}"),
            );
        }
    }
}
