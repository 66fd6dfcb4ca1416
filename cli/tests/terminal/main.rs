//! `aemp shell` at a terminal: what is on its screen. Every node is on 127.0.0.1.

mod screen;
mod shell;
