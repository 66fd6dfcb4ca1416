//! The life of a peer, which is the delivery guarantee: pure rules, without a socket, a clock or a
//! task.
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
//! carries out in their order. What is hot ([`send`](Peering::send), the [`Outbox`]) is a method
//! that returns its decision; nothing is built for it.
//!
//! `Failing` is what keeps the guarantee. From the loss of the link until the monitors of a port
//! have fired, whatever is sent to that port is lost as well, and a monitor that is set on it fires
//! with the others. What the monitors' own actions send is kept for the next link, and so is what
//! anybody sends to ports whose monitors have fired. No link comes up before all of them have. The
//! steps in between are those of [`settle`](Peering::settle).
//!
//! Where each rule stands:
//!
//! | rule | file |
//! |---|---|
//! | what becomes of a message that is sent | [`sending`] |
//! | what waits for a link keeps its order, kills included | [`waiting`] |
//! | what is to be written, and who writes it | [`outbox`] |
//! | which ports there have no room | [`holding`] |
//! | which monitors there are, and what ends one | [`monitors`] |
//! | which connection becomes the link | [`linking`], [`election`] |
//! | when which address is tried | [`schedule`] |
//! | what is lost with a link, and in which order that is told | [`losing`], [`failing`] |

mod election;
mod failing;
mod held;
mod holding;
mod linking;
mod losing;
mod monitors;
mod on_ports;
mod outbox;
mod schedule;
mod sending;
mod state;
mod terms;
mod waiting;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod world;

#[cfg(test)]
mod tests;

pub(crate) use election::Verdict;
pub(crate) use holding::Holding;
pub(crate) use linking::Candidate;
pub(crate) use losing::{Afterwards, Step, Which};
pub(crate) use monitors::{Monitored, missing_port};
pub(crate) use outbox::Taken;
pub(crate) use schedule::{Next, Schedule, Turn, Wish};
pub(crate) use state::Peering;
pub(crate) use terms::{Effect, Form, LinkFacts, Pace, Room, Sender, Sent, Wake};
