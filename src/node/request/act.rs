//! Carries requests out.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::Source;
use super::error::{Missing, RequestError};
use super::named::Named;
use super::onward::Onward;
use super::read::{NodeRequest, first};
use super::rights::{may, may_hand_on, refused_send, spawner};
use crate::log::log_at;
use crate::mesh::CONNECT;
use crate::node::code::{Handled, Outcome, caught, guarded, panic_text};
use crate::node::jobs::{self, Job};
use crate::node::limits::Limit;
use crate::node::link::Peer;
use crate::node::{Context, Inner, Node, SendError, Watcher, data, funcs, logs, traced, watched};
use crate::proto::{Generation, Message, NodeId, PortId, Reason, Verb};

impl NodeRequest<'_> {
    /// Carries it out, for a source that may have it done.
    pub(super) fn perform(self, node: &Arc<Inner>, source: Source<'_>) -> Sending {
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
                    let reason = reason_of(node, &reason);
                    origin.peer.port_died(node, &name, &reason);
                }
            }
            NodeRequest::Hold(name) => {
                if let Source::Peer(origin) = source {
                    origin.peer.is_told_to_hold(&name);
                }
            }
            NodeRequest::Go(name) => {
                if let Source::Peer(origin) = source {
                    origin.peer.is_told_to_go(&name);
                }
            }
            NodeRequest::Kill(name, reason) => {
                if let Some(port) = node.ports.get(&name) {
                    port.kill(node, reason_of(node, &reason));
                }
            }
            NodeRequest::Spawn {
                name,
                function,
                args,
            } => {
                if asks_for_mesh(source, &function) {
                    speaks_for_itself(source, &args)?;
                } else {
                    is_begun(node, source, &function)?;
                }
                create(node, source, &name, &function, args)?;
            }
            NodeRequest::Forward(message) => return forward(node, source, &message),
            NodeRequest::ForwardAll(messages) => return Ok(Onward::List(messages)),
            NodeRequest::Info(to) => return reply(node, source, &to, &[node.id.as_str()]),
            NodeRequest::KnownNodes(to) => {
                let known = || Node::from_inner(node.clone()).known_nodes();
                reply_list(node, source, &to, known)?;
            }
            NodeRequest::UpNodes(to) => reply_list(node, source, &to, || node.peers.up())?,
            NodeRequest::Can(name, to) => {
                // As Perl has its truth values: the framings of the time knew no others.
                let known = match can(node, source, &name) {
                    true => "1",
                    false => "",
                };
                return reply(node, source, &to, &[known]);
            }
            NodeRequest::Time(to) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                return reply(node, source, &to, &[now.unwrap_or_default().as_secs_f64()]);
            }
            NodeRequest::Eval(args) => return evaluate(node, source, &args),
            NodeRequest::Database(message) => {
                if let Source::Peer(origin) = source {
                    let done = node.control.request(node, origin, message);
                    done.map_err(RequestError::Database)?;
                }
            }
            NodeRequest::ExpectData(expect) => {
                if let Source::Peer(origin) = source {
                    if let Err(error) = is_begun(node, source, &expect.function) {
                        data::refuse(node, origin, &expect, &error.to_string());
                        return Err(error);
                    }
                    data::expect(node, origin, expect).map_err(RequestError::Data)?;
                }
            }
            NodeRequest::ConnectData(args) => {
                if let Source::Peer(origin) = source {
                    data::connect_back(node, origin, &args).map_err(RequestError::Data)?;
                }
            }
            NodeRequest::CatchLogs(args) => {
                if let Source::Peer(origin) = source {
                    logs::send_to(node, origin, &args).map_err(RequestError::Logs)?;
                }
            }
            NodeRequest::Named {
                function,
                name,
                args,
            } => {
                is_begun(node, source, name)?;
                return function.call(node, source, args);
            }
            NodeRequest::Call { function, args } => {
                is_begun(node, source, &function)?;
                call(node, source, &function, args)?;
            }
        }
        Ok(Onward::Nothing)
    }
}

/// Whether a function is still run for others: a node that drains does so no more.
fn is_begun(node: &Inner, source: Source<'_>, function: &str) -> Result<(), RequestError> {
    match source {
        Source::Peer(_) | Source::Relayed(_) if node.lifecycle.is_draining() => {
            Err(RequestError::draining(function))
        }
        _ => Ok(()),
    }
}

/// Whether there is a request of that name. Only nodes of generation 2 ask so, so it is about its
/// verbs, and about the functions that the asker may call.
fn can(node: &Inner, source: Source<'_>, name: &str) -> bool {
    let is_verb = |verb: Verb| verb.told_by_can(Generation::Gen2);
    Verb::parse(name).is_some_and(is_verb)
        || may(node, source, &NodeRequest::call(name)).is_ok() && node.functions.knows(name)
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

/// Whether a request to spawn such a port is how nodes of generations 0 and 1 begin to talk about
/// the mesh.
pub(super) fn asks_for_mesh(source: Source<'_>, function: &str) -> bool {
    matches!(source, Source::Peer(_)) && function == CONNECT
}

/// Whether the node that is named as the one that will talk to a port of the mesh is the one that
/// spawns it. What is said there counts as said by that node.
fn speaks_for_itself(source: Source<'_>, args: &Message) -> Result<(), RequestError> {
    let (Source::Peer(origin), Some(named)) = (source, args.elements().nth(1)) else {
        return Ok(()); // the function says what is missing
    };
    match named.read::<NodeId>() {
        Ok(id) if id != origin.peer.id => Err(RequestError::not_itself(id.as_str())),
        _ => Ok(()),
    }
}

/// Creates a port and has its init function run, behind the messages that came with the request, so
/// that a monitor among them is set. The port takes no message before.
pub(super) fn create(
    node: &Arc<Inner>,
    source: Source<'_>,
    name: &str,
    function: &str,
    args: Message,
) -> Result<(), RequestError> {
    let spawner = spawner(source, function);
    let function = node
        .functions
        .get(function)
        .ok_or_else(|| RequestError::unknown(function))?;
    let taken = || RequestError::taken(name);
    let port = node.new_spawned_port(name, spawner).ok_or_else(taken)?;
    let step = traced::current();
    let asker = source.node(&node.id);
    let init = move |node: &Arc<Inner>| {
        let _scope = traced::Scope::enter(step);
        let span = watched::span(node, "spawn", &port.id);
        span.in_scope(|| funcs::initialise(node, &port, asker, &function, args));
    };
    jobs::schedule(node, Job::Call(Box::new(init)));
    Ok(())
}

/// What carrying a request out leads to.
pub(super) type Sending = Result<Onward, RequestError>;

/// The reason that a request names.
pub(super) fn reason_of(node: &Inner, values: &Message) -> Reason {
    let (reason, cut) = Reason::read(values, node.settings.max_reason);
    if cut {
        node.limits.met(Limit::Reason);
    }
    reason
}

/// The first of some messages to be sent on. `None` if there is none.
pub(super) fn first_part(messages: &Message) -> Result<Option<Message>, RequestError> {
    let Some(first) = messages.elements().next() else {
        return Ok(None);
    };
    let unfit = || RequestError::unfit(&first, "message");
    messages.first_message().ok_or_else(unfit).map(Some)
}

/// Sends the message of a `snd` request on: its destination, then its data, octet by octet.
pub(super) fn forward(node: &Arc<Inner>, source: Source<'_>, message: &Message) -> Sending {
    let Some(port) = destination(node, message)? else {
        return Ok(Onward::Nothing);
    };
    let message = message.without_tag();
    if is_own_node_port(node, &port) {
        return Ok(Onward::Part(message));
    }
    if port.is_node_port() && goes_round(&message) {
        return Err(RequestError::goes_round());
    }
    hand_on(node, source, &port, message)
}

/// Sends it to a port, unless the source may not have that done, or the port is on one node too
/// many that we would have to look for.
pub(super) fn hand_on(
    node: &Arc<Inner>,
    source: Source<'_>,
    port: &PortId,
    message: Message,
) -> Sending {
    if let Err(error) = may_hand_on(node, source, port) {
        if let (Source::Peer(origin) | Source::Relayed(origin), RequestError::Refused(refusal)) =
            (source, &error)
            && node.is_local(port)
        {
            refused_send(node, origin, port.name(), refusal);
        }
        return Err(error);
    }
    let from = match source {
        Source::Peer(origin) | Source::Relayed(origin) => Some(origin.peer),
        Source::Local => None,
    };
    let unknown = match node.is_local(port) {
        true => None,
        false => make_known(node, source, port)?,
    };
    let sent = node.hand_on(from, port, message);
    if let (Err(_), Some(unknown)) = (&sent, unknown) {
        // Nothing waits for it.
        node.peers.forget(&unknown);
    }
    sent?;
    Ok(Onward::Nothing)
}

/// Sees to it that the node of a port is known, so that something can wait for it, unless it is one
/// too many that we would have to look for. Gives it back if it was unknown.
pub(super) fn make_known(
    node: &Arc<Inner>,
    source: Source<'_>,
    port: &PortId,
) -> Result<Option<Arc<Peer>>, RequestError> {
    if node.peers.get(port.node()).is_some() {
        return Ok(None);
    }
    let most = node.settings.max_nodes;
    if node.peers.len() >= most {
        return Err(RequestError::TooManyNodes(most));
    }
    let asker = match source {
        Source::Peer(origin) | Source::Relayed(origin) => Some(&origin.peer.account),
        Source::Local => None,
    };
    let peers = &node.peers;
    Ok(Some(peers.get_or_add(
        port.node(),
        || node.next_serial(),
        asker,
    )))
}

/// A message to another node's port may say that it is to be sent on so often from there.
pub(super) const MOST_AHEAD: usize = 16;

/// Whether a message to the node port of another node would be sent on from node to node without
/// end: each time all that is left of it goes over a link, which costs the square of its length,
/// and no node sees more than its own part of the way.
pub(super) fn goes_round(message: &Message) -> bool {
    // Between the names of requests stand those of nodes, one or two.
    let names = message.elements().take(3 * MOST_AHEAD + 1);
    let relays = names.filter(|name| name.read().is_ok_and(|name: String| is_relay(&name)));
    relays.count() > MOST_AHEAD
}

fn is_relay(name: &str) -> bool {
    matches!(Verb::parse(name), Some(Verb::Snd | Verb::SndMultiple))
        || Named::of(name).is_some_and(Named::is_relay)
}

pub(super) fn is_own_node_port(node: &Inner, port: &PortId) -> bool {
    port.is_node_port() && node.is_local(port)
}

/// The port that a message is to be sent to, which is its first element. `None` if there is none:
/// nobody wants it.
pub(super) fn destination(node: &Inner, message: &Message) -> Result<Option<PortId>, RequestError> {
    let Some(port) = message.elements().next() else {
        return Ok(None);
    };
    // A node and a port have such a name each.
    let most = node.settings.max_name.saturating_mul(2);
    if port.size() > most {
        return Err(RequestError::LongName(port.size(), most));
    }
    let read = port.read();
    let port = read.map_err(|_| RequestError::unfit(&port, "port ID to reply to"))?;
    Ok(Some(port))
}

/// Sends the reply that a request asks for: its port, its first elements, then the values.
fn reply<T: Serialize>(
    node: &Arc<Inner>,
    source: Source<'_>,
    to: &Message,
    values: &[T],
) -> Sending {
    let Some(port) = destination(node, to)? else {
        return Ok(Onward::Nothing);
    };
    let message = to.without_tag().with(values).map_err(SendError::from)?;
    if is_own_node_port(node, &port) {
        return Ok(Onward::Made(message));
    }
    hand_on(node, source, &port, message)
}

/// Sends a list that others have chosen, if that is for a port: see [`onward`](super::onward).
fn reply_list<T: Serialize>(
    node: &Arc<Inner>,
    source: Source<'_>,
    to: &Message,
    list: impl FnOnce() -> Vec<T>,
) -> Result<(), RequestError> {
    match destination(node, to)? {
        None => Ok(()),
        Some(port) if port.is_node_port() => Err(RequestError::ListForNodePort),
        // The list may be far longer than the request: nothing is made of it for nobody.
        Some(port) if node.is_local(&port) && node.ports.get(port.name()).is_none() => Ok(()),
        Some(_) => reply(node, source, to, &list()).map(drop),
    }
}

fn evaluate(node: &Arc<Inner>, source: Source<'_>, args: &Message) -> Sending {
    let text = first(args, Missing::Expression, usize::MAX)?;
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
    reply(node, source, &args.without_tag(), &values)
}

/// A request that is the name of a function: called with the rest, in no port's context.
fn call(
    node: &Arc<Inner>,
    source: Source<'_>,
    name: &str,
    args: Message,
) -> Result<(), RequestError> {
    let Some(function) = node.functions.get(name) else {
        return Err(RequestError::unknown(name));
    };
    let context = Context::new(node, node.id.node_port()).asked_by(source.node(&node.id));
    let name = name.to_owned();
    let finish = move |result: Handled| {
        if let Err(failure) = result {
            let text = failure.text();
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
        Source::Peer(_) | Source::Relayed(_) => call(node),
        Source::Local => jobs::schedule(node, Job::Call(Box::new(call))),
    }
    Ok(())
}
