//! Who is out there: seeds, addresses, groups, the shared database (PROTOCOL.md, "The mesh").
//!
//! The rules are two state machines without sockets, clocks or tasks, [`state`] for generations 0
//! and 1 and [`database`] for generation 2: inputs in, effects out. Whoever runs them carries the
//! effects out.

pub(crate) mod database;
pub(crate) mod groups;
pub(crate) mod line;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod model;
pub(crate) mod reading;
mod seeds;
pub(crate) mod state;
pub(crate) mod told;

#[cfg(test)]
mod tests;

pub(crate) use database::{Change, Kind, Seen};
pub(crate) use groups::{Changed, Membership};

/// Which bound what a node said would go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The keys of the database that are kept of a node.
    Keys,
    /// The families of the database that a node monitors.
    Families,
    /// The memory that what it says may take.
    Memory,
}

/// The function that a peer spawns to talk about the mesh.
pub(crate) const CONNECT: &str = "AnyEvent::MP::Global::connect";

/// The service that makes a node of generation 2 a global one.
pub(crate) const GLOBAL_SERVICE: &str = "AnyEvent::MP::Global::";
