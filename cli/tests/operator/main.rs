//! What an operator has of `aemp run` and `aemp exec`: programs as ports, services, restarts,
//! reloading, what is shown of the network. Every node is on 127.0.0.1 and ends with its test.

#[path = "../support/address.rs"]
mod address;
mod autorestart;
#[cfg(feature = "http")]
mod browser;
mod exec;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod page;
#[path = "../../../tests/support/peers.rs"]
mod peers;
mod perl;
mod reload;
mod restart;
mod services;
mod shell;
mod support;
#[path = "../support/terminal.rs"]
#[allow(dead_code)]
mod terminal;
mod top;
mod tutorial;
mod tutorial_chat;
