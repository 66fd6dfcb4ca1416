//! The node: ports, monitors, links to other nodes, requests, spawning.
//!
//! [`Node`] is the handle that everything starts from.

mod api;
mod builder;
mod claim;
mod context;
mod database;
pub(crate) mod ending;
mod events;
mod funcs;
mod groups;
mod handler;
mod mailbox;
mod monitor;
pub(crate) mod peer;
mod peers;
mod phase;
mod port;
mod port_handle;
mod ports;
mod queue;
mod relay;
pub(crate) mod request;
mod scratch;
mod stats;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use api::{CalError, SendError};
pub use builder::{Builder, StartError};
pub use context::Context;
pub use database::{DbChange, DbChanges, DbEntry, DbError, DbGuard};
pub use events::{NodeEvent, NodeEvents};
pub use funcs::Evaluator;
pub use groups::{GroupChange, GroupChanges, Registration, RegistrationGuard};
pub use handler::Receive;
pub use mailbox::{Mailbox, RecvError};
pub use monitor::{Monitor, MonitorGuard};
pub use port_handle::{IntoOutcome, Port};
pub use stats::{LinkStats, NodeStats, STATS_FUNCTION};

pub(crate) use builder::{STAND_IN_KEY, listen_on, stand_in};
pub(crate) use claim::Claims;
pub(crate) use monitor::call as action;
pub(crate) use relay::{Forwarded, Observer, Pair, Relay};
pub(crate) use scratch::offer as offer_buffer;
pub(crate) use work::{enter, enter_task};

use crate::mesh::Mesh;
use crate::proto::generation::Generations;
use crate::proto::handshake::Local;
use crate::proto::id::perl_counter;
use crate::proto::message::{EncodeError, encode_in, encode_local};
use crate::proto::{Framing, Limits, Message, NodeId, PortId, Reason};
use funcs::Functions;
use monitor::{Action, Watcher};
use peer::{Peer, Sent};
use port::{PortCell, Queued};
use ports::Ports;
use queue::Given;
use scratch::Scratch;
use work::Job;

/// A node of an AEMP network, running in this process.
///
/// This is a handle: clones are the same node. The node stops when [`shutdown`](Node::shutdown) is
/// called, or when the last handle is dropped that the program got from [`Builder::start`] or
/// [`Node::local`] (or cloned from that).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let node = aemp::Node::local();
/// let port = node.port();
/// let same = node.clone();
/// assert_eq!(same.id(), node.id());
/// assert!(same.local_port(&port).is_some());
/// # }
/// ```
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
    _owner: Option<Arc<Owner>>,
}

/// Stops the node when the last handle of the program goes.
struct Owner(CancellationToken);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What can be configured of a running node.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) generations: Generations,
    pub(crate) monitor_timeout: Option<Duration>,
    pub(crate) network_latency: Duration,
    pub(crate) connect_interval: Duration,
    pub(crate) limits: Limits,
    pub(crate) max_queue: usize,
    pub(crate) max_mailbox: usize,
    pub(crate) nodelay: bool,
    /// Nothing is run here for other nodes.
    pub(crate) secure: bool,
}

/// So many messages may wait in a port of this node before a sender that waits for room waits.
const LOCAL_ROOM: usize = 4096;

impl Settings {
    /// How long an attempt to reach a node may take, and how long a handshake.
    pub(crate) fn monitor_timeout(&self) -> Duration {
        let default = match self.generations {
            Generations::Only(0) => Duration::from_secs(15),
            _ => Duration::from_secs(30),
        };
        self.monitor_timeout.unwrap_or(default)
    }

    /// The idle time-out that we announce to generation 0: the time in which a silent peer is given
    /// up, less what the network may take.
    pub(crate) fn idle_timeout(&self) -> Duration {
        let gen0 = self.monitor_timeout.unwrap_or(Duration::from_secs(15));
        let least = Duration::from_secs(1) + self.network_latency;
        gen0.saturating_sub(self.network_latency).max(least)
    }
}

pub(crate) struct Inner {
    pub(crate) id: NodeId,
    pub(crate) runtime: Handle,
    pub(crate) settings: Settings,
    pub(crate) handshake: Arc<Local>,
    pub(crate) ports: Ports,
    pub(crate) peers: peers::Peers,
    pub(crate) functions: Functions,
    pub(crate) mesh: Mesh,
    pub(crate) listeners: RwLock<Vec<String>>,
    /// What makes a stand-in of this node.
    pub(crate) relay: Option<Arc<dyn Relay>>,
    /// The bridge that this is the own node of.
    pub(crate) observer: std::sync::OnceLock<Arc<dyn Observer>>,
    pub(crate) stop: CancellationToken,
    /// The node is about to stop: no link comes up any more.
    stopping: AtomicBool,
    events: events::Subscribers,
    tasks: TaskTracker,
    /// Kills of ports that wait behind messages.
    pub(crate) kills: TaskTracker,
    /// Everything has been told that the node stopped.
    halted: CancellationToken,
    /// The cookie in the names of local ports.
    uniq: String,
    /// The cookie in the names of ports that we spawn elsewhere.
    runiq: String,
    /// Tells senders that a port's queue has become shorter.
    port_room: Notify,
    port_counter: AtomicU64,
    serial: AtomicU64,
}

/// Drops what this thread remembers of ports and nodes.
pub(crate) fn forget() {
    claim::forget();
    scratch::forget();
}

impl Inner {
    /// A number that was not given out before.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Runs a task that ends when the node stops.
    pub(crate) fn spawn_task(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        // So that what is moved here and there until the task runs is little.
        let task = Box::pin(task);
        self.tasks.spawn_on(
            async move {
                tokio::select! {
                    biased; // a node that stops begins nothing new
                    () = stop.cancelled() => {}
                    () = task => {}
                }
            },
            &self.runtime,
        );
    }

    /// Runs a task that ends by itself soon after the node stops.
    pub(crate) fn spawn_link_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    #[inline]
    pub(crate) fn is_local(&self, port: &PortId) -> bool {
        port.node() == self.id.as_str() || port.node().is_empty()
    }

    fn new_port_id(&self) -> PortId {
        let n = self.port_counter.fetch_add(1, Ordering::Relaxed);
        self.id.port(&format!("{}.{}", self.uniq, perl_counter(n)))
    }

    /// A name for a port that is to be created on another node.
    fn new_remote_name(&self) -> String {
        let n = self.port_counter.fetch_add(1, Ordering::Relaxed);
        format!("{}.{}", self.runiq, perl_counter(n))
    }

    /// Creates a local port.
    pub(crate) fn new_port(self: &Arc<Self>) -> Arc<PortCell> {
        loop {
            let port = Arc::new(PortCell::new(self.new_port_id(), false));
            // Another node may have spawned a port of just that name.
            if self.ports.insert(port.clone()) {
                return port;
            }
        }
    }

    /// Creates a local port of a given name for another node. `None` if it exists.
    pub(crate) fn new_spawned_port(self: &Arc<Self>, name: &str) -> Option<Arc<PortCell>> {
        let port = Arc::new(PortCell::new(self.id.port(name), true));
        self.ports.insert(port.clone()).then_some(port)
    }

    /// Sends a message.
    pub(crate) fn snd<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        to: &PortId,
        args: &T,
    ) -> Result<(), SendError> {
        self.trace_sending(to, args)?;
        self.snd_if_room(to, args, usize::MAX).map(drop)
    }

    /// Sends a message that is encoded already.
    pub(crate) fn snd_message(
        self: &Arc<Self>,
        to: &PortId,
        message: &Message,
    ) -> Result<(), SendError> {
        self.trace_sending(to, message)?;
        scratch::with(self, |scratch| {
            if self.is_local(to) {
                message.encode_local(&mut scratch.octets)?;
                self.deliver(scratch, to.name(), usize::MAX);
                return Ok(());
            }
            let encode = |out: &mut Vec<u8>, framing| message.encode_in(out, framing, to.name());
            self.snd_there(scratch, to, encode, usize::MAX).map(drop)
        })
    }

    /// Shows a message that is about to be sent, if somebody looks.
    pub(crate) fn trace_sending<T: Serialize + ?Sized>(
        &self,
        to: &PortId,
        args: &T,
    ) -> Result<(), SendError> {
        if crate::trace::enabled() {
            crate::trace::sent(to.node(), &Message::encode(args)?);
        }
        Ok(())
    }

    /// Sends a message, if fewer than `most` octets wait to be sent to the port's node, or fewer messages
    /// than [`LOCAL_ROOM`] in a port of this node. Otherwise says what to wait for.
    pub(crate) fn snd_if_room<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        to: &PortId,
        args: &T,
        most: usize,
    ) -> Result<Option<Full>, SendError> {
        scratch::with(self, |scratch| match self.is_local(to) {
            true => self.snd_here(scratch, to.name(), args, most),
            false => {
                let encode = |out: &mut Vec<u8>, framing| encode_in(out, framing, to.name(), args);
                self.snd_there(scratch, to, encode, most)
            }
        })
    }

    #[inline]
    fn snd_here<T: Serialize + ?Sized>(
        self: &Arc<Self>,
        scratch: &mut Scratch,
        name: &str,
        args: &T,
        most: usize,
    ) -> Result<Option<Full>, SendError> {
        encode_local(&mut scratch.octets, args)?;
        let most = if most == usize::MAX { most } else { LOCAL_ROOM };
        Ok(self.deliver(scratch, name, most).map(Full::Port))
    }

    #[inline]
    fn snd_there(
        self: &Arc<Self>,
        scratch: &mut Scratch,
        to: &PortId,
        encode: impl Fn(&mut Vec<u8>, Framing) -> Result<(), EncodeError>,
        most: usize,
    ) -> Result<Option<Full>, SendError> {
        let mut encoded = None;
        loop {
            let (peer, octets) = scratch.peer(self, to.node());
            let framing = peer.framing();
            if encoded != Some(framing) {
                octets.clear();
                encode(octets, framing)?;
                encoded = Some(framing);
            }
            match peer.send(self, to.name(), framing, octets, most) {
                Sent::Done => return Ok(None),
                Sent::NoRoom => return Ok(Some(Full::Peer(peer.clone()))),
                Sent::Unknown => scratch.forget_peer(),
                Sent::OtherFraming => {}
            }
        }
    }

    /// Waits for room for a message.
    pub(crate) async fn wait_for_room(&self, full: Full, most: usize) {
        let port = match full {
            Full::Peer(peer) => return peer.wait_for_room(most).await,
            Full::Port(port) => port,
        };
        loop {
            let room = self.port_room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if port.has_room(LOCAL_ROOM) {
                return;
            }
            room.await;
        }
    }

    /// Tells those who wait for room in a port of this node.
    pub(crate) fn tell_room(&self, awaited: &mut bool) {
        if std::mem::take(awaited) {
            self.port_room.notify_waiters();
        }
    }

    /// Hands the message that is encoded in `scratch` to a local port, or to the node port. A message to a
    /// port that does not exist is dropped. Gives the port back if `most` messages wait there already.
    fn deliver(
        self: &Arc<Self>,
        scratch: &mut Scratch,
        name: &str,
        most: usize,
    ) -> Option<Arc<PortCell>> {
        if self.is_stopping() {
            return None;
        }
        if name.is_empty() {
            request::perform_local(self, Message::from_local(&scratch.octets));
            return None;
        }
        let octets = std::mem::take(&mut scratch.octets);
        let enqueue = |scratch: &mut Scratch| {
            let port = scratch.port(self, name)?;
            Some(port.enqueue(self, Given::Encoded(&octets), most, false))
        };
        let mut queued = enqueue(scratch);
        if let Some(Queued::Dead) = queued {
            // Another port may have got the name of the one that was remembered.
            scratch.forget_port();
            queued = enqueue(scratch);
        }
        scratch.octets = octets;
        match queued? {
            Queued::Done | Queued::Dead => None,
            Queued::Run(port) => {
                work::schedule(self, Job::Run(port));
                None
            }
            Queued::Full(port) => Some(port),
            Queued::Overflow(port) => {
                port.overflow(self);
                None
            }
        }
    }

    /// Hands a message that came by a link to a local port. If the port is idle, handlers run here and
    /// now: the caller runs no port's code.
    pub(crate) fn deliver_now(self: &Arc<Self>, name: &str, message: Message) {
        if self.is_stopping() {
            return;
        }
        let message = Given::Message(message);
        let enqueue = |port: &Arc<PortCell>| port.enqueue(self, message, usize::MAX, true);
        match self.ports.with(name, enqueue) {
            Some(Queued::Run(port)) => port.run(self),
            Some(Queued::Overflow(port)) => port.overflow(self),
            _ => {}
        }
    }

    /// Kills a port, here or there.
    pub(crate) fn kil(self: &Arc<Self>, port: &PortId, reason: Reason) {
        if self.is_local(port) {
            if let Some(port) = self.ports.get(port.name()) {
                port.kill(self, reason);
            }
            return;
        }
        let peer = || self.peers.get_or_add(port.node());
        while !peer().send_kill(self, port.name(), &reason) {}
    }

    /// Sets a monitor.
    pub(crate) fn monitor(self: &Arc<Self>, port: &PortId, mut action: Action) -> Monitor {
        let serial = self.next_serial();
        let monitor = Monitor::new(self, port.clone(), serial);
        if !self.is_local(port) {
            loop {
                let peer = self.peers.get_or_add(port.node());
                match peer.monitor(self, port.name(), serial, action) {
                    Ok(()) => return monitor,
                    Err(back) => action = back,
                }
            }
        }
        if port.is_node_port() {
            // Our own node port lives as long as we do.
            return monitor;
        }
        let watched = match self.ports.get(port.name()) {
            Some(cell) => cell.watch(serial, Watcher::Local(action)),
            None => Err(Watcher::Local(action)),
        };
        if let Err(Watcher::Local(action)) = watched {
            let reason = peer::missing_port(Some(port.to_string()));
            monitor::fire_soon(self, action, reason);
        }
        monitor
    }

    /// Ends a monitor.
    pub(crate) fn unmonitor(self: &Arc<Self>, port: &PortId, serial: u64) {
        if !self.is_local(port) {
            if let Some(peer) = self.peers.get(port.node()) {
                peer.unmonitor(port.name(), serial);
            }
        } else if let Some(port) = self.ports.get(port.name()) {
            port.unwatch(|n, _| n == serial);
        }
    }

    /// Tells another node that a local port that it monitors died.
    pub(crate) fn tell_death(self: &Arc<Self>, peer: &NodeId, name: &str, reason: &Reason) {
        if let Some(peer) = self.peers.get(peer.as_str()) {
            peer.send_death(self, name, reason);
        }
    }

    /// Tells everybody that a node came up or went down.
    pub(crate) fn tell_event(self: &Arc<Self>, event: NodeEvent) {
        match &event {
            NodeEvent::Up { node, .. } => {
                self.mesh.node_up(self, node);
                crate::log::log_at!(7, node = %node, "{node} is up ()");
            }
            NodeEvent::Down { node, reason } => {
                self.mesh.node_down(self, node);
                crate::log::log_at!(7, node = %node, %reason, "{node} is down ({reason})");
            }
        }
        if let Some(observer) = self.observer.get() {
            observer.event(self, &event);
        }
        self.events.tell(event);
    }

    /// The names of the registered ports per group, for the mesh and the API.
    pub(crate) fn port_exists(&self, port: &PortId) -> bool {
        port.is_node_port() || self.ports.get(port.name()).is_some()
    }
}

/// What a sender can wait for.
pub(crate) enum Full {
    Peer(Arc<Peer>),
    Port(Arc<PortCell>),
}

impl Node {
    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Node {
            inner,
            _owner: None,
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.inner.id)
    }
}

/// By-name tables that programs fill.
pub(crate) type Table<T> = RwLock<HashMap<String, T>>;
