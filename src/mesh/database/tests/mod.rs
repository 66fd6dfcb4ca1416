mod agreement;
mod replay;
mod rules;

use std::time::Duration;

use serde_json::Value;

use super::{Change, Config, Effect, Input, Limits, Request, State};
use crate::proto::{Message, NodeId};

fn state(own: &str) -> State {
    limited(own, Limits::default())
}

fn limited(own: &str, limits: Limits) -> State {
    let config = Config {
        monitor_timeout: Duration::from_secs(30),
        limits,
    };
    State::new(NodeId::new(own), config, Box::new(|| 0.5))
}

/// A peer says this; an array.
fn hear(state: &mut State, from: &str, message: Value) -> Vec<Effect> {
    let request = parse(message).unwrap().unwrap();
    state.handle(Input::Request(NodeId::new(from), request))
}

fn parse(message: Value) -> Result<Option<Request>, String> {
    Request::parse(&Message::from_values(message.as_array().unwrap()))
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
    let changed = |effect| match effect {
        &Effect::Changed {
            ref ids,
            ref change,
        } => Some((&ids[..], change)),
        _ => None,
    };
    effects.iter().filter_map(changed).collect()
}
