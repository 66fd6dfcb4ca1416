mod agreement;
mod any_order;
mod becoming_global;
mod bounds;
mod global;
mod masterless;
mod observe;
mod ordinary;
mod parse;
mod recordings;
mod replay;

use serde_json::{Value, json};

use super::model::{heard, limited, parse, state};
use super::{Change, Effect, Input, Kind, Limits, Request, State, Val};
use crate::proto::{Message, NodeId};

/// A peer says this; an array.
fn hear(state: &mut State, from: &str, message: Value) -> Vec<Effect> {
    let (from, message) = (
        NodeId::new(from),
        Message::from_values(message.as_array().unwrap()),
    );
    let request = heard(state, &from, &message);
    state.handle(Input::Request(from, request))
}

/// What is sent, each with its receiver in front.
fn sent(effects: &[Effect]) -> Vec<Value> {
    let sent = |effect: &Effect| match effect {
        Effect::Send(node, message) => {
            let mut all = vec![Value::from(node.as_str())];
            all.extend(message.values());
            Some(Value::Array(all))
        }
        _ => None,
    };
    effects.iter().filter_map(sent).collect()
}

/// What monitors are told.
fn changes(effects: &[Effect]) -> Vec<(&[u64], &Change)> {
    let mut all = Vec::new();
    for effect in effects {
        if let Effect::Changed { ids, change } = effect {
            all.push((&ids[..], change));
        }
    }
    all
}

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
        [Effect::Reply(99, answer)] => answer.read().unwrap(),
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
