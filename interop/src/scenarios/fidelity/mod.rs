//! What real nodes do besides sending and monitoring: docs/fidelity.md.

mod addresses;
mod named;
mod octets;
mod references;
mod unknown;

pub(super) use addresses::{NAMES, UNIX};
pub(super) use named::SCENARIO as NAMED;
pub(super) use octets::SCENARIO as OCTETS;
pub(super) use references::SCENARIO as REFERENCES;
pub(super) use unknown::SCENARIO as UNKNOWN;
