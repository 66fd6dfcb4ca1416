//! Streams, and the handshake over them. This room knows no node.
//!
//! A link runs over a `Stream`, and does not know of what sort: TCP, or [`memory`], each with or
//! without [`tls`]. `greet` takes
//! one as far as both greetings, and ends there: what becomes of the connection is for the caller
//! to decide, who goes on with `Greeted::prove`.

mod error;
mod greet;
mod intake;
pub mod memory;
mod nonces;
mod options;
mod plain;
mod stream;
pub mod tls;
#[cfg(unix)]
mod unix;
mod unproved;
mod versions;

pub use error::LinkError;
pub(crate) use greet::{First, Greeted, Proved, Terms, greet, greeting_patience};
pub(crate) use intake::Intake;
pub(crate) use nonces::Nonces;
pub(crate) use options::{INHERITS, SocketOptions};
pub(crate) use stream::{Listener, ReadHalf, Stream, Transport, WriteHalf};
pub(crate) use unproved::{Entry, Unproved};
pub(crate) use versions::Versions;
