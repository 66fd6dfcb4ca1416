//! What an operator has of `aemp run` and `aemp exec`: programs as ports, services, restarts,
//! reloading. Every node is on 127.0.0.1 and ends with its test.

mod autorestart;
mod exec;
#[path = "../../../tests/support/peers.rs"]
mod peers;
mod perl;
mod reload;
mod restart;
mod services;
mod shell;
mod support;
mod tutorial;
mod tutorial_chat;
