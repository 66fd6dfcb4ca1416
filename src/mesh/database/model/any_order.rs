//! Whatever peers say, in whatever order.

#[cfg(feature = "fuzz")]
mod drawn;

use std::collections::BTreeSet;

use super::super::values::Family;
use super::*;

#[cfg(feature = "fuzz")]
pub(crate) use drawn::drawn;

/// What the outside world does.
#[derive(Debug, Clone)]
pub(crate) enum Happens {
    Input(Input),
    /// A peer says this.
    Says(&'static str, Value),
}

/// Panics if a rule is broken. `small`: with tight bounds.
pub(crate) fn check(all: Vec<Happens>, small: bool) {
    let mut state = match small {
        true => limited(
            "me",
            Limits {
                keys: 3,
                monitors: 1,
                room: 6000,
            },
        ),
        false => state("me"),
    };
    let mut up = BTreeSet::new();
    for happens in all {
        let input = match happens {
            Happens::Input(input) => input,
            Happens::Says(node, message) => match parse(message) {
                Ok(request) => Input::Request(NodeId::new(node), request.unwrap()),
                Err(_) => continue,
            },
        };
        // The node tells of ups and downs in turns only.
        let fits = match &input {
            Input::Up { node, .. } => *node != "me" && up.insert(node.clone()),
            Input::Down(node) => up.remove(node),
            _ => true,
        };
        if !fits {
            continue;
        }
        for effect in state.handle(input) {
            match effect {
                Effect::Send(node, message) => {
                    assert!(up.contains(&node), "said to {node}, which is not up");
                    assert!(matches!(read(&message), Ok(Some(_))), "{message:?}");
                }
                Effect::Connect(node, addresses) => {
                    assert!(node != "me" && node != "" && !up.contains(&node));
                    assert!((1..=64).contains(&addresses.len()));
                }
                Effect::Unknown(node) => {
                    assert!(node != "me" && !up.contains(&node));
                }
                Effect::Reply(_, answer) => {
                    assert!(answer.json().starts_with(['[', '{']), "{answer:?}");
                }
                Effect::NoMaster {
                    questions,
                    monitors,
                    ..
                } => {
                    assert!(!questions.is_empty() || !monitors.is_empty());
                    assert_eq!(state.master(), None);
                }
                Effect::Changed { ids, .. } => assert!(!ids.is_empty()),
                Effect::After(delay, _) => {
                    assert!((0.6..=30.0).contains(&delay.as_secs_f64()));
                }
                Effect::Log(..) | Effect::Full(..) | Effect::Seen(_) => {}
            }
        }
        assert!(state.global_nodes().all(|node| up.contains(node)));
        let is_global = state.is_global();
        let answers = state.is_alone() || state.searches_in_vain();
        assert!(!answers || state.local.questions.is_empty());
        if let Some(master) = state.master() {
            let right = if is_global {
                *master == "me"
            } else {
                up.contains(master)
            };
            assert!(right, "{master}");
        }
    }
    // All leave: what they said is forgotten.
    for node in up {
        state.handle(Input::Down(node));
    }
    if let Some(global) = &state.global {
        for (name, family) in &state.local.db {
            let seen = global
                .family(name)
                .map(|(key, value)| (key.clone(), value.clone()));
            assert_eq!(&seen.collect::<Family>(), family);
        }
        assert_eq!(global.families().count(), state.local.db.len());
    }
}
