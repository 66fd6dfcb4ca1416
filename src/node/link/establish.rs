//! How an authenticated connection becomes the link.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Link, Peer, Retired};
use crate::node::Inner;
use crate::peering::{Candidate, Verdict};

impl Peer {
    /// Connects to the node at these addresses, unless it is connected.
    pub(crate) fn connect(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        addresses: &[String],
    ) -> Result<(), Retired> {
        let state = self.state.lock();
        if state.rules.is_retired() {
            return Err(Retired);
        }
        if node.is_stopping() {
            return Ok(());
        }
        self.want(node, state);
        let attempt = self.state.lock().attempt.clone();
        if let Some(attempt) = attempt
            && !addresses.is_empty()
        {
            attempt.add(addresses);
        }
        Ok(())
    }

    /// Asks for the right to prove ourselves on the connection `serial` to the node: see
    /// [`Peering::may_prove`](crate::peering::Peering::may_prove).
    pub(super) fn may_prove(&self, serial: u64) -> bool {
        let now = super::attempt::now();
        self.state.lock().rules.may_prove(serial, now)
    }

    /// The connection for which [`may_prove`](Self::may_prove) agreed is decided on.
    pub(super) fn proved(&self, serial: u64) {
        self.state.lock().rules.proved(serial);
        self.change.notify_waiters();
    }

    /// Takes an authenticated connection as the link, unless the election says otherwise.
    pub(super) fn establish(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        candidate: &Candidate<'_>,
        link: &Arc<Link>,
    ) -> Verdict {
        let mut state = self.state.lock();
        if node.is_stopping() {
            return Verdict::Refuse;
        }
        let now = super::attempt::now();
        let (verdict, effects) = state.rules.establish(candidate, now, node.next_serial());
        if verdict == Verdict::Accept {
            state.link = Some(link.clone());
            let framing = link.facts.send_framing;
            self.framing.store(framing as u8, Ordering::Relaxed);
        }
        self.carry_out(node, state, effects);
        verdict
    }
}
