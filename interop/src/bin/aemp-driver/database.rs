//! The commands about the database of generation 2.

use std::collections::BTreeMap;

use aemp::Node;
use serde_json::{Value, json};

use crate::output;
use crate::watch::Watch;

/// Follows a family; each change is an event.
pub fn follow(node: &Node, watch: u64, family: &str) -> Watch {
    let mut changes = node.db_mon::<Value>(family);
    let family = family.to_owned();
    Watch::start(|gate| async move {
        let mut now: BTreeMap<String, Value> = BTreeMap::new();
        while let Some(change) = changes.next().await {
            let change = match change {
                Ok(change) => change,
                Err(error) => {
                    output::fault(error);
                    continue;
                }
            };
            for key in change.deleted.keys() {
                now.remove(key);
            }
            let set = change.added.iter().chain(&change.changed);
            now.extend(set.map(|(key, value)| (key.clone(), value.clone())));
            gate.tell(|| output::database(watch, &family, &now, &change));
        }
    })
}

/// What can be asked about a family.
#[derive(Debug, Clone, Copy)]
pub enum Question {
    Family,
    Keys,
    Values,
}

impl Question {
    pub fn of_command(name: &str) -> Option<Self> {
        Some(match name {
            "db_family" => Self::Family,
            "db_keys" => Self::Keys,
            "db_values" => Self::Values,
            _ => return None,
        })
    }

    /// Asks, and answers the command `id` when there is an answer.
    pub fn ask(self, node: Node, id: u64, family: String) {
        tokio::spawn(async move {
            let answer = match self {
                Self::Family => {
                    let values = node.db_family::<Value>(&family).await;
                    values.map(|family| json!({ "values": family.values }))
                }
                Self::Keys => {
                    let keys = node.db_keys(&family).await;
                    keys.map(|keys| json!({ "keys": keys }))
                }
                Self::Values => {
                    let values = node.db_values::<Value>(&family).await;
                    values.map(|all| json!({ "values": all.values }))
                }
            };
            output::answer(id, answer.map_err(|error| error.to_string()));
        });
    }
}
