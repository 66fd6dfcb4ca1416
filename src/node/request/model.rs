//! Requests of a peer as operations, and what a model says of them: for fuzzers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use super::{Origin, Source, perform};
use crate::node::{
    FUNCTIONS_FUNCTION, Node, NodeStats, Port, REPORT_FUNCTION, Report, STATS_FUNCTION, jobs,
};
use crate::proto::verb::Fate;
use crate::proto::{Generation, Message, Verb};

/// What peers do, by numbers of ports: the first [`OURS`] are there from the start, the others can
/// be spawned.
#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Op {
    Monitor(u8),
    Unmonitor(u8),
    /// One of the three verbs that say what becomes of a port.
    Fate(u8, u8),
    /// With a function that is there, or not.
    Spawn(u8, bool),
    Send(u8, u8),
    SendAll(Vec<(u8, u8)>),
    /// A question, and the port that the answer is for.
    Ask(u8, u8),
    Call(bool),
    Nothing(bool),
    /// A verb with arguments that make no sense, or not enough.
    Odd(u8, Vec<u8>),
    /// Our node port is sent this, by a request.
    Relayed(Box<Op>),
    /// Calls one of the functions that every node has and that tell a port something of it: which,
    /// and the port.
    Tell(u8, u8),
}

const OURS: usize = 3;
const PORTS: usize = 5;
const FUNCTION: &str = "known";
const INIT: &str = "init";

/// What a node should have done.
#[derive(Debug, Default, PartialEq)]
struct Model {
    alive: BTreeSet<usize>,
    /// What arrived at each port. Between ports there is no order.
    arrived: BTreeMap<usize, Vec<u64>>,
    /// By which of the nodes' own functions each port was told something.
    told: BTreeMap<usize, Vec<&'static str>>,
    calls: usize,
}

/// A node that is asked, and the names of its ports.
struct Asked {
    node: Node,
    names: Vec<String>,
    seen: Arc<Mutex<Model>>,
}

impl Asked {
    fn new() -> Self {
        let node = Node::local();
        let seen = Arc::new(Mutex::new(Model::default()));
        let mut names = Vec::new();
        for n in 0..OURS {
            let port = node.port();
            take(&port, n, &seen);
            names.push(port.id().name().to_owned());
        }
        names.extend((OURS..PORTS).map(|n| format!("spawned.{n}")));
        let calls = seen.clone();
        node.function(FUNCTION, move |_, (): ()| {
            let mut seen = calls.lock().unwrap_or_else(PoisonError::into_inner);
            seen.calls += 1;
        });
        // A spawned port that takes no messages ends at once.
        let (spawns, all) = (seen.clone(), names.clone());
        node.function(INIT, move |context, (): ()| {
            let n = all.iter().position(|name| name == context.id().name());
            take(&context.this(), n.unwrap_or(PORTS), &spawns);
        });
        Asked { node, names, seen }
    }

    fn id(&self, port: usize) -> String {
        self.node.id().port(&self.names[port]).to_string()
    }

    /// What the node has done.
    fn found(&self) -> Model {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alive = |n: &usize| self.node.inner().ports.get(&self.names[*n]).is_some();
        Model {
            alive: (0..PORTS).filter(is_alive).collect(),
            arrived: seen.arrived.clone(),
            told: seen.told.clone(),
            calls: seen.calls,
        }
    }

    /// The request that an operation is.
    fn request(&self, op: &Op) -> Vec<Value> {
        let port = |n: &u8| usize::from(*n) % PORTS;
        let name = |n: &u8| json!(self.names[port(n)]);
        match op {
            Op::Monitor(n) => vec![json!("mon1"), name(n)],
            Op::Unmonitor(n) => vec![json!("mon0"), name(n)],
            Op::Fate(verb, n) => vec![json!(fate_verb(*verb)), name(n), json!("why")],
            Op::Spawn(n, known) => vec![
                json!(Verb::Spawn),
                json!(self.names[spawned(*n)]),
                json!(if *known { INIT } else { "unknown" }),
            ],
            Op::Send(n, number) => {
                vec![
                    json!("snd"),
                    json!(self.id(port(n))),
                    json!("n"),
                    json!(number),
                ]
            }
            Op::SendAll(all) => {
                let one = |(n, number): &(u8, u8)| json!([self.id(port(n)), "n", number]);
                let messages = all.iter().map(one);
                [json!("snd_multiple")]
                    .into_iter()
                    .chain(messages)
                    .collect()
            }
            Op::Ask(verb, n) => {
                let mut request = match verb % 4 {
                    0 => vec![json!("time")],
                    1 => vec![json!("info")],
                    2 => vec![json!("can"), json!("mon1")],
                    _ => vec![json!("up_nodes")],
                };
                let end = [json!(self.id(port(n))), json!("n"), json!(verb)];
                request.extend(end);
                request
            }
            Op::Call(known) => vec![json!(function(*known))],
            Op::Nothing(whole) => match whole {
                true => vec![json!("devnull"), json!(1)],
                false => vec![json!("")],
            },
            Op::Odd(verb, args) => {
                let all: Vec<Verb> = Verb::all().collect();
                let verb = json!(all[usize::from(*verb) % all.len()]);
                let args = args.iter().map(|n| odd(*n));
                [verb].into_iter().chain(args).collect()
            }
            Op::Relayed(op) => {
                let to = [json!("snd"), json!(format!("{}#", self.node.id()))];
                to.into_iter().chain(self.request(op)).collect()
            }
            Op::Tell(which, n) => vec![json!(telling(*which)), json!(self.id(port(n)))],
        }
    }
}

/// Has a port note what arrives.
fn take(port: &Port, n: usize, seen: &Arc<Mutex<Model>>) {
    let (seen, told) = (seen.clone(), seen.clone());
    port.rcv("n", move |_, (number,): (u64,)| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.arrived.entry(n).or_default().push(number);
    });
    port.rcv_any(move |_, message| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.told.entry(n).or_default().push(told_by(&message));
    });
}

/// The functions that tell something of a node.
fn telling(n: u8) -> &'static str {
    [STATS_FUNCTION, FUNCTIONS_FUNCTION, REPORT_FUNCTION][usize::from(n) % 3]
}

/// Which of these functions says that, by what it says.
fn told_by(message: &Message) -> &'static str {
    if message.args::<(Report,)>().is_ok() {
        REPORT_FUNCTION
    } else if message.args::<(NodeStats,)>().is_ok() {
        STATS_FUNCTION
    } else if message.args::<Vec<String>>().is_ok() {
        FUNCTIONS_FUNCTION
    } else {
        "what nothing says"
    }
}

fn spawned(n: u8) -> usize {
    OURS + usize::from(n) % (PORTS - OURS)
}

fn fate_verb(n: u8) -> Verb {
    [Verb::Kil, Verb::Kil0, Verb::Kil1][usize::from(n) % 3]
}

fn function(known: bool) -> &'static str {
    match known {
        true => FUNCTION,
        false => "unknown",
    }
}

/// An argument that names nothing.
fn odd(n: u8) -> Value {
    match n % 8 {
        0 => json!(null),
        1 => json!(n),
        2 => json!(""),
        3 => json!("nobody"),
        4 => json!([]),
        5 => json!({"a": [1]}),
        6 => json!([["nobody"], null]),
        _ => json!(-1.5),
    }
}

impl Model {
    /// What an operation does. Whom it comes from decides what the words mean, and whether there is
    /// somebody who could monitor.
    fn expect(&mut self, op: &Op, generation: Generation, is_relayed: bool) {
        match op {
            Op::Fate(verb, n) => {
                let verb = fate_verb(*verb);
                let fate = match is_relayed {
                    false => verb.fate(generation),
                    true => verb.fate(Generation::Gen2).or(verb.fate(Generation::Gen1b)),
                };
                if fate == Some(Fate::Kill) {
                    self.alive.remove(&(usize::from(*n) % PORTS));
                }
            }
            Op::Spawn(n, true) => {
                self.alive.insert(spawned(*n));
            }
            Op::Send(n, number) => self.arrive(*n, *number),
            Op::SendAll(all) => {
                for (n, number) in all {
                    self.arrive(*n, *number);
                }
            }
            Op::Ask(verb, n) => self.arrive(*n, *verb),
            Op::Call(true) => self.calls += 1,
            Op::Tell(which, n) => {
                let n = usize::from(*n) % PORTS;
                if self.alive.contains(&n) {
                    self.told.entry(n).or_default().push(telling(*which));
                }
            }
            Op::Relayed(op) => self.expect(op, generation, true),
            Op::Monitor(_)
            | Op::Unmonitor(_)
            | Op::Spawn(_, false)
            | Op::Call(false)
            | Op::Nothing(_)
            | Op::Odd(..) => {}
        }
    }

    fn arrive(&mut self, n: u8, number: u8) {
        let n = usize::from(n) % PORTS;
        if self.alive.contains(&n) {
            self.arrived.entry(n).or_default().push(number.into());
        }
    }
}

/// Panics if a node does something else than the model says, after any of the requests.
pub(crate) fn check(generation: Generation, ops: &[Op]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without timers and sockets");
    runtime.block_on(async {
        let asked = Asked::new();
        let mut model = Model {
            alive: (0..OURS).collect(),
            ..Model::default()
        };
        let node = asked.node.inner();
        let peer = node.peer("peer");
        let origin = Origin {
            peer: &peer,
            generation,
            rights: None,
        };
        for op in ops {
            let request = asked.request(op);
            let message = Message::from_values(&request);
            jobs::enter_task(&node.runtime, || {
                perform(node, Source::Peer(&origin), message);
            });
            model.expect(op, generation, false);
            assert_eq!(asked.found(), model, "{op:?} of {ops:?}");
        }
    });
}
