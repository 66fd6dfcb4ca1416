//! Fuzzing: what is tried here, and what somebody else can be tried with.
//!
//! # Targets
//!
//! A target is a function that takes any octets, tries something with them, and panics if a rule is
//! broken. [`TARGETS`] lists them. A fuzzer finds octets that lead to new places:
//! `scripts/fuzz` runs cargo-fuzz over the programs in `fuzz/`, which have one line each, and
//! `tests/fuzz_corpus` replays on stable Rust what was found to lead somewhere.
//!
//! | target | tries |
//! |---|---|
//! | [`greeting`] | a greeting line |
//! | [`handshake`] | one side of a handshake with octets in any pieces |
//! | [`handshake_pair`] | two sides with each other, in any configuration |
//! | [`json`], [`cbor`] | a framing against another implementation |
//! | [`storable`] | a framing against its own writer |
//! | [`quick`] | reading at once against the scanner |
//! | [`transcode`] | messages of each framing in each other |
//! | [`arguments`] | what programs read of messages, tuples and enums, and write |
//! | [`md6`](fn@md6) | the hash against the reference implementation |
//! | [`rc`] | the configuration file |
//! | [`reading`] | what is read of gossip, of requests about the database, and of reports |
//! | [`gossip`] | what happens to a node in a mesh of generations 0 and 1 |
//! | [`database`] | what happens to a node of generation 2 |
//! | [`agreement`] | what happens between nodes of generation 2 |
//! | [`requests`] | requests to the node port, against a model |
//! | [`peering`] | links, monitors and the guarantee |
//!
//! Most take the octets as they come, behind a few that choose how: how a stream is cut, which
//! limits there are. Others take a structure that is made of them (`arbitrary`).
//!
//! # For other implementations
//!
//! [`strategy`] has what peers say as strategies for proptest, from greetings to whole
//! conversations, and shows how to play them over a socket. The types that they make
//! ([`Conversation`] and what it consists of) are `Arbitrary` as well, for fuzzers.

mod arguments;
mod configuration;
mod framings;
mod handshakes;
mod hash;
mod input;
mod machines;
mod made;
mod reading;
pub mod strategy;

pub use arguments::arguments;
pub use configuration::rc;
pub use framings::{cbor, json, quick, storable, transcode};
pub use handshakes::{greeting, handshake, handshake_pair};
pub use hash::md6;
pub use machines::{agreement, database, gossip, peering, requests};
pub use made::{Conversation, Element, Flaw, Opening, Quality, Saying, Speaker};

pub use reading::reading;

/// A function that takes any octets, and its name.
///
/// See [`TARGETS`] for an example.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Target {
    /// The name: of the program in `fuzz/`, and of the folder of its corpus.
    pub name: &'static str,
    /// Panics if the octets break a rule.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All targets.
///
/// ```
/// let greeting = aemp::fuzz::TARGETS.iter().find(|target| target.name == "greeting").unwrap();
/// (greeting.run)(b"aemp;1;ruth;cleartext;json;provider=AE-1.30");
/// ```
pub const TARGETS: &[Target] = &[
    target("greeting", greeting),
    target("handshake", handshake),
    target("handshake_pair", handshake_pair),
    target("json", json),
    target("cbor", cbor),
    target("storable", storable),
    target("quick", quick),
    target("transcode", transcode),
    target("arguments", arguments),
    target("md6", md6),
    target("rc", rc),
    target("reading", reading),
    target("gossip", gossip),
    target("database", database),
    target("agreement", agreement),
    target("peering", peering),
    target("requests", requests),
];
