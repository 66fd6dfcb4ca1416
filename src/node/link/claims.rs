//! Connections of nodes that say they are somebody who is there already: whoever runs the node that
//! they connect to is told, once.
//!
//! One connection means nothing: two nodes may connect to each other at once, a node that was
//! started again comes before the loss of its old link is noticed, and a node may be a seed of its
//! own. One that comes again and again, while the other one is there and answers, is another node,
//! or has the same node among its seeds twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Peer;
use crate::log::log_at;
use crate::node::{Inner, Node};
use crate::proto::host::host_of;

/// A second claim means something when the first was made so long ago.
const APART: Duration = Duration::from_secs(1);

/// How long the other one may take to show that it is there.
const ANSWER: Duration = Duration::from_secs(5);

/// So many hosts are remembered that have our own ID.
const MOST: usize = 64;

/// Claims to be somebody.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The number of the link to whom it is, and when the first claim was made beside it.
    since: Option<(u64, Instant)>,
    is_told: bool,
}

impl Claims {
    /// There is another one, beside this link. Says whether it is to be told now.
    fn another(&mut self, link: u64, now: Instant) -> bool {
        match self.since {
            Some((known, since)) if known == link => {
                let tells = !self.is_told && now.duration_since(since) >= APART;
                self.is_told |= tells;
                tells
            }
            _ => {
                self.since = Some((link, now));
                self.is_told = false;
                false
            }
        }
    }

    /// It is not told after all, as the other one does not answer.
    fn retract(&mut self) {
        self.is_told = false;
    }
}

/// Claims to be this node, by the host that they come from.
#[derive(Debug, Default)]
pub(crate) struct OwnClaims(Mutex<HashMap<String, Claims>>);

impl OwnClaims {
    /// A connection from there has our ID. Says whether it is to be told now.
    fn another(&self, remote: &str, now: Instant) -> bool {
        let mut hosts = self.0.lock();
        let host = host_of(remote);
        if hosts.len() >= MOST && !hosts.contains_key(&host) {
            return false;
        }
        // There is one link to ourselves, so to say.
        hosts.entry(host).or_default().another(0, now)
    }

    /// It was this node itself, which has connected there.
    pub(super) fn were_ours(&self, address: &str) {
        self.0.lock().remove(&host_of(address));
    }
}

/// A connection from `remote` has our ID.
pub(super) fn of_our_id(node: &Inner, remote: &str) {
    if node.admission.own_claims.another(remote, Instant::now()) {
        let (id, listeners) = (&node.id, node.listeners.read().join(", "));
        log_at!(
            2,
            [host_of(remote).as_str()],
            "{remote} says that it is {id}, as does this node, which listens on {listeners}: one of \
             both needs another `nodeid`"
        );
    }
}

/// A connection from `remote` has the ID of a node that we have a link to.
pub(super) fn of_peer(node: &Arc<Inner>, peer: &Arc<Peer>, remote: &str) {
    let Some(link) = peer.link() else { return };
    let serial = link.facts.serial;
    if !peer.claims.lock().another(serial, Instant::now()) {
        return;
    }
    let (home, peer, remote) = (node.clone(), peer.clone(), remote.to_owned());
    node.spawn_task(async move {
        let node = Node::from_inner(home);
        let is_there = node.round_trip(peer.id.clone(), ANSWER).await.is_ok();
        let now = peer.link().map(|link| link.facts.serial);
        if !is_there || now != Some(serial) {
            return peer.claims.lock().retract();
        }
        let (id, other) = (&peer.id, &link.remote);
        log_at!(
            2,
            [host_of(&remote).as_str()],
            "{remote} says that it is {id}, and so does {other}, which has a link: one of both needs \
             another `nodeid` (if they are one node, this one is in its `seeds` twice)"
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_again_and_again_is_told_once() {
        let mut claims = Claims::default();
        let mut tells = |link, seconds| {
            let at = Instant::now() + Duration::from_secs_f64(seconds);
            claims.another(link, at)
        };
        for (link, seconds, told) in [
            (1, 0.0, false),
            // As when two connect to each other.
            (1, 0.1, false),
            (1, 0.9, false),
            (1, 2.0, true),
            (1, 4.0, false),
            (1, 9.0, false),
            // The node was started again.
            (2, 9.5, false),
            (2, 12.0, true),
            (2, 99.0, false),
        ] {
            assert_eq!(tells(link, seconds), told, "{link} {seconds}");
        }
        claims.retract();
        assert!(claims.another(2, Instant::now() + Duration::from_secs(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_finds_itself_is_no_other() {
        let own = OwnClaims::default();
        let now = Instant::now();
        let later = now + APART;
        assert!(!own.another("127.0.0.1:4001", now));
        own.were_ours("127.0.0.1:4040");
        assert!(!own.another("127.0.0.1:4002", later));
        assert!(own.another("127.0.0.1:4003", later + APART));
        assert!(!own.another("127.0.0.1:4004", later + APART * 2));
        // Hosts without end.
        for n in 0..10_000_u32 {
            let remote = format!("10.0.{}.{}:1", n / 256, n % 256);
            assert!(!own.another(&remote, now));
        }
        assert_eq!(own.0.lock().len(), MOST);
    }
}
