//! The database as nodes and programs use it, in any order, and what holds all the same: for tests
//! and fuzzers.

pub(crate) mod agreement;
pub(crate) mod any_order;

use std::time::Duration;

use serde_json::{Value, json};

use super::{Change, Config, Effect, Input, Kind, Limits, Request, State, Val};
use crate::mesh::reading::Bounds;
use crate::proto::{Message, NodeId};

pub(super) fn state(own: &str) -> State {
    limited(own, Limits::NONE)
}

pub(super) fn limited(own: &str, limits: Limits) -> State {
    let config = Config {
        monitor_timeout: Duration::from_secs(30),
        limits,
    };
    State::new(NodeId::new(own), config, Box::new(|| 0.5))
}

pub(super) fn parse(message: Value) -> Result<Option<Request>, String> {
    read(&Message::from_values(message.as_array().unwrap()))
}

/// What a node reads of what a peer says.
pub(super) fn heard(state: &State, from: &NodeId, message: &Message) -> Request {
    let listens = |verb, about: &str| state.listens(from, verb, about);
    let request = Request::parse(message, Bounds::default(), listens);
    request.unwrap().unwrap()
}

pub(super) fn read(message: &Message) -> Result<Option<Request>, String> {
    let request = Request::parse(message, Bounds::default(), |_, _| true);
    request.map_err(|(verb, unread)| format!("{verb}: {unread}"))
}
