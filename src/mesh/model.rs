//! Whatever happens to the rules of generations 0 and 1, in whatever order, and what holds all the
//! same: for tests and fuzzers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::state::{Config, Effect, Evidence, Gossip, Input, State, Timer};
use crate::mesh::groups::Membership;
use crate::proto::{Generation, NodeId};

/// The rules of the node `me`. The random number is always 0.5.
pub(super) fn state(seed_only_when_alone: bool) -> State {
    let config = Config {
        connect_interval: Duration::from_secs(2),
        monitor_timeout: Duration::from_secs(15),
        seed_only_when_alone,
        stands_in: false,
        seeds_are_single: false,
    };
    let mut n = 0;
    let name = move || {
        n += 1;
        format!("br.{n}")
    };
    State::new(NodeId::new("me"), config, Box::new(name), Box::new(|| 0.5))
}

fn membership() -> impl Strategy<Value = Membership> {
    prop_oneof![Just(Membership::Begins), Just(Membership::Ends)]
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![Just(Evidence::Proved), Just(Evidence::Claimed)]
}

/// Whatever happens.
pub(crate) fn input() -> impl Strategy<Value = Input> {
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

/// Panics if a rule is broken: nothing is said to who is not up, nobody connects to itself or to
/// nowhere, and what a node has in groups goes with it.
pub(crate) fn check(inputs: Vec<Input>) {
    let mut state = state(false);
    let mut up = BTreeSet::new();
    for input in inputs {
        // The node tells of ups and downs in turns only.
        let fits = match &input {
            Input::Up { node, .. } => *node != "me" && up.insert(node.clone()),
            Input::Down(node) => up.remove(node),
            _ => true,
        };
        if !fits {
            continue;
        }
        let down = match &input {
            Input::Down(node) => Some(node.clone()),
            _ => None,
        };
        for effect in state.handle(input) {
            match effect {
                Effect::Snd(port, _) => {
                    assert!(up.contains(port.node()), "said to {port}, which is not up");
                }
                Effect::Connect(node, addresses)
                | Effect::Told {
                    node, addresses, ..
                } => {
                    assert!(node != "me" && !addresses.is_empty());
                }
                _ => {}
            }
        }
        if let Some(node) = down {
            for group in ["g", "h"] {
                let members = state.groups.members(group);
                assert!(members.iter().all(|port| port.node() != node.as_str()));
            }
        }
    }
}
