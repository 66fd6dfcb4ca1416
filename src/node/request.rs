//! What the node port does (PROTOCOL.md, "Node requests").

use std::cell::Cell;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::peer::Peer;
use super::port::{Outcome, guarded};
use super::work::{self, Job};
use super::{Context, Inner, Watcher, funcs};
use crate::log::log_at;
use crate::proto::message::{Head, RawElement};
use crate::proto::{Framing, Generation, Message, PortId, Reason, Verb};

/// The link that a request came by.
pub(crate) struct Origin<'a> {
    pub(crate) peer: &'a Arc<Peer>,
    pub(crate) generation: Generation,
}

/// Whom a request is from: another node, or a port of this one.
pub(crate) type Source<'a> = Option<&'a Origin<'a>>;

/// Performs a request.
pub(crate) fn perform(node: &Arc<Inner>, source: Source<'_>, message: Message) {
    if let Err(problem) = dispatch(node, source, &message) {
        let from = source.map_or("this node", |origin| origin.peer.id.as_str());
        log_at!(2, "error processing node message from {from}: {problem}");
    }
}

/// Performs the first message in `octets`, which are in that framing, if it is one of the commonest
/// requests and can be read at once, and returns its length. Otherwise `octets` is as it was.
///
/// `plain`: see [`are_plain`](crate::proto::message::are_plain).
pub(crate) fn offer(
    node: &Arc<Inner>,
    peer: &Arc<Peer>,
    framing: Framing,
    octets: &mut [u8],
    plain: bool,
) -> Option<usize> {
    let head = Head::find(framing, octets)?;
    let perform = match (head.name, head.tag) {
        (b"", b"mon1") => monitor,
        (b"", b"mon0") => unmonitor,
        _ => return None,
    };
    let at = head.rest();
    let quick = at.open(octets, plain, node.settings.limits);
    if let Some((name,)) = quick.read::<(&str,)>() {
        perform(node, peer, name);
    }
    let end = at.end(quick.used());
    if end.is_none() {
        at.restore(octets);
    }
    end
}

/// Performs a request of a port of this node: at once, unless it came out of another one.
pub(crate) fn perform_local(node: &Arc<Inner>, message: Message) {
    thread_local! {
        static BUSY: Cell<bool> = const { Cell::new(false) };
    }
    if BUSY.replace(true) {
        // A request that sends a request, and so on: not on this stack.
        let request = move |node: &Arc<Inner>| perform_local(node, message);
        work::schedule(node, Job::Call(Box::new(request)));
        return;
    }
    perform(node, None, message);
    BUSY.set(false);
}

fn dispatch(node: &Arc<Inner>, source: Source<'_>, message: &Message) -> Result<(), String> {
    let Some(verb) = message.tag() else {
        return Ok(()); // empty messages are keepalives
    };
    let args = message.without_tag();
    match &*verb {
        "" | "devnull" => {}
        "mon1" => {
            let name: &str = &port_name(&args)?;
            let Some(origin) = source else { return Ok(()) };
            monitor(node, origin.peer, name);
        }
        "mon0" => {
            let name: &str = &port_name(&args)?;
            let Some(origin) = source else { return Ok(()) };
            unmonitor(node, origin.peer, name);
        }
        verb @ ("kil" | "kil0" | "kil1") => {
            let name = port_name(&args)?;
            let reason = Reason::from(args.without_tag().values());
            let generation = source.map_or(Generation::Gen2, |origin| origin.generation);
            let local = source.is_none() && verb == "kil";
            if verb == generation.death_verb().name() {
                if let Some(origin) = source {
                    origin.peer.port_died(node, &name, &reason);
                }
            } else if verb == generation.kill_verb().name() || local {
                if let Some(port) = node.ports.get(&name) {
                    port.kill(node, reason);
                }
            } else {
                return Err(unknown(verb));
            }
        }
        "AnyEvent::MP::_spawn" => spawn(node, source, &args)?,
        "snd" => relay(node, &args)?,
        "snd_multiple" => {
            for one in args.elements() {
                let message = one.to_message();
                let message = message.ok_or_else(|| format!("{} is no message", clip(&one)))?;
                relay(node, &message)?;
            }
        }
        "info" => reply(node, &args, &[node.id.as_str()])?,
        "known_nodes" => {
            let known = super::Node::from_inner(node.clone()).known_nodes();
            reply(node, &args, &known)?;
        }
        "up_nodes" => reply(node, &args, &node.peers.up())?,
        "can" => {
            let name = args.tag().ok_or("the request's name is missing")?;
            // As Perl has its truth values: the framings of the time knew no others.
            let callable = || !node.settings.secure && node.functions.get(&name).is_some();
            let known = match is_verb(&name) || callable() {
                true => "1",
                false => "",
            };
            reply(node, &args.without_tag(), &[known])?;
        }
        "time" => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            reply(node, &args, &[now.unwrap_or_default().as_secs_f64()])?;
        }
        "eval" => evaluate(node, &args)?,
        verb if verb.starts_with("g_")
            && let Some(Origin { peer, .. }) = source
            && node.mesh.request(node, &peer.id, message)? => {}
        name => call(node, source, name, args)?,
    }
    Ok(())
}

/// Whether a node of generation 2 knows the request.
fn is_verb(name: &str) -> bool {
    Verb::parse(name).is_some_and(|verb| verb.told_by_can(Generation::Gen2))
}

fn unknown(name: &str) -> String {
    format!("unable to resolve function '{name}'")
}

fn port_name(args: &Message) -> Result<String, String> {
    let name = args.tag().ok_or("the port's name is missing")?;
    Ok(name.into_owned())
}

fn monitor(node: &Arc<Inner>, peer: &Arc<Peer>, name: &str) {
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

fn unmonitor(node: &Arc<Inner>, peer: &Arc<Peer>, name: &str) {
    peer.watches_no_more(name);
    if let Some(port) = node.ports.get(name) {
        port.unwatch(|_, watcher| matches!(watcher, Watcher::Node(id) if *id == peer.id));
    }
}

/// Refuses to run something for another node, if that is configured. A request of our own looks the same
/// here: another node can have us send it, by `snd` and by the replies that it asks for.
fn check_secure(node: &Inner) -> Result<(), String> {
    match node.settings.secure {
        true => Err("remote execution not allowed".to_owned()),
        false => Ok(()),
    }
}

fn spawn(node: &Arc<Inner>, source: Source<'_>, args: &Message) -> Result<(), String> {
    let name = port_name(args)?;
    if name.is_empty() {
        return Err("a port can't be spawned without a name".to_owned());
    }
    let args = args.without_tag();
    let function = args.tag().ok_or("the init function's name is missing")?;
    // The mesh of generations 0 and 1 is made of such ports.
    if source.is_none() || function != crate::mesh::CONNECT {
        check_secure(node)?;
    }
    create(node, &name, &function, args.without_tag())
}

/// Creates a port of ours in the way another node would.
pub(crate) fn spawn_local(node: &Arc<Inner>, function: &str, args: Message) -> PortId {
    let name = node.new_remote_name();
    if let Err(problem) = create(node, &name, function, args) {
        log_at!(2, "error processing node message from this node: {problem}");
    }
    node.id.port(&name)
}

/// Creates a port and has its init function run, behind the messages that came with the request, so
/// that a monitor among them is set. The port takes no message before.
fn create(node: &Arc<Inner>, name: &str, function: &str, args: Message) -> Result<(), String> {
    let function = node
        .functions
        .get(function)
        .ok_or_else(|| unknown(function))?;
    let taken = || format!("port {name} exists already and can't be spawned");
    let port = node.new_spawned_port(name).ok_or_else(taken)?;
    let init = move |node: &Arc<Inner>| funcs::initialise(node, &port, &function, args);
    work::schedule(node, Job::Call(Box::new(init)));
    Ok(())
}

/// Sends the message of a `snd` request on: its destination, then its data, octet by octet.
fn relay(node: &Arc<Inner>, args: &Message) -> Result<(), String> {
    reply::<Value>(node, args, &[])
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
fn reply<T: Serialize>(node: &Arc<Inner>, args: &Message, values: &[T]) -> Result<(), String> {
    let elements = args.elements();
    let Some((port, first)) = elements.split_first() else {
        return Ok(()); // nobody wants an answer
    };
    let port: PortId = port
        .read()
        .map_err(|_| format!("{} is no port ID to reply to", clip(port)))?;
    let sent = node.snd(&port, &With(first, values));
    sent.map_err(|error| error.to_string())
}

fn clip(element: &RawElement<'_>) -> String {
    element.json().chars().take(40).collect()
}

fn evaluate(node: &Arc<Inner>, args: &Message) -> Result<(), String> {
    check_secure(node)?;
    let text = args.tag().ok_or("there is nothing to evaluate")?;
    let evaluator = node.functions.evaluator.read().clone();
    let result = match evaluator {
        Some(evaluator) => {
            let run = std::panic::AssertUnwindSafe(|| evaluator(&text));
            std::panic::catch_unwind(run)
                .unwrap_or_else(|panic| Err(super::port::panic_text(&*panic)))
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
fn call(node: &Arc<Inner>, source: Source<'_>, name: &str, args: Message) -> Result<(), String> {
    check_secure(node)?;
    let Some(function) = node.functions.get(name) else {
        return Err(unknown(name));
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
            node.spawn_task(async move { finish(super::port::caught(future).await) });
        }
    };
    match source {
        // On a reader's thread, where nothing else runs: in the order of the requests.
        Some(_) => call(node),
        None => work::schedule(node, Job::Call(Box::new(call))),
    }
    Ok(())
}
