use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::{check, state};
use super::state::{Effect, Evidence, Gossip, Input, State, Timer};
use crate::mesh::Bound;
use crate::mesh::groups::Membership;
use crate::proto::{Generation, Message, NodeId, PortId};

mod telling;

fn up(state: &mut State, node: &str, generation: Generation) -> Vec<Effect> {
    state.handle(Input::Up {
        node: NodeId::new(node),
        generation,
        speaks: vec![generation.number()],
    })
}

fn hear(state: &mut State, from: &str, gossip: Value) -> Vec<Effect> {
    let list = gossip.as_array().unwrap();
    let gossip = Gossip::parse(
        &Message::from_values(list),
        crate::mesh::reading::Bounds::default(),
    )
    .unwrap()
    .unwrap();
    state.handle(Input::Gossip(NodeId::new(from), gossip))
}

/// What is sent, as port ID and JSON text.
fn sent(effects: &[Effect]) -> Vec<(String, Value)> {
    let sent = |effect: &Effect| match effect {
        Effect::Snd(port, message) => Some((port.to_string(), Value::Array(message.values()))),
        _ => None,
    };
    effects.iter().filter_map(sent).collect()
}

fn is_sent(effects: &[Effect], node: &str, message: Value) -> bool {
    let to_node = |port: &str| PortId::new(port).node() == node;
    sent(effects)
        .iter()
        .any(|(p, m)| to_node(p) && *m == message)
}

#[test]
fn a_new_node_is_told_in_this_order() {
    for (generation, extra) in [
        (Generation::Gen0, vec![]),
        (
            Generation::Gen1b,
            vec![json!(["setup"]), json!(["seedme1"])],
        ),
    ] {
        let mut state = state(false);
        state.handle(Input::Listeners(vec!["127.0.0.1:1".into()]));
        state.register("g", &PortId::new("me#p.a"));
        let effects = up(&mut state, "n1", generation);
        let mut want = vec![
            (
                "n1".to_owned(),
                json!([
                    "AnyEvent::MP::_spawn",
                    "br.1",
                    "AnyEvent::MP::Global::connect",
                    0,
                    "me"
                ]),
            ),
            ("n1#br.1".to_owned(), json!(["addr", ["127.0.0.1:1"]])),
            ("n1#br.1".to_owned(), json!(["set", {"g": ["me#p.a"]}])),
        ];
        want.extend(extra.into_iter().map(|m| ("n1#br.1".to_owned(), m)));
        assert_eq!(sent(&effects), want);
    }
}

#[test]
fn the_master_is_a_seed_or_else_the_last_node() {
    let mut state = state(false);
    state.handle(Input::Seeds(vec!["127.0.0.1:9".into()]));
    let effects = up(&mut state, "b", Generation::Gen1b);
    assert!(is_sent(&effects, "b", json!(["seedme1"])));
    assert!(
        sent(&up(&mut state, "c", Generation::Gen1b))
            .iter()
            .all(|(_, m)| m[0] != "seedme1")
    );
    // A seed comes up and takes over.
    state.handle(Input::SeedIs(
        "127.0.0.1:9".into(),
        NodeId::new("a"),
        Generation::Gen1b,
        Evidence::Proved,
    ));
    let effects = up(&mut state, "a", Generation::Gen1b);
    assert!(is_sent(&effects, "b", json!(["seedme0"])));
    assert!(is_sent(&effects, "a", json!(["seedme1"])));
    // It goes: the last of the others is asked to find it.
    let effects = state.handle(Input::Down(NodeId::new("a")));
    assert!(is_sent(&effects, "c", json!(["seedme1"])));
    assert!(is_sent(&effects, "c", json!(["find", "a"])));
    // Generation 0 knows no masters.
    let mut state = self::state(false);
    let effects = up(&mut state, "old", Generation::Gen0);
    assert!(
        sent(&effects)
            .iter()
            .all(|(_, m)| m[0] != "seedme1" && m[0] != "setup")
    );
    up(&mut state, "old2", Generation::Gen0);
    let effects = state.handle(Input::Down(NodeId::new("old")));
    assert!(is_sent(&effects, "old2", json!(["find", "old"])));
}

#[test]
fn what_is_told_of_is_connected_to() {
    let mut state = state(false);
    up(&mut state, "n1", Generation::Gen1b);
    let map =
        json!({"me": ["127.0.0.1:1"], "n1": ["127.0.0.1:2"], "n2": ["127.0.0.1:3"], "n3": []});
    let effects = hear(&mut state, "n1", json!(["nodes", map]));
    let connects: Vec<String> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Told {
                by,
                node,
                addresses,
                ..
            } => Some(format!("{by}: {node} {addresses:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(connects, ["n1: n2 [\"127.0.0.1:3\"]"]);
    // Later a message wants to go there.
    let effects = state.handle(Input::Want(NodeId::new("n2")));
    assert!(matches!(&effects[..], [Effect::Connect(node, ..)] if *node == "n2"));
    let effects = state.handle(Input::Want(NodeId::new("n9")));
    assert!(is_sent(&effects, "n1", json!(["find", "n9"])));
}

fn dials(effects: &[Effect]) -> Vec<&str> {
    let mut seeds = Vec::new();
    for effect in effects {
        if let Effect::Dial(seed) = effect {
            seeds.push(seed.as_str());
        }
    }
    seeds
}

#[test]
fn seeds_are_tried_round_and_round() {
    let mut state = state(false);
    let effects = state.handle(Input::Seeds(vec!["s1".into(), "s2".into(), "s1".into()]));
    let timers = effects
        .iter()
        .filter(|e| matches!(e, Effect::After(_, Timer::SeedTry)));
    assert_eq!(timers.count(), 2);
    let mut tried = Vec::new();
    for _ in 0..2 {
        let effects = state.handle(Input::Timer(Timer::SeedTry));
        tried.extend(dials(&effects).into_iter().map(str::to_owned));
    }
    tried.sort();
    assert_eq!(tried, ["s1", "s2"]);
    // Both are being tried: no third connection.
    assert!(dials(&state.handle(Input::Timer(Timer::SeedTry))).is_empty());
    state.handle(Input::SeedIsOurselves("s1".into())); // it was ourselves
    state.handle(Input::SeedEnded("s2".into()));
    for _ in 0..4 {
        let effects = state.handle(Input::Timer(Timer::SeedTry));
        for seed in dials(&effects) {
            assert_eq!(seed, "s2");
        }
        state.handle(Input::SeedEnded("s2".into()));
    }
    // Up: no need; down: at once.
    state.handle(Input::SeedIs(
        "s2".into(),
        NodeId::new("b"),
        Generation::Gen1b,
        Evidence::Proved,
    ));
    up(&mut state, "b", Generation::Gen1b);
    assert!(dials(&state.handle(Input::Timer(Timer::SeedTry))).is_empty());
    let effects = state.handle(Input::Down(NodeId::new("b")));
    assert_eq!(dials(&effects), ["s2"]);
    // Only the newest round goes on.
    let rounds = |effects: &[Effect]| {
        let round = |e: &Effect| match e {
            Effect::After(_, Timer::SeedRound(n)) => Some(*n),
            _ => None,
        };
        effects.iter().find_map(round)
    };
    let newest = rounds(&effects).unwrap();
    assert!(
        state
            .handle(Input::Timer(Timer::SeedRound(newest - 1)))
            .is_empty()
    );
    assert!(rounds(&state.handle(Input::Timer(Timer::SeedRound(newest)))).is_some());
}

#[test]
fn generation_0_seeds_only_when_alone() {
    let mut state = state(true);
    state.handle(Input::Seeds(vec!["s1".into()]));
    assert_eq!(dials(&state.handle(Input::Timer(Timer::SeedTry))), ["s1"]);
    let effects = state.handle(Input::SeedEnded("s1".into()));
    let soon = |e: &Effect| matches!(e, Effect::After(d, Timer::SeedTry) if d.as_secs() == 1);
    assert!(effects.iter().any(soon));
    up(&mut state, "x", Generation::Gen0);
    assert!(dials(&state.handle(Input::Timer(Timer::SeedRound(1)))).is_empty());
}

#[test]
fn a_seed_of_generation_2_is_tried_again_at_once_and_then_less_and_less() {
    let mut state = state(false);
    state.handle(Input::Seeds(vec!["s1".into()]));
    assert_eq!(dials(&state.handle(Input::Timer(Timer::SeedTry))), ["s1"]);
    let found = Input::SeedIs(
        "s1".into(),
        NodeId::new("g"),
        Generation::Gen2,
        Evidence::Proved,
    );
    state.handle(found);
    let up = up(&mut state, "g", Generation::Gen2);
    assert!(up.is_empty(), "there is no gossip: {up:?}");
    assert!(state.handle(Input::SeedEnded("s1".into())).is_empty());

    let wait = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::After(wait, timer @ Timer::SeedAgain(..)) => Some((*wait, timer.clone())),
            _ => None,
        })
    };
    assert_eq!(dials(&state.handle(Input::Down(NodeId::new("g")))), ["s1"]);
    let mut waits = Vec::new();
    for _ in 0..7 {
        let ended = state.handle(Input::SeedEnded("s1".into()));
        let (after, timer) = wait(&ended).unwrap();
        waits.push(after.as_millis());
        assert_eq!(dials(&state.handle(Input::Timer(timer.clone()))), ["s1"]);
        assert!(
            state.handle(Input::Timer(timer)).is_empty(),
            "it is being dialled"
        );
    }
    // the random number of these tests is 0.5
    assert_eq!(waits, [1800, 3600, 7200, 14400, 15000, 15000, 15000]);
}

#[test]
fn a_seed_that_is_ourselves_is_told_and_forgotten() {
    let mut state = state(false);
    state.handle(Input::Seeds(vec!["s1".into()]));
    let effects = state.handle(Input::SeedIsOurselves("s1".into()));
    let [Effect::OwnSeed, Effect::After(later, again)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert!(dials(&state.handle(Input::Timer(Timer::SeedTry))).is_empty());
    // Not for ever: somebody may have had that address for a moment.
    assert_eq!(later.as_secs(), 300);
    state.handle(Input::Timer(again.clone()));
    assert_eq!(dials(&state.handle(Input::Timer(Timer::SeedTry))), ["s1"]);
}

#[test]
fn a_node_has_no_more_in_groups_than_there_is_room() {
    let mut state = state(false);
    up(&mut state, "b", Generation::Gen1b);
    let b = NodeId::new("b");
    let group = |n: usize| (format!("g{n}"), vec![b.port("p")]);
    state.room = 100_000;
    let many = (0..100_000).map(group).collect();
    let effects = state.handle(Input::Gossip(b.clone(), Gossip::Set(many)));
    let held = state.groups.held_by(&b);
    assert!((99_000..=100_000).contains(&held), "{held}");
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Full(Bound::Memory, _)))
    );
    // Another one is not concerned, and everything goes with the node.
    up(&mut state, "c", Generation::Gen1b);
    state.room = 100_000;
    let one = [("h".to_owned(), vec![NodeId::new("c").port("p")])].into();
    state.handle(Input::Gossip(NodeId::new("c"), Gossip::Set(one)));
    assert_eq!(state.groups.members("h").len(), 1);
    state.handle(Input::Down(b.clone()));
    assert_eq!(
        (state.groups.held_by(&b), state.groups.names().len()),
        (0, 1)
    );
}

#[test]
fn who_only_claims_to_be_a_node_is_looked_at_again() {
    let mut state = state(false);
    let seed = |evidence| Input::SeedIs("s1".into(), NodeId::new("b"), Generation::Gen2, evidence);
    state.handle(Input::Seeds(vec!["s1".into()]));
    up(&mut state, "b", Generation::Gen2);
    assert_eq!(dials(&state.handle(Input::Timer(Timer::SeedTry))), ["s1"]);
    state.handle(seed(Evidence::Claimed));
    let effects = state.handle(Input::SeedEnded("s1".into()));
    let again = |effect: &Effect| match effect {
        Effect::After(wait, timer @ Timer::SeedAgain(..)) if wait.as_secs() < 10 => {
            Some(timer.clone())
        }
        _ => None,
    };
    let again = effects.iter().find_map(again).expect("another try soon");
    assert_eq!(dials(&state.handle(Input::Timer(again))), ["s1"]);
    state.handle(seed(Evidence::Proved));
    assert!(state.handle(Input::SeedEnded("s1".into())).is_empty());
    assert!(dials(&state.handle(Input::Timer(Timer::SeedTry))).is_empty());
}

fn membership() -> impl Strategy<Value = Membership> {
    prop_oneof![Just(Membership::Begins), Just(Membership::Ends)]
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![Just(Evidence::Proved), Just(Evidence::Claimed)]
}

/// Whatever happens.
fn input() -> impl Strategy<Value = Input> {
    let node = || prop::sample::select(vec!["a", "b", "c", "me"]).prop_map(NodeId::new);
    let port = || prop::sample::select(vec!["a#1", "b#1", "c#2", "a", "me#9"]);
    let group = || prop::sample::select(vec!["g", "h"]).prop_map(str::to_owned);
    let generation = || {
        prop::sample::select(vec![
            Generation::Gen0,
            Generation::Gen1a,
            Generation::Gen1b,
            Generation::Gen2,
        ])
    };
    let list = || prop::collection::vec(prop::sample::select(vec!["s1", "s2", ""]), 0..3);
    let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let gossip = prop_oneof![
        list().prop_map(move |l| Gossip::Addr(texts(l))),
        (node(), list()).prop_map(move |(n, l)| Gossip::Nodes(BTreeMap::from([(n, texts(l))]))),
        (group(), port()).prop_map(|(g, p)| Gossip::Set(BTreeMap::from([(g, vec![p.into()])]))),
        (membership(), group(), port()).prop_map(|(m, g, p)| Gossip::Reg(m, [g, p.to_owned()])),
        (membership(), group(), port()).prop_map(|(m, g, p)| Gossip::Reg(m, [p.to_owned(), g])),
        node().prop_map(Gossip::Find),
        any::<bool>().prop_map(Gossip::SeedMe),
        Just(Gossip::Setup),
    ];
    prop_oneof![
        (node(), generation(), any::<bool>()).prop_map(|(node, generation, both)| Input::Up {
            node,
            generation,
            speaks: if both {
                vec![0, 1]
            } else {
                vec![generation.number()]
            },
        }),
        node().prop_map(Input::Down),
        (node(), gossip).prop_map(|(n, g)| Input::Gossip(n, g)),
        (node(), 1u8..9).prop_map(|(n, b)| {
            let port = n.port(&format!("br.{b}"));
            Input::GossipPortDied(n, port)
        }),
        node().prop_map(Input::Want),
        list().prop_map(move |l| Input::Seeds(texts(l))),
        (list(), node(), generation(), evidence()).prop_map(|(l, n, generation, evidence)| {
            Input::SeedIs(l.concat(), n, generation, evidence)
        }),
        list().prop_map(|l| Input::SeedEnded(l.concat())),
        list().prop_map(|l| Input::SeedIsOurselves(l.concat())),
        (0u64..9).prop_map(|n| Input::Timer(Timer::SeedRound(n))),
        Just(Input::Timer(Timer::SeedTry)),
        node().prop_map(|n| Input::Timer(Timer::Broadcast(n))),
    ]
}

proptest! {
    #[test]
    fn the_rules_hold_in_any_order(inputs in prop::collection::vec(input(), 0..60)) {
        check(inputs);
    }
}

#[test]
fn who_may_still_tell_where_a_node_is() {
    use crate::proto::generation::Generations::{Auto, Only};
    let mut state = state(false);
    assert!(!state.may_be_told(Auto), "there is nobody");
    up(&mut state, "two", Generation::Gen2);
    assert!(!state.may_be_told(Auto));
    up(&mut state, "one", Generation::Gen1b);
    assert!(state.may_be_told(Auto) && !state.may_be_told(Only(2)));
    state.handle(Input::Down(NodeId::new("one")));
    assert!(!state.may_be_told(Auto));
    // A seed may be of any generation, until it is reached.
    let seed = "127.0.0.1:9".to_owned();
    state.handle(Input::Seeds(vec![seed.clone()]));
    assert!(state.may_be_told(Auto));
    for (generation, older) in [(Generation::Gen2, false), (Generation::Gen0, true)] {
        let id = NodeId::new("seed");
        let found = Input::SeedIs(seed.clone(), id, generation, Evidence::Claimed);
        state.handle(found);
        assert_eq!(state.may_be_told(Auto), older, "{generation}");
    }
}
