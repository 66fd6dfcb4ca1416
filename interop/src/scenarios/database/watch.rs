//! A monitor of a family, checked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::compare::same;
use crate::driver::{Event, Node};
use crate::fault::{Result, ensure};

/// What a monitor has told so far, each event checked against what there was before.
pub(super) struct Watch<'a> {
    pub(super) node: &'a Node,
    id: u64,
    /// The family, as the events tell.
    pub(super) now: BTreeMap<String, Value>,
}

impl<'a> Watch<'a> {
    pub(super) fn start(node: &'a Node, family: &str) -> Result<Self> {
        Ok(Self {
            node,
            id: node.db_mon(family)?,
            now: BTreeMap::new(),
        })
    }

    /// Takes in an event.
    fn take(&mut self, event: &Event) -> Result<()> {
        let list = |name: &str| -> Vec<String> {
            let list = event[name].as_array().into_iter().flatten();
            list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let bad = |what: &str| format!("{}: {what}: {event}", self.node.name());
        for (name, was_there) in [("add", false), ("change", true)] {
            for key in list(name) {
                let value = event["values"].get(&key);
                let there = self.now.contains_key(&key);
                ensure(there == was_there, || bad(name))?;
                ensure(value.is_some(), || bad("the value is missing"))?;
                self.now.insert(key, value.cloned().unwrap_or_default());
            }
        }
        for key in list("del") {
            let there = self.now.remove(&key);
            ensure(there.is_some(), || bad("deleted what was not there"))?;
        }
        let all = json!(self.now);
        ensure(same(&event["values"], &all), || {
            bad(&format!("the family should be {all}"))
        })
    }

    /// The monitor's next event.
    pub(super) fn next(&mut self, what: &str) -> Result<Event> {
        let id = self.id;
        let event = self
            .node
            .wait(what, |e| e["ev"] == "db" && e["watch"] == id)?;
        self.take(&event)?;
        Ok(event)
    }

    /// Waits until the family is this (an object).
    pub(super) fn becomes(&mut self, wanted: &Value) -> Result<()> {
        while !same(&json!(self.now), wanted) {
            self.next(&format!(
                "a monitor to show {wanted}, not {}",
                json!(self.now)
            ))?;
        }
        Ok(())
    }

    /// Fails if the monitor has more to tell; to be called when everything has been worked off.
    pub(super) fn quiet(&self) -> Result<()> {
        let more = self
            .node
            .pending(|e| e["ev"] == "db" && e["watch"] == self.id);
        ensure(more.is_empty(), || {
            format!("{}: nothing has changed, but {}", self.node.name(), more[0])
        })
    }
}
