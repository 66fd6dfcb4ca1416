//! What nodes say to each other's node ports about the database.

use serde_json::Value;

use super::values::{Families, Family, Val};
use crate::proto::message::Text;
use crate::proto::verb::DatabaseVerb as Verb;
use crate::proto::{Message, NodeId};

/// What is asked about a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its keys and values: an object.
    Family,
    /// Its keys: a list of strings.
    Keys,
    /// Its values: a list.
    Values,
}

impl Kind {
    pub(super) fn verb(self) -> Verb {
        match self {
            Kind::Family => Verb::DbFamily,
            Kind::Keys => Verb::DbKeys,
            Kind::Values => Verb::DbValues,
        }
    }
}

/// A request, from or to a peer (PROTOCOL.md, "Generation 2: the database").
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// The sender is a global node.
    Global,
    /// Be the sender's master; this is its local database. Without one: become a global node.
    Slave(Option<Families>),
    /// From a global node to another: the databases of its slaves, merged.
    Set(Families),
    /// Keys of a family are set, others deleted.
    Upd {
        family: String,
        /// `None` is no keys as well. It is another form on the wire, as with `del`.
        set: Option<Family>,
        del: Option<Vec<String>>,
    },
    /// Where does this node listen?
    Find(NodeId),
    /// There. `None`: nobody knows.
    Found(NodeId, Option<Vec<String>>),
    /// A question about a family, and the ID that the answer is to have.
    Query {
        kind: Kind,
        family: String,
        id: String,
    },
    /// The answer to the question with this ID.
    Reply(String, Value),
    /// Stop monitoring a family.
    Mon0(String),
    /// Monitor a family.
    Mon1(String),
    /// The content of a family that is monitored.
    Chg1(String, Family),
    /// Keys of a family that is monitored are set, others are deleted.
    Chg2 {
        family: String,
        set: Family,
        del: Vec<String>,
    },
}

/// The most addresses of one node that are taken note of.
const MAX_ADDRESSES: usize = 64;

impl Request {
    /// Reads a message to the node port. `None`: it is about something else.
    ///
    /// This is as lenient as Perl is: missing arguments and undefined values are empty, numbers are
    /// as good as strings, further arguments are ignored.
    pub(crate) fn parse(message: &Message) -> Result<Option<Self>, String> {
        let Some(verb) = message.tag().and_then(|tag| Verb::parse(&tag)) else {
            return Ok(None);
        };
        let mut args = message.values().into_iter().skip(1);
        let mut next = || args.next();
        let parsed = (|| {
            Ok(match verb {
                Verb::Global => Request::Global,
                Verb::Slave => Request::Slave(next().map(families).transpose()?),
                Verb::Set => Request::Set(families(next().unwrap_or_default())?),
                Verb::Upd => Request::Upd {
                    family: text(next())?,
                    set: present(next()).map(hash).transpose()?,
                    del: present(next()).map(list).transpose()?,
                },
                Verb::Find => Request::Find(NodeId::new(text(next())?)),
                Verb::Found => {
                    let node = NodeId::new(text(next())?);
                    Request::Found(node, present(next()).map(list).transpose()?.map(capped))
                }
                Verb::DbFamily => query(Kind::Family, next(), next())?,
                Verb::DbKeys => query(Kind::Keys, next(), next())?,
                Verb::DbValues => query(Kind::Values, next(), next())?,
                Verb::Reply => Request::Reply(text(next())?, next().unwrap_or_default()),
                Verb::Mon0 => Request::Mon0(text(next())?),
                Verb::Mon1 => Request::Mon1(text(next())?),
                Verb::Chg1 => Request::Chg1(text(next())?, hash(next().unwrap_or_default())?),
                Verb::Chg2 => Request::Chg2 {
                    family: text(next())?,
                    set: hash(next().unwrap_or_default())?,
                    del: list(next().unwrap_or_default())?,
                },
            })
        })();
        let with_verb = |problem: String| format!("{verb}: {problem}");
        parsed.map(Some).map_err(with_verb)
    }

    /// The message that says this.
    pub(crate) fn to_message(&self) -> Option<Message> {
        let message = match self {
            Request::Global => Message::encode(&(Verb::Global,)),
            Request::Slave(None) => Message::encode(&(Verb::Slave,)),
            Request::Slave(Some(db)) => Message::encode(&(Verb::Slave, db)),
            Request::Set(db) => Message::encode(&(Verb::Set, db)),
            Request::Upd {
                family,
                set,
                del: None,
            } => Message::encode(&(Verb::Upd, family, set)),
            Request::Upd { family, set, del } => Message::encode(&(Verb::Upd, family, set, del)),
            Request::Find(node) => Message::encode(&(Verb::Find, node)),
            Request::Found(node, addresses) => Message::encode(&(Verb::Found, node, addresses)),
            Request::Query { kind, family, id } => Message::encode(&(kind.verb(), family, id)),
            Request::Reply(id, result) => Message::encode(&(Verb::Reply, id, result)),
            Request::Mon0(family) => Message::encode(&(Verb::Mon0, family)),
            Request::Mon1(family) => Message::encode(&(Verb::Mon1, family)),
            Request::Chg1(family, content) => Message::encode(&(Verb::Chg1, family, content)),
            Request::Chg2 { family, set, del } => Message::encode(&(Verb::Chg2, family, set, del)),
        };
        message.ok()
    }
}

fn query(kind: Kind, family: Option<Value>, id: Option<Value>) -> Result<Request, String> {
    Ok(Request::Query {
        kind,
        family: text(family)?,
        id: text(id)?,
    })
}

/// The addresses that a value of the family `'l` lists, if it is a list.
pub(super) fn addresses(value: &Value) -> Option<Vec<String>> {
    list(value.clone()).ok().map(capped)
}

fn capped(mut addresses: Vec<String>) -> Vec<String> {
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

fn present(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !value.is_null())
}

/// A string, or what Perl makes one of without complaint.
fn text(value: Option<Value>) -> Result<String, String> {
    match value.unwrap_or_default() {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(u8::from(flag).to_string()),
        other => match serde_json::from_value::<Text>(other) {
            Ok(text) => Ok(text.0),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn list(value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.into_iter().map(|value| text(Some(value))).collect(),
        Value::Object(map) if map.is_empty() => Ok(Vec::new()),
        other => Err(format!("a list was expected, not {}", excerpt(&other))),
    }
}

fn hash(value: Value) -> Result<Family, String> {
    Ok(object(value)?
        .map(|(key, value)| (key, Val::from(value)))
        .collect())
}

fn families(value: Value) -> Result<Families, String> {
    object(value)?
        .map(|(name, value)| Ok((name, hash(value)?)))
        .collect()
}

fn object(value: Value) -> Result<serde_json::map::IntoIter, String> {
    match value {
        Value::Null => Ok(serde_json::Map::new().into_iter()),
        Value::Object(map) => Ok(map.into_iter()),
        Value::Array(list) if list.is_empty() => Ok(serde_json::Map::new().into_iter()),
        other => Err(format!("a hash was expected, not {}", excerpt(&other))),
    }
}

fn excerpt(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}
