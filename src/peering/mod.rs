//! The life of a peer, which is the delivery guarantee: pure rules, without a socket, a clock or a task.
//!
//! ```text
//!            first message          a connection is elected
//!     Idle ────────────────▶ Connecting ────────────▶ Up
//!      ▲                         │ time is up           │ the link is lost
//!      │   every monitor fired   ▼                      ▼
//!      └───────────────────── Failing ◀─────────────────┘
//! ```
//!
//! A [`Peering`] is what a node knows of one other node: whether there is a link, what waits to be
//! sent, who monitors what. It is told what happens, and answers with [`Effect`]s, which its caller
//! carries out in their order. What is hot ([`send`](Peering::send), the [`Outbox`]) is a method that
//! returns its decision; nothing is built for it.
//!
//! `Failing` is what keeps the guarantee. From the loss of the link until the monitors of a port have
//! fired, whatever is sent to that port is lost as well, and a monitor that is set on it fires with the
//! others. What the monitors' own actions send is kept for the next link, and so is what anybody sends
//! to ports whose monitors have fired. No link comes up before all of them have. The steps in between
//! are those of [`settle`](Peering::settle).
//!
//! Where each rule stands:
//!
//! | rule | file |
//! |---|---|
//! | what becomes of a message that is sent | here |
//! | what waits for a link keeps its order, kills included | [`waiting`] |
//! | what is to be written, and who writes it | [`outbox`] |
//! | which monitors there are, and what ends one | [`monitors`] |
//! | which connection becomes the link | [`linking`], [`election`] |
//! | when which address is tried | [`schedule`] |
//! | what is lost with a link, and in which order that is told | [`losing`] |

mod election;
mod linking;
mod losing;
mod monitors;
mod outbox;
mod schedule;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use serde::Serialize;

use crate::proto::message::{EncodeError, encode_in};
use crate::proto::{Framing, Generation, Reason, Verb};

pub(crate) use election::Verdict;
pub(crate) use linking::Candidate;
pub(crate) use losing::{Afterwards, Step, Which};
pub(crate) use monitors::{Monitored, missing_port};
pub(crate) use outbox::{Outbox, Taken};
pub(crate) use schedule::{Next, Schedule, Turn};

use losing::Failing;
use waiting::Waiting;

/// What is known of one other node. `A` is what a monitor does when it fires.
pub(crate) struct Peering<A> {
    phase: Phase<A>,
    /// What is sent while there is no link.
    waiting: Waiting,
    /// What is to be written on the link.
    outbox: Outbox,
    /// The monitors on ports there, by the port's name.
    monitors: HashMap<Box<str>, Vec<Monitor<A>>>,
    /// The ports here that the other node monitors.
    watched: HashSet<Box<str>>,
    /// How often a link came up.
    links: u64,
    /// The number of the present life. A life ends when the link, or the attempt to get one, is lost.
    life: u64,
    /// The connection of ours that awaits the other node's token, and since when.
    proving: Option<(u64, Instant)>,
    /// Taken out of the table of peers for good.
    retired: bool,
}

/// A monitor on a port there.
type Monitor<A> = (u64, A);

enum Phase<A> {
    Idle,
    /// An attempt of this number is under way.
    Connecting(u64),
    Up(Up),
    Failing(Failing<A>),
}

/// The present link.
struct Up {
    link: LinkFacts,
    /// Everybody has been told that the link is there.
    told: bool,
}

/// What the rules need to know of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkFacts {
    /// Its number, which no other link and no attempt of the node has.
    pub(crate) serial: u64,
    pub(crate) send_framing: Framing,
    pub(crate) generation: Generation,
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
    /// The life of this number has ended. No other begins before [`settle`](Peering::settle) is called.
    Ended(u64),
    /// Call [`settle`](Peering::settle), outside of whatever called this.
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
    /// Fewer octets than this.
    Below(usize),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on its way. What the caller is to do for that:
    Done(Wake),
    /// It is lost, as the guarantee demands: monitors are still to fire.
    Lost,
    /// Too much is waiting already.
    NoRoom,
    /// It was encoded in another framing than the link's.
    OtherFraming,
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

impl<A> Peering<A> {
    /// A peer of which nothing is known yet, in its first life, of this number.
    pub(crate) fn new(life: u64) -> Self {
        Peering {
            phase: Phase::Idle,
            waiting: Waiting::default(),
            outbox: Outbox::default(),
            monitors: HashMap::new(),
            watched: HashSet::new(),
            links: 0,
            life,
            proving: None,
            retired: false,
        }
    }

    /// A peer that was taken out of the table.
    pub(crate) fn retired(life: u64) -> Self {
        Peering {
            retired: true,
            ..Peering::new(life)
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired
    }

    /// The present link.
    #[inline]
    pub(crate) fn link(&self) -> Option<&LinkFacts> {
        match &self.phase {
            Phase::Up(up) => Some(&up.link),
            _ => None,
        }
    }

    /// Whether the present link has this number.
    #[inline]
    pub(crate) fn is_link(&self, serial: u64) -> bool {
        self.link().is_some_and(|link| link.serial == serial)
    }

    /// Whether monitors are still to fire.
    pub(crate) fn is_failing(&self) -> bool {
        matches!(self.phase, Phase::Failing(_))
    }

    /// The present life, if there is a link or an attempt to get one.
    pub(crate) fn life(&self) -> Option<u64> {
        match self.phase {
            Phase::Connecting(_) | Phase::Up(_) => Some(self.life),
            Phase::Idle | Phase::Failing(_) => None,
        }
    }

    /// How often a link was made again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.links.saturating_sub(1)
    }

    /// The framing of what is sent: the link's, or, while there is none, JSON.
    #[inline]
    pub(crate) fn framing(&self) -> Framing {
        self.link().map_or(Framing::Json, |link| link.send_framing)
    }

    /// How many octets wait for the writer.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.waiting.octets() + self.outbox.queued()
    }

    /// How many octets are not written yet.
    #[inline]
    pub(crate) fn unwritten(&self) -> usize {
        self.queued() + self.outbox.in_flight()
    }

    /// What is to be written on the link. It is empty while there is none.
    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Sends a message to the port `name` that is encoded in `framing`. What is in `encoded` afterwards
    /// does not matter any more.
    #[inline]
    pub(crate) fn send(
        &mut self,
        name: &str,
        sender: Sender,
        framing: Framing,
        encoded: &mut Vec<u8>,
        room: Room,
        pace: Pace,
    ) -> Sent {
        if let Err(sent) = self.admit(name, sender) {
            return sent;
        }
        if self.framing() != framing {
            return Sent::OtherFraming;
        }
        if let Room::Below(most) = room
            && self.queued() >= most
        {
            return Sent::NoRoom;
        }
        Sent::Done(match &self.phase {
            Phase::Up(_) => self.outbox.append_buffer(encoded, pace),
            _ => self.wait(encoded),
        })
    }

    /// Sends what came by another link, encoded in `framing`, if `life` is the present one.
    pub(crate) fn forward(&mut self, life: u64, framing: Framing, encoded: &[u8]) -> Sent {
        if self.retired {
            return Sent::Retired;
        }
        if life != self.life {
            return Sent::Lost;
        }
        if self.framing() != framing {
            return Sent::OtherFraming;
        }
        Sent::Done(self.append(encoded))
    }

    /// The number of the present life, whether or not there is a link.
    pub(crate) fn present_life(&self) -> u64 {
        self.life
    }

    /// Asks the node to kill the port `name` there. The order keeps its place among the messages.
    pub(crate) fn kill(&mut self, name: &str, sender: Sender, reason: &Reason) -> Sent {
        if let Err(sent) = self.admit(name, sender) {
            return sent;
        }
        match self.link() {
            Some(link) => {
                let verb = link.generation.kill_verb();
                Sent::Done(self.request(&WithPort(verb, name, reason)))
            }
            None => {
                self.waiting.kill(name, reason);
                Sent::Done(self.wake_without_link())
            }
        }
    }

    /// Sends a keepalive, if there is a link and nothing waits to be written on it.
    pub(crate) fn poke(&mut self) -> Wake {
        match self.link() {
            Some(link) if self.outbox.queued() == 0 => {
                let keepalive = link.send_framing.keepalive();
                self.outbox.append(keepalive)
            }
            _ => Wake::Nobody,
        }
    }

    /// Whether something that is sent to the port is taken, or what becomes of it.
    #[inline]
    fn admit(&mut self, name: &str, sender: Sender) -> Result<(), Sent> {
        if self.retired {
            return Err(Sent::Retired);
        }
        if let Phase::Failing(failing) = &mut self.phase
            && failing.is_losing(name, sender)
        {
            // Who monitors the port anew, or the node, must hear of this loss as well; and what waits for
            // the next link must not arrive after that.
            if self.monitors.contains_key(name) || self.monitors.contains_key("") {
                self.waiting = Waiting::default();
                for (name, anew) in self.monitors.drain() {
                    failing.add(&name, anew);
                }
            }
            return Err(Sent::Lost);
        }
        Ok(())
    }

    /// Appends a request to the other node's node port: strings and values, which always serialise.
    fn request(&mut self, args: &impl Serialize) -> Wake {
        let framing = self.framing();
        if matches!(self.phase, Phase::Up(_)) {
            let encode = |out: &mut Vec<u8>| encode_in(out, framing, "", args);
            return self.outbox.append_with(encode).unwrap_or(Wake::Nobody);
        }
        let mut encoded = Vec::with_capacity(64);
        match encode_in(&mut encoded, framing, "", args) {
            Ok(()) => self.wait(&encoded),
            Err(_) => Wake::Nobody,
        }
    }

    /// Appends a message that is encoded in [our framing](Self::framing).
    fn append(&mut self, encoded: &[u8]) -> Wake {
        match self.phase {
            Phase::Up(_) => self.outbox.append(encoded),
            _ => self.wait(encoded),
        }
    }

    /// Keeps a message in JSON framing for the next link.
    fn wait(&mut self, encoded: &[u8]) -> Wake {
        self.waiting.message(encoded);
        self.wake_without_link()
    }

    fn wake_without_link(&self) -> Wake {
        match self.phase {
            Phase::Idle => Wake::Attempt,
            _ => Wake::Nobody,
        }
    }
}

/// A request to a node port about a port, with a reason's values at its end.
struct WithPort<'a>(Verb, &'a str, &'a Reason);

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

/// Encodes what waited for a link anew, as it goes over that link.
type Encoded = Result<(), EncodeError>;
