//! Who is told of whom, and when.

use super::*;

#[test]
fn generation_0_helps_the_listenerless_at_once() {
    let mut state = state(true);
    up(&mut state, "hidden", Generation::Gen0);
    hear(&mut state, "hidden", json!(["addr", []]));
    up(&mut state, "open", Generation::Gen0);
    let effects = hear(&mut state, "open", json!(["addr", ["127.0.0.1:2"]]));
    assert!(is_sent(
        &effects,
        "hidden",
        json!(["nodes", {"open": ["127.0.0.1:2"]}])
    ));
}

#[test]
fn generation_1_tells_who_asked_after_a_while() {
    let mut state = state(false);
    up(&mut state, "slave", Generation::Gen1b);
    up(&mut state, "other", Generation::Gen1b);
    hear(&mut state, "slave", json!(["seedme1"]));
    let effects = hear(&mut state, "other", json!(["addr", ["127.0.0.1:2"]]));
    let timer = Timer::Broadcast(NodeId::new("other"));
    let delayed = |e: &Effect| matches!(e, Effect::After(d, t) if *t == timer && (2.0..=3.0).contains(&d.as_secs_f64()));
    assert!(effects.iter().any(delayed), "{effects:?}");
    assert!(sent(&effects).is_empty());
    let effects = state.handle(Input::Timer(timer.clone()));
    assert_eq!(sent(&effects).len(), 1);
    assert!(is_sent(
        &effects,
        "slave",
        json!(["nodes", {"other": ["127.0.0.1:2"]}])
    ));
    hear(&mut state, "slave", json!(["seedme0"]));
    assert!(sent(&state.handle(Input::Timer(timer))).is_empty());
}

/// Who says where it listens again and again has one timer, and others hear of it twice.
#[test]
fn who_repeats_itself_is_not_repeated() {
    let mut state = state(true);
    up(&mut state, "hidden", Generation::Gen0);
    hear(&mut state, "hidden", json!(["addr", []]));
    up(&mut state, "open", Generation::Gen0);
    let (mut timers, mut told) = (0, 0);
    let mut count = |effects: &[Effect]| {
        let is_timer = |e: &&Effect| matches!(e, Effect::After(_, Timer::Broadcast(_)));
        timers += effects.iter().filter(is_timer).count();
        told += sent(effects)
            .iter()
            .filter(|(to, _)| to.starts_with("hidden"))
            .count();
        (timers, told)
    };
    for n in 0..1000 {
        count(&hear(
            &mut state,
            "open",
            json!(["addr", [format!("127.0.0.1:{n}")]]),
        ));
    }
    assert_eq!(count(&[]), (1, 1));
    let due = Input::Timer(Timer::Broadcast(NodeId::new("open")));
    let effects = state.handle(due.clone());
    let last = json!(["nodes", {"open": ["127.0.0.1:999"]}]);
    assert!(is_sent(&effects, "hidden", last));
    assert_eq!(count(&effects), (1, 2));
    // Afterwards the same is no news, but who asks for news hears of it again.
    count(&hear(
        &mut state,
        "open",
        json!(["addr", ["127.0.0.1:999"]]),
    ));
    count(&state.handle(due));
    assert_eq!(count(&[]), (2, 2));
}

#[test]
fn nodes_of_different_versions_are_not_told_of_each_other() {
    let mut state = state(false);
    up(&mut state, "old", Generation::Gen0);
    hear(&mut state, "old", json!(["addr", ["127.0.0.1:1"]]));
    let effects = up(&mut state, "new", Generation::Gen1b);
    assert!(
        sent(&effects).iter().all(|(_, m)| m[0] != "nodes"),
        "{effects:?}"
    );
    // One that speaks both is told to both.
    let both = Input::Up {
        node: NodeId::new("both"),
        generation: Generation::Gen1b,
        speaks: vec![0, 1, 2],
    };
    state.handle(both);
    hear(&mut state, "both", json!(["addr", ["127.0.0.1:3"]]));
    for asks in ["old", "new"] {
        let effects = hear(&mut state, asks, json!(["find", "both"]));
        assert!(is_sent(
            &effects,
            asks,
            json!(["nodes", {"both": ["127.0.0.1:3"]}])
        ));
    }
    assert!(sent(&hear(&mut state, "new", json!(["find", "old"]))).is_empty());
    // Groups know no versions.
    hear(&mut state, "old", json!(["reg1", "old#a", "g"]));
    hear(&mut state, "new", json!(["reg1", "g", "new#a"]));
    assert_eq!(
        state.groups.members("g"),
        [PortId::new("new#a"), "old#a".into()]
    );
    assert_eq!(state.groups.names(), ["g"]);
    // Told in each one's order of arguments.
    let (_, effects) = state.register("g", &PortId::new("me#a"));
    assert!(is_sent(&effects, "old", json!(["reg1", "me#a", "g"])));
    assert!(is_sent(&effects, "new", json!(["reg1", "g", "me#a"])));
    let (_, effects) = state.unregister("g", &PortId::new("me#a"));
    assert!(is_sent(&effects, "old", json!(["reg0", "me#a", "g"])));
    assert!(is_sent(&effects, "new", json!(["reg0", "g", "me#a"])));
}
