//! What a bridge hears, and whom its node connects to.

use super::*;
use crate::mesh::Seen;
use crate::mesh::groups::Membership;
use crate::proto::PortId;

fn seen(effects: &[Effect]) -> Vec<Seen> {
    let seen = |effect: &Effect| match effect {
        Effect::Seen(seen) => Some(seen.clone()),
        _ => None,
    };
    effects.iter().filter_map(seen).collect()
}

fn dialled(effects: &[Effect]) -> Vec<&str> {
    let mut nodes = Vec::new();
    for effect in effects {
        if let Effect::Connect(node, _) = effect {
            nodes.push(node.as_str());
        }
    }
    nodes
}

fn port(membership: Membership, family: &str, port: &str) -> Seen {
    let (family, port) = (family.to_owned(), PortId::new(port));
    Seen::Port {
        membership,
        family,
        port,
    }
}

/// A bridge's node with a slave.
fn bridge() -> State {
    let mut state = state("n");
    state.handle(Input::Observe);
    assert!(state.is_global());
    let (node, seed) = (NodeId::new("a"), false);
    state.handle(Input::Up { node, seed });
    hear(
        &mut state,
        "a",
        json!(["g_slave", {"'l": {"a": ["h:1"]}, "g": {"a#1": null}}]),
    );
    state
}

#[test]
fn registrations_come_and_go() {
    let mut state = bridge();
    let (at, ports) = state.known_of(&NodeId::new("a"));
    assert_eq!(at, ["h:1"]);
    assert_eq!(ports, [("g".to_owned(), PortId::new("a#1"))]);

    let said = json!(["g_upd", "g", {"a#2": 1, "word": 2, "#": 3, "a#": 4}, ["a#1"]]);
    let effects = hear(&mut state, "a", said);
    assert_eq!(
        seen(&effects),
        [
            port(Membership::Begins, "g", "a#2"),
            port(Membership::Ends, "g", "a#1")
        ]
    );
    let own = json!(["g_upd", "'x", {"a#2": 1}, null]);
    assert_eq!(seen(&hear(&mut state, "a", own)), []);

    let effects = state.handle(Input::Down(NodeId::new("a")));
    assert_eq!(seen(&effects), [port(Membership::Ends, "g", "a#2")]);
    assert_eq!(state.known_of(&NodeId::new("a")), (vec![], vec![]));
}

#[test]
fn it_connects_to_all_nodes_but_stand_ins() {
    let mut state = bridge();
    let stand_in = json!(["g_upd", "aemp-bridge", {"x": "m"}, null]);
    hear(&mut state, "a", stand_in);
    let listeners = json!(["g_upd", "'l", {"b": ["h:2"], "x": ["h:3"], "deaf": []}, null]);
    let effects = hear(&mut state, "a", listeners);
    assert_eq!(dialled(&effects), ["b"]);
    let told = seen(&effects);
    assert!(told.contains(&Seen::At(NodeId::new("b"), vec!["h:2".to_owned()])));

    // Nobody else does.
    state.handle(Input::StopObserving);
    let listeners = json!(["g_upd", "'l", {"c": ["h:4"]}, null]);
    let effects = hear(&mut state, "a", listeners);
    assert!(dialled(&effects).is_empty() && seen(&effects).is_empty());
}
