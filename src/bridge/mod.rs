//! Joining nodes of different generations: for each node of one, a stand-in in the other
//! (docs/bridge.md).

mod pair;
mod translate;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::log::log_at;
use crate::mesh::Seen;
use crate::mesh::groups::Membership;
use crate::mesh::state::Gossip;
use crate::net::Listener;
use crate::node::link::Peer;
use crate::node::{self, Inner, Node, NodeEvent, Observer, Relay};
use crate::proto::{Generation, NodeId, PortId};
use pair::{PairRelay, StandIns};

/// Why a node can't be a bridge.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// assert!(matches!(node.bridge([0]), Err(aemp::BridgeError::TooFew)));
/// # }
/// ```
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BridgeError {
    /// There is nothing to join: two generations are needed.
    #[error("a bridge joins at least two generations")]
    TooFew,
    /// The generation of this number can't be bridged.
    #[error("generation {0} can't be bridged; 0, 1 and 2 can")]
    Unknown(u32),
    /// The node does not speak the generation of this number itself.
    #[error("the node does not speak generation {0}, which it is to bridge")]
    NotSpoken(u32),
    /// The node is, or was, a bridge already.
    #[error("the node is a bridge already")]
    Twice,
}

/// A bridge between generations, as long as this value lives: nodes of one reach the ports of the
/// others by their own IDs, see their groups, monitor, kill and spawn there.
///
/// Each node gets a stand-in in each of the other generations: a listener that greets as that node,
/// on the addresses of the bridge's node, on a port of its own. With generation 2 the bridge's node
/// is a global one. `docs/bridge.md` says what passes and what the limits are.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::proto::generation::Generations;
/// let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
/// let middle = node("middle").start().await?;
/// let bridge = middle.bridge([0, 1])?;
/// let old = node("old").generation(Generations::Only(0)).seeds(middle.listeners()).start().await?;
/// let new = node("new").generation(Generations::Only(1)).seeds(middle.listeners()).start().await?;
/// let mut events = new.mon_nodes();
/// while !new.node_is_up("old") {
///     events.next().await;
/// }
/// assert_eq!(bridge.stand_ins().len(), 2);
/// assert_eq!(middle.stats().bridge, [0, 1]);
/// # old.shutdown().await;
/// # new.shutdown().await;
/// # middle.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the bridge ends when this is dropped"]
pub struct Bridge {
    core: Arc<Core>,
    kept: bool,
}

impl Bridge {
    /// Lets the bridge last as long as the node. The configuration key `bridge` does that as well.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = aemp::Node::builder().no_rc().nodeid("middle").secret("geheim").binds(["127.0.0.1:0"]);
    /// let node = node.start().await?;
    /// node.bridge([1, 2])?.keep();
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// The nodes that have stand-ins, with the numbers of the generations where these are, sorted.
    ///
    /// See [`Bridge`] for an example.
    pub fn stand_ins(&self) -> Vec<(NodeId, u32)> {
        let natives = self.core.natives.lock();
        let of = |(id, native): (&NodeId, &Native)| {
            let there = native.stand_ins.iter();
            let named = there.map(|(number, _)| (id.clone(), *number));
            named.collect::<Vec<_>>()
        };
        let mut all: Vec<(NodeId, u32)> = natives.iter().flat_map(of).collect();
        all.sort();
        all
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if !self.kept {
            self.core.close();
        }
    }
}

impl Node {
    /// Makes the node a bridge between the generations of these numbers, which it must speak.
    ///
    /// # Errors
    ///
    /// [`BridgeError`].
    ///
    /// See [`Bridge`] for an example.
    pub fn bridge(
        &self,
        generations: impl IntoIterator<Item = u32>,
    ) -> Result<Bridge, BridgeError> {
        let own = self.inner();
        let worlds: BTreeSet<u32> = generations.into_iter().collect();
        for &world in &worlds {
            if world > 2 {
                return Err(BridgeError::Unknown(world));
            }
            if !own.settings.generations.allows(world) {
                return Err(BridgeError::NotSpoken(world));
            }
        }
        if worlds.len() < 2 {
            return Err(BridgeError::TooFew);
        }
        let core = Arc::new(Core {
            own: Arc::downgrade(own),
            worlds,
            stand_ins: Arc::default(),
            natives: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let observer: Arc<dyn Observer> = core.clone();
        own.observer.set(observer).map_err(|_| BridgeError::Twice)?;
        if core.worlds.contains(&2) {
            own.control.observe(own);
        }
        for peer in own.peers.all() {
            core.look_at(own, &peer);
        }
        let kept = false;
        Ok(Bridge { core, kept })
    }
}

/// A node that the bridge's own node has a link to.
struct Native {
    generation: Generation,
    addresses: Vec<String>,
    /// Its stand-ins, by the number of the generation where they are.
    stand_ins: Vec<(u32, Node)>,
    /// What its ports are registered as in generation 2, by its own node's database.
    mirrored: BTreeMap<String, BTreeSet<PortId>>,
}

impl Native {
    /// Mirrors that a port of its is in a group, or no more, to where it has stand-ins.
    fn mirror(&mut self, own: &Arc<Inner>, membership: Membership, group: &str, port: &PortId) {
        for (number, stand_in) in &self.stand_ins {
            let inner = stand_in.inner();
            match (*number, membership) {
                // Families with such names are the database's own.
                (2, _) if group.starts_with('\'') => {}
                (2, Membership::Begins) => {
                    own.control.db_set(own, group, port.as_str(), Value::Null);
                    let ports = self.mirrored.entry(group.to_owned()).or_default();
                    ports.insert(port.clone());
                }
                (2, Membership::Ends) => {
                    let Some(ports) = self.mirrored.get_mut(group) else {
                        continue;
                    };
                    if ports.remove(port) {
                        own.control.db_del(own, group, vec![port.to_string()]);
                    }
                    if ports.is_empty() {
                        self.mirrored.remove(group);
                    }
                }
                (_, Membership::Begins) => drop(inner.control.register(inner, group, port)),
                (_, Membership::Ends) => inner.control.unregister(inner, group, port),
            }
        }
    }

    /// Takes back what the bridge's own node says for it.
    fn withdraw(&mut self, own: &Arc<Inner>, id: &NodeId) {
        for (group, ports) in std::mem::take(&mut self.mirrored) {
            let keys = ports.iter().map(PortId::to_string).collect();
            own.control.db_del(own, &group, keys);
        }
        for (number, _) in &self.stand_ins {
            own.control.unvouch(own, id, *number);
        }
    }
}

type Natives = HashMap<NodeId, Native>;

struct Core {
    own: Weak<Inner>,
    worlds: BTreeSet<u32>,
    stand_ins: Arc<StandIns>,
    natives: Mutex<Natives>,
    closed: AtomicBool,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("worlds", &self.worlds)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Takes in a node that was there before the bridge.
    fn look_at(&self, own: &Arc<Inner>, peer: &Arc<Peer>) {
        if !peer.is_up() {
            return;
        }
        self.up(own, &peer.id);
        if !peer.is_up() {
            self.down(own, &peer.id);
        }
    }

    /// Makes the stand-ins of a node.
    fn up(&self, own: &Arc<Inner>, id: &NodeId) {
        let Some(link) = own.peers.get(id.as_str()).and_then(|peer| peer.link()) else {
            return;
        };
        let greeting = &link.info.greeting;
        let generation = link.generation();
        if greeting.param(node::STAND_IN_KEY).is_some() {
            return; // of another bridge
        }
        let mut natives = self.natives.lock();
        if self.closed.load(Ordering::Acquire)
            || natives.contains_key(id)
            || !self.worlds.contains(&generation.number())
        {
            return;
        }
        let mut stand_ins = Vec::new();
        for &number in self
            .worlds
            .iter()
            .filter(|number| !greeting.speaks(**number))
        {
            let Some(stand_in) = self.stand_in(own, id, generation, number) else {
                continue;
            };
            let inner = stand_in.inner();
            for (other, native) in natives.iter() {
                if native.generation.number() == number {
                    inner.control.learn(inner, other, native.addresses.clone());
                }
            }
            stand_ins.push((number, stand_in));
        }
        let native = Native {
            generation,
            addresses: Vec::new(),
            stand_ins,
            mirrored: BTreeMap::new(),
        };
        natives.insert(id.clone(), native);
        let (addresses, ports) = match generation {
            Generation::Gen2 => own.control.in_database(id),
            _ => own.control.said_by(id),
        };
        self.at(&mut natives, id, addresses);
        for (group, port) in ports {
            self.registered(own, &mut natives, id, Membership::Begins, &group, &port);
        }
    }

    fn stand_in(
        &self,
        own: &Arc<Inner>,
        id: &NodeId,
        generation: Generation,
        number: u32,
    ) -> Option<Node> {
        let relay = Arc::new(PairRelay {
            stand_ins: self.stand_ins.clone(),
            real: id.clone(),
            generation,
            own: OnceLock::new(),
        });
        let as_relay: Arc<dyn Relay> = relay.clone();
        let stand_in = node::stand_in(own, id, number, as_relay);
        let inner = stand_in.inner();
        let _ = relay.own.set(Arc::downgrade(inner));
        self.stand_ins.add(inner, number);
        match listen_beside(own) {
            Ok(listeners) => node::listen_on(inner, listeners),
            Err(error) => {
                log_at!(1, "{id} gets no stand-in in generation {number}: {error}");
                self.stand_ins.remove(inner, number);
                return None;
            }
        }
        let at = inner.listeners.read().clone();
        log_at!(
            7,
            "{id} has a stand-in in generation {number} at [{}].",
            at.join(" ")
        );
        own.control.vouch(own, id, number, at);
        Some(stand_in)
    }

    /// A node says where it listens: the stand-ins in its generation connect to it.
    fn at(&self, natives: &mut Natives, id: &NodeId, addresses: Vec<String>) {
        self.stand_ins.set_real_at(id, &addresses);
        let Some(native) = natives.get_mut(id) else {
            return;
        };
        native.addresses.clone_from(&addresses);
        let number = native.generation.number();
        for other in natives.values() {
            for (_, stand_in) in other.stand_ins.iter().filter(|(n, _)| *n == number) {
                let inner = stand_in.inner();
                inner.control.learn(inner, id, addresses.clone());
            }
        }
    }

    /// A port of a node is in a group, or is so no more.
    fn registered(
        &self,
        own: &Arc<Inner>,
        natives: &mut Natives,
        id: &NodeId,
        membership: Membership,
        group: &str,
        port: &PortId,
    ) {
        // A node speaks for its own ports only.
        if port.node() == id.as_str()
            && let Some(native) = natives.get_mut(id)
        {
            native.mirror(own, membership, group, port);
        }
    }

    /// Ends the stand-ins of a node, when what it said last has passed.
    fn down(&self, own: &Arc<Inner>, id: &NodeId) {
        let Some(mut native) = self.natives.lock().remove(id) else {
            return;
        };
        let number = native.generation.number();
        let mut links = Vec::new();
        for other in self.natives.lock().values() {
            let there = other.stand_ins.iter().filter(|(n, _)| *n == number);
            links.extend(there.filter_map(|(_, node)| node.inner().peers.get(id.as_str())));
        }
        native.withdraw(own, id);
        let stand_ins = self.stand_ins.clone();
        let patience = match own.is_stopping() {
            true => Duration::ZERO,
            false => Duration::from_secs(1),
        };
        own.runtime.spawn(async move {
            let gone = async {
                for link in &links {
                    link.wait_until_down().await;
                }
            };
            let _ = tokio::time::timeout(patience, gone).await;
            for (number, stand_in) in native.stand_ins {
                stand_ins.remove(stand_in.inner(), number);
                stand_in.shutdown().await;
            }
        });
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let mut natives = std::mem::take(&mut *self.natives.lock());
        if let Some(own) = self.own.upgrade() {
            for (id, native) in &mut natives {
                native.withdraw(&own, id);
            }
            own.control.stop_observing(&own);
        }
        // The stand-ins stop with their last handles.
        drop(natives);
    }
}

/// Listeners beside those of a node: on the same hosts, on any port.
fn listen_beside(own: &Inner) -> Result<Vec<(String, Listener)>, String> {
    let all = own.listeners.read();
    let hosts: BTreeSet<&str> = all.iter().map(|address| host(address)).collect();
    let bind = |host: &str| {
        let address = format!("{host}:0");
        let bound = node::bind(own, &address);
        bound.map_err(|error| format!("can't listen on {address}: {error}"))
    };
    hosts.into_iter().map(bind).collect()
}

/// The host of an address, as it is written there.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

impl Observer for Core {
    fn generations(&self) -> Vec<u32> {
        match self.closed.load(Ordering::Relaxed) {
            true => Vec::new(),
            false => self.worlds.iter().copied().collect(),
        }
    }

    fn event(&self, node: &Arc<Inner>, event: &NodeEvent) {
        let _context = node.runtime.enter();
        match event {
            NodeEvent::Up { node: id, .. } => self.up(node, id),
            NodeEvent::Down { node: id, .. } => self.down(node, id),
        }
    }

    fn gossip(&self, own: &Arc<Inner>, from: &NodeId, gossip: Gossip) {
        let _context = own.runtime.enter();
        let natives = &mut *self.natives.lock();
        match gossip {
            Gossip::Addr(addresses) => self.at(natives, from, addresses),
            Gossip::Set(groups) => {
                for (group, ports) in groups {
                    for port in ports {
                        self.registered(own, natives, from, Membership::Begins, &group, &port);
                    }
                }
            }
            Gossip::Reg(membership, pair) => {
                let generation = natives.get(from).map(|native| native.generation);
                let Some(generation) = generation else { return };
                let [first, second] = pair;
                let (group, port) = match generation.group_before_port() {
                    true => (first, PortId::new(second)),
                    false => (second, PortId::new(first)),
                };
                self.registered(own, natives, from, membership, &group, &port);
            }
            _ => {}
        }
    }

    fn seen(&self, own: &Arc<Inner>, seen: Seen) {
        let _context = own.runtime.enter();
        let natives = &mut *self.natives.lock();
        let native_there = |id: &NodeId| {
            let native = natives.get(id);
            native.is_some_and(|native| native.generation == Generation::Gen2)
        };
        match seen {
            Seen::At(id, addresses) if native_there(&id) => self.at(natives, &id, addresses),
            Seen::Port {
                membership,
                family,
                port,
            } if native_there(&port.node_id()) => {
                self.registered(own, natives, &port.node_id(), membership, &family, &port);
            }
            // What this node says itself for its stand-ins, or not of a neighbour yet.
            Seen::At(..) | Seen::Port { .. } => {}
        }
    }
}
