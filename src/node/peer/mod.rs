//! Another node, as seen from here: its link, what waits to be sent, who monitors what.
//!
//! ```text
//!            first message          connected
//!     Idle ────────────────▶ Connecting ────────▶ Up
//!      ▲                         │ time is up      │ link lost
//!      │   every monitor fired   ▼                 ▼
//!      └───────────────────── Failing ◀────────────┘
//! ```
//!
//! `Failing` is what keeps the delivery guarantee: from the loss of the link until the monitors of a port
//! have fired, whatever is sent to that port is lost, too, and a monitor that is set on it fires with the
//! others. What the monitors' actions send themselves is kept for the next link, and what is sent to
//! ports whose monitors have fired; if any such message is lost all the same, their new monitors fire,
//! too. No link comes up before all have fired.

mod election;
mod linking;
mod losing;
mod monitors;
mod output;
mod pending;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use election::Verdict;
use election::elect;
pub(crate) use pending::missing_port;
use pending::{Pending, WithPort};

use super::Inner;
use super::ending::Ending;
use super::monitor::Action;
use super::stats::LinkStats;
use super::work;
use crate::log::log_at;
use crate::proto::handshake::Peer as PeerInfo;
use crate::proto::message::encode_in;
use crate::proto::{Framing, Generation, NodeId, Reason};

/// Another node.
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    state: Mutex<PeerState>,
    /// Held while the node comes up or goes down, so that both are told in their order.
    lifecycle: Mutex<()>,
    /// Tells senders that wait that the queue has become shorter.
    room: Notify,
    /// The framing of the present link, for those who encode a message before they take our lock.
    framing: AtomicU8,
}

struct PeerState {
    phase: Phase,
    /// What waits until there is a link.
    pending: Vec<Pending>,
    pending_octets: usize,
    /// Encoded for the present link, to be written.
    out: Vec<u8>,
    /// Octets that the writer, or the reader in its place, took and has not written yet.
    in_flight: usize,
    /// Somebody else than the writer writes.
    flushing: bool,
    /// The next message, if nothing waits before it, is written by who sends it: see
    /// [`pause`](Self::pause). Those behind it are gathered.
    first: bool,
    /// How many messages had been sent by the link at its last pause.
    paused_at: u64,
    /// That message was appended to what is to be written.
    direct: Option<Arc<Link>>,
    /// Ports there that somebody here monitors.
    monitors: HashMap<Box<str>, Vec<(u64, Action)>>,
    /// Monitors that were set while others fire: they fire with them.
    late: Vec<(u64, Action)>,
    /// While `Failing`: the ports whose monitors have not all fired yet.
    unfired: HashSet<Box<str>>,
    /// Local ports that the node monitors.
    watching: HashSet<Box<str>>,
    /// How often a link came up.
    links: u64,
    /// The present life: it ends when the link, or the attempt to get one, is lost.
    life: u64,
    /// A connection of ours to the node awaits its token since then.
    dialing: Option<(u64, Instant)>,
    /// Taken out of the table of peers: look it up again.
    gone: bool,
}

enum Phase {
    Idle,
    Connecting(Arc<Connecting>),
    Up(Arc<Link>),
    Failing,
}

/// The attempt to get a link.
pub(crate) struct Connecting {
    pub(crate) serial: u64,
    pub(crate) addresses: Mutex<Vec<String>>,
    /// New addresses became known.
    pub(crate) news: Notify,
    pub(crate) ended: CancellationToken,
}

/// A connection that messages flow on.
pub(crate) struct Link {
    /// What passed it so far.
    pub(crate) traffic: Traffic,
    pub(crate) serial: u64,
    pub(crate) info: PeerInfo,
    pub(crate) send_framing: Framing,
    pub(crate) recv_framing: Framing,
    pub(crate) remote: String,
    /// There is something to write.
    pub(crate) ready: Notify,
    /// What the writer writes to, as long as it does.
    pub(crate) socket: Mutex<Option<Arc<OwnedWriteHalf>>>,
    /// The other side closed the connection.
    pub(crate) closed_there: AtomicBool,
    /// The link is lost or given up: both halves stop.
    pub(crate) ending: Ending,
    /// What a bridge knows of the link.
    pub(crate) pair: super::relay::Pair,
}

/// Counts of messages and octets, each way.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) sent_octets: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) received_octets: AtomicU64,
}

impl Traffic {
    /// Counts a message that is sent, under the peer's lock: nobody else changes the count meanwhile.
    #[inline]
    fn count_sent(&self) {
        let sent = self.sent.load(Ordering::Relaxed) + 1;
        self.sent.store(sent, Ordering::Relaxed);
    }
}

impl Link {
    /// Writes as much as goes at once.
    fn write(&self, octets: &[u8]) -> std::io::Result<usize> {
        match &*self.socket.lock() {
            Some(socket) => socket.try_write(octets),
            None => Ok(0),
        }
    }
}

thread_local! {
    /// The link whose reader this thread runs, which will [flush](Peer::flush) it.
    static READING: Cell<*const Link> = const { Cell::new(std::ptr::null()) };
    /// The peer whose monitors this thread is firing.
    static FIRING: Cell<*const Peer> = const { Cell::new(std::ptr::null()) };
}

impl Peer {
    pub(crate) fn new(id: NodeId) -> Self {
        Peer {
            id,
            state: Mutex::new(PeerState::new()),
            lifecycle: Mutex::new(()),
            room: Notify::new(),
            framing: AtomicU8::new(Framing::Json as u8),
        }
    }

    /// The framing to encode messages in, most likely: see [`send`](Self::send).
    #[inline]
    pub(crate) fn framing(&self) -> Framing {
        let framing = self.framing.load(Ordering::Relaxed);
        let is = |known: &Framing| *known as u8 == framing;
        Framing::ALL.into_iter().find(is).unwrap_or(Framing::Json)
    }

    /// The present link.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        match &self.state.lock().phase {
            Phase::Up(link) => Some(link.clone()),
            _ => None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Up(_))
    }

    pub(crate) fn generation(&self) -> Option<Generation> {
        self.link().map(|link| link.info.generation)
    }

    /// The link's counts, if there is one.
    pub(crate) fn stats(&self) -> Option<LinkStats> {
        let state = self.state.lock();
        let Phase::Up(link) = &state.phase else {
            return None;
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(LinkStats {
            node: self.id.clone(),
            remote: link.remote.clone(),
            generation: link.info.generation.name().to_owned(),
            provider: link.info.greeting.param("provider").map(str::to_owned),
            send_framing: link.send_framing.name().to_owned(),
            recv_framing: link.recv_framing.name().to_owned(),
            sent: count(&link.traffic.sent),
            sent_octets: count(&link.traffic.sent_octets),
            received: count(&link.traffic.received),
            received_octets: count(&link.traffic.received_octets),
            queued_octets: state.out.len() + state.in_flight,
            reconnects: state.links.saturating_sub(1),
        })
    }

    /// Sends a message to the port `name` that [`encode_in`] has encoded in `framing`, if fewer than
    /// `most` octets wait for the writer. What is in `encoded` after it was sent does not matter any more.
    pub(crate) fn send(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        framing: Framing,
        encoded: &mut Vec<u8>,
        most: usize,
    ) -> Sent {
        let mut sent = Sent::Done;
        let known = self.with_state(node, name, |state| {
            if state.framing() != framing {
                sent = Sent::OtherFraming;
            } else if state.queued() < most {
                state.append_all(encoded);
            } else {
                sent = Sent::NoRoom;
            }
        });
        if known { sent } else { Sent::Unknown }
    }

    /// The present life, if there is a link or an attempt to get one.
    pub(crate) fn life(&self) -> Option<u64> {
        let state = self.state.lock();
        match state.phase {
            Phase::Connecting(_) | Phase::Up(_) => Some(state.life),
            Phase::Idle | Phase::Failing => None,
        }
    }

    /// Sends what came by another link, encoded in `framing`, in the life that this is bound to; the first time, to the present one.
    pub(crate) fn forward(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        bound: &std::sync::OnceLock<u64>,
        framing: Framing,
        encoded: &[u8],
    ) -> super::relay::Forwarded {
        use super::relay::Forwarded;
        let mut state = self.state.lock();
        if state.gone {
            return Forwarded::Unknown;
        }
        if node.is_stopping() || *bound.get_or_init(|| state.life) != state.life {
            return Forwarded::Lost;
        }
        if state.framing() != framing {
            return Forwarded::OtherFraming;
        }
        state.append(encoded);
        self.after_sending(node, state);
        Forwarded::Done
    }

    /// Asks the node to kill a port of its own. False: look the peer up again.
    pub(crate) fn send_kill(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        reason: &Reason,
    ) -> bool {
        if let Some(generation) = self.generation()
            && !generation.has_remote_kill()
        {
            let id = &self.id;
            log_at!(
                8,
                "{id} (generation {generation}) can't be told to kill its port {name}"
            );
        }
        self.with_state(node, name, |state| match &state.phase {
            Phase::Up(link) => {
                let verb = link.info.generation.kill_verb();
                state.request(&WithPort(verb, name, reason));
            }
            _ => {
                state.pending_octets += name.len() + 64 + reason.size();
                let kill = Pending::Kill(name.into(), reason.clone());
                state.pending.push(kill);
            }
        })
    }

    /// Does something that may send to the port `name`, and looks after what follows from that. False:
    /// look the peer up again.
    fn with_state(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        send: impl FnOnce(&mut PeerState),
    ) -> bool {
        let mut state = self.state.lock();
        if state.gone {
            return false;
        }
        if node.is_stopping() {
            return true;
        }
        if self.is_losing(&state, name) {
            // Who monitors the port anew must hear of this loss.
            if let Some(anew) = state.monitors.remove(name) {
                state.late.extend(anew);
            }
            return true;
        }
        send(&mut state);
        self.after_sending(node, state);
        true
    }

    /// Whether a message to the port is lost, because its monitors are still to fire. The actions of
    /// monitors themselves send for the next link.
    fn is_losing(&self, state: &PeerState, name: &str) -> bool {
        matches!(state.phase, Phase::Failing)
            && FIRING.get() != std::ptr::from_ref(self)
            && (state.unfired.contains(name) || state.unfired.contains(""))
    }

    /// Keeps the queue in its bounds, and sees to it that there will be a link.
    fn after_sending(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut state: parking_lot::MutexGuard<'_, PeerState>,
    ) {
        if state.waiting() > node.settings.max_queue {
            let limit = node.settings.max_queue;
            let text = format!("more than {limit} octets are waiting to be sent");
            state.direct = None;
            self.give_up(node, state, &text);
        } else if matches!(state.phase, Phase::Idle) {
            self.start_connecting(node, &mut state);
        } else if let Some(link) = state.direct.take() {
            drop(state);
            self.flush(&link, false);
        }
    }
}

/// What became of a message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is on its way, or lost as the guarantee demands.
    Done,
    /// Too much is waiting already.
    NoRoom,
    /// It was encoded in another framing than the link's.
    OtherFraming,
    /// Look the peer up again.
    Unknown,
}

impl PeerState {
    fn new() -> Self {
        PeerState {
            phase: Phase::Idle,
            pending: Vec::new(),
            pending_octets: 0,
            out: Vec::new(),
            in_flight: 0,
            flushing: false,
            first: true,
            paused_at: 0,
            direct: None,
            monitors: HashMap::new(),
            late: Vec::new(),
            unfired: HashSet::new(),
            watching: HashSet::new(),
            links: 0,
            life: next_life(),
            dialing: None,
            gone: false,
        }
    }

    /// How many octets wait for the writer.
    fn queued(&self) -> usize {
        self.pending_octets + self.out.len()
    }

    /// How many octets are not written yet.
    fn waiting(&self) -> usize {
        self.queued() + self.in_flight
    }

    /// The framing of what is sent: the link's, or, while there is none, JSON.
    fn framing(&self) -> Framing {
        match &self.phase {
            Phase::Up(link) => link.send_framing,
            _ => Framing::Json,
        }
    }

    /// Appends a request to the node: strings and values, which always serialise.
    fn request(&mut self, args: &impl Serialize) {
        let framing = self.framing();
        let result = match &self.phase {
            Phase::Up(_) => {
                let first = self.out.is_empty();
                let encoded = encode_in(&mut self.out, framing, "", args);
                encoded.map(|()| self.appended(first))
            }
            _ => {
                let mut octets = Vec::with_capacity(64);
                let encoded = encode_in(&mut octets, framing, "", args);
                encoded.map(|()| self.append(&octets))
            }
        };
        if let Err(error) = result {
            log_at!(1, "a request can't be sent: {error}");
        }
    }

    /// Appends a message that is encoded in [our framing](Self::framing).
    fn append(&mut self, encoded: &[u8]) {
        if matches!(self.phase, Phase::Up(_)) {
            let first = self.out.is_empty();
            self.out.extend_from_slice(encoded);
            self.appended(first);
            return;
        }
        self.pending_octets += encoded.len();
        match self.pending.last_mut() {
            Some(Pending::Json(octets)) => octets.extend_from_slice(encoded),
            _ => self.pending.push(Pending::Json(encoded.to_vec())),
        }
    }

    /// Something came by the link, or its writer has nothing to do. If no more than one message was sent since
    /// that was so before, then the next one is likely to be alone as well.
    fn pause(&mut self) {
        if let Phase::Up(link) = &self.phase {
            let sent = link.traffic.sent.load(Ordering::Relaxed);
            self.first = sent.wrapping_sub(self.paused_at) <= 1;
            self.paused_at = sent;
        }
    }

    /// A message was appended to what is to be written, of which it may be the first.
    #[inline]
    fn appended(&self, first: bool) {
        if let Phase::Up(link) = &self.phase {
            link.traffic.count_sent();
            if first && READING.get() != Arc::as_ptr(link) {
                link.ready.notify_one();
            }
        }
    }

    /// The same for a message that a program sends, to be followed by [`after_sending`](Peer::after_sending).
    /// If nothing waits before it, it may be written there and then, and if it is large it is not copied:
    /// its buffer takes the place of ours, and the other way round.
    fn append_all(&mut self, encoded: &mut Vec<u8>) {
        const LARGE: usize = 8 * 1024;
        let Phase::Up(link) = &self.phase else {
            return self.append(encoded);
        };
        if !self.out.is_empty() {
            return self.append(encoded);
        }
        // Port code is likely to send more, here or to others: that is gathered.
        let busy = self.in_flight > 0 || work::is_inside();
        if !busy && std::mem::take(&mut self.first) {
            self.direct = Some(link.clone());
            link.traffic.count_sent();
        } else {
            self.appended(true);
        }
        match encoded.len() {
            LARGE.. => std::mem::swap(&mut self.out, encoded),
            _ => self.out.extend_from_slice(encoded),
        }
    }
}

/// A number for a life: no two lives have the same, of whichever peer.
fn next_life() -> u64 {
    static LIVES: AtomicU64 = AtomicU64::new(0);
    LIVES.fetch_add(1, Ordering::Relaxed)
}

/// Why monitors fire that are set while the node stops.
const STOPPING: &str = "node is shutting down";
