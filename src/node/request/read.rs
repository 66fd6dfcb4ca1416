//! What a message to the node port asks for.

use std::borrow::Cow;

use super::Source;
use super::error::{Missing, RequestError};
use super::named::Named;
use crate::node::{data, funcs, logs};
use crate::proto::Message;
use crate::proto::verb::{Fate, Verb};

/// A request, read as far as its source's right to make it depends on it, and no further: the rest
/// is read by what carries it out.
#[derive(Debug)]
pub(super) enum NodeRequest<'a> {
    /// Nothing is to be done.
    Nothing,
    /// The sender monitors our port of this name.
    Monitor(String),
    /// It does so no longer.
    Unmonitor(String),
    /// The sender's port of this name died.
    /// The reason's values come last, here as below.
    Died(String, Message),
    /// Our port of this name is to be killed.
    Kill(String, Message),
    /// A port is to be created.
    Spawn {
        name: String,
        /// The init function's name.
        function: String,
        args: Message,
    },
    /// Send this on: the destination, then the message's elements.
    Forward(Message),
    /// Send several such messages on, an element for each.
    ForwardAll(Message),
    /// Our node ID. Here as below, the message is the reply to be completed: its destination, then
    /// its first elements. Without a destination nobody wants the answer.
    Info(Message),
    /// The IDs of all nodes that we know.
    KnownNodes(Message),
    /// The IDs of the nodes that we have links to.
    UpNodes(Message),
    /// Whether there is a request of this name.
    Can(String, Message),
    /// The time.
    Time(Message),
    /// The value of an expression, which stands before the reply.
    Eval(Message),
    /// Who waits for room in the sender's port of this name is to wait.
    Hold(String),
    /// It may go on.
    Go(String),
    /// The whole message is about the database.
    Database(&'a Message),
    /// A function that every node has is to be called.
    Named {
        function: Named,
        name: &'a str,
        args: Message,
    },
    /// A data connection is to be expected.
    ExpectData(data::Expect),
    /// One that is expected is to be made.
    ConnectData(Message),
    /// A port of the sender's is to get log lines.
    CatchLogs(Message),
    /// A function is to be called.
    Call {
        function: Cow<'a, str>,
        args: Message,
    },
}

impl<'a> NodeRequest<'a> {
    /// Reads a message whose first element is `name`. No other name in it has more octets than
    /// `most`. Functions that the program has `registered` come before those that every node has.
    pub(super) fn read(
        source: Source<'_>,
        message: &'a Message,
        name: &'a str,
        most: usize,
        registered: impl Fn(&str) -> bool,
    ) -> Result<Self, RequestError> {
        let port_name = |args: &Message| first(args, Missing::PortName, most);
        let args = message.without_tag();
        Ok(match Verb::parse(name) {
            Some(Verb::Empty | Verb::Devnull) => NodeRequest::Nothing,
            Some(Verb::Mon1) => NodeRequest::Monitor(port_name(&args)?),
            Some(Verb::Mon0) => NodeRequest::Unmonitor(port_name(&args)?),
            Some(verb @ (Verb::Kil | Verb::Kil0 | Verb::Kil1)) => {
                let port = port_name(&args)?;
                let reason = args.into_without_tag();
                match source.fate(verb) {
                    Some(Fate::Died) => NodeRequest::Died(port, reason),
                    Some(Fate::Kill) => NodeRequest::Kill(port, reason),
                    None => return Err(RequestError::unknown(name)),
                }
            }
            Some(Verb::Spawn) => {
                let port = port_name(&args)?;
                if port.is_empty() {
                    return Err(RequestError::NamelessPort);
                }
                let init = args.into_without_tag();
                let function = first(&init, Missing::InitFunction, most)?;
                NodeRequest::spawn(port, &function, init.into_without_tag())
            }
            Some(Verb::Snd) => NodeRequest::Forward(args),
            Some(Verb::SndMultiple) => NodeRequest::ForwardAll(args),
            Some(Verb::Info) => NodeRequest::Info(args),
            Some(Verb::KnownNodes) => NodeRequest::KnownNodes(args),
            Some(Verb::UpNodes) => NodeRequest::UpNodes(args),
            Some(Verb::Can) => {
                let name = first(&args, Missing::Verb, most)?;
                NodeRequest::Can(name, args.into_without_tag())
            }
            Some(Verb::Time) => NodeRequest::Time(args),
            Some(Verb::Eval) => NodeRequest::Eval(args),
            Some(Verb::Database(_)) if matches!(source, Source::Peer(_)) => {
                NodeRequest::Database(message)
            }
            Some(Verb::Hold) if matches!(source, Source::Peer(_)) => {
                NodeRequest::Hold(port_name(&args)?)
            }
            Some(Verb::Go) if matches!(source, Source::Peer(_)) => {
                NodeRequest::Go(port_name(&args)?)
            }
            None if matches!(source, Source::Peer(_)) && name == data::EXPECT => {
                let read = data::Expect::read(args, most);
                NodeRequest::ExpectData(read.map_err(RequestError::Data)?)
            }
            None if matches!(source, Source::Peer(_)) && name == data::CONNECT => {
                NodeRequest::ConnectData(args)
            }
            None if matches!(source, Source::Peer(_)) && name == logs::CONNECT => {
                NodeRequest::CatchLogs(args)
            }
            // Nodes speak of the database, and of what to wait for, to each other only: from
            // ourselves it is a name like any other. So is that of a traced message that nobody
            // has agreed on: see `traced`.
            Some(Verb::Database(_) | Verb::Hold | Verb::Go | Verb::Traced) | None => {
                let function = funcs::full_name(name);
                match Named::of(name).filter(|_| !registered(&function)) {
                    Some(function) => NodeRequest::Named {
                        function,
                        name,
                        args,
                    },
                    None => NodeRequest::Call { function, args },
                }
            }
        })
    }

    /// The request to create a port.
    pub(super) fn spawn(name: String, function: &str, args: Message) -> Self {
        NodeRequest::Spawn {
            name,
            function: funcs::full_name(function).into_owned(),
            args,
        }
    }

    /// The call of a function without arguments.
    pub(super) fn call(function: &'a str) -> Self {
        NodeRequest::Call {
            function: funcs::full_name(function),
            args: Message::from_cbor(bytes::Bytes::new()),
        }
    }
}

/// The name, if it has at most so many octets.
pub(super) fn named(name: &str, most: usize) -> Result<&str, RequestError> {
    match name.len() <= most {
        true => Ok(name),
        false => Err(RequestError::LongName(name.len(), most)),
    }
}

/// The first element, if it is a string or a number, and has at most so many octets.
pub(super) fn first(args: &Message, what: Missing, most: usize) -> Result<String, RequestError> {
    let text = args.tag().ok_or(RequestError::Missing(what))?;
    Ok(named(&text, most)?.to_owned())
}
