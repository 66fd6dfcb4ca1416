//! What the node port does (PROTOCOL.md, "Node requests").
//!
//! A message to the node port takes three steps, each in a module of its own: it is read
//! ([`NodeRequest`]), it is decided whether its source may make the request ([`may`]), and it is
//! carried out. Whichever fails says so with a [`RequestError`]. Which requests there are is in
//! [`proto::verb`](crate::proto::verb). What a request has this node send itself is performed right
//! behind it: [`onward`] has that, and why it ends.

mod act;
mod error;
#[cfg(feature = "fuzz")]
pub(crate) mod model;
mod named;
mod onward;
mod read;
mod rights;
mod traced;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;

use super::jobs::{self, Job};
use super::link::Peer;
use super::traced::Scope;
use super::{Inner, SendError, funcs};
use crate::log::log_at;
use crate::proto::message::Head;
use crate::proto::verb::Fate;
use crate::proto::{Framing, Generation, Message, NodeId, PortId, Verb};
use crate::rights::Rights;
use act::{create, monitor, unmonitor};
use error::RequestError;
use onward::{Onward, Way};
use read::NodeRequest;
use rights::may;

pub(crate) use traced::open as open_traced;

pub(crate) use rights::{Gate, Place, leave_ports_alone, may_say, may_send, may_set};

/// The link that a request came by.
pub(crate) struct Origin<'a> {
    pub(crate) peer: &'a Arc<Peer>,
    pub(crate) generation: Generation,
    /// What the node there may do. `None`: everything.
    pub(crate) rights: Option<&'a Rights>,
}

/// Whom a request is from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Another node.
    Peer(&'a Origin<'a>),
    /// This one, as that node had it send it, by `snd` and by the replies that it asked for.
    Relayed(&'a Origin<'a>),
    /// This one: its program.
    Local,
}

impl Source<'_> {
    /// What a request of this source says of a port.
    fn fate(self, verb: Verb) -> Option<Fate> {
        match self {
            Source::Peer(origin) => verb.fate(origin.generation),
            // A kill may be in the words of either generation that has one.
            Source::Relayed(_) | Source::Local => {
                let fate = verb.fate(Generation::Gen2);
                fate.or_else(|| verb.fate(Generation::Gen1b))
            }
        }
    }

    /// The node that asks. That of a request which another node has this one send itself is that
    /// other node.
    fn node(&self, own: &NodeId) -> NodeId {
        match self {
            Source::Peer(origin) | Source::Relayed(origin) => origin.peer.id.clone(),
            Source::Local => own.clone(),
        }
    }

    /// What log lines call it.
    fn name(&self) -> &str {
        match self {
            Source::Peer(origin) | Source::Relayed(origin) => origin.peer.id.as_str(),
            Source::Local => "this node",
        }
    }

    /// Whom that is from which a request of this source has this node send itself.
    fn onward(self) -> Self {
        match self {
            Source::Peer(origin) | Source::Relayed(origin) => Source::Relayed(origin),
            Source::Local => Source::Local,
        }
    }
}

/// Performs a request, and whatever it has this node send itself.
pub(crate) fn perform(node: &Arc<Inner>, source: Source<'_>, message: Message) {
    let _scope = Scope::enter(node.next_step(message.trace_context()));
    match dispatch(node, source, &message) {
        Ok(Onward::Nothing) => {}
        Ok(onward) => {
            drop(message); // what is sent on has the octets that it needs
            Way::new(node, source.onward()).go(onward);
        }
        Err(error) => report(node, source, &error),
    }
}

/// Every request that fails comes here: it is logged, and counted if it met a limit.
fn report(node: &Inner, source: Source<'_>, error: &RequestError) {
    if let RequestError::Unsendable(SendError::Stopped) = error {
        return; // the node has stopped just now
    }
    if let Some(limit) = error.limit() {
        node.limits.met(limit);
    }
    if let RequestError::Refused(refusal) = error {
        node.gate.refused(refusal.action);
    }
    let (from, blame) = (source.name(), error.blame(source));
    log_at!(
        2,
        [from],
        blame = format_args!("{blame:?}"),
        "error processing node message from {from}: {error}"
    );
}

/// The verbs of the requests that [`perform_quick`] performs.
const MON1: &[u8] = Verb::Mon1.name().as_bytes();
const MON0: &[u8] = Verb::Mon0.name().as_bytes();

/// Performs the first message in `octets`, which are in that framing, if it is one of the commonest
/// requests and can be read at once, and returns its length. Otherwise `octets` is as it was.
/// The caller has seen to it that the peer [`may`] make these requests.
///
/// `plain`: see [`are_plain`](crate::proto::message::are_plain).
pub(crate) fn perform_quick(
    node: &Arc<Inner>,
    peer: &Arc<Peer>,
    framing: Framing,
    octets: &mut [u8],
    plain: bool,
) -> Option<usize> {
    let head = Head::find(framing, octets)?;
    let perform = match (head.name, head.tag) {
        (b"", MON1) => monitor,
        (b"", MON0) => unmonitor,
        _ => return None,
    };
    let at = head.rest();
    let quick = at.open(octets, plain, node.settings.limits);
    let most = node.settings.max_name;
    let name = quick.read::<(&str,)>().map(|(name,)| name);
    let fits = name.is_none_or(|name| name.len() <= most);
    if let Some(name) = name.filter(|_| fits) {
        perform(node, peer, name);
    }
    // What does not fit is refused the usual way.
    let end = at.end(quick.used()).filter(|_| fits);
    if end.is_none() {
        at.restore(octets);
    }
    end
}

/// Performs a request of a port of this node: at once, unless this thread is performing one.
pub(crate) fn perform_local(node: &Arc<Inner>, message: Message) {
    thread_local! {
        static BUSY: Cell<bool> = const { Cell::new(false) };
    }
    if BUSY.replace(true) {
        // A request that sends a request, and so on: not on this stack.
        let request = move |node: &Arc<Inner>| perform_local(node, message);
        jobs::schedule(node, Job::Call(Box::new(request)));
        return;
    }
    perform(node, Source::Local, message);
    BUSY.set(false);
}

/// Performs one request. What it has this node send itself is still to be done.
fn dispatch(
    node: &Arc<Inner>,
    source: Source<'_>,
    message: &Message,
) -> Result<Onward, RequestError> {
    let Some(name) = message.tag() else {
        return Ok(Onward::Nothing); // empty messages are keepalives
    };
    let most = node.settings.max_name;
    let name = read::named(&name, most)?;
    let request = NodeRequest::read(source, message, name, most, |name| {
        node.functions.get(name).is_some()
    })?;
    if let Err(refusal) = may(node, source, &request) {
        if let Source::Peer(origin) = source {
            rights::tell(node, origin, request, &refusal);
        }
        return Err(refusal.into());
    }
    request.perform(node, source)
}

/// Creates a port of ours in the way another node would. The program itself may do that.
pub(crate) fn spawn_local(node: &Arc<Inner>, function: &str, args: Message) -> PortId {
    let name = node.ports.new_remote_name();
    let function = funcs::full_name(function);
    if let Err(error) = create(node, Source::Local, &name, &function, args) {
        report(node, Source::Local, &error);
    }
    node.id.port(&name)
}
