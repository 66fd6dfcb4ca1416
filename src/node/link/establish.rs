//! How an authenticated connection becomes the link.

use std::sync::Arc;

use super::{Link, Peer, Retired};
use crate::node::Inner;
use crate::peering::{Candidate, Verdict, Wish};

/// Whether an attempt to reach a node began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    No,
}

impl Peer {
    /// Connects to the node at these addresses, unless it is connected. Says whether an attempt
    /// began with that.
    pub(crate) fn connect(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        addresses: &[String],
        wish: Wish,
    ) -> Result<Begun, Retired> {
        let state = self.state.lock();
        if state.rules.is_retired() {
            return Err(Retired);
        }
        if node.is_stopping() {
            return Ok(Begun::No);
        }
        let before = state.attempt.clone();
        self.want(node, state);
        let Some(attempt) = self.state.lock().attempt.clone() else {
            return Ok(Begun::No);
        };
        let begun = match before {
            Some(before) if Arc::ptr_eq(&before, &attempt) => Begun::No,
            _ => Begun::Yes,
        };
        if begun == Begun::Yes || wish == Wish::Program {
            attempt.is_for(wish);
        }
        if !addresses.is_empty() {
            attempt.add(addresses);
        }
        Ok(begun)
    }

    /// Asks for the right to prove ourselves on the connection `serial` to the node: see
    /// [`Peering::may_prove`](crate::peering::Peering::may_prove). A node that stops proves itself
    /// to nobody: its links end then, and one that this connection was refused for before must not
    /// make room for it.
    pub(super) fn may_prove(&self, node: &Inner, serial: u64) -> bool {
        let now = super::attempt::now();
        let mut state = self.state.lock();
        !node.is_stopping() && state.rules.may_prove(serial, now)
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
            // Whoever had us look for the node has found it: from now on it answers for itself.
            let mut queue = self.account.level();
            queue.force(state.rules.unwritten());
            state.queue = queue;
            self.note_form(&link.facts);
            self.note_whether_it_waits(link);
        }
        self.carry_out(node, state, effects);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use crate::Node;

    #[tokio::test]
    async fn a_node_that_has_stopped_proves_itself_to_nobody() {
        let node = Node::local();
        let home = node.inner().clone();
        let peer = home.peer("other");
        assert!(peer.may_prove(&home, 1));
        peer.proved(1);
        node.shutdown().await;
        assert!(!peer.may_prove(&home, 2));
    }
}
