//! What a peer says once it has proved itself.

use arbitrary::Arbitrary;
use serde_json::{Value, json};

use super::Element;
use crate::proto::{Generation, Verb};

/// One thing that a peer says. Numbers stand for ports: of those that the other side has, those
/// that the peer has monitored or spawned so far, or its own. So whatever is left out of a
/// sequence, the rest still makes sense.
///
/// See [`Speaker`] for an example.
#[derive(Debug, Clone, PartialEq, Arbitrary)]
#[non_exhaustive]
pub enum Saying {
    /// A keepalive.
    Keepalive,
    /// A message to a port of the other side.
    Message(u8, Vec<Element>),
    /// The peer monitors a port of the other side.
    Monitor(u8),
    /// It ends one of its monitors, if it has any.
    Unmonitor(u8),
    /// It spawns a port with that function.
    Spawn(String, Vec<Element>),
    /// It kills one of the ports that it spawned, if there are any, and its generation can.
    Kill(u8),
    /// One of its own ports has died.
    Died(u8),
    /// A message that is to be sent on to a port of the other side.
    SendOn(u8, Vec<Element>),
    /// The time; the answer is for one of its own ports.
    Time(u8),
    /// A function is called.
    Call(String, Vec<Element>),
    /// It tells where it listens: gossip, or the database.
    Listens(u8),
    /// It sets a key of the database in generation 2, a group before.
    Sets(String, String),
    /// Octets in place of a message.
    Octets(Vec<u8>),
}

/// What a peer has said so far, as far as it matters for what it says next.
///
/// ```
/// use aemp::fuzz::{Saying, Speaker};
/// let mut speaker = Speaker::new(aemp::Generation::Gen2, "fuzz", &["a.b".into()]);
/// assert_eq!(speaker.say(&Saying::Unmonitor(0)), None); // it has no monitor
/// let (to, request) = speaker.say(&Saying::Monitor(7)).unwrap();
/// assert_eq!((to.as_str(), request), ("", vec!["mon1".into(), "a.b".into()]));
/// let (to, request) = speaker.say(&Saying::Unmonitor(7)).unwrap();
/// assert_eq!((to.as_str(), request), ("", vec!["mon0".into(), "a.b".into()]));
/// ```
#[derive(Debug, Clone)]
pub struct Speaker {
    generation: Generation,
    node: String,
    ports: Vec<String>,
    monitored: Vec<String>,
    spawned: Vec<String>,
    /// Whether our gossip port exists there.
    gossips: bool,
    names: usize,
}

impl Speaker {
    /// A peer that has said nothing yet, its node ID, and the names of ports of the other side.
    ///
    /// See [`Speaker`] for an example.
    pub fn new(generation: Generation, node: &str, ports: &[String]) -> Self {
        Speaker {
            generation,
            node: node.to_owned(),
            ports: ports.to_vec(),
            monitored: Vec::new(),
            spawned: Vec::new(),
            gossips: false,
            names: 0,
        }
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("fuzz.{}", self.names)
    }

    /// The message that this is: the port's name, empty for the node port, and the elements. `None`
    /// if there is nothing to be said: see [`Saying`].
    ///
    /// See [`Speaker`] for an example.
    pub fn say(&mut self, saying: &Saying) -> Option<(String, Vec<Value>)> {
        let port = |n: &u8| pick(&self.ports, *n).map(|at| self.ports[at].clone());
        let own = |n: &u8| format!("{}#own.{}", self.node, n % 4);
        let with = |first: Vec<Value>, elements: &[Element]| {
            let rest = elements.iter().map(Element::to_value);
            first.into_iter().chain(rest).collect::<Vec<_>>()
        };
        let request = match saying {
            Saying::Keepalive | Saying::Octets(_) => return None,
            Saying::Message(n, elements) => return Some((port(n)?, with(vec![], elements))),
            Saying::Monitor(n) => {
                let name = port(n)?;
                if !self.monitored.contains(&name) {
                    self.monitored.push(name.clone());
                }
                vec![json!(Verb::Mon1), json!(name)]
            }
            Saying::Unmonitor(n) => {
                let name = self.monitored.remove(pick(&self.monitored, *n)?);
                vec![json!(Verb::Mon0), json!(name)]
            }
            Saying::Spawn(function, elements) => {
                let name = self.new_name();
                self.spawned.push(name.clone());
                with(
                    vec![json!(Verb::Spawn), json!(name), json!(function)],
                    elements,
                )
            }
            Saying::Kill(n) => {
                if !self.generation.has_remote_kill() {
                    return None;
                }
                let name = self.spawned.remove(pick(&self.spawned, *n)?);
                vec![
                    json!(self.generation.kill_verb()),
                    json!(name),
                    json!("fuzz"),
                ]
            }
            Saying::Died(n) => {
                let name = format!("own.{}", n % 4);
                vec![
                    json!(self.generation.death_verb()),
                    json!(name),
                    json!("fuzz"),
                ]
            }
            Saying::SendOn(n, elements) => {
                // The node itself has no name here: a port without one is of whoever is asked.
                with(
                    vec![json!(Verb::Snd), json!(format!("#{}", port(n)?))],
                    elements,
                )
            }
            Saying::Time(n) => vec![json!(Verb::Time), json!(own(n))],
            Saying::Call(function, elements) => {
                // A verb would be another request.
                let function = format!("fuzz::{function}");
                with(vec![json!(function)], elements)
            }
            Saying::Listens(n) => {
                let at = json!([format!("127.0.0.1:{}", 1 + u32::from(*n))]);
                match self.generation {
                    Generation::Gen2 => vec![json!("g_slave"), json!({"'l": {(&self.node): at}})],
                    _ => return Some(self.gossip(vec![json!("addr"), at])),
                }
            }
            Saying::Sets(group, key) => match self.generation {
                Generation::Gen2 => vec![json!("g_upd"), json!(group), json!({(key): 1})],
                _ => {
                    let port = format!("{}#own.0", self.node);
                    let pair = match self.generation.group_before_port() {
                        true => [json!(group), json!(port)],
                        false => [json!(port), json!(group)],
                    };
                    let [first, second] = pair;
                    return Some(self.gossip(vec![json!("reg1"), first, second]));
                }
            },
        };
        Some((String::new(), request))
    }

    /// Gossip goes to a port that is spawned for it first: so the first gossip is that spawn.
    fn gossip(&mut self, gossip: Vec<Value>) -> (String, Vec<Value>) {
        const PORT: &str = "gossip";
        if std::mem::replace(&mut self.gossips, true) {
            return (PORT.to_owned(), gossip);
        }
        let spawn = vec![
            json!(Verb::Spawn),
            json!(PORT),
            json!(crate::mesh::CONNECT),
            json!(0),
            json!(self.node),
        ];
        (String::new(), spawn)
    }
}

/// A place in a list, if it has any.
fn pick<T>(list: &[T], n: u8) -> Option<usize> {
    usize::from(n).checked_rem(list.len())
}
