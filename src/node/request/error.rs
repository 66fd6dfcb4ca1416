//! Why a request was not performed, and whose fault it is.

use std::fmt;

use super::Source;
use crate::node::SendError;
use crate::node::limits::Limit;
use crate::proto::clip;
use crate::proto::handshake::Blame;
use crate::proto::message::RawElement;
use crate::rights::Action;

/// Why a request was not performed. Nobody but the log is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// It is no verb, or none of the sender's generation, and no function has that name.
    #[error("unable to resolve function '{0}'")]
    UnknownFunction(String),
    /// Its source may not make it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It would be told about the mesh in the name of another node, this one.
    #[error("a port of the mesh is spawned in the name of {0}")]
    NotItself(String),
    /// An element that it can't do without is not there, or neither a string nor a number.
    #[error("{0}")]
    Missing(Missing),
    /// An element is something else than it has to be.
    #[error("{found} is no {wanted}")]
    Unfit {
        /// The element's JSON text, at most 40 characters of it.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// The port to be spawned has the node port's name.
    #[error("a port can't be spawned without a name")]
    NamelessPort,
    /// The port to be spawned, of this name, is there already.
    #[error("port {0} exists already and can't be spawned")]
    NameTaken(String),
    /// A name has more octets than there may be.
    #[error("a name of {0} octets is longer than {1}")]
    LongName(usize, usize),
    /// It was sent on within this node as often as it may be.
    #[error("dropped a message that this node sent itself {0} times")]
    TooManyHops(usize),
    /// Another node would have to send it on more often than that.
    #[error("a message is to be sent on more than {0} times from node to node")]
    LongWay(usize),
    /// The reply is a list that others have chosen, and would go to a node port.
    #[error("a list of nodes is no reply for a node port")]
    ListForNodePort,
    /// A message is for a node that we would have to look for, and there are so many already.
    #[error("there are links to, or attempts to reach, {0} nodes already (max_nodes)")]
    TooManyNodes(usize),
    /// A node port can't be killed.
    #[error("a node port can't be killed")]
    NodePortKilled,
    /// A port that is to be registered here is another node's.
    #[error("{0} is no port of this node and can't be registered by it")]
    ForeignPort(String),
    /// A key is to be set in a family that nodes keep for themselves.
    #[error("the family {0} is the nodes' own")]
    OwnFamily(String),
    /// Something of so many octets would stay here for who asks for it, who has no room for that.
    #[error("there is no room for {0} octets more that are kept for it (max_memory)")]
    NoRoom(usize),
    /// This node drains, and begins nothing new for others.
    #[error("this node is about to end and begins nothing new: {0}")]
    Draining(String),
    /// The request is about the database and can't be read.
    #[error("{0}")]
    Database(String),
    /// The request is about a data connection, and there will be none.
    #[error("data connection: {0}")]
    Data(String),
    /// The request is about log lines, and none will be sent.
    #[error("log lines: {0}")]
    Logs(String),
    /// The message that is to be sent on, or the reply, can't be sent.
    #[error("{0}")]
    Unsendable(#[from] SendError),
}

/// The rules do not allow something.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Refusal {
    pub(crate) action: Action,
    /// The name of what it is about, as much of it as is shown.
    name: String,
}

impl Refusal {
    pub(super) fn new(action: Action, name: &str) -> Self {
        Refusal {
            action,
            name: clip(name, NAMED).to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, name) = (self.action, &self.name);
        match action {
            Action::Eval => write!(f, "remote execution not allowed: eval"),
            Action::Spawn | Action::Call => {
                write!(f, "remote execution not allowed: {action} {name}")
            }
            _ => write!(f, "not allowed: {action} {name}"),
        }
    }
}

/// An element that a request can't do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    #[error("the port's name is missing")]
    PortName,
    #[error("the request's name is missing")]
    Verb,
    #[error("the init function's name is missing")]
    InitFunction,
    #[error("there is nothing to evaluate")]
    Expression,
    #[error("the trace context is missing")]
    Trace,
    #[error("the group's name is missing")]
    Group,
    #[error("the family's name is missing")]
    Family,
    #[error("the key is missing")]
    Key,
}

/// So many octets of a name are in the text of an error.
const NAMED: usize = 200;

impl RequestError {
    /// A port of that name is there already.
    pub(super) fn taken(name: &str) -> Self {
        RequestError::NameTaken(clip(name, NAMED).to_owned())
    }

    pub(super) fn unfit(element: &RawElement<'_>, wanted: &'static str) -> Self {
        // The whole of it may be large.
        let found = match element.size() {
            0..=4096 => element.json().chars().take(40).collect(),
            size => format!("something of {size} octets"),
        };
        RequestError::Unfit { found, wanted }
    }

    pub(super) fn not_itself(named: &str) -> Self {
        RequestError::NotItself(clip(named, NAMED).to_owned())
    }

    /// Something is not begun any more, by the name of a function.
    pub(super) fn draining(name: &str) -> Self {
        RequestError::Draining(clip(name, NAMED).to_owned())
    }

    /// A message that would be sent on from node to node too often.
    pub(super) fn goes_round() -> Self {
        RequestError::LongWay(super::act::MOST_AHEAD)
    }

    pub(super) fn foreign(port: &crate::proto::PortId) -> Self {
        RequestError::ForeignPort(clip(port.as_str(), NAMED).to_owned())
    }

    pub(super) fn own_family(family: &str) -> Self {
        RequestError::OwnFamily(clip(family, NAMED).to_owned())
    }

    /// A name that is no verb and no function's.
    pub(super) fn unknown(name: &str) -> Self {
        RequestError::UnknownFunction(clip(name, NAMED).to_owned())
    }

    /// The limit that was met, if that is what it is.
    pub(super) fn limit(&self) -> Option<Limit> {
        match self {
            RequestError::LongName(..) => Some(Limit::Name),
            RequestError::TooManyHops(_) | RequestError::LongWay(_) => Some(Limit::Hops),
            RequestError::TooManyNodes(_) => Some(Limit::Nodes),
            RequestError::NoRoom(_) => Some(Limit::Memory),
            _ => None,
        }
    }

    /// Whose fault it is that a request from there failed.
    pub(crate) fn blame(&self, source: Source<'_>) -> Blame {
        let of_a_peer = match self {
            // Our own setting refuses it.
            RequestError::Refused(_) | RequestError::Draining(_) => return Blame::Us,
            // We took it in one framing, and can't say it in another that we offered.
            RequestError::Unsendable(_) => return Blame::Us,
            RequestError::UnknownFunction(_) => Blame::Incompatible,
            RequestError::Missing(_)
            | RequestError::Unfit { .. }
            | RequestError::NamelessPort
            | RequestError::NameTaken(_)
            | RequestError::NodePortKilled
            | RequestError::ForeignPort(_)
            | RequestError::OwnFamily(_)
            | RequestError::NoRoom(_)
            | RequestError::LongName(..)
            | RequestError::TooManyHops(_)
            | RequestError::LongWay(_)
            | RequestError::ListForNodePort
            | RequestError::TooManyNodes(_)
            | RequestError::NotItself(_)
            | RequestError::Database(_)
            | RequestError::Data(_)
            | RequestError::Logs(_) => Blame::Peer,
        };
        match source {
            Source::Peer(_) | Source::Relayed(_) => of_a_peer,
            Source::Local => Blame::Us,
        }
    }
}
