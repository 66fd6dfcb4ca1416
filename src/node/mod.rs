//! The node: ports, monitors, links to other nodes, requests, spawning.
//!
//! [`Node`] is the handle that everything starts from. What its clones share is one `Inner`;
//! `control` carries out what the rules of the mesh decide, `link` what those of peering do.
//! `docs/architecture.md` has the whole picture.
//!
//! # What is kept where
//!
//! Nothing is shared by the nodes of a process but two things of `config::rc`: a count that makes
//! the names of temporary files differ, and the files that were warned about. A node keeps all that
//! it knows of the network. A thread keeps what spares the next message a look-up or an allocation,
//! and what it is doing:
//!
//! | where | what it holds | who clears it |
//! |---|---|---|
//! | `jobs` | port code and actions that came up while the thread runs such code | who entered, at its end |
//! | `send_cache` | a buffer to encode in; the port and the peer that the last message went to | another node's message, the end of a link, a dead port |
//! | `fast_path` | the ports and tags that messages came for | another node's turn, the end of a link, when it is full |
//! | `queue` | an empty batch | the next port that runs |
//! | `net::intake` | an empty block to read into | the next read |
//! | `port` | the port whose code runs | the end of that code |
//! | `request` | that a request of this node is being performed | its end |
//! | `link::thread` | the link whose reader runs; the peer whose monitors fire | the end of the turn, of the firing |
//!
//! None of it keeps a node alive, nor what the code of a dead port held.

mod answers;
mod api;
mod build;
mod cert;
mod code;
mod context;
pub(crate) mod control;
mod counters;
mod data;
mod database;
mod drain;
mod error;
mod events;
mod fast_path;
mod favours;
mod followed;
mod funcs;
mod groups;
mod handler;
mod held;
mod jobs;
mod limits;
pub(crate) mod link;
mod logs;
mod mailbox;
mod metrics;
mod monitor;
mod open_metrics;
mod polled;
mod port;
mod port_handle;
mod ports;
mod queue;
mod random;
mod report;
pub(crate) mod request;
mod roster;
mod rules;
mod run_word;
mod seeds;
mod send_cache;
mod sending;
mod service;
mod settings;
mod stand_in;
mod state;
mod stats;
mod stop;
pub(crate) mod traced;
mod typed;
mod values;
mod watched;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use answers::{ERROR_REPLY, Reply};
pub use code::{Failure, Handled, IntoOutcome};
pub use context::Context;
pub use data::{DataConnError, DataStream};
pub use database::{DbChange, DbChanges, DbEntry, DbError, DbFamily, DbGuard, DbUnfit, DbValues};
pub use drain::Unfinished;
pub use error::{CalError, SendError, Stopped};
pub use events::{NodeEvent, NodeEvents};
pub use followed::{GroupChange, GroupChanges, Members};
pub use funcs::Evaluator;
pub use groups::{Registration, RegistrationGuard};
pub use handler::Receive;
pub use logs::{LogLine, LogLines};
pub use mailbox::{Mailbox, RecvError};
pub use metrics::Metrics;
pub use monitor::{Monitor, MonitorGuard};
pub use open_metrics::OPEN_METRICS_TYPE;
pub use port::Misfit;
pub use port_handle::Port;
pub use report::{LinkLoss, PortDeath, REPORT_FUNCTION, Report};
pub use rules::BridgeRules;
pub use seeds::SeedStatus;
pub use service::{Balance, Service};
pub use state::{State, StatePort};
pub use stats::{FUNCTIONS_FUNCTION, LinkStats, NodeStats, STATS_FUNCTION};
pub use typed::{Address, AsMessage, Destination};
pub use values::ByValue;

pub(crate) use build::{
    STAND_IN_KEY, ServiceFailed, UnknownName, bind, build, listen_on, run_services, stand_in,
};
pub(crate) use counters::Loss;
pub(crate) use fast_path::FastPath;
pub(crate) use jobs::{enter, enter_task};
pub(crate) use polled::Polled;
pub(crate) use random::Random;
pub(crate) use send_cache::give_buffer;
pub(crate) use settings::Settings;
pub(crate) use stand_in::{Forwarded, Observer, Relay};

use crate::net::tls::Tls;
use crate::net::{Transport, Versions};
use crate::peering::missing_port;
use crate::proto::handshake::Local;
use crate::proto::{NodeId, PortId, Reason};
use control::Control;
use counters::Counters;
use funcs::Functions;
use held::Memory;
use limits::Met;
use link::{Admission, Peer, Peers, Retired};
use monitor::{Action, Watcher};
use port::{PortCell, Start};
use ports::Ports;
use request::Gate;
use stop::Lifecycle;

/// A node of an AEMP network, running in this process.
///
/// This is a handle: clones are the same node.
///
/// # What keeps it running
///
/// The node stops when [`shutdown`](Node::shutdown) or
/// [`shutdown_within`](Node::shutdown_within) is called, or when the last handle is dropped that
/// the program got from [`Builder::start`](crate::Builder::start) or [`Node::local`], or cloned
/// from one of these.
///
/// Nothing else keeps it running: no [`Port`], [`Mailbox`], [`Context`] or supervisor, nor what was
/// cloned from the node of a [`Context`]. So code of a port that holds on to ports does not keep
/// its own node from ending. The program has to hold the node, in `main` as a rule; what starts a
/// service gives it back with its ports:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use aemp::{Node, Port};
///
/// fn service() -> (Node, Port) {
///     let node = Node::local();
///     let port = node.port_with(|_, _| {});
///     (node, port) // with the port alone the node would end here
/// }
///
/// let (node, port) = service();
/// let (same, closed) = (node.clone(), node.closed());
/// drop(node);
/// assert!(port.is_alive());
/// drop(same); // the last one
/// closed.await;
/// assert!(!port.is_alive());
/// # }
/// ```
///
/// # Example
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

pub(crate) struct Inner {
    pub(crate) id: NodeId,
    pub(crate) runtime: Handle,
    pub(crate) settings: Settings,
    pub(crate) gate: Gate,
    pub(crate) admission: Admission,
    /// What came of the seeds.
    pub(crate) seeds: seeds::Seeds,
    /// Which limits were met.
    pub(crate) limits: Met,
    pub(crate) counters: Counters,
    /// What others were told of it last.
    reports: report::Reports,
    pub(crate) handshake: Arc<Local>,
    pub(crate) ports: Ports,
    pub(crate) peers: Peers,
    /// What other nodes make this one hold.
    pub(crate) memory: Arc<Memory>,
    pub(crate) functions: Functions,
    /// What it keeps because others asked for it.
    pub(crate) favours: favours::Favours,
    /// What there is of data connections.
    data: data::DataConns,
    /// Who gets the log lines of this process.
    sources: logs::Sources,
    pub(crate) control: Control,
    pub(crate) listeners: RwLock<Vec<String>>,
    pub(crate) transport: Transport,
    /// How it speaks TLS, if it does.
    pub(crate) tls: Option<Arc<Tls>>,
    /// The versions that listeners speak.
    versions: Versions,
    /// The right to make a connection: there is one for each that may be made at a time.
    dials: tokio::sync::Semaphore,
    pub(crate) random: Random,
    /// What makes a stand-in of this node.
    pub(crate) relay: Option<Arc<dyn Relay>>,
    /// The bridge that this is the own node of.
    pub(crate) observer: std::sync::OnceLock<Arc<dyn Observer>>,
    pub(crate) lifecycle: Lifecycle,
    events: events::Subscribers,
    /// How many numbers were given out. A bridge's node and its stand-ins count together, as they
    /// compare each other's.
    serial: Arc<AtomicU64>,
}

/// Drops what this thread remembers of ports and nodes.
pub(crate) fn forget() {
    fast_path::forget();
    send_cache::forget();
}

impl Inner {
    /// A number that was not given out before.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// How many connections are being made.
    pub(crate) fn dials_under_way(&self) -> usize {
        let most = self.settings.max_dials;
        most.saturating_sub(self.dials.available_permits())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lifecycle.is_stopping()
    }

    /// An error if the node has stopped.
    #[inline]
    pub(crate) fn running(&self) -> Result<(), Stopped> {
        match self.is_stopping() {
            true => Err(Stopped),
            false => Ok(()),
        }
    }

    /// The peer of this ID, which is new if there was none.
    #[inline]
    pub(crate) fn peer(&self, id: &str) -> Arc<Peer> {
        self.peers.get_or_add(id, || self.next_serial(), None)
    }

    /// Does something with the peer of this ID, looked up again as often as it was taken out of the
    /// table meanwhile.
    pub(crate) fn with_peer<T>(
        &self,
        id: &str,
        mut act: impl FnMut(&Arc<Peer>) -> Result<T, Retired>,
    ) -> T {
        loop {
            if let Ok(done) = act(&self.peer(id)) {
                return done;
            }
        }
    }

    #[inline]
    pub(crate) fn is_local(&self, port: &PortId) -> bool {
        port.node() == self.id.as_str() || port.node().is_empty()
    }

    /// Creates a local port.
    pub(crate) fn new_port(self: &Arc<Self>) -> Arc<PortCell> {
        loop {
            let port = Arc::new(PortCell::new(
                self.id.port(&self.ports.new_name()),
                Start::Idle,
            ));
            // Another node may have spawned a port of just that name.
            if self.ports.insert(port.clone()) {
                if self.is_stopping() {
                    // Whoever kills the ports may have been here already.
                    port.die_of(self, Reason::normal());
                }
                return port;
            }
        }
    }

    /// Creates a local port of a given name for another node. `None` if it exists.
    pub(crate) fn new_spawned_port(
        self: &Arc<Self>,
        name: &str,
        spawner: Option<NodeId>,
    ) -> Option<Arc<PortCell>> {
        let port = Arc::new(PortCell::spawned(self.id.port(name), spawner));
        self.ports.insert(port.clone()).then_some(port)
    }

    /// Kills a port, here or there.
    pub(crate) fn kil(self: &Arc<Self>, port: &PortId, reason: Reason) {
        if self.is_local(port) {
            if let Some(port) = self.ports.get(port.name()) {
                port.kill(self, reason);
            }
            return;
        }
        self.with_peer(port.node(), |peer| {
            peer.send_kill(self, port.name(), &reason)
        });
    }

    /// Sets a monitor.
    pub(crate) fn monitor(self: &Arc<Self>, port: &PortId, action: Action) -> Monitor {
        let serial = self.next_serial();
        let monitor = Monitor::new(self, port.clone(), serial);
        if !self.is_local(port) {
            let mut action = Some(action);
            self.with_peer(port.node(), |peer| {
                peer.monitor(self, port.name(), serial, &mut action)
            });
            return monitor;
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
            let reason = missing_port(Some(port.to_string()));
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
                self.control.node_up(self, node);
                crate::log::log_at!(7, [node.as_str()], node = node, "{node} is up ()");
            }
            NodeEvent::Down { node, reason } => {
                self.control.node_down(self, node);
                crate::log::log_at!(
                    7,
                    [node.as_str()],
                    node = node,
                    reason = reason,
                    "{node} is down ({reason})"
                );
            }
        }
        if let Some(observer) = self.observer.get() {
            observer.event(self, &event);
        }
        self.events.tell(event);
    }

    /// Whether a local port of this ID exists.
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

/// Why monitors fire that are set while the node stops.
const STOPPING: &str = "node is shutting down";

/// By-name tables that programs fill.
pub(crate) type Table<T> = RwLock<HashMap<String, T>>;
