//! Real AnyEvent::MP nodes and `aemp` nodes against each other, as separate processes on 127.0.0.1.
//!
//! A *scenario* ([`scenario`], one file each below [`scenarios`]) says what is to happen between
//! nodes; a *pairing* ([`pairing`]) says which implementation plays which node. A scenario in a
//! pairing is a *cell* ([`matrix`]); running it passes, fails with the step at which it did, or is
//! not run for a stated reason. The manifest ([`expected`]) lists cells that are known to fail and
//! why; such a cell that passes is an error.
//!
//! Every node is a *driver*: a process that reads commands and writes events as JSON lines
//! (`DRIVER.md`), so that the harness treats a Perl node ([`peers`] finds the releases), a Rust
//! node and the Python node ([`python`]) alike. Nothing here sleeps to wait: a wait names what it
//! waits for and has a deadline ([`driver`]). Connections between the two nodes of a pair go
//! through a recording proxy ([`proxy`]) that can also do harm.

pub mod compare;
pub mod ctx;
pub mod demand;
pub mod driver;
pub mod expected;
pub mod fault;
pub mod matrix;
pub mod pairing;
pub mod pattern;
pub mod peers;
pub mod plot;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod report;
pub mod reserved;
pub mod run;
pub mod scenario;
pub mod scenarios;
pub mod soak;
pub mod spec;
pub mod transcript;
mod verbs;
pub mod wire;

pub use spec::Spec;
