//! What a message means, by the rules of the generation that its sender follows.

use std::collections::HashSet;

use aemp::proto::verb::{DatabaseVerb, Fate, Verb};
use aemp::proto::{Generation, Message};
use serde_json::Value;

/// The function whose ports take the gossip of the mesh.
const GOSSIP: &str = "AnyEvent::MP::Global::connect";

/// So many ports for the gossip are remembered of a direction. A node has one at the other.
const MOST: usize = 64;

/// What the messages of one direction mean. A message may depend on those before it: the gossip
/// goes to a port that was created for it.
#[derive(Debug)]
pub(super) struct Meanings {
    sender: String,
    receiver: String,
    /// None if there was no greeting to tell.
    generation: Option<Generation>,
    gossip: HashSet<String>,
}

impl Meanings {
    pub(super) fn new(sender: &str, receiver: &str, generation: Option<Generation>) -> Self {
        Meanings {
            sender: sender.to_owned(),
            receiver: receiver.to_owned(),
            generation,
            gossip: HashSet::new(),
        }
    }

    /// What a message to the port of that name means.
    pub(super) fn of(&mut self, port: &str, message: &Message) -> String {
        let tag = message.tag();
        let tag = tag.as_deref();
        if port.is_empty() {
            let arguments = Arguments::of(message);
            return self.request(tag.unwrap_or_default(), &arguments);
        }
        if self.gossip.contains(port) {
            return format!("gossip: {}", self.gossip(tag.unwrap_or_default()));
        }
        match tag {
            Some(tag) => format!("message {tag}"),
            None => "message".to_owned(),
        }
    }

    fn request(&mut self, name: &str, arguments: &Arguments) -> String {
        let (sender, receiver) = (&self.sender, &self.receiver);
        let (first, second) = (arguments.get(0), arguments.get(1));
        let Some(verb) = Verb::parse(name) else {
            return format!("has {receiver} call the function {name}");
        };
        if let Some(generation) = self.generation
            && !verb.known_in(generation)
        {
            return format!("{name}, which is no request in generation {generation}");
        }
        let fate = self.generation.map(|generation| verb.fate(generation));
        match (fate, verb) {
            (Some(Some(Fate::Died)), _) => {
                return format!("death of {sender}'s port {first}, {}", arguments.reason());
            }
            (Some(Some(Fate::Kill)), _) => {
                return format!("kills {receiver}'s port {first}, {}", arguments.reason());
            }
            (None, Verb::Kil | Verb::Kil0 | Verb::Kil1) => {
                return format!("death or kill of the port {first}, {}", arguments.reason());
            }
            _ => {}
        }
        match verb {
            Verb::Empty | Verb::Devnull => "nothing".to_owned(),
            Verb::Mon1 => format!("monitors {receiver}'s port {first}"),
            Verb::Mon0 => format!("no longer monitors {receiver}'s port {first}"),
            Verb::Spawn => {
                if second == GOSSIP && self.gossip.len() < MOST {
                    self.gossip.insert(first.clone());
                }
                format!("spawns the port {first} on {receiver} by the function {second}")
            }
            Verb::Snd => format!("has {receiver} send on to {first}"),
            Verb::SndMultiple => format!("has {receiver} send on several messages"),
            Verb::Info => format!("asks {receiver}'s node ID, answer to {first}"),
            Verb::KnownNodes => format!("asks which nodes {receiver} knows, answer to {first}"),
            Verb::UpNodes => format!("asks which nodes {receiver} has links to, answer to {first}"),
            Verb::Can => format!("asks whether {receiver} knows {first}, answer to {second}"),
            Verb::Time => format!("asks the time, answer to {first}"),
            Verb::Eval => format!("has {receiver} evaluate an expression, answer to {second}"),
            Verb::Hold => format!("{sender}'s port {first} has no room: {receiver} is to wait"),
            Verb::Go => format!("{sender}'s port {first} has room again"),
            Verb::Traced => "a message that belongs to a trace".to_owned(),
            Verb::Database(verb) => format!("database: {}", self.database(verb, arguments)),
            // A request that this command does not know yet.
            other => format!("the request {other}"),
        }
    }

    fn database(&self, verb: DatabaseVerb, arguments: &Arguments) -> String {
        use DatabaseVerb::*;
        let (sender, receiver) = (&self.sender, &self.receiver);
        let first = arguments.get(0);
        match verb {
            Global => format!("{sender} is a global node"),
            Slave if arguments.0.is_empty() => format!("{receiver} is to become a global node"),
            Slave => format!("{receiver} is to be {sender}'s master; what {sender} has set"),
            Set => format!("what {sender}'s slaves have set"),
            Upd => format!("keys of the family {first} are set or deleted"),
            Find => format!("asks where the node {first} listens"),
            Found => format!("where the node {first} listens"),
            DbFamily => format!("asks the keys and values of the family {first}"),
            DbKeys => format!("asks the keys of the family {first}"),
            DbValues => format!("asks the values of the family {first}"),
            Reply => format!("the answer to the question {first}"),
            Mon1 => format!("monitors the family {first}"),
            Mon0 => format!("no longer monitors the family {first}"),
            Chg1 => format!("all that is in the family {first}"),
            Chg2 => format!("what has changed in the family {first}"),
            other => format!("the request {other}"),
        }
    }

    /// PROTOCOL.md, "The mesh".
    fn gossip(&self, tag: &str) -> String {
        let (sender, receiver) = (&self.sender, &self.receiver);
        match tag {
            "addr" => format!("where {sender} listens"),
            "nodes" => "nodes and where they listen".to_owned(),
            "set" => format!("all that is registered at {sender}"),
            "reg1" => format!("a port is registered at {sender}"),
            "reg0" => format!("a port is no longer registered at {sender}"),
            "find" => "asks where a node listens".to_owned(),
            "setup" => format!("{sender} has said all there is to say at first"),
            "seedme1" => format!("{receiver} is {sender}'s master"),
            "seedme0" => format!("{receiver} is no longer {sender}'s master"),
            other => format!("{other}, which is not known"),
        }
    }
}

/// The elements of a request behind its name.
struct Arguments(Vec<Value>);

impl Arguments {
    fn of(message: &Message) -> Self {
        Arguments(message.without_tag().values())
    }

    /// One of them, as text.
    fn get(&self, number: usize) -> String {
        self.0.get(number).map_or_else(|| "(none)".to_owned(), text)
    }

    /// What stands behind the port.
    fn reason(&self) -> String {
        match self.0.get(1..).unwrap_or_default() {
            [] => "normally".to_owned(),
            reason => {
                let reason: Vec<String> = reason.iter().map(text).collect();
                format!("reason: {}", reason.join(" "))
            }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
