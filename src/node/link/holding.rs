//! What two nodes tell each other of ports that have no room (docs/backpressure.md).

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Link, Peer};
use crate::node::Inner;
use crate::peering::{Holding, Sent};
use crate::proto::Verb;

/// A peer that waits until it is told that a port of ours has room again.
pub(crate) struct Told {
    peer: Arc<Peer>,
    /// The link on which it was told to wait.
    pub(crate) link: NonZeroU64,
}

impl Told {
    /// Tells a peer that our port has no room. `None`: its link is lost meanwhile, or its node does
    /// not wait.
    pub(crate) fn hold(node: &Arc<Inner>, peer: &Arc<Peer>, name: &str) -> Option<Self> {
        let link = peer.link_that_waits()?;
        let peer = peer.clone();
        let told = Told { peer, link };
        told.tell(node, Verb::Hold, name).then_some(told)
    }

    /// Tells it that the port has room again, or is dead.
    pub(crate) fn go(self, node: &Arc<Inner>, name: &str) {
        self.tell(node, Verb::Go, name);
    }

    /// False if the link is lost: the node there has forgotten what it was told.
    fn tell(&self, node: &Arc<Inner>, verb: Verb, name: &str) -> bool {
        let mut told = false;
        let _ = self.peer.decide(node, |rules| {
            let sent = rules.tell_room(self.link.get(), verb, name);
            told = matches!(sent, Sent::Done(_));
            sent
        });
        told
    }
}

impl Peer {
    /// The number of the present link, if the node at its end waits when it is told to.
    #[inline]
    pub(crate) fn link_that_waits(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.waits_on.load(Ordering::Relaxed))
    }

    /// Notes whether the node at the end of a new link waits when it is told to.
    pub(super) fn note_whether_it_waits(&self, link: &Link) {
        let serial = match link.info.greeting.waits_when_told() {
            true => link.facts.serial,
            false => 0,
        };
        self.waits_on.store(serial, Ordering::Relaxed);
    }

    /// A port there has no room: who waits for room is to wait.
    pub(crate) fn is_told_to_hold(&self, name: &str) {
        let mut state = self.state.lock();
        // What cannot be noted is not waited for; the bounds of the node there hold all the same.
        if state.rules.hold(name, self.account.room()) == Holding::Yes {
            let octets = state.rules.held_octets();
            let new = || Box::new(self.account.level());
            state.held.get_or_insert_with(new).force(octets);
        }
    }

    /// A port there has room again.
    pub(crate) fn is_told_to_go(&self, name: &str) {
        let mut state = self.state.lock();
        let has_room = state.rules.go(name);
        match state.rules.held_octets() {
            0 => state.held = None,
            octets => {
                if let Some(level) = &mut state.held {
                    level.force(octets);
                }
            }
        }
        drop(state);
        if has_room {
            self.change.notify_waiters();
        }
    }
}
