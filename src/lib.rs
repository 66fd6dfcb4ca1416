//! AnyEvent::MP (AEMP) message passing.

#[cfg(feature = "node")]
pub mod config;
#[cfg(feature = "node")]
pub mod log;
#[cfg(feature = "node")]
mod mesh;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod node;
pub mod proto;
#[cfg(feature = "node")]
mod trace;

#[cfg(feature = "node")]
pub use node::{
    Builder, CalError, Context, GroupChange, GroupChanges, IntoOutcome, Mailbox, Monitor, MonitorGuard,
    Node, NodeEvent, NodeEvents, Port, RecvError, Registration, SendError, StartError,
};
pub use proto::message::{Num, Octets, Text};
pub use proto::{Generation, Message, NodeId, PortId, Reason, Secret};
