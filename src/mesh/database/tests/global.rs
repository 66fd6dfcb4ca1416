//! A global node, by rule.

use super::*;

#[test]
fn a_slave_is_served() {
    let mut state = state("s");
    state.handle(Input::Listeners(vec!["h:1".into()]));
    up(&mut state, "a", false);
    assert_eq!(
        sent(&hear(&mut state, "a", json!(["g_slave"]))),
        [json!(["a", "g_global"])]
    );
    let db = json!({"'l": {"a": ["h:2"], "hidden": [], "wrong": {"x": 1}}, "f": {"k": 1}});
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
    // A monitor of our own sees what there is, as those of slaves do.
    let effects = monitor(&mut state, 1, "f");
    assert_eq!(
        only_change(&effects),
        (json!({"k": 1, "l": 2}), json!({}), json!({}))
    );
    let effects = monitor(&mut state, 2, "nothing");
    assert_eq!(only_change(&effects), (json!({}), json!({}), json!({})));
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
    // Two slaves; the later value is covered by the same as the earlier one, which other nodes
    // don't see: they are told.
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
