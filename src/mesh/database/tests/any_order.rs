//! Whatever peers say, in whatever order.

use proptest::prelude::*;

use super::super::model::any_order::{Happens, check};
use super::super::terms::GLOBALS;
use super::super::{LISTENERS, Seeds, Timer};
use super::*;

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

fn happens() -> impl Strategy<Value = Happens> {
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
        1 => (0..4u64).prop_map(|n| Input::Timer(Timer::Search(n))),
        1 => prop_oneof![Just(Seeds::None), Just(Seeds::Some)].prop_map(Input::Seeds),
    ];
    prop_oneof![input.prop_map(Happens::Input), says, sense,]
}

proptest! {
    #[test]
    fn the_rules_hold(all in prop::collection::vec(happens(), 0..100), small in any::<bool>()) {
        check(all, small);
    }
}
