//! The words in which the rules are told things, and in which they answer.

use serde::Serialize;

use crate::proto::{Framing, Generation, Reason, Verb};

/// What the rules need to know of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkFacts {
    /// Its number, which no other link and no attempt of the node has.
    pub(crate) serial: u64,
    pub(crate) send_framing: Framing,
    pub(crate) generation: Generation,
    /// Both nodes take messages that say which trace they belong to.
    pub(crate) traces: bool,
}

/// How a message is written, which depends on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) framing: Framing,
    /// It says which trace it belongs to.
    pub(crate) traced: bool,
}

impl From<Framing> for Form {
    fn from(framing: Framing) -> Self {
        Form {
            framing,
            traced: false,
        }
    }
}

/// What the caller is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Begin an attempt of this number to reach the node.
    Attempt(u64),
    /// The attempt under way is over.
    EndAttempt,
    /// Close the link.
    Close,
    /// Tell everybody that the link is there, and then say [`told`](Peering::told).
    TellUp,
    /// The life of this number has ended: tell who is to know, and then say
    /// [`ended`](Peering::ended). No other begins before [`settle`](Peering::settle) is
    /// called.
    Ended(u64),
    /// Call [`settle`](Peering::settle) soon, but not from within the call that gave this effect.
    Settle,
    /// Whoever waits for a change looks again.
    Changed,
    /// Nothing is known of the node any more: it may be [retired](Peering::retire).
    Forget,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The program, or the node itself.
    Program,
    /// The action of a monitor on a port of this very peer, which fires now.
    Action,
}

/// When a message goes to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// At once, if nothing waits before it.
    Direct,
    /// More is likely to follow: the writer gathers it.
    Gather,
}

/// How much may wait already for a message to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// However much does.
    Any,
    /// Fewer octets than this, and the port must not be [held](Peering::hold).
    Below(usize),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on its way. What the caller is to do for that:
    Done(Wake),
    /// It is lost, as the guarantee demands: monitors are still to fire.
    Lost,
    /// Too much is waiting already, here or in the port.
    NoRoom,
    /// It was written in a form that the link does not have.
    OtherForm,
    /// The peer was taken out of the table: look it up again.
    Retired,
}

/// Who sees to it that what was sent gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Somebody does already.
    Nobody,
    /// The writer of the link.
    Writer,
    /// The sender [flushes](Outbox::begin_flush) it.
    Sender,
    /// There is no link: [`want`](Peering::want) one.
    Attempt,
}

/// A request to a node port about a port, with a reason's values at its end.
pub(super) struct WithPort<'a>(pub(super) Verb, pub(super) &'a str, pub(super) &'a Reason);

impl Serialize for WithPort<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let WithPort(verb, name, reason) = self;
        let mut seq = serializer.serialize_seq(Some(2 + reason.values().len()))?;
        seq.serialize_element(verb)?;
        seq.serialize_element(name)?;
        for value in reason.values() {
            seq.serialize_element(value)?;
        }
        seq.end()
    }
}
