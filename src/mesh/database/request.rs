//! What nodes say to each other's node ports about the database.

use super::val::{Reading, Val};
use super::values::{Families, Family};
use crate::mesh::reading::{Bounds, Hash, MAX_ADDRESSES, Names, Reader, Unread, is_undefined};
use crate::proto::message::RawElement;
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
    Reply(String, Val),
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
    /// Something that nobody here listens to, so that it was not read.
    Unheard,
}

impl Request {
    /// Reads a message to the node port, within bounds. `None`: it is about something else.
    /// `listens` says whether anything is done with a request of this verb and first argument;
    /// otherwise no more is read of it.
    ///
    /// This is as lenient as Perl is: missing arguments and undefined values are empty, numbers are
    /// as good as strings, further arguments are ignored.
    pub(crate) fn parse(
        message: &Message,
        bounds: Bounds,
        listens: impl FnOnce(Verb, &str) -> bool,
    ) -> Result<Option<Self>, (Verb, Unread)> {
        let Some(verb) = message.tag().and_then(|tag| Verb::parse(&tag)) else {
            return Ok(None);
        };
        let parsed = Request::read(verb, message, bounds, listens);
        parsed.map(Some).map_err(|unread| (verb, unread))
    }

    fn read(
        verb: Verb,
        message: &Message,
        bounds: Bounds,
        listens: impl FnOnce(Verb, &str) -> bool,
    ) -> Result<Self, Unread> {
        let mut args = message.elements().skip(1);
        let first = args.next();
        let has_name = !matches!(verb, Verb::Global | Verb::Slave | Verb::Set);
        let reader = Reader::new(bounds, 0)?;
        let name = match has_name {
            true => reader.text(first.as_ref())?,
            false => String::new(),
        };
        if !listens(verb, &name) {
            return Ok(match verb {
                // It is said that they came.
                Verb::Set => Request::Set(Families::new()),
                Verb::Upd => Request::Upd {
                    family: name,
                    set: None,
                    del: None,
                },
                _ => Request::Unheard,
            });
        }
        let reader = Reader::new(bounds, message.size())?;
        let family = |element: Option<&RawElement<'_>>| {
            let seed = Hash {
                reader: &reader,
                most: usize::MAX,
                of: Reading(&reader),
            };
            reader.read(element, seed)
        };
        let families = |element: Option<&RawElement<'_>>| {
            let of = Hash {
                reader: &reader,
                most: usize::MAX,
                of: Reading(&reader),
            };
            let seed = Hash {
                reader: &reader,
                most: usize::MAX,
                of,
            };
            reader.read(element, seed)
        };
        let list = |element: Option<&RawElement<'_>>, most| {
            let names = Names {
                reader: &reader,
                most,
            };
            reader.read(element, names)
        };
        let mut next = || args.next();
        let query = |kind, id: Option<RawElement<'_>>| {
            let id = reader.text(id.as_ref())?;
            Ok(Request::Query {
                kind,
                family: name.clone(),
                id,
            })
        };
        Ok(match verb {
            Verb::Global => Request::Global,
            Verb::Slave => match first {
                None => Request::Slave(None),
                first => Request::Slave(Some(families(first.as_ref())?)),
            },
            Verb::Set => Request::Set(families(first.as_ref())?),
            Verb::Upd => {
                let (set, del) = (next(), next());
                let (set, del) = (set.as_ref(), del.as_ref());
                let present = |element| !is_undefined(element);
                Request::Upd {
                    set: present(set).then(|| family(set)).transpose()?,
                    del: present(del).then(|| list(del, usize::MAX)).transpose()?,
                    family: name,
                }
            }
            Verb::Find => Request::Find(NodeId::new(name)),
            Verb::Found => {
                let at = next();
                let addresses = match is_undefined(at.as_ref()) {
                    true => None,
                    false => Some(list(at.as_ref(), MAX_ADDRESSES)?),
                };
                Request::Found(NodeId::new(name), addresses)
            }
            Verb::DbFamily => query(Kind::Family, next())?,
            Verb::DbKeys => query(Kind::Keys, next())?,
            Verb::DbValues => query(Kind::Values, next())?,
            Verb::Reply => {
                let result = reader.read(next().as_ref(), Reading(&reader))?;
                Request::Reply(name, result)
            }
            Verb::Mon0 => Request::Mon0(name),
            Verb::Mon1 => Request::Mon1(name),
            Verb::Chg1 => Request::Chg1(name, family(next().as_ref())?),
            Verb::Chg2 => Request::Chg2 {
                set: family(next().as_ref())?,
                del: list(next().as_ref(), usize::MAX)?,
                family: name,
            },
        })
    }

    /// Leaves out what sets keys of families that may not be set. False if that is everything.
    pub(crate) fn retain_families(&mut self, may_set: impl Fn(&str) -> bool) -> bool {
        match self {
            Request::Slave(Some(families)) | Request::Set(families) => {
                families.retain(|family, _| may_set(family));
                true
            }
            Request::Upd { family, .. } => may_set(family),
            _ => true,
        }
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
            Request::Unheard => return None,
        };
        message.ok()
    }
}

/// The addresses that a value of the family `'l` lists, if it is a list.
pub(super) fn addresses(value: &Val) -> Option<Vec<String>> {
    let reader = Reader::new(Bounds::default(), 0).ok()?;
    let names = Names {
        reader: &reader,
        most: MAX_ADDRESSES,
    };
    reader
        .read(Some(&RawElement::of_json(value.json())), names)
        .ok()
}
