//! A node becomes global, and keeps in touch with the others.

use super::super::Timer;
use super::*;

#[test]
fn becoming_global_keeps_all_that_is_open() {
    let mut state = state("a");
    state.handle(Input::Listeners(vec!["h:1".into()]));
    up(&mut state, "s", true);
    hear(&mut state, "s", json!(["g_global"]));
    set(&mut state, "f", "mine", json!(1));
    monitor(&mut state, 1, "f");
    hear(
        &mut state,
        "s",
        json!(["g_chg1", "f", {"mine": 1, "other": 2}]),
    );
    query(&mut state, 5, Kind::Keys, "f");
    state.handle(Input::Find(NodeId::new("x")));
    let effects = state.handle(Input::BecomeGlobal);
    assert_eq!(
        sent(&effects),
        [
            json!(["s", "g_mon0", "f"]),
            json!(["s", "g_upd", "'l", {"a": ["h:1"]}, []]),
            json!(["s", "g_upd", "f", {"mine": 1}, []]),
            json!(["s", "g_upd", "'g", {"a": null}, []]),
            json!(["s", "g_global"]),
            json!(["s", "g_upd", "'g", {"s": null}, []]),
            json!(["s", "g_set", {
                "'g": {"a": null, "s": null},
                "'l": {"a": ["h:1"]},
                "f": {"mine": 1},
            }]),
        ]
    );
    assert_eq!(
        only_change(&effects),
        (json!({}), json!({}), json!({"other": 2}))
    );
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::Reply(5, list) if *list == json!(["mine"])))
    );
    // The node to be found may be known to the other one.
    assert!(!effects.iter().any(|e| matches!(e, Effect::Unknown(_))));
    let db = json!({"f": {"other": 2}, "'l": {"s": ["h:2"], "x": ["h:3"]}});
    let effects = hear(&mut state, "s", json!(["g_set", db]));
    assert_eq!(
        only_change(&effects),
        (json!({"other": 2}), json!({}), json!({}))
    );
    let found = |e: &Effect| matches!(e, Effect::Connect(node, list) if *node == "x" && list[..] == ["h:3"]);
    assert!(effects.iter().any(found));
    // Now it knows all there is.
    let effects = state.handle(Input::Find(NodeId::new("y")));
    assert!(matches!(&effects[..], [Effect::Unknown(node)] if *node == "y"));
    // The former master does not tell us changes any more.
    assert!(changes(&hear(&mut state, "s", json!(["g_chg2", "f", {"z": 1}, []]))).is_empty());
    assert!(state.handle(Input::BecomeGlobal).is_empty());
}

#[test]
fn a_node_to_be_found_waits_for_a_global_node_that_is_new() {
    let mut state = global("s", &["g"]);
    assert!(state.handle(Input::Find(NodeId::new("x"))).is_empty());
    let effects = hear(&mut state, "g", json!(["g_set", {}]));
    assert!(matches!(&effects[..], [Effect::Unknown(node)] if *node == "x"));
    // It goes down instead.
    up(&mut state, "h", false);
    hear(&mut state, "h", json!(["g_global"]));
    assert!(state.handle(Input::Find(NodeId::new("x"))).is_empty());
    let effects = down(&mut state, "h");
    assert!(
        effects.iter().any(|e| matches!(e, Effect::Unknown(_))),
        "{effects:?}"
    );
}

#[test]
fn links_to_all_global_nodes_are_kept() {
    let mut state = global("s", &["g"]);
    let connects = |effects: &[Effect]| -> Vec<String> {
        let connect = |e: &Effect| match e {
            Effect::Connect(node, _) => Some(node.to_string()),
            _ => None,
        };
        effects.iter().filter_map(connect).collect()
    };
    let timer = |effects: &[Effect]| {
        let after = |e: &Effect| match e {
            Effect::After(delay, timer) => Some((delay.as_secs_f64(), timer.clone())),
            _ => None,
        };
        effects.iter().find_map(after)
    };
    let db = json!({"'g": {"g": null, "h": null, "i": null}, "'l": {"h": ["h:1"]}});
    let effects = hear(&mut state, "g", json!(["g_set", db]));
    assert_eq!(connects(&effects), ["h"]);
    let mut last = timer(&effects).unwrap();
    assert_eq!(last.0, 0.9);
    for _ in 0..6 {
        let effects = state.handle(Input::Timer(last.1.clone()));
        assert_eq!(connects(&effects), ["h"]);
        let next = timer(&effects).unwrap();
        assert_eq!(next.0, f64::min(last.0 * 2.0, 30.0));
        assert!(
            state.handle(Input::Timer(last.1)).is_empty(),
            "only the newest counts"
        );
        last = next;
    }
    let effects = hear(&mut state, "g", json!(["g_upd", "'l", {"i": ["h:2"]}, []]));
    assert!(effects.is_empty());
    let effects = state.handle(Input::Timer(last.1.clone()));
    assert_eq!(connects(&effects), ["h", "i"]);
    up(&mut state, "h", false);
    // One more: at once, and soon again.
    let effects = hear(&mut state, "g", json!(["g_upd", "'g", {"j": null}, []]));
    assert_eq!(connects(&effects), ["i"]);
    assert_eq!(timer(&effects).unwrap().0, 0.9);
    // None is missing any more.
    up(&mut state, "i", false);
    let effects = hear(&mut state, "g", json!(["g_upd", "'g", {}, ["j"]]));
    assert!(timer(&effects).is_none());
    let Some((_, newest)) = timer(&down(&mut state, "i")) else {
        panic!("it is missing");
    };
    // Nobody knows of it as a global node: it is forgotten.
    hear(&mut state, "g", json!(["g_upd", "'g", {}, ["i"]]));
    assert!(state.handle(Input::Timer(newest)).is_empty());
    assert!(state.handle(Input::Timer(Timer::Keepalive(0))).is_empty());
}
