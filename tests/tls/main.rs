//! Links through TLS: who is let in and who is not, what goes wrong on the way, and what passes.
#![cfg(feature = "tls")]

mod certs;
mod path;
mod peer;
mod recording;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
mod trust;
