//! Addresses for nodes that are still to be started.

use std::net::TcpListener;

/// An address of this machine that nobody listens at.
pub fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}
