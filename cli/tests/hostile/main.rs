//! What a node holds under attack: the catalogue of attacks, by the stage at which they come.
//!
//! Each is made on a real `aemp run` by peers that speak the protocol octet by octet, while an
//! honest peer talks to that node. It is held to bounds on the node's peak memory, on its
//! processor time (as a multiple of what an honest load of as many octets costs, so that neither
//! the machine nor the profile matters), on its log, and on what the honest peer notices.
//!
//! The sizes are small, so that the suite is quick in a debug build. In full size, with a line of
//! figures for each attack:
//!
//! ```text
//! AEMP_HOSTILE=full cargo test --release --package aemp-cli --test hostile -- --nocapture --test-threads=1
//! ```
//!
//! `AEMP_HOSTILE_TABLE=FILE` appends these lines to a file as well.

// Memory and processor time of another process are read from /proc.
#![cfg(target_os = "linux")]

#[path = "../support/address.rs"]
mod address;
mod attack;
mod connect;
mod database;
mod framing;
mod gossip;
mod greeting;
mod local;
mod peer;
mod proof;
mod relay;
mod requests;
mod victim;
