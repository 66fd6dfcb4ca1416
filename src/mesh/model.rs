//! Whatever happens to the rules of generations 0 and 1, in whatever order, and what holds all the
//! same: for tests and fuzzers.

#[cfg(feature = "fuzz")]
mod drawn;

use std::collections::BTreeSet;
use std::time::Duration;

use super::state::{Config, Effect, Input, State};
use crate::proto::NodeId;

#[cfg(feature = "fuzz")]
pub(crate) use drawn::drawn;

/// The rules of the node `me`. The random number is always 0.5.
pub(super) fn state(seed_only_when_alone: bool) -> State {
    let config = Config {
        connect_interval: Duration::from_secs(2),
        monitor_timeout: Duration::from_secs(15),
        seed_only_when_alone,
        stands_in: false,
        seeds_are_single: false,
    };
    let mut n = 0;
    let name = move || {
        n += 1;
        format!("br.{n}")
    };
    State::new(NodeId::new("me"), config, Box::new(name), Box::new(|| 0.5))
}

/// Panics if a rule is broken: nothing is said to who is not up, nobody connects to itself or to
/// nowhere, and what a node has in groups goes with it.
pub(crate) fn check(inputs: Vec<Input>) {
    let mut state = state(false);
    let mut up = BTreeSet::new();
    for input in inputs {
        // The node tells of ups and downs in turns only.
        let fits = match &input {
            Input::Up { node, .. } => *node != "me" && up.insert(node.clone()),
            Input::Down(node) => up.remove(node),
            _ => true,
        };
        if !fits {
            continue;
        }
        let down = match &input {
            Input::Down(node) => Some(node.clone()),
            _ => None,
        };
        for effect in state.handle(input) {
            match effect {
                Effect::Snd(port, _) => {
                    assert!(up.contains(port.node()), "said to {port}, which is not up");
                }
                Effect::Connect(node, addresses)
                | Effect::Told {
                    node, addresses, ..
                } => {
                    assert!(node != "me" && !addresses.is_empty());
                }
                _ => {}
            }
        }
        if let Some(node) = down {
            for group in ["g", "h"] {
                let members = state.groups.members(group);
                assert!(members.iter().all(|port| port.node() != node.as_str()));
            }
        }
    }
}
