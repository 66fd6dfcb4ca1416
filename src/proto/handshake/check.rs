//! Two sides of a handshake that talk to each other, for tests and fuzzers.

use std::sync::Arc;

use super::*;

/// What one side has to say, and what became of it.
pub(crate) struct Side {
    pub(crate) handshake: Handshake,
    pub(crate) out: Vec<u8>,
    pub(crate) error: Option<HandshakeError>,
    /// Which side of TLS it is, once that has begun. What passes through TLS passes as it is.
    pub(crate) tls: Option<TlsRole>,
    /// What came behind the peer's token by later calls.
    behind: Vec<u8>,
}

impl Side {
    pub(crate) fn new(role: Role, local: Local) -> Self {
        let local = Arc::new(local);
        let handshake = match role {
            Role::Connector => Handshake::connect(local, &[1; 66], "127.0.0.1:4040"),
            Role::Listener => Handshake::accept(local, &[2; 66], "127.0.0.1:50000"),
        };
        Side::of(handshake)
    }

    pub(crate) fn of(handshake: Handshake) -> Self {
        Side {
            handshake,
            out: Vec::new(),
            error: None,
            tls: None,
            behind: Vec::new(),
        }
    }

    pub(crate) fn recv(&mut self, octets: &[u8]) {
        if self.error.is_none() && self.handshake.is_verified() {
            self.behind.extend_from_slice(octets);
            return;
        }
        if self.error.is_none() {
            let result = self.handshake.recv(octets, &mut self.out).map(drop);
            self.error = result.and_then(|()| self.pass_tls()).err();
        }
        if self.error.is_none() && self.handshake.is_verified() {
            self.handshake.complete(&mut self.out);
        }
    }

    /// Goes on where TLS begins, or the handshake pauses.
    fn pass_tls(&mut self) -> Result<(), HandshakeError> {
        if !self.handshake.is_paused() {
            return Ok(());
        }
        let inside = match self.handshake.begin_tls() {
            Some((role, inside)) => {
                self.tls = Some(role);
                inside
            }
            None => Vec::new(),
        };
        self.handshake.resume(&mut self.out)?;
        self.handshake.recv(&inside, &mut self.out).map(drop)
    }

    /// The result, with everything that followed the peer's token.
    pub(crate) fn established(self) -> Option<Established> {
        let mut established = self.handshake.established()?;
        established.rest.extend(self.behind);
        Some(established)
    }
}

/// Passes the next octets that one side has to say to the other. `change` may change them.
pub(crate) fn pass(from: &mut Side, to: &mut Side, chunk: usize, change: impl FnOnce(&mut [u8])) {
    let chunk = chunk.min(from.out.len());
    let mut octets: Vec<u8> = from.out.drain(..chunk).collect();
    if !octets.is_empty() {
        change(&mut octets);
        to.recv(&octets);
    }
}
