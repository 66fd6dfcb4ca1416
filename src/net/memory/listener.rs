//! Where connections are accepted.

use std::fmt;
use std::io;

use tokio::sync::{Mutex, mpsc};

use super::network::{Dialled, Network};
use super::pipe::Pipe;

/// How many connections may wait to be accepted; who dials then waits until there is room.
pub(super) const BACKLOG: usize = 1024;

/// A listener on a [`Host`](super::Host). Dropping it frees the address and closes the connections
/// that wait to be accepted.
pub struct Listener {
    network: Network,
    address: String,
    backlog: Mutex<mpsc::Receiver<Dialled>>,
}

impl Listener {
    pub(super) fn new(network: Network, address: String, backlog: mpsc::Receiver<Dialled>) -> Self {
        Listener {
            network,
            address,
            backlog: Mutex::new(backlog),
        }
    }

    /// The next connection, in the order of their arrival, and the address that it comes from. Who
    /// stops waiting for it has lost none.
    ///
    /// # Errors
    ///
    /// None, as long as the listener is there.
    pub async fn accept(&self) -> io::Result<(Pipe, String)> {
        let next = self.backlog.lock().await.recv().await;
        next.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The address, with the port that was given if any was asked for: `name:port`.
    pub fn local_addr(&self) -> &str {
        &self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.network.unbind(&self.address);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut listener = f.debug_struct("Listener");
        listener
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
