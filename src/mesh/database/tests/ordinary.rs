//! An ordinary node, by rule.

use super::*;

#[test]
fn a_seed_becomes_the_master_and_hears_all_that_is_open() {
    let mut state = state("a");
    state.handle(Input::Listeners(vec!["127.0.0.1:1".into()]));
    set(&mut state, "f", "k", json!(1));
    monitor(&mut state, 1, "f");
    query(&mut state, 1, Kind::Family, "f");
    query(&mut state, 2, Kind::Keys, "f");
    state.handle(Input::Find(NodeId::new("x")));
    query(&mut state, 3, Kind::Values, "f");
    state.handle(Input::Forget(2));
    assert!(sent(&up(&mut state, "other", false)).is_empty());
    let said = |seed: &str| {
        [
            json!([seed, "g_slave"]),
            json!([seed, "g_slave", {"'l": {"a": ["127.0.0.1:1"]}, "f": {"k": 1}}]),
            json!([seed, "g_mon1", "f"]),
            json!([seed, "g_db_family", "f", "b"]),
            json!([seed, "g_find", "x"]),
            json!([seed, "g_db_values", "f", "d"]),
        ]
    };
    assert_eq!(sent(&up(&mut state, "s", true)), said("s"));
    assert_eq!(state.master(), Some(&NodeId::new("s")));
    // A second one is no master until the first is lost.
    assert_eq!(sent(&up(&mut state, "t", true)), [json!(["t", "g_slave"])]);
    assert_eq!(sent(&down(&mut state, "s")), said("t")[1..]);
    // Another one that is up turns out to be a seed after the last seed is gone.
    assert!(sent(&down(&mut state, "t")).is_empty());
    assert_eq!(state.master(), None);
    let effects = state.handle(Input::IsSeed(NodeId::new("other")));
    assert_eq!(sent(&effects), said("other"));
    assert!(sent(&state.handle(Input::IsSeed(NodeId::new("other")))).is_empty());
}

#[test]
fn keys_of_ours_are_told_if_they_change() {
    let mut state = state("a");
    up(&mut state, "s", true);
    let said = sent(&set(&mut state, "f", "k", json!([1])));
    assert_eq!(said, [json!(["s", "g_upd", "f", {"k": [1]}])]);
    assert!(sent(&set(&mut state, "f", "k", json!([1]))).is_empty());
    let said = sent(&set(&mut state, "f", "k", json!(null)));
    assert_eq!(said, [json!(["s", "g_upd", "f", {"k": null}])]);
    set(&mut state, "f", "l", json!(2));
    let said = sent(&del(&mut state, "f", &["k", "x", "l", "k"]));
    assert_eq!(said, [json!(["s", "g_upd", "f", null, ["k", "l"]])]);
    assert!(sent(&del(&mut state, "f", &["k"])).is_empty());
    let said = sent(&set(&mut state, "f", "k", json!(null)));
    assert_eq!(said, [json!(["s", "g_upd", "f", {"k": null}])]);
}

#[test]
fn answers_have_the_form_that_was_asked_for() {
    let mut state = state("a");
    up(&mut state, "s", true);
    up(&mut state, "t", true);
    for (kind, answer, wanted) in [
        (Kind::Family, json!({"k": 1}), json!({"k": 1})),
        (Kind::Family, json!(null), json!({})),
        (Kind::Family, json!([]), json!({})),
        (Kind::Keys, json!(["k", 1]), json!(["k", "1"])),
        (Kind::Keys, json!(null), json!([])),
        (Kind::Values, json!([1, "x"]), json!([1, "x"])),
        (Kind::Values, json!({}), json!([])),
    ] {
        let said = sent(&query(&mut state, 7, kind, "f"));
        let id = said[0][3].clone();
        // Only the master is asked.
        assert!(hear(&mut state, "t", json!(["g_reply", id, answer])).is_empty());
        let effects = hear(&mut state, "s", json!(["g_reply", id, answer]));
        match &effects[..] {
            [Effect::Reply(7, result)] => assert_eq!(*result, wanted),
            other => panic!("{other:?}"),
        }
        assert!(hear(&mut state, "s", json!(["g_reply", id, answer])).is_empty());
    }
}

#[test]
fn a_node_is_found_or_not() {
    let mut state = state("a");
    up(&mut state, "s", true);
    let find = |state: &mut State, node: &str| state.handle(Input::Find(NodeId::new(node)));
    assert_eq!(sent(&find(&mut state, "x")), [json!(["s", "g_find", "x"])]);
    assert!(find(&mut state, "x").is_empty(), "is being looked for");
    assert!(find(&mut state, "s").is_empty(), "is up");
    let effects = hear(&mut state, "s", json!(["g_found", "x", ["h:1", "h:2"]]));
    match &effects[..] {
        [Effect::Connect(node, list)] => assert_eq!((node.as_str(), list.len()), ("x", 2)),
        other => panic!("{other:?}"),
    }
    assert!(hear(&mut state, "s", json!(["g_found", "x", ["h:1"]])).is_empty());
    for answer in [json!(["g_found", "y", null]), json!(["g_found", "y", []])] {
        find(&mut state, "y");
        let effects = hear(&mut state, "s", answer);
        assert!(matches!(&effects[..], [Effect::Unknown(node)] if *node == "y"));
    }
    // Nobody waits any more, or it is here.
    find(&mut state, "y");
    state.handle(Input::ConnectFailed(NodeId::new("y")));
    assert!(hear(&mut state, "s", json!(["g_found", "y", ["h:1"]])).is_empty());
    find(&mut state, "y");
    up(&mut state, "y", false);
    assert!(hear(&mut state, "s", json!(["g_found", "y", ["h:1"]])).is_empty());
}

#[test]
fn monitors_hear_of_every_change_once() {
    let mut state = state("a");
    up(&mut state, "s", true);
    up(&mut state, "t", true);
    assert_eq!(
        sent(&monitor(&mut state, 1, "f")),
        [json!(["s", "g_mon1", "f"])]
    );
    assert!(
        monitor(&mut state, 2, "f").is_empty(),
        "waits for the content as well"
    );
    assert!(hear(&mut state, "s", json!(["g_chg2", "f", {"k": 0}, []])).is_empty());
    let effects = hear(&mut state, "s", json!(["g_chg1", "f", {"k": 1, "l": 2}]));
    assert_eq!(changes(&effects)[0].0, [1, 2]);
    assert_eq!(
        only_change(&effects),
        (json!({"k": 1, "l": 2}), json!({}), json!({}))
    );
    // A later one.
    let effects = monitor(&mut state, 3, "f");
    assert_eq!(changes(&effects)[0].0, [3]);
    assert_eq!(
        only_change(&effects),
        (json!({"k": 1, "l": 2}), json!({}), json!({}))
    );
    let effects = hear(
        &mut state,
        "s",
        json!(["g_chg2", "f", {"k": 3, "l": 2, "m": 4}, ["x"]]),
    );
    assert_eq!(changes(&effects)[0].0, [1, 2, 3]);
    assert_eq!(
        only_change(&effects),
        (json!({"m": 4}), json!({"k": 3}), json!({}))
    );
    let effects = hear(
        &mut state,
        "s",
        json!(["g_chg2", "f", {"m": 5}, ["m", "k"]]),
    );
    assert_eq!(
        only_change(&effects),
        (json!({}), json!({}), json!({"m": 4, "k": 3}))
    );
    // Nothing changes.
    assert!(hear(&mut state, "s", json!(["g_chg2", "f", {"l": 2}, ["k"]])).is_empty());
    // From another than the master, or of another family.
    assert!(hear(&mut state, "t", json!(["g_chg2", "f", {"k": 1}])).is_empty());
    assert!(hear(&mut state, "t", json!(["g_chg1", "f", {}])).is_empty());
    assert!(hear(&mut state, "s", json!(["g_chg1", "g", {"k": 1}])).is_empty());
    // A new master knows the same, or something else. What it says before it tells all is part of
    // that.
    down(&mut state, "s");
    assert!(hear(&mut state, "t", json!(["g_chg2", "f", {"z": 1}, ["l"]])).is_empty());
    assert!(hear(&mut state, "t", json!(["g_chg1", "f", {"l": 2}])).is_empty());
    up(&mut state, "s", true);
    down(&mut state, "t");
    let effects = hear(&mut state, "s", json!(["g_chg1", "f", null]));
    assert_eq!(
        only_change(&effects),
        (json!({}), json!({}), json!({"l": 2}))
    );
    // The last one goes.
    let unmonitor = |state: &mut State, id| {
        let family = "f".to_owned();
        state.handle(Input::Unmonitor { id, family })
    };
    assert!(unmonitor(&mut state, 1).is_empty());
    assert!(unmonitor(&mut state, 3).is_empty());
    assert_eq!(
        sent(&unmonitor(&mut state, 2)),
        [json!(["s", "g_mon0", "f"])]
    );
    assert!(unmonitor(&mut state, 2).is_empty());
    assert!(hear(&mut state, "s", json!(["g_chg2", "f", {"k": 1}])).is_empty());
    // A family without keys: told, too.
    monitor(&mut state, 4, "empty");
    let effects = hear(&mut state, "s", json!(["g_chg1", "empty", null]));
    assert_eq!(only_change(&effects), (json!({}), json!({}), json!({})));
    assert_eq!(changes(&monitor(&mut state, 5, "empty")).len(), 1);
}

#[test]
fn who_is_no_global_node_serves_nobody() {
    let mut state = state("a");
    up(&mut state, "b", false);
    for request in [
        json!(["g_upd", "f", {"k": 1}]),
        json!(["g_set", {"f": {"k": 1}}]),
        json!(["g_find", "a"]),
        json!(["g_db_keys", "f", "b"]),
        json!(["g_mon1", "f"]),
        json!(["g_mon0", "f"]),
        json!(["g_global"]),
    ] {
        assert!(sent(&hear(&mut state, "b", request)).is_empty());
    }
    assert_eq!(
        state.global_nodes().collect::<Vec<_>>(),
        [&NodeId::new("b")]
    );
    assert!(!state.is_global());
    // One that is not connected is not heard.
    assert!(hear(&mut state, "stranger", json!(["g_slave"])).is_empty());
    assert!(!state.is_global());
    hear(&mut state, "b", json!(["g_slave"]));
    assert!(state.is_global());
}
