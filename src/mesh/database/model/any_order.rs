//! Whatever peers say, in whatever order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::terms::GLOBALS;
use super::super::values::Family;
use super::super::{LISTENERS, Timer};
use super::*;

/// What the outside world does.
#[derive(Debug, Clone)]
pub(crate) enum Happens {
    Input(Input),
    /// A peer says this.
    Says(&'static str, Value),
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i8>().prop_map(Value::from),
        Just(json!(1.5)),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "b", "k", "me", "x:1"]).prop_map(Value::from),
    ];
    let key = prop::sample::select(vec!["", "a", "b", "k", "me", GLOBALS, LISTENERS, "f"]);
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| json!(map)),
        ]
    })
}

pub(crate) fn happens() -> impl Strategy<Value = Happens> {
    let node = || prop::sample::select(vec!["a", "b", "c", "me"]);
    let id = || node().prop_map(NodeId::new);
    let family =
        || prop::sample::select(vec!["f", "k", GLOBALS, LISTENERS]).prop_map(str::to_owned);
    let verb = prop::sample::select(vec![
        "g_global",
        "g_slave",
        "g_set",
        "g_upd",
        "g_find",
        "g_found",
        "g_db_family",
        "g_db_keys",
        "g_db_values",
        "g_reply",
        "g_mon0",
        "g_mon1",
        "g_chg1",
        "g_chg2",
    ]);
    let said = (node(), verb.clone(), prop::collection::vec(value(), 0..4));
    let says = said.prop_map(|(node, verb, args)| {
        let mut message = vec![Value::from(verb)];
        message.extend(args);
        Happens::Says(node, Value::Array(message))
    });
    // More often what makes sense.
    let hash = || prop::collection::btree_map("[abk]", value(), 0..3);
    let about = (
        node(),
        verb,
        family(),
        hash(),
        prop::collection::vec("[abk]", 0..3),
    );
    let sense = about.prop_map(|(node, verb, family, set, del)| {
        let message = match verb {
            "g_slave" | "g_set" => json!([verb, { family: set }]),
            "g_found" => json!([verb, "b", del]),
            "g_reply" => json!([verb, "b", set]),
            _ => json!([verb, family, set, del]),
        };
        Happens::Says(node, message)
    });
    let input = prop_oneof![
        3 => (id(), any::<bool>()).prop_map(|(node, seed)| Input::Up { node, seed }),
        1 => id().prop_map(Input::Down),
        1 => id().prop_map(Input::IsSeed),
        1 => Just(Input::BecomeGlobal),
        1 => id().prop_map(Input::Find),
        1 => id().prop_map(Input::ConnectFailed),
        1 => (family(), "[abk]", value())
            .prop_map(|(family, key, value)| Input::Set { family, key, value }),
        1 => (family(), prop::collection::vec("[abk]", 0..3))
            .prop_map(|(family, keys)| Input::Del { family, keys }),
        1 => (0..4u64, family()).prop_map(|(id, family)| {
            Input::Query { id, kind: Kind::Keys, family }
        }),
        1 => (0..4u64).prop_map(Input::Forget),
        1 => (0..4u64, family()).prop_map(|(id, family)| Input::Monitor { id, family }),
        1 => (0..4u64, family()).prop_map(|(id, family)| Input::Unmonitor { id, family }),
        1 => (0..9u64).prop_map(|n| Input::Timer(Timer::Keepalive(n))),
    ];
    prop_oneof![input.prop_map(Happens::Input), says, sense,]
}

/// Panics if a rule is broken. `small`: with tight bounds.
pub(crate) fn check(all: Vec<Happens>, small: bool) {
    let mut state = match small {
        true => limited(
            "me",
            Limits {
                keys: 3,
                octets: 3000,
                monitors: 1,
                ..Limits::default()
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
                Effect::Reply(_, answer) => assert!(answer.json().starts_with('['), "{answer:?}"),
                Effect::Changed { ids, .. } => assert!(!ids.is_empty()),
                Effect::After(delay, _) => {
                    assert!((0.6..=30.0).contains(&delay.as_secs_f64()));
                }
                Effect::Log(..) | Effect::Seen(_) => {}
            }
        }
        assert!(state.global_nodes().all(|node| up.contains(node)));
        let is_global = state.is_global();
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
