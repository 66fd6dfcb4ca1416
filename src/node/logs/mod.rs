//! Log lines of other nodes, and this one's for them (PROTOCOL.md, "Log lines").
//!
//! | file | what it does |
//! |---|---|
//! | `catch` | catches the lines of a whole network |
//! | `source` | sends the lines of this process to who catches them |

mod catch;
mod source;

pub use catch::{LogLine, LogLines};
pub(super) use source::{Sources, send_to};

/// The request by which a node asks for lines.
pub(crate) const CONNECT: &str = "AnyEvent::MP::LogCatcher::connect";
