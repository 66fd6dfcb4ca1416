//! A stand-in's part in the pairs of links (docs/bridge.md, "Pairs").

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;

use super::translate::{self, Own, Passage};
use crate::log::log_at;
use crate::node::link::{Link, Peer};
use crate::node::{Forwarded, Inner, Loss, Relay};
use crate::proto::message::encode_in;
use crate::proto::{Generation, Message, NodeId};

/// The stand-ins of a bridge, by their ID and the number of the generation that they stand in.
#[derive(Default)]
pub(super) struct StandIns(DashMap<(NodeId, u32), Entry>);

struct Entry {
    node: Weak<Inner>,
    /// Where the node that it stands in for listens.
    real_at: Vec<String>,
}

impl StandIns {
    pub(super) fn get(&self, id: &NodeId, number: u32) -> Option<Arc<Inner>> {
        self.0.get(&(id.clone(), number))?.node.upgrade()
    }

    pub(super) fn add(&self, node: &Arc<Inner>, number: u32) {
        let entry = Entry {
            node: Arc::downgrade(node),
            real_at: Vec::new(),
        };
        self.0.insert((node.id.clone(), number), entry);
    }

    /// Takes it out, unless another has taken its place.
    pub(super) fn remove(&self, node: &Arc<Inner>, number: u32) {
        self.0.remove_if(&(node.id.clone(), number), |_, entry| {
            entry.node.as_ptr() == Arc::as_ptr(node)
        });
    }

    /// Notes where a node of that generation listens, for its stand-ins in others.
    pub(super) fn set_real_at(&self, id: &NodeId, addresses: &[String]) {
        for mut entry in self.0.iter_mut() {
            if entry.key().0 == *id {
                entry.real_at = addresses.to_vec();
            }
        }
    }

    fn real_at(&self, id: &NodeId, number: u32) -> Option<Vec<String>> {
        Some(self.0.get(&(id.clone(), number))?.real_at.clone())
    }
}

/// What makes a stand-in of a node.
pub(super) struct PairRelay {
    pub(super) stand_ins: Arc<StandIns>,
    /// The node that it stands in for, and its generation.
    pub(super) real: NodeId,
    pub(super) generation: Generation,
    /// The stand-in itself.
    pub(super) own: std::sync::OnceLock<Weak<Inner>>,
}

impl PairRelay {
    /// The other half for what comes from `from`: its stand-in where the real node is.
    fn twin(&self, from: &NodeId) -> Option<Arc<Inner>> {
        self.stand_ins.get(from, self.generation.number())
    }

    fn pass_on(&self, from: &Peer, link: &Link, name: &str, message: &Message) -> Forwarded {
        let Some(twin) = self.twin(&from.id) else {
            return Forwarded::Lost;
        };
        let mut encoded = Vec::with_capacity(message.size() + name.len() + 8);
        let mut encoded_in = None;
        twin.with_peer(self.real.as_str(), |target| {
            loop {
                let framing = target.framing();
                if encoded_in != Some(framing) {
                    encoded.clear();
                    if let Err(error) = encode_in(&mut encoded, framing, name, message) {
                        log_at!(
                            1,
                            [from.id.as_str()],
                            "a message of {} can't be passed on: {error}",
                            from.id
                        );
                        return Ok(Forwarded::Lost);
                    }
                    encoded_in = Some(framing);
                }
                match target.forward(&twin, &link.pair.bound, framing, &encoded)? {
                    Forwarded::OtherFraming => {}
                    decided => return Ok(decided),
                }
            }
        })
    }

    /// Closes a link whose other half is lost, once.
    fn close(&self, node: &Arc<Inner>, peer: &Arc<Peer>, link: &Link) {
        if !link.pair.leaving.swap(true, Ordering::AcqRel) {
            let text = format!("the bridge lost its link to {}", self.real);
            peer.fail_when_written(node, link.facts.serial, Loss::Bridge, text);
        }
    }

    /// Connects to a node again whose link was lost, as nobody else in the mesh tells a stand-in
    /// to.
    fn connect_again(&self, id: &NodeId) {
        let Some(node) = self.own.get().and_then(Weak::upgrade) else {
            return;
        };
        let number = self.generation.number();
        let (stand_ins, id, home) = (self.stand_ins.clone(), id.clone(), Arc::downgrade(&node));
        let delay = node.settings.connect_interval;
        node.spawn_task(async move {
            tokio::time::sleep(delay.max(Duration::from_secs(1))).await;
            if let Some(addresses) = stand_ins.real_at(&id, number)
                && let Some(node) = home.upgrade()
            {
                node.control.learn(&node, &id, addresses);
            }
        });
    }
}

struct Names<'a>(&'a Inner, &'a Peer, &'a PairRelay);

impl Own for Names<'_> {
    fn port(&self, name: &str) -> bool {
        self.0.ports.get(name).is_some()
    }

    fn monitor(&self, name: &str) -> bool {
        self.1.monitors_port(name)
    }

    fn waits_when_told(&self) -> bool {
        let twin = self.2.twin(&self.1.id);
        let real = twin.and_then(|twin| twin.peers.get(self.2.real.as_str()));
        real.is_some_and(|real| real.link_that_waits().is_some())
    }
}

impl Relay for PairRelay {
    fn pass(
        &self,
        node: &Arc<Inner>,
        peer: &Arc<Peer>,
        link: &Arc<Link>,
        name: &str,
        message: &Message,
    ) -> bool {
        let own = Names(node, peer, self);
        let passed = match name {
            "" => {
                let (from, to) = (link.generation(), self.generation);
                match translate::request(message, from, to, &self.real, &own) {
                    Passage::Keep => return false,
                    Passage::Pass => self.pass_on(peer, link, "", message),
                    Passage::Instead(all) => all
                        .iter()
                        .map(|message| self.pass_on(peer, link, "", message))
                        .find(|passed| *passed != Forwarded::Done)
                        .unwrap_or(Forwarded::Done),
                    Passage::Drop(why) => {
                        let (from, to) = (&peer.id, &self.real);
                        log_at!(8, "a request of {from} does not pass to {to}: {why}");
                        return true;
                    }
                }
            }
            name if own.port(name) => return false,
            name => self.pass_on(peer, link, name, message),
        };
        if passed != Forwarded::Done {
            self.close(node, peer, link);
        }
        true
    }

    fn up(&self, peer: &Arc<Peer>, link: &Link) {
        let Some(twin) = self.twin(&peer.id) else {
            return;
        };
        let Some(target) = twin.peers.get(self.real.as_str()) else {
            return;
        };
        // Whichever is bound already has passed something on.
        if let Some(life) = target.life() {
            let _ = link.pair.bound.set(life);
        }
        if let Some(other) = target.link()
            && let Some(life) = peer.life()
        {
            let _ = other.pair.bound.set(life);
        }
    }

    fn ended(&self, peer: &Arc<Peer>, life: u64) {
        if let Some(twin) = self.twin(&peer.id)
            && let Some(target) = twin.peers.get(self.real.as_str())
            && let Some(link) = target.link()
            && link.pair.bound.get() == Some(&life)
            && !link.pair.leaving.swap(true, Ordering::AcqRel)
        {
            let text = format!("the bridge lost its link to {}", peer.id);
            target.fail_when_written(&twin, link.facts.serial, Loss::Bridge, text);
        }
        self.connect_again(&peer.id);
    }

    fn refuses(&self, id: &NodeId) -> bool {
        self.twin(id).is_none()
    }

    fn target(&self, from: &NodeId) -> Option<(Arc<Peer>, usize)> {
        let twin = self.twin(from)?;
        let target = twin.peers.get(self.real.as_str())?;
        Some((target, (twin.settings.max_queue / 2).max(1)))
    }
}
