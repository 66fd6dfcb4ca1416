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

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::ending::Ending;
use super::monitor::{self, Action, Watcher};
use super::stats::LinkStats;
use super::work::{self, Job};
use super::{Inner, NodeEvent};
use crate::log::log_at;
use crate::proto::framing::json::JsonScanner;
use crate::proto::handshake::{Peer as PeerInfo, Role};
use crate::proto::message::{EncodeError, encode_in, json_in};
use crate::proto::{Framing, Generation, Limits, NodeId, Reason};

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
    /// The reader writes.
    flushing: bool,
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
    /// The link is lost or given up: both halves stop.
    pub(crate) ending: Ending,
    /// What a bridge knows of the link.
    pub(crate) pair: super::relay::Pair,
}

/// What a lost link leaves to be done.
struct Lost {
    reason: Reason,
    was_up: bool,
    /// The local ports that the node monitored.
    watching: HashSet<Box<str>>,
    /// The monitors on the node's ports.
    monitors: HashMap<Box<str>, Vec<(u64, Action)>>,
}

/// Counts of messages and octets, each way.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) sent_octets: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) received_octets: AtomicU64,
}

/// What waits until there is a link, and so a framing and a generation.
enum Pending {
    /// Messages in JSON framing.
    Json(Vec<u8>),
    /// The wish to kill a port there.
    Kill(Box<str>, Reason),
}

/// What to do with a second connection to one node, once the peer has proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it.
    Accept,
    /// Close it.
    Refuse,
    /// Another connection is about to be decided by the other side, or the node is just going down:
    /// wait for that.
    Wait,
    /// Look the peer up again.
    Retry,
}

/// Decides on an authenticated connection (PROTOCOL.md, "Duplicate connections").
///
/// `up`: a link is there. `dialing`: we have proved ourselves on a connection of our own and the peer
/// decides on it now. Of two such connections the one that the smaller node ID opened stays; both
/// ends come to that by themselves.
pub(crate) fn elect(up: bool, dialing: bool, role: Role, own: &NodeId, peer: &NodeId) -> Verdict {
    match (up, role) {
        (true, _) => Verdict::Refuse,
        (false, Role::Connector) => Verdict::Accept,
        (false, Role::Listener) if dialing && own < peer => Verdict::Wait,
        (false, Role::Listener) => Verdict::Accept,
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
            state: Mutex::new(PeerState {
                phase: Phase::Idle,
                pending: Vec::new(),
                pending_octets: 0,
                out: Vec::new(),
                in_flight: 0,
                flushing: false,
                monitors: HashMap::new(),
                late: Vec::new(),
                unfired: HashSet::new(),
                watching: HashSet::new(),
                links: 0,
                life: next_life(),
                dialing: None,
                gone: false,
            }),
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

    /// Waits until fewer than `octets` wait for the writer.
    pub(crate) async fn wait_for_room(&self, octets: usize) {
        self.wait_until(|state| state.queued() < octets).await;
    }

    /// Waits until fewer than `octets` are not written yet.
    pub(crate) async fn wait_until_fewer(&self, octets: usize) {
        self.wait_until(|state| state.waiting() < octets).await;
    }

    /// Waits until everything is written.
    pub(crate) async fn wait_until_written(&self) {
        self.wait_until(|state| state.waiting() == 0).await;
    }

    /// Waits for a change after which the state is as wanted, unless it is already.
    async fn wait_until(&self, wanted: impl Fn(&PeerState) -> bool) {
        loop {
            let changed = self.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if wanted(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Resolves at the next change of the peer's state: enable it before looking at that.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Waits until no monitors are firing.
    pub(crate) async fn settled(&self) {
        self.wait_until(|state| !matches!(state.phase, Phase::Failing))
            .await;
    }

    /// Sends a message to the port `name` that [`encode_in`] has encoded in `framing`, if fewer than
    /// `most` octets wait for the writer.
    pub(crate) fn send(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        framing: Framing,
        encoded: &[u8],
        most: usize,
    ) -> Sent {
        let mut sent = Sent::Done;
        let known = self.with_state(node, name, |state| {
            if state.framing() != framing {
                sent = Sent::OtherFraming;
            } else if state.queued() < most {
                state.append(encoded);
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

    /// Whether somebody here monitors the port there.
    pub(crate) fn monitors_port(&self, name: &str) -> bool {
        self.state.lock().monitors.contains_key(name)
    }

    /// Loses the link of that serial once everything is written, or cannot be for too long.
    pub(crate) fn fail_when_written(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        serial: u64,
        text: String,
    ) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
        let (peer, home) = (self.clone(), node.clone());
        node.spawn_link_task(async move {
            let _ = tokio::time::timeout(PATIENCE, peer.wait_until_written()).await;
            work::enter(&home.runtime, || peer.fail(&home, serial, &text));
        });
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

    /// Tells the node that a local port that it monitors died, if it still does.
    pub(crate) fn send_death(self: &Arc<Self>, node: &Arc<Inner>, name: &str, reason: &Reason) {
        self.with_state(node, "", |state| {
            if state.watching.remove(name)
                && let Phase::Up(link) = &state.phase
            {
                let verb = link.info.generation.death_verb();
                state.request(&WithPort(verb, name, reason));
            }
        });
    }

    /// Answers a monitor of a port that does not exist.
    pub(crate) fn send_missing(self: &Arc<Self>, node: &Arc<Inner>, name: &str) {
        self.state.lock().watching.insert(name.into());
        let named = self
            .generation()
            .is_some_and(Generation::names_missing_port);
        let reason = missing_port(named.then(|| node.id.port(name).to_string()));
        self.send_death(node, name, &reason);
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
            self.give_up(node, state, &text);
        } else if matches!(state.phase, Phase::Idle) {
            self.start_connecting(node, &mut state);
        }
    }

    /// Monitors a port there, or with an empty name the node. `Err` gives the action back: look the
    /// peer up again.
    pub(crate) fn monitor(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        name: &str,
        serial: u64,
        action: Action,
    ) -> Result<(), Action> {
        let mut state = self.state.lock();
        if state.gone {
            return Err(action);
        }
        if node.is_stopping() {
            drop(state);
            let reason = Reason::transport_error(self.id.as_str(), STOPPING);
            monitor::fire_soon(node, action, reason);
            return Ok(());
        }
        if self.is_losing(&state, name) {
            state.late.push((serial, action));
            return Ok(());
        }
        let first = !state.monitors.contains_key(name);
        let list = state.monitors.entry(name.into()).or_default();
        list.push((serial, action));
        if first && !name.is_empty() {
            state.request(&("mon1", name));
        }
        self.after_sending(node, state);
        Ok(())
    }

    /// Ends a monitor.
    pub(crate) fn unmonitor(self: &Arc<Self>, name: &str, serial: u64) {
        let mut state = self.state.lock();
        if let Some(at) = state.late.iter().position(|(n, _)| *n == serial) {
            let removed = state.late.swap_remove(at);
            drop(state);
            drop(removed);
            return;
        }
        let Some(list) = state.monitors.get_mut(name) else {
            return;
        };
        let Some(at) = list.iter().position(|(n, _)| *n == serial) else {
            return;
        };
        let removed = list.swap_remove(at);
        if list.is_empty() {
            state.monitors.remove(name);
            if !name.is_empty() && !matches!(state.phase, Phase::Idle) {
                state.request(&("mon0", name));
            }
        }
        drop(state);
        drop(removed);
    }

    /// A port there died, as the node tells us: its monitors fire, in the order of its messages. The
    /// caller is the link's reader.
    pub(crate) fn port_died(&self, node: &Arc<Inner>, name: &str, reason: &Reason) {
        let due = self.state.lock().monitors.remove(name);
        for (_, action) in due.into_iter().flatten() {
            monitor::fire(node, action, reason.clone());
        }
    }

    /// Notes that the node monitors a local port.
    pub(crate) fn watches(&self, name: &str) {
        self.state.lock().watching.insert(name.into());
    }

    /// The node monitors the port no more.
    pub(crate) fn watches_no_more(&self, name: &str) {
        self.state.lock().watching.remove(name);
    }

    /// Connects to the node at these addresses, unless it is connected. False: look it up again.
    pub(crate) fn connect(self: &Arc<Self>, node: &Arc<Inner>, addresses: &[String]) -> bool {
        let mut state = self.state.lock();
        if state.gone {
            return false;
        }
        if matches!(state.phase, Phase::Idle) && !node.is_stopping() {
            self.start_connecting(node, &mut state);
        }
        if let Phase::Connecting(connecting) = &state.phase
            && !addresses.is_empty()
        {
            let mut known = connecting.addresses.lock();
            for address in addresses.iter().rev() {
                if !known.contains(address) {
                    known.insert(0, address.clone());
                }
            }
            connecting.news.notify_one();
        }
        true
    }

    fn start_connecting(self: &Arc<Self>, node: &Arc<Inner>, state: &mut PeerState) {
        let connecting = Arc::new(Connecting {
            serial: node.next_serial(),
            addresses: Mutex::default(),
            news: Notify::new(),
            ended: CancellationToken::new(),
        });
        state.phase = Phase::Connecting(connecting.clone());
        let (peer, home) = (self.clone(), node.clone());
        node.spawn_task(async move { crate::net::schedule::run(home, peer, connecting).await });
    }

    /// Reserves the right to prove ourselves on the connection `serial` to the node. False if there is
    /// a link, or another connection of ours is at that point.
    pub(crate) fn start_dialing(&self, serial: u64) -> bool {
        /// A connection whose other end does not answer in this time blocks no other.
        const STALE: std::time::Duration = std::time::Duration::from_secs(2);
        let mut state = self.state.lock();
        let busy = state
            .dialing
            .is_some_and(|(_, since)| since.elapsed() < STALE);
        if busy || state.gone || matches!(state.phase, Phase::Up(_)) {
            return false;
        }
        state.dialing = Some((serial, Instant::now()));
        true
    }

    /// The connection for which [`start_dialing`](Self::start_dialing) agreed is decided on.
    pub(crate) fn stop_dialing(&self, serial: u64) {
        let mut state = self.state.lock();
        if state.dialing.is_some_and(|(owner, _)| owner == serial) {
            state.dialing = None;
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// Writes a keepalive on a link that may be half dead: if the other end knows nothing of it any
    /// more, it is lost soon.
    pub(crate) fn poke(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Up(_)) && state.out.is_empty() {
            let keepalive = state.framing().keepalive();
            state.append(keepalive);
        }
    }

    /// Takes an authenticated connection as the link, unless the election says otherwise. `first` is
    /// what is to be written before any message: a token that was withheld. `overdue`: the other
    /// connection has been waited for long enough.
    pub(crate) fn establish(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        role: Role,
        link: &Arc<Link>,
        first: &[u8],
        overdue: bool,
    ) -> Verdict {
        // Held while monitors fire: that may take as long as the program likes.
        let Some(lifecycle) = self.lifecycle.try_lock() else {
            return Verdict::Wait;
        };
        let mut state = self.state.lock();
        if node.is_stopping() {
            return Verdict::Refuse;
        }
        if state.gone {
            return Verdict::Retry;
        }
        if matches!(state.phase, Phase::Failing) {
            return Verdict::Wait;
        }
        let up = matches!(state.phase, Phase::Up(_));
        let dialing = state.dialing.is_some() && !overdue;
        let verdict = elect(up, dialing, role, &node.id, &self.id);
        if verdict != Verdict::Accept {
            return verdict;
        }
        let mut out = first.to_vec();
        for pending in std::mem::take(&mut state.pending) {
            if let Err(error) = pending.write(&mut out, link.send_framing, link.info.generation) {
                // No message is dropped in silence: all that wait are lost, and their monitors fire.
                self.give_up(node, state, &error.to_string());
                return Verdict::Refuse;
            }
        }
        if let Phase::Connecting(connecting) = &state.phase {
            connecting.ended.cancel();
        }
        state.phase = Phase::Up(link.clone());
        self.framing
            .store(link.send_framing as u8, Ordering::Relaxed);
        state.links += 1;
        state.out = out;
        state.in_flight = 0;
        state.flushing = false;
        state.pending_octets = 0;
        drop(state);
        self.room.notify_waiters();
        if let Some(relay) = &node.relay {
            relay.up(self, link);
        }
        log_at!(9, "{} connected as {}", link.remote, self.id);
        node.tell_event(NodeEvent::Up {
            node: self.id.clone(),
            generation: link.info.generation,
        });
        link.ready.notify_one();
        drop(lifecycle);
        Verdict::Accept
    }

    /// Keeps no larger buffer than this for what is to be written next, in octets.
    pub(crate) fn shrink_output(&self, octets: usize) {
        self.state.lock().out.shrink_to(octets);
    }

    /// Gives the writer of `link` what is to be written. `None`: it is not the link any more.
    pub(crate) fn take_output(&self, link: &Link, spare: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Up(present) if present.serial == link.serial => {}
            _ => return None,
        }
        if state.flushing {
            // Who does that wakes the writer if something is left.
            return Some(spare);
        }
        let taken = std::mem::replace(&mut state.out, spare);
        let before = std::mem::replace(&mut state.in_flight, taken.len());
        drop(state);
        if before > 0 || !taken.is_empty() {
            self.room.notify_waiters();
        }
        Some(taken)
    }

    /// Runs a turn of the link's reader, which writes at its end what was sent meanwhile: the answer to a
    /// lone message needs no other task.
    pub(crate) fn read_turn<T>(
        &self,
        link: &Arc<Link>,
        write: impl FnOnce(&[u8]) -> std::io::Result<usize>,
        turn: impl FnOnce() -> T,
    ) -> T {
        struct Turn(*const Link);
        impl Drop for Turn {
            fn drop(&mut self) {
                READING.set(self.0);
            }
        }
        let outer = Turn(READING.replace(Arc::as_ptr(link)));
        let result = turn();
        drop(outer);
        self.flush(link, write);
        result
    }

    /// Writes what is to be written, as much as goes at once, unless the writer is at it.
    fn flush(&self, link: &Link, write: impl FnOnce(&[u8]) -> std::io::Result<usize>) {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Up(present) if present.serial == link.serial => {}
            _ => return,
        }
        if state.out.is_empty() {
            return;
        }
        if state.in_flight > 0 {
            drop(state);
            link.ready.notify_one();
            return;
        }
        let mut taken = std::mem::take(&mut state.out);
        state.in_flight = taken.len();
        state.flushing = true;
        drop(state);
        // If this fails, the writer will find out why.
        let written = write(&taken).unwrap_or(0).min(taken.len());
        let mut state = self.state.lock();
        state.flushing = false;
        match &state.phase {
            Phase::Up(present) if present.serial == link.serial => {}
            _ => return,
        }
        state.in_flight = 0;
        link.traffic
            .sent_octets
            .fetch_add(written as u64, Ordering::Relaxed);
        taken.drain(..written);
        taken.append(&mut state.out);
        state.out = taken;
        let rest = !state.out.is_empty();
        drop(state);
        if rest {
            link.ready.notify_one();
        }
        self.room.notify_waiters();
    }

    /// The link, or the attempt to get one, is lost. Nothing happens if `serial` is not the present
    /// one's.
    pub(crate) fn fail(self: &Arc<Self>, node: &Arc<Inner>, serial: u64, text: &str) {
        let state = self.state.lock();
        let present = match &state.phase {
            Phase::Up(link) => link.serial,
            Phase::Connecting(connecting) => connecting.serial,
            Phase::Idle | Phase::Failing => return,
        };
        if present == serial {
            self.give_up(node, state, text);
        }
    }

    /// Loses the link for certain, whichever it is.
    pub(crate) fn disconnect(self: &Arc<Self>, node: &Arc<Inner>, text: &str) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Up(_) | Phase::Connecting(_)) {
            self.give_up(node, state, text);
        }
    }

    /// Gives up to connect to the node, if that is being tried.
    pub(crate) fn stop_connecting(self: &Arc<Self>, node: &Arc<Inner>, text: &str) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Connecting(_)) {
            self.give_up(node, state, text);
        }
    }

    fn give_up(
        self: &Arc<Self>,
        node: &Arc<Inner>,
        mut state: parking_lot::MutexGuard<'_, PeerState>,
        text: &str,
    ) {
        let was_up = match std::mem::replace(&mut state.phase, Phase::Failing) {
            Phase::Up(link) => {
                link.ending.end();
                true
            }
            Phase::Connecting(connecting) => {
                connecting.ended.cancel();
                false
            }
            Phase::Idle => false,
            Phase::Failing => return,
        };
        self.framing.store(Framing::Json as u8, Ordering::Relaxed);
        state.pending.clear();
        state.pending_octets = 0;
        state.out = Vec::new();
        state.in_flight = 0;
        let watching = std::mem::take(&mut state.watching);
        let monitors = std::mem::take(&mut state.monitors);
        state.unfired = monitors.keys().cloned().collect();
        let ended = std::mem::replace(&mut state.life, next_life());
        drop(state);
        self.room.notify_waiters();
        if let Some(relay) = &node.relay {
            relay.ended(self, ended);
        }
        let peer = self.clone();
        let lost = Lost {
            reason: Reason::transport_error(self.id.as_str(), text),
            was_up,
            watching,
            monitors,
        };
        let job = move |node: &Arc<Inner>| peer.finish_failure(node, lost);
        work::schedule(node, Job::Call(Box::new(job)));
    }

    fn finish_failure(self: &Arc<Self>, node: &Arc<Inner>, lost: Lost) {
        let lifecycle = self.lifecycle.lock();
        let reason = &lost.reason;
        if !lost.was_up {
            node.mesh.want_no_more(node, &self.id);
        }
        for name in lost.watching {
            if let Some(port) = node.ports.get(&name) {
                port.unwatch(|_, watcher| matches!(watcher, Watcher::Node(id) if *id == self.id));
            }
        }
        for (name, due) in lost.monitors {
            self.fire(node, due, reason);
            self.state.lock().unfired.remove(&name);
        }
        if lost.was_up {
            node.tell_event(NodeEvent::Down {
                node: self.id.clone(),
                reason: reason.clone(),
            });
        }
        let mut state = self.state.lock();
        while !state.late.is_empty() {
            let late = std::mem::take(&mut state.late);
            drop(state);
            self.fire(node, late, reason);
            state = self.state.lock();
        }
        state.phase = Phase::Idle;
        if node.is_stopping() {
            // What the actions have set and sent meanwhile is lost as well.
            state.pending.clear();
            let monitors = std::mem::take(&mut state.monitors);
            drop(state);
            for (_, action) in monitors.into_values().flatten() {
                monitor::fire_soon(node, action, reason.clone());
            }
        } else if !state.pending.is_empty() || !state.monitors.is_empty() {
            self.start_connecting(node, &mut state);
            drop(state);
        } else {
            drop(state);
            node.peers.forget(self);
        }
        drop(lifecycle);
        self.room.notify_waiters();
    }

    /// Runs actions that may send to the node again: that is for the next link.
    fn fire(self: &Arc<Self>, node: &Arc<Inner>, due: Vec<(u64, Action)>, reason: &Reason) {
        let outer = FIRING.replace(Arc::as_ptr(self));
        for (_, action) in due {
            monitor::fire(node, action, reason.clone()); // does not panic
        }
        FIRING.set(outer);
    }

    /// Marks the peer as taken out of the table, if it holds nothing.
    pub(crate) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        let idle = matches!(state.phase, Phase::Idle)
            && state.pending.is_empty()
            && state.monitors.is_empty()
            && state.dialing.is_none();
        state.gone |= idle;
        idle
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
        let mut octets = Vec::with_capacity(64);
        match encode_in(&mut octets, self.framing(), "", args) {
            Ok(()) => self.append(&octets),
            Err(error) => log_at!(1, "a request can't be sent: {error}"),
        }
    }

    /// Appends a message that is encoded in [our framing](Self::framing).
    fn append(&mut self, encoded: &[u8]) {
        if let Phase::Up(link) = &self.phase {
            link.traffic.sent.fetch_add(1, Ordering::Relaxed);
            if self.out.is_empty() && READING.get() != Arc::as_ptr(link) {
                link.ready.notify_one();
            }
            self.out.extend_from_slice(encoded);
            return;
        }
        self.pending_octets += encoded.len();
        match self.pending.last_mut() {
            Some(Pending::Json(octets)) => octets.extend_from_slice(encoded),
            _ => self.pending.push(Pending::Json(encoded.to_vec())),
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

impl Pending {
    /// Appends what waited, as it goes over a link.
    fn write(
        self,
        out: &mut Vec<u8>,
        framing: Framing,
        generation: Generation,
    ) -> Result<(), EncodeError> {
        let messages = match self {
            Pending::Kill(name, reason) => {
                let verb = generation.kill_verb();
                return encode_in(out, framing, "", &WithPort(verb, &name, &reason));
            }
            Pending::Json(messages) => messages,
        };
        if framing == Framing::Json {
            out.extend_from_slice(&messages);
            return Ok(());
        }
        // They are our own, so they are sound and no limit counts.
        let mut scanner = JsonScanner::new(Limits {
            max_message: usize::MAX,
            max_depth: usize::MAX,
        });
        let mut rest = &messages[..];
        while let Ok(Some(frame)) = scanner.next(rest) {
            json_in(out, framing, &rest[..frame.end])?;
            rest = &rest[frame.end..];
        }
        Ok(())
    }
}

/// The reason that a monitor of a missing port gets (PROTOCOL.md, "Reasons").
pub(crate) fn missing_port(port: Option<String>) -> Reason {
    let words = ["no_such_port", "cannot monitor nonexistent port"].map(str::to_owned);
    Reason::new(words.into_iter().chain(port))
}

/// A node request about a port, with a reason's values at its end.
struct WithPort<'a>(&'a str, &'a str, &'a Reason);

impl Serialize for WithPort<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut seq = serializer.serialize_seq(Some(2 + self.2.values().len()))?;
        seq.serialize_element(self.0)?;
        seq.serialize_element(self.1)?;
        for value in self.2.values() {
            seq.serialize_element(value)?;
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::Incoming;
    use proptest::prelude::*;

    /// Each message's destination and values.
    fn received(octets: &[u8], framing: Framing) -> Vec<(String, Vec<serde_json::Value>)> {
        let mut block = octets.into();
        let mut incoming = Incoming::new(framing, Limits::default());
        let next = || incoming.next(&mut block).unwrap();
        std::iter::from_fn(next)
            .map(|arrived| (arrived.name.unwrap(), arrived.message.values()))
            .collect()
    }

    #[test]
    fn what_waited_goes_over_links_of_any_framing() {
        use serde_json::json;
        let mut messages = vec![
            ("a.b", json!(["m", 1, "é☺", [], {"k": [null, -7]}])),
            ("a.b", json!([])),
            ("c\"d", json!(vec!["x"; 40])),
            ("", json!(["mon1", "p"])),
        ];
        let mut json = Vec::new();
        for (name, args) in &messages {
            encode_in(&mut json, Framing::Json, name, args).unwrap();
        }
        json.extend(b"[ \"relayed\" , \"\\u00e9\" , [ 1 ] ]");
        messages.extend([
            ("relayed", json!(["é", [1]])),
            ("", json!(["kil", "p", "why", "é"])),
            ("last", json!([])),
        ]);
        for framing in Framing::ALL {
            let mut out = b"token".to_vec();
            for pending in [
                Pending::Json(json.clone()),
                Pending::Kill("p".into(), Reason::new(["why", "é"])),
                Pending::Json(b"[\"last\"]".to_vec()),
            ] {
                pending.write(&mut out, framing, Generation::Gen1b).unwrap();
            }
            let got = received(out.strip_prefix(b"token").unwrap(), framing);
            assert_eq!(got.len(), messages.len(), "{framing}");
            for ((name, values), (to, args)) in got.iter().zip(&messages) {
                assert_eq!((name.as_str(), &json!(values)), (*to, args), "{framing}");
            }
        }
    }

    proptest! {
        /// Two nodes that each decide on the other's connection while their own is being decided on
        /// keep exactly one of the two.
        #[test]
        fn one_of_two_stays(a in "[a-z/]{1,4}", b in "[a-z/]{1,4}") {
            prop_assume!(a != b);
            let (a, b) = (NodeId::new(a), NodeId::new(b));
            let at_b = elect(false, true, Role::Listener, &b, &a);
            let at_a = elect(false, true, Role::Listener, &a, &b);
            prop_assert!(matches!(
                (at_a, at_b),
                (Verdict::Wait, Verdict::Accept) | (Verdict::Accept, Verdict::Wait)
            ));
            prop_assert_eq!(at_b == Verdict::Accept, a < b);
            // Once one is up the other is refused at both ends.
            for role in [Role::Listener, Role::Connector] {
                prop_assert_eq!(elect(true, false, role, &a, &b), Verdict::Refuse);
            }
        }
    }
}
