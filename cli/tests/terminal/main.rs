//! `aemp shell` at a terminal: what is on its screen. Every node is on 127.0.0.1.

mod home;
mod shell;
#[path = "../support/terminal.rs"]
#[allow(dead_code)]
mod terminal;
