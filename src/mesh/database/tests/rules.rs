//! The rules one by one.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::{Kind, Timer};
use super::*;

fn up(state: &mut State, node: &str, seed: bool) -> Vec<Effect> {
    let node = NodeId::new(node);
    state.handle(Input::Up { node, seed })
}

fn down(state: &mut State, node: &str) -> Vec<Effect> {
    state.handle(Input::Down(NodeId::new(node)))
}

fn set(state: &mut State, family: &str, key: &str, value: Value) -> Vec<Effect> {
    state.handle(Input::Set {
        family: family.to_owned(),
        key: key.to_owned(),
        value,
    })
}

fn del(state: &mut State, family: &str, keys: &[&str]) -> Vec<Effect> {
    state.handle(Input::Del {
        family: family.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    })
}

fn monitor(state: &mut State, id: u64, family: &str) -> Vec<Effect> {
    let family = family.to_owned();
    state.handle(Input::Monitor { id, family })
}

fn query(state: &mut State, id: u64, kind: Kind, family: &str) -> Vec<Effect> {
    let family = family.to_owned();
    state.handle(Input::Query { id, kind, family })
}

/// A global node, with these nodes up and global.
fn global(own: &str, others: &[&str]) -> State {
    let mut state = state(own);
    state.handle(Input::Listeners(vec!["127.0.0.1:1".to_owned()]));
    state.handle(Input::BecomeGlobal);
    for other in others {
        up(&mut state, other, false);
        hear(&mut state, other, json!(["g_global"]));
    }
    state
}

/// What the node answers about a family of its merged database.
fn family(state: &mut State, family: &str) -> Value {
    let effects = query(state, 99, Kind::Family, family);
    match &effects[..] {
        [Effect::Reply(99, answer)] => answer.clone(),
        other => panic!("{other:?}"),
    }
}

/// As `(added, changed, deleted)`.
fn only_change(effects: &[Effect]) -> (Value, Value, Value) {
    match &changes(effects)[..] {
        [(_, change)] => (
            json!(change.added),
            json!(change.changed),
            json!(change.deleted),
        ),
        other => panic!("{other:?}"),
    }
}

// Parsing

#[test]
fn requests_are_read_as_leniently_as_perl_does() {
    let upd = |set: Option<Value>, del: Option<&[&str]>| Request::Upd {
        family: "f".to_owned(),
        set: set.map(|set| {
            let set = set.as_object().unwrap().clone();
            set.into_iter().map(|(k, v)| (k, v.into())).collect()
        }),
        del: del.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    for (message, request) in [
        (
            json!(["g_upd", "f", {"k": 1}]),
            upd(Some(json!({"k": 1})), None),
        ),
        (
            json!(["g_upd", "f", {"k": 1}, []]),
            upd(Some(json!({"k": 1})), Some(&[])),
        ),
        (
            json!(["g_upd", "f", null, ["k", 7]]),
            upd(None, Some(&["k", "7"])),
        ),
        (
            json!(["g_upd", "f", [], {}]),
            upd(Some(json!({})), Some(&[])),
        ),
        (json!(["g_upd", "f"]), upd(None, None)),
        (json!(["g_slave"]), Request::Slave(None)),
        (
            json!(["g_slave", null]),
            Request::Slave(Some(BTreeMap::new())),
        ),
        (json!(["g_set", []]), Request::Set(BTreeMap::new())),
        (
            json!(["g_set", {"f": null}]),
            Request::Set(BTreeMap::from([("f".to_owned(), BTreeMap::new())])),
        ),
        (json!(["g_find", 7]), Request::Find(NodeId::new("7"))),
        (json!(["g_find"]), Request::Find(NodeId::new(""))),
        (
            json!(["g_found", "n", null]),
            Request::Found(NodeId::new("n"), None),
        ),
        (
            json!(["g_found", "n", ["a:1", 2]]),
            Request::Found(NodeId::new("n"), Some(vec!["a:1".into(), "2".into()])),
        ),
        (
            json!(["g_reply", 7]),
            Request::Reply("7".to_owned(), Value::Null),
        ),
        (
            json!(["g_chg1", "f", null]),
            Request::Chg1("f".to_owned(), BTreeMap::new()),
        ),
        (
            json!(["g_mon1", "f", "more"]),
            Request::Mon1("f".to_owned()),
        ),
        (
            json!(["g_db_keys", 1.5, "b"]),
            Request::Query {
                kind: Kind::Keys,
                family: "1.5".to_owned(),
                id: "b".to_owned(),
            },
        ),
        (
            json!(["g_chg2", "f"]),
            Request::Chg2 {
                family: "f".to_owned(),
                set: BTreeMap::new(),
                del: vec![],
            },
        ),
    ] {
        assert_eq!(parse(message.clone()), Ok(Some(request)), "{message}");
    }
    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    match parse(json!(["g_found", "n", many])) {
        Ok(Some(Request::Found(_, Some(list)))) => assert_eq!(list.len(), 64),
        other => panic!("{other:?}"),
    }
    for other in [
        json!([]),
        json!(["mon1", "x"]),
        json!(["g_more"]),
        json!([["g_upd"]]),
    ] {
        assert_eq!(parse(other), Ok(None));
    }
    for wrong in [
        json!(["g_upd", ["f"]]),
        json!(["g_upd", "f", "k"]),
        json!(["g_upd", "f", {}, "k"]),
        json!(["g_upd", "f", {}, [["k"]]]),
        json!(["g_set", {"f": 1}]),
        json!(["g_slave", 1]),
        json!(["g_found", "n", "a:1"]),
    ] {
        let problem = parse(wrong.clone()).unwrap_err();
        assert!(problem.starts_with(wrong[0].as_str().unwrap()), "{problem}");
    }
}

#[test]
fn what_is_said_is_read_as_the_same() {
    for message in [
        json!(["g_global"]),
        json!(["g_slave"]),
        json!(["g_slave", {"'l": {"a": ["x:1"]}}]),
        json!(["g_set", {"f": {"k": null}}]),
        json!(["g_upd", "f", {"k": [1, {"a": null}]}]),
        json!(["g_upd", "f", null, ["k"]]),
        json!(["g_upd", "f", {}, ["k"]]),
        json!(["g_find", "n"]),
        json!(["g_found", "n", null]),
        json!(["g_found", "n", ["x:1"]]),
        json!(["g_db_family", "f", "b"]),
        json!(["g_db_keys", "f", "c"]),
        json!(["g_db_values", "f", "d"]),
        json!(["g_reply", "b", {"k": 1}]),
        json!(["g_mon1", "f"]),
        json!(["g_mon0", "f"]),
        json!(["g_chg1", "f", {"k": 1}]),
        json!(["g_chg2", "f", {"k": 1}, ["l"]]),
    ] {
        let request = parse(message.clone()).unwrap().unwrap();
        let said = request.to_message().unwrap();
        assert_eq!(Value::Array(said.values()), message);
    }
}

// An ordinary node

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
    // A new master knows the same, or something else. What it says before it tells all is part of that.
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

// A global node

#[test]
fn a_slave_is_served() {
    let mut state = state("s");
    state.handle(Input::Listeners(vec!["h:1".into()]));
    up(&mut state, "a", false);
    assert_eq!(
        sent(&hear(&mut state, "a", json!(["g_slave"]))),
        [json!(["a", "g_global"])]
    );
    let db = json!({"'l": {"a": ["h:2"]}, "f": {"k": 1}});
    assert!(sent(&hear(&mut state, "a", json!(["g_slave", db]))).is_empty());
    assert!(sent(&up(&mut state, "b", false)).contains(&json!(["b", "g_global"])));
    for (asked, answer) in [
        (
            json!(["g_find", "a"]),
            json!(["b", "g_found", "a", ["h:2"]]),
        ),
        (
            json!(["g_find", "s"]),
            json!(["b", "g_found", "s", ["h:1"]]),
        ),
        (json!(["g_find", "x"]), json!(["b", "g_found", "x", null])),
        (
            json!(["g_db_family", "f", "b"]),
            json!(["b", "g_reply", "b", {"k": 1}]),
        ),
        (
            json!(["g_db_keys", "f", 7]),
            json!(["b", "g_reply", "7", ["k"]]),
        ),
        (
            json!(["g_db_values", "f", "c"]),
            json!(["b", "g_reply", "c", [1]]),
        ),
        (
            json!(["g_db_family", "x", "d"]),
            json!(["b", "g_reply", "d", {}]),
        ),
        (
            json!(["g_db_values", "x", "e"]),
            json!(["b", "g_reply", "e", []]),
        ),
        (
            json!(["g_mon1", "f"]),
            json!(["b", "g_chg1", "f", {"k": 1}]),
        ),
        (json!(["g_mon1", "x"]), json!(["b", "g_chg1", "x", {}])),
    ] {
        assert_eq!(sent(&hear(&mut state, "b", asked)), [answer]);
    }
    let said = sent(&hear(&mut state, "a", json!(["g_upd", "f", {"l": 2}])));
    assert_eq!(said, [json!(["b", "g_chg2", "f", {"l": 2}, []])]);
    let said = sent(&hear(
        &mut state,
        "a",
        json!(["g_upd", "f", null, ["k", "never"]]),
    ));
    assert_eq!(said, [json!(["b", "g_chg2", "f", {}, ["k"]])]);
    hear(&mut state, "b", json!(["g_mon0", "f"]));
    assert!(sent(&hear(&mut state, "a", json!(["g_upd", "f", {"l": 3}]))).is_empty());
    // Keys go with their node, monitors as well.
    hear(&mut state, "b", json!(["g_upd", "x", {"mine": 1}]));
    let said = sent(&down(&mut state, "b"));
    assert!(said.is_empty(), "{said:?}");
    assert!(sent(&hear(&mut state, "a", json!(["g_upd", "x", {"k": 3}]))).is_empty());
    down(&mut state, "a");
    assert_eq!(family(&mut state, "f"), json!({}));
    assert_eq!(family(&mut state, "'l"), json!({"s": ["h:1"]}));
    assert_eq!(family(&mut state, "'g"), json!({"s": null}));
}

#[test]
fn a_slave_that_tells_its_database_again_leaves_nothing_stale() {
    let mut state = global("s", &["g"]);
    up(&mut state, "a", false);
    hear(
        &mut state,
        "a",
        json!(["g_slave", {"f": {"k": 1, "l": 2}, "h": {"x": 1}}]),
    );
    monitor(&mut state, 1, "f");
    let effects = hear(
        &mut state,
        "a",
        json!(["g_slave", {"f": {"k": 1, "l": 3}, "i": {"y": 1}}]),
    );
    assert_eq!(
        only_change(&effects),
        (json!({}), json!({"l": 3}), json!({}))
    );
    assert_eq!(
        sent(&effects),
        [
            json!(["g", "g_upd", "f", {"l": 3}, []]),
            json!(["g", "g_upd", "h", {}, ["x"]]),
            json!(["g", "g_upd", "i", {"y": 1}, []]),
        ]
    );
    assert!(
        hear(
            &mut state,
            "a",
            json!(["g_slave", {"f": {"k": 1, "l": 3}, "i": {"y": 1}}])
        )
        .is_empty()
    );
}

#[test]
fn a_delete_uncovers_the_value_of_another() {
    let mut state = global("s", &["g", "h"]);
    for slave in ["a", "b"] {
        up(&mut state, slave, false);
        hear(&mut state, slave, json!(["g_slave", {}]));
    }
    hear(&mut state, "b", json!(["g_mon1", "f"]));
    let mut step = |who: &str, upd: Value, wanted: &[Value]| {
        assert_eq!(sent(&hear(&mut state, who, upd)), wanted);
    };
    let to_globals = |upd: Value| {
        let to = |node: &str| {
            let mut all = vec![json!(node), json!("g_upd"), json!("f")];
            all.extend(upd.as_array().unwrap().iter().cloned());
            Value::Array(all)
        };
        [to("g"), to("h")]
    };
    let with = |upd: Value, chg: Value| [&to_globals(upd)[..], &[chg]].concat();
    let both =
        |set: Value, del: Value| with(json!([set, del]), json!(["b", "g_chg2", "f", set, del]));
    step(
        "a",
        json!(["g_upd", "f", {"k": 1}]),
        &both(json!({"k": 1}), json!([])),
    );
    step(
        "b",
        json!(["g_upd", "f", {"k": 2}]),
        &both(json!({"k": 2}), json!([])),
    );
    // That of a was covered.
    step(
        "b",
        json!(["g_upd", "f", null, ["k"]]),
        &both(json!({"k": 1}), json!([])),
    );
    // A global node sets it; its own slaves and others hear of that from it, not from us.
    let chg = |set: Value, del: Value| json!(["b", "g_chg2", "f", set, del]);
    step(
        "g",
        json!(["g_upd", "f", {"k": 3}, []]),
        &[chg(json!({"k": 3}), json!([]))],
    );
    step(
        "g",
        json!(["g_upd", "f", {}, ["k"]]),
        &[chg(json!({"k": 1}), json!([]))],
    );
    // Both global nodes have it; the last slave deletes it.
    step(
        "g",
        json!(["g_upd", "f", {"k": 3}, []]),
        &[chg(json!({"k": 3}), json!([]))],
    );
    step(
        "a",
        json!(["g_upd", "f", {"k": 4}]),
        &both(json!({"k": 4}), json!([])),
    );
    step(
        "a",
        json!(["g_upd", "f", null, ["k"]]),
        &with(json!([{}, ["k"]]), chg(json!({"k": 3}), json!([]))),
    );
    // The same, but it is covered already: monitors see nothing.
    step(
        "a",
        json!(["g_upd", "f", {"k": 4}]),
        &both(json!({"k": 4}), json!([])),
    );
    step(
        "g",
        json!(["g_upd", "f", {"k": 5}, []]),
        &[chg(json!({"k": 5}), json!([]))],
    );
    step(
        "a",
        json!(["g_upd", "f", null, ["k"]]),
        &to_globals(json!([{}, ["k"]])),
    );
    step(
        "g",
        json!(["g_upd", "f", {}, ["k"]]),
        &[chg(json!({}), json!(["k"]))],
    );
    // Two slaves; the later value is covered by the same as the earlier one, which other nodes don't
    // see: they are told.
    step(
        "a",
        json!(["g_upd", "f", {"k": 1}]),
        &both(json!({"k": 1}), json!([])),
    );
    step(
        "b",
        json!(["g_upd", "f", {"k": 2}]),
        &both(json!({"k": 2}), json!([])),
    );
    step(
        "g",
        json!(["g_upd", "f", {"k": 1}, []]),
        &[chg(json!({"k": 1}), json!([]))],
    );
    step(
        "b",
        json!(["g_upd", "f", null, ["k"]]),
        &to_globals(json!([{"k": 1}, []])),
    );
    // Set and deleted at once is deleted.
    step(
        "a",
        json!(["g_upd", "f", {"k": 7, "m": 1}, ["k"]]),
        &with(json!([{"m": 1}, ["k"]]), chg(json!({"m": 1}), json!([]))),
    );
    assert_eq!(family(&mut state, "f"), json!({"k": 1, "m": 1}));
    // A node that goes down uncovers as well.
    let said = sent(&down(&mut state, "g"));
    assert!(
        said.contains(&json!(["b", "g_chg2", "f", {}, ["k"]])),
        "{said:?}"
    );
    let said = sent(&down(&mut state, "a"));
    assert!(
        said.contains(&json!(["h", "g_upd", "f", {}, ["m"]])),
        "{said:?}"
    );
    assert_eq!(family(&mut state, "f"), json!({}));
}

#[test]
fn global_nodes_tell_each_other_of_their_slaves() {
    let mut state = global("s", &["g"]);
    up(&mut state, "a", false);
    hear(&mut state, "a", json!(["g_slave", {"f": {"k": 1}}]));
    assert_eq!(
        sent(&up(&mut state, "h", false)),
        [json!(["h", "g_global"])]
    );
    assert_eq!(
        sent(&hear(&mut state, "h", json!(["g_global"]))),
        [
            json!(["g", "g_upd", "'g", {"h": null}, []]),
            json!(["h", "g_upd", "'g", {"h": null}, []]),
            json!(["h", "g_set", {
                "'g": {"g": null, "h": null, "s": null},
                "'l": {"s": ["127.0.0.1:1"]},
                "f": {"k": 1},
            }]),
        ]
    );
    let db =
        json!({"'l": {"h": ["h:1"], "b": ["h:2"]}, "'g": {"h": null, "s": null}, "f": {"l": 2}});
    assert_eq!(
        sent(&hear(&mut state, "h", json!(["g_set", db]))),
        [
            json!(["g", "g_upd", "'l", {"h": ["h:1"]}, []]),
            json!(["h", "g_upd", "'l", {"h": ["h:1"]}, []]),
        ]
    );
    assert_eq!(family(&mut state, "f"), json!({"k": 1, "l": 2}));
    // Once more: it is known, and does not lose what it told us.
    assert!(sent(&hear(&mut state, "h", json!(["g_global"]))).is_empty());
    assert_eq!(family(&mut state, "f"), json!({"k": 1, "l": 2}));
    let said = sent(&down(&mut state, "h"));
    assert_eq!(
        said,
        [
            json!(["g", "g_upd", "'g", {}, ["h"]]),
            json!(["g", "g_upd", "'l", {}, ["h"]]),
        ]
    );
    assert_eq!(family(&mut state, "f"), json!({"k": 1}));
    // A slave that becomes a global node tells us anew.
    let said = sent(&hear(&mut state, "a", json!(["g_global"])));
    assert_eq!(said[0], json!(["g", "g_upd", "f", {}, ["k"]]));
    assert_eq!(family(&mut state, "f"), json!({}));
    hear(&mut state, "a", json!(["g_set", {"f": {"k": 1}}]));
    assert_eq!(family(&mut state, "f"), json!({"k": 1}));
    // A global node that has us as master, as Perl nodes may: what its slaves have stays.
    hear(&mut state, "a", json!(["g_slave", {"f": {"own": 1}}]));
    assert_eq!(family(&mut state, "f"), json!({"k": 1, "own": 1}));
}

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

// Bounds

#[test]
fn a_peer_can_make_us_hold_only_so_much() {
    let limits = Limits {
        keys: 3,
        octets: 2000,
        monitors: 2,
    };
    let mut state = limited("s", limits);
    state.handle(Input::BecomeGlobal);
    for slave in ["a", "b"] {
        up(&mut state, slave, false);
        hear(&mut state, slave, json!(["g_slave", {}]));
    }
    hear(&mut state, "a", json!(["g_upd", "f", {"k": 1, "l": 1}]));
    hear(&mut state, "a", json!(["g_upd", "f", {"m": 1, "n": 1}]));
    assert_eq!(family(&mut state, "f"), json!({"k": 1, "l": 1}));
    // What it deletes it deletes nevertheless.
    hear(
        &mut state,
        "a",
        json!(["g_upd", "f", {"m": 1, "n": 1}, ["k"]]),
    );
    assert_eq!(family(&mut state, "f"), json!({"l": 1}));
    hear(
        &mut state,
        "a",
        json!(["g_upd", "f", {"m": "x".repeat(3000)}]),
    );
    assert_eq!(family(&mut state, "f"), json!({"l": 1}));
    // Each for itself.
    hear(
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
            sent(&hear(&mut state, "a", json!(["g_mon1", name]))).len(),
            answers
        );
    }
    hear(&mut state, "a", json!(["g_mon0", "g"]));
    assert_eq!(
        sent(&hear(&mut state, "a", json!(["g_mon1", "h"]))).len(),
        1
    );
    // Nor a master, of what we monitor.
    let mut state = limited("a", limits);
    up(&mut state, "s", true);
    monitor(&mut state, 1, "f");
    let full = json!(["g_chg1", "f", {"k": 1, "l": 1, "m": 1, "n": 1}]);
    assert!(changes(&hear(&mut state, "s", full)).is_empty());
    let effects = hear(&mut state, "s", json!(["g_chg1", "f", {"k": 1, "l": 1}]));
    assert_eq!(changes(&effects).len(), 1);
    let more = json!(["g_chg2", "f", {"m": 1, "n": 1}, []]);
    assert!(changes(&hear(&mut state, "s", more)).is_empty());
}
