//! Octets to messages and back: the AEMP wire protocol without sockets, clocks or randomness.
//!
//! Everything here is driven from outside: a caller hands in the octets that arrived, the nonce to
//! use and the limits to keep, and gets octets to send, events or an error. So a recorded
//! conversation replays exactly, a fuzzer needs no network, and the node in [`crate::node`] is one
//! caller among others.
//!
//! | module | does |
//! |---|---|
//! | [`generation`] | what differs between the releases of AnyEvent::MP, as data |
//! | [`id`] | node and port IDs |
//! | [`greeting`] | the first greeting line |
//! | [`auth`] | authentication methods and their tokens |
//! | [`md6`] | the MD6 hash, which AEMP authenticates with |
//! | [`handshake`] | greeting and authentication, one type per state |
//! | [`framing`] | the message framings |
//! | [`message`] | a message: its octets until someone wants them typed |
//! | [`verb`] | the requests to a node port, as data |
//! | [`reason`] | why a port or a link died |
//! | [`trace_context`] | what ties messages together across nodes |

pub mod auth;
pub mod framing;
pub mod generation;
pub mod greeting;
pub mod handshake;
#[cfg(feature = "node")]
pub(crate) mod host;
pub mod id;
pub mod md6;
pub mod message;
pub mod reason;
pub mod trace_context;
pub mod verb;

pub use auth::{AuthMethod, Secret};
pub use framing::{Framing, FramingError, Limits};
pub use generation::Generation;
pub use greeting::Greeting;
pub use handshake::{Handshake, HandshakeError};
pub use id::{InvalidNodeId, NodeId, PortId};
pub use message::{ArgsError, Message};
pub use reason::Reason;
pub use trace_context::TraceContext;
pub use verb::Verb;

/// At most so many octets of a text, in whole characters.
#[cfg(feature = "node")]
pub(crate) fn clip(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
