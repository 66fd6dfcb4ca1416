//! The nonces of the connections that were accepted lately: by these a node recognises itself.
//!
//! A node that connects to itself is greeted with its own ID. So is one that connects to somebody
//! who claims to have that ID: only the nonce tells one from the other.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::proto::handshake::NONCE_LEN;

/// More are not kept: in a flood of connections a node does not recognise itself, and tries again.
const MOST: usize = 4096;

/// Nor are older ones, as an old nonce may be repeated by whoever heard it.
const LATELY: Duration = Duration::from_secs(30);

/// Nonces that were sent to whoever connected.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<VecDeque<(Instant, [u8; NONCE_LEN])>>);

impl Nonces {
    /// This nonce is sent to somebody who connected.
    pub(crate) fn sent(&self, nonce: [u8; NONCE_LEN]) {
        let mut sent = self.0.lock();
        if sent.len() >= MOST {
            sent.pop_front();
        }
        sent.push_back((Instant::now(), nonce));
    }

    /// Whether a nonce that somebody greets us with was sent by ourselves.
    pub(crate) fn is_ours(&self, nonce: &[u8]) -> bool {
        let now = Instant::now();
        let sent = self.0.lock();
        let mut lately = sent.iter().rev();
        let lately = lately.by_ref().take_while(|(at, _)| now - *at <= LATELY);
        lately.into_iter().any(|(_, ours)| ours == nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_was_sent_lately_is_ours() {
        let nonces = Nonces::default();
        nonces.sent([1; NONCE_LEN]);
        assert!(nonces.is_ours(&[1; NONCE_LEN]));
        assert!(!nonces.is_ours(&[2; NONCE_LEN]));
        tokio::time::advance(LATELY * 2).await;
        assert!(!nonces.is_ours(&[1; NONCE_LEN]));
        for n in 0..100_000_u32 {
            nonces.sent([n as u8; NONCE_LEN]);
        }
        assert_eq!(nonces.0.lock().len(), MOST);
    }
}
