//! Carries requests out.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::Source;
use super::error::{Missing, RequestError};
use super::read::{NodeRequest, first};
use super::rights::may;
use crate::log::log_at;
use crate::node::code::{Outcome, caught, guarded, panic_text};
use crate::node::jobs::{self, Job};
use crate::node::link::Peer;
use crate::node::{Context, Inner, Node, Watcher, funcs};
use crate::proto::message::RawElement;
use crate::proto::{Generation, Message, PortId, Verb};

impl NodeRequest<'_> {
    /// Carries it out, for a source that may have it done.
    pub(super) fn perform(self, node: &Arc<Inner>, source: Source<'_>) -> Result<(), RequestError> {
        match self {
            NodeRequest::Nothing => {}
            NodeRequest::Monitor(name) => {
                if let Source::Peer(origin) = source {
                    monitor(node, origin.peer, &name);
                }
            }
            NodeRequest::Unmonitor(name) => {
                if let Source::Peer(origin) = source {
                    unmonitor(node, origin.peer, &name);
                }
            }
            NodeRequest::Died(name, reason) => {
                if let Source::Peer(origin) = source {
                    origin.peer.port_died(node, &name, &reason);
                }
            }
            NodeRequest::Kill(name, reason) => {
                if let Some(port) = node.ports.get(&name) {
                    port.kill(node, reason);
                }
            }
            NodeRequest::Spawn {
                name,
                function,
                args,
            } => create(node, &name, &function, args)?,
            NodeRequest::Forward(message) => forward(node, &message)?,
            NodeRequest::ForwardAll(messages) => {
                for one in messages.elements() {
                    let unfit = || RequestError::unfit(&one, "message");
                    forward(node, &one.to_message().ok_or_else(unfit)?)?;
                }
            }
            NodeRequest::Info(to) => reply(node, &to, &[node.id.as_str()])?,
            NodeRequest::KnownNodes(to) => {
                let known = Node::from_inner(node.clone()).known_nodes();
                reply(node, &to, &known)?;
            }
            NodeRequest::UpNodes(to) => reply(node, &to, &node.peers.up())?,
            NodeRequest::Can(name, to) => {
                // As Perl has its truth values: the framings of the time knew no others.
                let known = match can(node, source, &name) {
                    true => "1",
                    false => "",
                };
                reply(node, &to, &[known])?;
            }
            NodeRequest::Time(to) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                reply(node, &to, &[now.unwrap_or_default().as_secs_f64()])?;
            }
            NodeRequest::Eval(args) => evaluate(node, &args)?,
            NodeRequest::Database(message) => {
                if let Source::Peer(origin) = source {
                    let done = node.control.request(node, &origin.peer.id, message);
                    done.map_err(RequestError::Database)?;
                }
            }
            NodeRequest::Call { function, args } => call(node, source, function, args)?,
        }
        Ok(())
    }
}

/// Whether there is a request of that name. Only nodes of generation 2 ask so, so it is about its
/// verbs, and about the functions that the asker may call.
fn can(node: &Inner, source: Source<'_>, name: &str) -> bool {
    let is_verb = |verb: Verb| verb.told_by_can(Generation::Gen2);
    Verb::parse(name).is_some_and(is_verb)
        || may(node, source, &NodeRequest::call(name)).is_ok() && node.functions.get(name).is_some()
}

pub(super) fn monitor(node: &Arc<Inner>, peer: &Arc<Peer>, name: &str) {
    if name.is_empty() {
        return; // the node port lives as long as the link
    }
    let watcher = Watcher::Node(peer.id.clone());
    peer.watches(name);
    let watched = match node.ports.get(name) {
        Some(port) => port.watch(node.next_serial(), watcher).is_ok(),
        None => false,
    };
    if !watched {
        peer.send_missing(node, name);
    }
}

pub(super) fn unmonitor(node: &Arc<Inner>, peer: &Arc<Peer>, name: &str) {
    peer.watches_no_more(name);
    if let Some(port) = node.ports.get(name) {
        port.unwatch(|_, watcher| matches!(watcher, Watcher::Node(id) if *id == peer.id));
    }
}

/// Creates a port and has its init function run, behind the messages that came with the request, so
/// that a monitor among them is set. The port takes no message before.
pub(super) fn create(
    node: &Arc<Inner>,
    name: &str,
    function: &str,
    args: Message,
) -> Result<(), RequestError> {
    let function = node
        .functions
        .get(function)
        .ok_or_else(|| RequestError::UnknownFunction(function.to_owned()))?;
    let taken = || RequestError::NameTaken(name.to_owned());
    let port = node.new_spawned_port(name).ok_or_else(taken)?;
    let init = move |node: &Arc<Inner>| funcs::initialise(node, &port, &function, args);
    jobs::schedule(node, Job::Call(Box::new(init)));
    Ok(())
}

/// Sends the message of a `snd` request on: its destination, then its data, octet by octet.
fn forward(node: &Arc<Inner>, message: &Message) -> Result<(), RequestError> {
    reply::<Value>(node, message, &[])
}

/// A message that a request carries, with values behind it.
struct With<'a, T>(&'a [RawElement<'a>], &'a [T]);

impl<T: Serialize> Serialize for With<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut seq = serializer.serialize_seq(Some(self.0.len() + self.1.len()))?;
        for element in self.0 {
            seq.serialize_element(element)?;
        }
        for value in self.1 {
            seq.serialize_element(value)?;
        }
        seq.end()
    }
}

/// Sends the reply that a request asks for: its port, its first elements, then the values.
fn reply<T: Serialize>(
    node: &Arc<Inner>,
    args: &Message,
    values: &[T],
) -> Result<(), RequestError> {
    let elements = args.elements();
    let Some((port, first)) = elements.split_first() else {
        return Ok(()); // nobody wants an answer
    };
    let port: PortId = port
        .read()
        .map_err(|_| RequestError::unfit(port, "port ID to reply to"))?;
    Ok(node.snd(&port, &With(first, values))?)
}

fn evaluate(node: &Arc<Inner>, args: &Message) -> Result<(), RequestError> {
    let text = first(args, Missing::Expression)?;
    let evaluator = node.functions.evaluator.read().clone();
    let result = match evaluator {
        Some(evaluator) => {
            let run = std::panic::AssertUnwindSafe(|| evaluator(&text));
            std::panic::catch_unwind(run).unwrap_or_else(|panic| Err(panic_text(&*panic)))
        }
        None => Err("this node does not evaluate expressions".to_owned()),
    };
    let values = match result {
        Ok(mut values) => {
            values.insert(0, Value::from(""));
            values
        }
        Err(error) => vec![Value::from(error)],
    };
    reply(node, &args.without_tag(), &values)
}

/// A request that is the name of a function: called with the rest, in no port's context.
fn call(
    node: &Arc<Inner>,
    source: Source<'_>,
    name: &str,
    args: Message,
) -> Result<(), RequestError> {
    let Some(function) = node.functions.get(name) else {
        return Err(RequestError::UnknownFunction(name.to_owned()));
    };
    let context = Context::new(node, node.id.node_port());
    let name = name.to_owned();
    let finish = move |result: Result<(), String>| {
        if let Err(text) = result {
            log_at!(2, "error processing node message: {name}: {text}");
        }
    };
    let call = move |node: &Arc<Inner>| match guarded(|| function(&context, args)) {
        Outcome::Done(result) => finish(result),
        Outcome::Later(future) => {
            node.spawn_task(async move { finish(caught(future).await) });
        }
    };
    match source {
        // On a reader's thread, where nothing else runs: in the order of the requests.
        Source::Peer(_) => call(node),
        Source::Local => jobs::schedule(node, Job::Call(Box::new(call))),
    }
    Ok(())
}
