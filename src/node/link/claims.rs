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
use crate::proto::NodeId;
use crate::proto::host::host_of;

/// A second claim means something when the first was made so long ago.
const APART: Duration = Duration::from_secs(1);

/// How long the other one may take to show that it is there.
const ANSWER: Duration = Duration::from_secs(5);

/// So many hosts are remembered that have our own ID, and so many nodes whose ID others have.
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
}

/// Claims to be another node that has a link.
#[derive(Debug, Default)]
pub(crate) struct PeerClaims(Mutex<HashMap<NodeId, Claims>>);

impl PeerClaims {
    /// There is another one that is `id`, beside this link. Says whether it is to be told now. If
    /// there are too many, the one that was first claimed longest ago is forgotten.
    fn another(&self, id: &NodeId, link: u64, now: Instant) -> bool {
        let mut nodes = self.0.lock();
        if nodes.len() >= MOST && !nodes.contains_key(id) {
            let since = |claims: &Claims| claims.since.map(|(_, since)| since);
            let oldest = nodes.iter().min_by_key(|(_, claims)| since(claims));
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                nodes.remove(&oldest);
            }
        }
        nodes.entry(id.clone()).or_default().another(link, now)
    }

    /// It is not told after all, as the other one does not answer.
    fn retract(&self, id: &NodeId) {
        if let Some(claims) = self.0.lock().get_mut(id) {
            claims.is_told = false;
        }
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
    let claims = &node.admission.peer_claims;
    if !claims.another(&peer.id, serial, Instant::now()) {
        return;
    }
    let (home, peer, remote) = (node.clone(), peer.clone(), remote.to_owned());
    node.spawn_task(async move {
        let node = Node::from_inner(home);
        let is_there = node.round_trip(peer.id.clone(), ANSWER).await.is_ok();
        let now = peer.link().map(|link| link.facts.serial);
        if !is_there || now != Some(serial) {
            return node.inner().admission.peer_claims.retract(&peer.id);
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
    }

    #[tokio::test(start_paused = true)]
    async fn who_did_not_answer_is_no_other_yet() {
        let claims = PeerClaims::default();
        let ids: Vec<NodeId> = (0..10_000).map(|n| NodeId::new(format!("n{n}"))).collect();
        let now = Instant::now();
        assert!(!claims.another(&ids[0], 1, now));
        assert!(claims.another(&ids[0], 1, now + APART));
        assert!(!claims.another(&ids[0], 1, now + APART * 2));
        claims.retract(&ids[0]);
        assert!(claims.another(&ids[0], 1, now + APART * 3));
        // Nodes without end; the last ones are known.
        for (n, id) in ids.iter().enumerate() {
            assert!(!claims.another(id, 2, now + APART * n as u32));
        }
        assert_eq!(claims.0.lock().len(), MOST);
        assert!(claims.another(&ids[9_999], 2, now + APART * 10_001));
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
