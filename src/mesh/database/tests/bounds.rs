//! What a peer can make us hold.

use super::*;

/// A peer says something when it may make us hold so much more.
fn say(state: &mut State, from: &str, message: Value) -> Vec<Effect> {
    state.make_room(5000);
    hear(state, from, message)
}

#[test]
fn a_peer_can_make_us_hold_only_so_much() {
    let limits = Limits {
        keys: 3,
        monitors: 2,
        room: 0,
    };
    let mut state = limited("s", limits);
    state.handle(Input::BecomeGlobal);
    for slave in ["a", "b"] {
        up(&mut state, slave, false);
        say(&mut state, slave, json!(["g_slave", {}]));
    }
    say(&mut state, "a", json!(["g_upd", "f", {"k": 1, "l": 1}]));
    say(&mut state, "a", json!(["g_upd", "f", {"m": 1, "n": 1}]));
    assert_eq!(family(&mut state, "f"), json!({"k": 1, "l": 1}));
    // What it deletes it deletes nevertheless.
    say(
        &mut state,
        "a",
        json!(["g_upd", "f", {"m": 1, "n": 1}, ["k"]]),
    );
    assert_eq!(family(&mut state, "f"), json!({"l": 1}));
    say(
        &mut state,
        "a",
        json!(["g_upd", "f", {"m": "x".repeat(3000)}]),
    );
    assert_eq!(family(&mut state, "f"), json!({"l": 1}));
    // Each for itself.
    say(
        &mut state,
        "b",
        json!(["g_upd", "f", {"x": 1, "y": 1, "z": 1}]),
    );
    assert_eq!(
        family(&mut state, "f"),
        json!({"l": 1, "x": 1, "y": 1, "z": 1})
    );
    for (name, answers) in [("f", 1), ("g", 1), ("f", 1), ("h", 0)] {
        assert_eq!(
            sent(&say(&mut state, "a", json!(["g_mon1", name]))).len(),
            answers
        );
    }
    say(&mut state, "a", json!(["g_mon0", "g"]));
    assert_eq!(sent(&say(&mut state, "a", json!(["g_mon1", "h"]))).len(), 1);
    // Nor a master, of what we monitor.
    let mut state = limited("a", limits);
    up(&mut state, "s", true);
    monitor(&mut state, 1, "f");
    let full = json!(["g_chg1", "f", {"k": 1, "l": 1, "m": 1, "n": 1}]);
    assert!(changes(&say(&mut state, "s", full)).is_empty());
    let effects = say(&mut state, "s", json!(["g_chg1", "f", {"k": 1, "l": 1}]));
    assert_eq!(changes(&effects).len(), 1);
    let more = json!(["g_chg2", "f", {"m": 1, "n": 1}, []]);
    assert!(changes(&say(&mut state, "s", more)).is_empty());
}

#[test]
fn a_hundred_thousand_keys_come_in_one_message() {
    let mut state = state("s");
    state.handle(Input::BecomeGlobal);
    up(&mut state, "a", false);
    let value = Value::from("x".repeat(100));
    let keys = (0..100_000).map(|n| (format!("a#port.{n}"), value.clone()));
    let keys: serde_json::Map<String, Value> = keys.collect();
    hear(&mut state, "a", json!(["g_slave", {"f": keys}]));
    let global = state.global.as_ref().unwrap();
    assert_eq!(global.family("f").count(), 100_000);
}
