//! Messages are read and written as Perl does.

use std::collections::BTreeMap;

use super::*;

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
            Request::Reply("7".to_owned(), Value::Null.into()),
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
